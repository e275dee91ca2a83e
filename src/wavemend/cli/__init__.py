"""The `wavemend` command: starts fast, imports no Prefect, talks to it over HTTP where needed."""

import io
import os
import sys
import traceback
from collections.abc import Sequence

from wavemend.errors import WavemendError

BUG_EXIT = 3
"""A fault of ours; everything an operator can mend has an exit code of its own."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 for success, the error family's code otherwise."""
    from wavemend.cli.app import app
    from wavemend.cli.view import admit

    tokens = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows "?"
    try:
        admit(app, tokens)
        result = app(tokens, result_action="return_value")
        sys.stdout.flush()
    except WavemendError as error:
        from wavemend.cli.shown import spelled_lines  # messages quote hosts, feeds and Prefect

        print(f"wavemend: {error.code}: {spelled_lines(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {spelled_lines(error.hint)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough: `wavemend findings | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:  # noqa: BLE001 - a bug ends here, told apart from what an operator can mend
        traceback.print_exc()
        print("wavemend: this is a fault of wavemend's; please report it", file=sys.stderr)
        sys.exit(BUG_EXIT)
    sys.exit(result if isinstance(result, int) else 0)
