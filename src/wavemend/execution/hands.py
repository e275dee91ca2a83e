"""Everything the executor reaches the world with, passed in: hosts, ledger, time, randomness."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wavemend.calendar.almanac import Almanac
from wavemend.execution.outside import port_trouble, url_trouble
from wavemend.hosts import Host
from wavemend.ledger.store import Ledger
from wavemend.managers import Manager
from wavemend.operations import Operate, run_here
from wavemend.transport import Transport


def _nothing_read() -> Almanac:
    """Nobody read any calendar: what a fleet declares of them is unknown, and forbids."""
    return Almanac(read_at=datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """The executor's means. Tests hand in slower, faster or broken ones."""

    ledger: Ledger
    connect: Callable[[Host], Transport]
    manager: Callable[[Host], Manager]
    clock: Callable[[], datetime]
    """Wall time, UTC-aware: for windows and records."""
    monotonic: Callable[[], float]
    """Seconds that only go forward: for every duration and deadline."""
    sleep: Callable[[float], None]
    token: Callable[[], str]
    """Fresh, unguessable `[a-z0-9]{32}`: ids and nonces."""
    stop_file: Path
    """While this file exists nothing is started, even when the ledger cannot be reached."""
    signers_file: Path
    almanac: Callable[[], Almanac] = _nothing_read
    """What all calendars hold now; read anew as they change."""
    operate: Operate = run_here
    """How the operator's commands are run on this worker."""
    port_trouble: Callable[[str, int, float], str] = port_trouble
    """Why a TCP port (address, port) cannot be opened from here within so many seconds."""
    url_trouble: Callable[[str, float], str] = url_trouble
    """Why an address does not answer below 400 within so many seconds."""

    def wait_until(self, moment: datetime) -> None:
        """Wait for a moment of the wall clock, which the ledger's times are in.

        No shorter than it was away at first: a clock that is put forward meanwhile makes no host
        watched for longer than it was.
        """

        def left() -> float:
            return (moment - self.clock()).total_seconds()

        end = self.monotonic() + left()
        while (seconds := max(left(), end - self.monotonic())) > 0:
            self.sleep(min(seconds, 1.0))

    def local_stop(self) -> str:
        """Return why this machine must not start anything; empty when it may."""
        try:
            text = self.stop_file.read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"the stop file {self.stop_file} cannot be read: {error.strerror}"
        return text[:200] or f"the file {self.stop_file} exists"
