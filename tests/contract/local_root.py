"""This machine as a host with a root directory of its own, for tests that run the real scripts."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wavemend.errors import DeadlinePassed
from wavemend.transport import OUTPUT_BOUND, CommandResult


@dataclass
class LocalRoot:
    """Runs commands here, with `WAVEMEND_ROOT` set, as a host's login would run them."""

    root: Path
    bin: Path | None = None
    """Directory with programs that come before those of this machine."""
    extra: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return the environment a command gets."""
        path = os.environ["PATH"]
        return {
            "PATH": f"{self.bin}:{path}" if self.bin else path,
            "WAVEMEND_ROOT": str(self.root),
            **self.extra,
        }

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command and return what it said, cut to `bound`."""
        self.asked.append((tuple(argv), stdin))
        began = time.monotonic()
        try:
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                timeout=deadline,
                env=self.environment(),
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeadlinePassed(f"{argv[0]} did not end") from error
        return CommandResult(
            exit_status=done.returncode,
            stdout=done.stdout[:bound],
            stderr=done.stderr[:bound],
            dropped_bytes=max(0, len(done.stdout) - bound),
            seconds=time.monotonic() - began,
        )

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Like `run`: the tests' host lets everybody do everything below its root."""
        return self.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    @property
    def peer_key(self) -> str:
        """Empty: nobody else's identity is involved."""
        return ""

    def close(self) -> None:
        """Nothing is held open."""
