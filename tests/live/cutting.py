"""A line that is cut for five minutes in the middle of a transaction, beside all other live tests.

The rollout of one host runs in a process and a lab of its own from the first live test on; the
test that judges it comes last, and so waits little or not at all.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.crash_places import Passed, read_log
from tests.contract.crash_world import CrashWorld
from tests.lab import Lab, probe
from tests.world.fleet import WorldHost
from wavemend.evidence import Evidence
from wavemend.ledger import attempts, audit, rollouts

CUT_SECONDS = 300
SLOW = "wm-slow"
HOST = "slow1"
JUDGED_BY = "test_network_cut.py"


@dataclass(frozen=True, slots=True)
class Cut:
    """What was seen of it, when all was over."""

    seconds: float
    """How long the line was cut."""
    during: str
    """What the ledger said of the attempt right before the line was mended: state and outcome."""
    lost: bool
    """Whether the ledger had the host as lost by then."""
    evidence: Evidence | None
    events: tuple[str, ...]
    tries: int
    """How often the package was configured, by its own script."""
    places: tuple[Passed, ...]


class CutLine:
    """The story, told in a thread of its own; `result` waits for its end."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="wavemend-cut-"))
        self._cut: Cut | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="cut-line", daemon=True)
        self._thread.start()

    def result(self) -> Cut:
        """Return what was seen; raises what went wrong."""
        self._thread.join(CUT_SECONDS + 240)
        if self._error is not None:
            raise self._error
        assert self._cut is not None, "the story of the cut line has not ended"
        return self._cut

    def _run(self) -> None:
        try:
            self._cut = self._told()
        except BaseException as error:  # noqa: BLE001 - the test that judges it raises it
            self._error = error
        else:
            shutil.rmtree(self._home, ignore_errors=True)

    def _told(self) -> Cut:
        slow = {"/etc/wm-slow.seconds": f"{CUT_SECONDS + 30}\n"}
        world = CrashWorld(self._home, [WorldHost(HOST, "acme", packages=(SLOW,), files=slow)])
        lab = Lab(self._home / "lab")
        try:
            controller = world.controller()
            wait_until(
                lambda: "wm-slow.started" in world.lab.run(HOST, "ls", "/run"), "the transaction"
            )
            lab.link(HOST, "down")
            began = time.monotonic()
            time.sleep(CUT_SECONDS)
            during = _attempt(world)
            lab.link(HOST, "up")
            seconds = time.monotonic() - began
            controller.join(180)
            assert controller.exitcode == 0, world.story()
            world.judge({HOST: "patched"})
            with world.ledger.reading() as book:
                (rollout,) = rollouts.list_rollouts(book)
                (row,) = attempts.of_rollout(book, rollout.id)
                events = tuple(event.kind for event in audit.events(book, rollout.id))
            return Cut(
                seconds=seconds,
                during=during[0],
                lost=during[1],
                evidence=attempts.evidence_of(row),
                events=events,
                tries=world.tried(HOST, SLOW),
                places=read_log(world.log),
            )
        finally:
            world.close()


def _attempt(world: CrashWorld) -> tuple[str, bool]:
    with world.ledger.reading() as book:
        (rollout,) = rollouts.list_rollouts(book)
        (row,) = attempts.of_rollout(book, rollout.id)
    return f"{row.state} {row.outcome}".strip(), row.lost_since is not None


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for something on a host or in a ledger."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session", autouse=True)
def cut_line(request: pytest.FixtureRequest) -> CutLine | None:
    """Begin the story with the first live test, when the one that judges it is to run at all."""
    wanted = any(item.path.name == JUDGED_BY for item in request.session.items)
    return CutLine() if wanted and probe().mode is not None else None


def judge_last(items: list[pytest.Item]) -> None:
    """Put the test that waits for the story's end behind all others."""
    items.sort(key=lambda item: item.path.name == JUDGED_BY)
