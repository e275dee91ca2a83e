"""Write the reference pages that are made from the code: errors, commands, the fleet file.

`python -m tools.generate_docs` writes them; `tests/contract/test_docs.py` fails when one is stale.
"""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from wavemend import errors
from wavemend.errors import WavemendError
from wavemend.inventory.fleet_docs import fleet_reference, fleet_schema_text
from wavemend.inventory.manager_docs import manager_reference, manager_schema_text

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"

_ERRORS_HEAD = """\
# Errors and exit codes

*Written from `src/wavemend/errors.py` by `make docs`: do not edit.*

An error is printed as `wavemend: CODE: what happened`, and on the next line what to do about it.
Alerts and scripts may key on the code and on the exit code; the wording may change.
During a rollout a host's trouble is no error: it is that host's outcome, and the word in the
column *reason* begins the outcome's reason.

## Exit codes of `wavemend`

| exit code | meaning |
|---|---|
| 0 | done |
| 3 | a fault of wavemend itself: a traceback is printed, please report it |
| 2 | the command line was not understood; nothing was done |
"""

_ERRORS_MIDDLE = """\
| 130 | interrupted from the keyboard |

## Codes

| code | name | exit code | reason | meaning |
|---|---|---|---|---|
"""

_CLI_HEAD = """\
# The `wavemend` command

*Written from the command's own help by `make docs`: do not edit.*

| variable | meaning | without it |
|---|---|---|
| `WAVEMEND_HOME` | folder of one installation: ledger, feeds, reports, signers, STOP file | \
`.wavemend` in the working directory |
| `WAVEMEND_LEDGER` | reference to the ledger's URL: `env:NAME`, `file:PATH` or `command:…` | \
SQLite, `ledger.db` in the home folder |
| `WAVEMEND_SIGNERS` | path of the list of signers | `signers` in the home folder |
| `WAVEMEND_CHECKOUT` | folder with `flows/` and `prefect.yaml`, for `wavemend up` | \
the working directory |
| `WAVEMEND_NVD_API_KEY` | key for NVD, for `wavemend feeds refresh --online` | \
a tenth of the rate |
| `PREFECT_API_URL` | Prefect's API | the one that `wavemend up` noted in the home folder |

Exit codes are in [errors.md](errors.md).

"""

_CLI_HELP = """\
import sys
sys.path.insert(0, "src")
from wavemend.cli.app import app
print(app.generate_docs(output_format="markdown"))
"""


def pages() -> Mapping[Path, str]:
    """Return every generated page: where it belongs, and what it must hold."""
    return {
        REFERENCE / "errors.md": errors_page(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "fleet.md": fleet_reference(),
        REFERENCE / "fleet.schema.json": fleet_schema_text(),
        REFERENCE / "manager.md": manager_reference(),
        REFERENCE / "manager.schema.json": manager_schema_text(),
    }


def errors_page() -> str:
    """Return the table of exit codes and the table of error codes."""
    known = sorted(_errors(), key=lambda error: error.code)
    families = [error for error in known if "exit_code" in vars(error)]
    exits = sorted(
        ((error.exit_code, error) for error in families if error is not WavemendError),
        key=lambda pair: pair[0],
    )
    lines = [f"| {number} | {_meaning(error)} |\n" for number, error in exits]
    codes = [
        f"| {error.code} | `{error.__name__}` | {error.exit_code} | {_reason(error)} "
        f"| {_meaning(error)} |\n"
        for error in known
        if error is not WavemendError
    ]
    return "".join([_ERRORS_HEAD, *lines, _ERRORS_MIDDLE, *codes])


def cli_page() -> str:
    """Return the help of every command as one page, without its table of contents."""
    # In a process of its own: cyclopts writes the name of the running program into every usage
    # line when that was started with `python -m`, so the page would depend on who asks for it.
    done = subprocess.run(
        [sys.executable, "-c", _CLI_HELP], cwd=ROOT, text=True, capture_output=True, check=True
    )
    _, _, commands = done.stdout.partition("**Commands**:")
    lines = (line.rstrip() for line in commands.strip().splitlines())
    return _CLI_HEAD + "\n".join(lines) + "\n"


def _errors() -> Iterator[type[WavemendError]]:
    for value in vars(errors).values():
        if inspect.isclass(value) and issubclass(value, WavemendError):
            yield value


def _meaning(error: type[WavemendError]) -> str:
    """Return the docstring as one line: it is written for operators."""
    return " ".join(inspect.cleandoc(error.__doc__ or "").split())


def _reason(error: type[WavemendError]) -> str:
    reason = getattr(error, "reason", "")
    return f"`{reason}`" if reason else ""


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
