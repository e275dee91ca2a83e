"""What the tests of attempts on Windows hosts share: a rollout of one simulated host, in its time.

The host is played, its WinRM is left out: what the executor sends reaches the simulated host as
the real transport would bring it. Time is the host's own: waiting costs nothing.
"""

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from tests.cases.rollouts.build import PROFILE
from tests.contract.attempt_bench import Bench, Fate, MortalTransport
from tests.windows_host.host import WindowsHost
from tests.windows_host.state import HostState, scenario
from tests.windows_host.wire import Wire
from wavemend.errors import ConnectionLost, HostPortClosed
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.managers import Manager
from wavemend.managers.windows_update import WINDOWS_UPDATE
from wavemend.policy.care import RebootManners
from wavemend.policy.profiles import RebootRule
from wavemend.transport import OUTPUT_BOUND, CommandResult, Transport
from wavemend.windows.calling import script_digests

LCU = "KB5075906"
NET = "KB5077863"
TOOL = "KB890830"
DOWN_SECONDS = 40.0
WINDOWS = replace(
    PROFILE,
    reboot=RebootRule.IF_NEEDED,
    host_deadline=timedelta(minutes=90),
    reboots=RebootManners(back_within=timedelta(minutes=30)),
)


@dataclass
class Line:
    """A connection to a simulated host, without a network; none outlives a restart."""

    wire: Wire
    boots: int
    """How often the host had come up when it was made."""
    is_windows: Literal[True] = True
    peer_key: str = ""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Have the host play one command."""
        if self.wire.windows.state.boots != self.boots:
            raise ConnectionLost("the host went down since")
        return self.wire.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    run_as_root = run

    def close(self) -> None:
        """Nothing is held open."""


@dataclass
class MortalWindows(MortalTransport):
    """The same; its user may die, or lose it, before or after each call, named by its script."""

    is_windows: Literal[True] = True

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Make the call between two places to die."""
        request = json.loads(gzip.decompress(base64.b64decode(stdin)))
        name = names()[hashlib.sha256(request["script"].encode()).hexdigest()]
        words = (name, *((request["params"]["kind"],) if name == "start_job" else ()))
        return self._between(
            words, lambda: self.inner.run(argv, stdin=stdin, deadline=deadline, bound=bound)
        )

    run_as_root = run


@cache
def names() -> Mapping[str, str]:
    """Return the scripts' names by the SHA-256 of their texts."""
    return script_digests()


@dataclass(kw_only=True)
class WindowsBench(Bench):
    """One rollout of one simulated Windows host, in that host's own time."""

    windows: WindowsHost
    manager: Manager = WINDOWS_UPDATE
    meanwhile: Callable[[], None] = lambda: None
    """Done once, when somebody waits for the first change of the host."""
    up_again: float = 0.0
    """Seconds of work at which a host that went down answers again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.opened_at = self.now()
        self.wire = Wire(self.windows)
        cut = self.windows.on_reboot

        def down(returns: bool) -> None:
            cut(returns)
            self.up_again = self.windows.clock.work() + DOWN_SECONDS

        self.windows.on_reboot = down

    def reach(self, _: Host) -> Transport:
        """Connect to the host, if it is up."""
        if self.windows.clock.work() < self.up_again:
            raise HostPortClosed("the host is down")
        return Line(self.wire, self.windows.state.boots)

    def now(self) -> datetime:
        """Return the host's time, moved by `shift`."""
        return datetime.fromtimestamp(self.windows.clock.now(), UTC) + self.shift

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the executor's means; to wait is to let the host's time pass."""
        made = super().hands(fate)

        def connect(host: Host) -> Transport:
            reached = self.reach(host)
            return MortalWindows(reached, fate) if fate else reached

        return replace(
            made,
            connect=connect,
            manager=lambda _: self.manager,
            monotonic=self.windows.clock.work,
            sleep=self._wait,
        )

    def _wait(self, seconds: float) -> None:
        if self.begins():
            then, self.meanwhile = self.meanwhile, lambda: None
            then()
        self.windows.advance(seconds)

    def begins(self) -> list[str]:
        """Return the names of the jobs that changed the host, by its own journal."""
        lines = [line.split(" ") for line in self.windows.state.journal]
        return [words[1] for words in lines if words[0] == "begin"]

    def kill(self) -> None:
        """Let the running worker die, without a word and without an end."""
        for job in self.windows.state.jobs:
            if job.task == "running":
                job.task, job.timeline = "ready", []

    def installs(self) -> dict[str, int]:
        """Return how often the host called the installation of each update succeeded."""
        updates = self.windows.state.wua.updates
        return {update.kb[0]: update.installs for update in updates}


def bench_of(
    folder: Path, played: str | HostState, *packages: str, **changes: object
) -> WindowsBench:
    """Return a rollout with these updates of a host, by scenario name or state."""
    state = scenario(played) if isinstance(played, str) else played
    state.clock = int(time.time())
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    host = Host(
        name="win1",
        tenant="acme",
        address="win1.example",
        transport="winrm",
        manager="windows_update",
        simulated=True,
    )
    bench = WindowsBench(
        folder=folder,
        host=host,
        connect=_nowhere,
        profile=WINDOWS,
        windows=WindowsHost(state),
    )
    bench.freeze(*packages, **changes)
    return bench


def _nowhere(_: Host) -> Transport:
    raise AssertionError("the bench itself connects")


def quick(name: str) -> HostState:
    """Return a scenario whose updates take seconds: fewer questions on the way, nothing else."""
    state = scenario(name)
    for update in state.wua.updates:
        update.install_seconds = update.download_seconds = 5
    return state
