"""One rollout of a simulated Windows host behind the WinRM test peer, in the host's own time.

Transport, TLS, NTLM and sockets are the real ones; the host is played. Every operation of WinRM is
a place where the line may suffer, before it took effect or after it.
"""

import base64
import contextlib
import gzip
import hashlib
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tests.contract.windows_bench import LCU, TOOL, WINDOWS, WindowsBench, names, quick
from tests.windows_host.host import WindowsHost
from tests.windows_host.state import HostState
from tests.windows_host.world import PASSWORD, PROGRAMS, USER, host_at
from tests.winrm_peer import Command, Injection, Peer, run_tls
from wavemend.execution.attempt import attempt_host
from wavemend.hosts import Host
from wavemend.ledger import audit
from wavemend.outcomes import Outcome
from wavemend.transport import OUTPUT_BOUND, CommandResult, Login, Transport
from wavemend.transports import TRANSPORTS

FIXED = "10.0.20348.4773"
"""The build of a host that has LCU."""

_LEDGERS = threading.Lock()
"""The first ledger of a process is migrated, once; worlds may be made on many threads."""

SHELLS_END_AFTER = 240.0
"""Seconds of the host's time after which it has ended a shell that nobody closed."""

CONNECTING = ("Connect", "Authenticate", "Create")
"""Operations before anybody knows what the connection is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What one operation suffers."""

    operation: str
    what: str
    """As `Injection` of the peer has it."""
    after: bool = False
    nth: int = 1
    """Which of the operations of that name, since the visit or the call began."""

    def __str__(self) -> str:
        times = f" {self.nth}" if self.nth > 1 else ""
        return f"{self.what} {'after' if self.after else 'before'} {self.operation}{times}"


@dataclass
class Cable:
    """Notes every operation that passes, and strikes the one that is armed; a hook of the peer."""

    armed: Strike | None = None
    struck: list[str] = field(default_factory=list)
    about: str = "connecting"
    """What runs now."""
    seen: list[tuple[int, str, str, int]] = field(default_factory=list)
    """Of each operation: number of its visit, what ran, its name, how often in that."""
    visit: int = 0
    _count: dict[str, int] = field(default_factory=dict)

    def __call__(self, _connection: int, operation: str) -> Injection | None:
        """Note one operation; return what it suffers."""
        nth = self._count[operation] = self._count.get(operation, 0) + 1
        self.seen.append((self.visit, self.about, operation, nth))
        strike = self.armed
        if strike is None or (strike.operation, strike.nth) != (operation, nth):
            return None
        self.armed = None
        self.struck.append(f"{self.about}: {strike}")
        return Injection(what=strike.what, after=strike.after)

    def begins(self, about: str, strike: Strike | None) -> None:
        """Begin to count anew: a visit or one of its calls."""
        self.about, self._count = about, {}
        self.armed = strike or self.armed


@dataclass
class Plague:
    """Strikes each kind of call once: so far apart that one is got over before the next one."""

    strike: Strike
    left: set[str]
    """Kinds of calls that have not suffered yet."""
    _quiet: bool = False

    def on(self, kind: str) -> Strike | None:
        """Return what a call of this kind suffers now. A look is looked again once, and no more."""
        looks = kind in {"facts", "start_job scan", "job_status scan"}
        self._quiet = self._quiet and looks
        if self._quiet or kind not in self.left:
            return None
        self.left.remove(kind)
        self._quiet = looks
        return self.strike


@dataclass
class Visit:
    """A real connection."""

    inner: Transport
    world: "World"
    is_windows: Literal[True] = True

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run the real command, once the line knows for what it is."""
        kind = _kind(stdin)
        self.world.cable.begins(kind, self.world.plague.on(kind))
        return self.inner.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    run_as_root = run

    @property
    def peer_key(self) -> str:
        """The real connection's."""
        return self.inner.peer_key

    def close(self) -> None:
        """Close the real connection."""
        self.inner.close()


def _kind(stdin: bytes) -> str:
    """Return the script that a call brings in and, of those about jobs, the kind of the job."""
    request = json.loads(gzip.decompress(base64.b64decode(stdin)))
    name, params = (
        names()[hashlib.sha256(request["script"].encode()).hexdigest()],
        request["params"],
    )
    if name == "job_status":
        return f"{name} {'install' if params['job_id'].startswith('a-') else 'scan'}"
    return f"{name} {params['kind']}" if name == "start_job" else name


@dataclass(kw_only=True)
class World(WindowsBench):
    """A rollout of one simulated Windows host, over the real transport once the plan is frozen."""

    peer: Peer
    login: Login
    cable: Cable = field(default_factory=Cable)
    plague: Plague = field(default_factory=lambda: Plague(Strike(operation="", what="drop"), set()))
    at_visit: dict[int, Strike] = field(default_factory=dict)
    """What visits suffer while they connect, by number from 0."""
    wired: bool = False
    abandoned: int = 0
    """Shells that nobody can end: somebody else's, or of a login that is refused since."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.windows.on_hang_up = lambda: self.peer.reboot(math.inf)
        told = self.windows.on_reboot

        def down(returns: bool) -> None:
            told(returns)
            self.up_again = self.up_again if returns else math.inf
            self.peer.reboot(math.inf)

        self.windows.on_reboot = down

    def reach(self, host: Host) -> Transport:
        """Connect to the host, which listens while it is up."""
        if not self.wired:
            return super().reach(host)
        if self.windows.clock.work() >= self.up_again:
            self.peer.listen()
        strike = self.at_visit.get(self.cable.visit)
        self.cable.armed = None
        self.cable.begins("connecting", strike)
        self.cable.visit += 1
        stalls = strike is not None and strike.what == "stall"
        login = replace(self.login, connect_seconds=1.0) if stalls else self.login
        return Visit(TRANSPORTS["winrm"](host, login), self)

    def played(self) -> str:
        """Bring the host to its outcome, hold it against the truth, and return it in words."""
        outcome = attempt_host(self.hands(), self.order())
        row, begun = self.row(), self.begins()
        self.hold_against_the_truth(outcome)
        # Asked again: as it was, and nobody is asked for it.
        asked = self.peer.counters().connections
        assert attempt_host(self.hands(), self.order()) is outcome
        assert (self.peer.counters().connections, self.begins()) == (asked, begun)
        times = {0: "never begun", 1: "begun once"}.get(len(begun), f"{len(begun)} rounds")
        return f"{outcome} {times}{': ' if row.reason else ''}{row.reason}"

    def hold_against_the_truth(self, outcome: Outcome) -> None:
        """Assert what must be so whatever the line and the host did."""
        row, state, begun = self.row(), self.windows.state, self.begins()
        assert (row.state, row.outcome) == ("ended", outcome)
        assert max(self.installs().values()) <= 1, "an update was installed twice"
        assert len(set(begun)) == len(begun), "a job began twice"
        assert row.touched or not begun, "the host was changed, and the ledger does not know"
        there = all(self.installs()[each.name] == 1 for each in self.plan.host("win1").packages)
        done = there and state.os.build == FIXED and not state.hard_reasons
        assert done or outcome is not Outcome.PATCHED, "called patched, and is not"
        assert there or outcome is not Outcome.PATCHED_REBOOT_PENDING
        assert not done or outcome is not Outcome.FAILED, "called failed, and is patched"
        assert not begun or outcome is not Outcome.NOT_ATTEMPTED
        with self.ledger.reading() as book:
            audit.verify(book)
            kinds = [event.kind for event in audit.events(book, "r-1")]
        assert kinds.count("attempt.ended") == 1
        unknown = sum("after Create" in one for one in self.cable.struck)
        assert self.peer.counters().open_shells <= unknown + self.abandoned, "a shell was left open"
        self.windows.advance(SHELLS_END_AFTER)
        assert self.peer.counters().open_shells == 0, "a shell stays open"
        assert self.peer.counters().decrypt_failures == 0
        assert state.strangers == []


def powered(windows: WindowsHost) -> Callable[[Command], None]:
    """Return the host as the peer's runner; what is killed before it read its input is nothing."""

    def run(command: Command) -> None:
        sent = command.stdin.read()
        if not command.terminated.is_set():
            windows.run(_Fed(command, io.BytesIO(sent)))

    return run


class _Fed:
    """A command whose whole input is there."""

    def __init__(self, command: Command, stdin: io.BytesIO) -> None:
        self.line, self.stdin = command.line, stdin
        self.write_stdout, self.write_stderr = command.write_stdout, command.write_stderr
        self.exit = command.exit


@contextlib.contextmanager
def world_of(
    folder: Path,
    played: str | HostState = "ok_reboot",
    *packages: str,
    stall_seconds: float = 0.3,
    **switches: object,
) -> Iterator[World]:
    """Play a host and plan these of its updates, LCU and TOOL where none is named.

    A line that stalls ends after so many seconds; `switches` are the peer's.
    """
    state = quick(played) if isinstance(played, str) else played
    state.clock, state.wua.search_seconds = int(time.time()), 5
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    windows = WindowsHost(state)
    options = {
        "tls": run_tls(),
        "cbt": "strict",
        "knows": PROGRAMS.__contains__,
        "clock": windows.clock.work,
        "stall_seconds": stall_seconds,
        **switches,
    }
    with Peer(users={USER: PASSWORD}, runner=powered(windows), **options) as peer:  # type: ignore[arg-type]
        with _LEDGERS:
            world = World(
                folder=folder,
                host=host_at("win1", port=peer.port),
                connect=_nowhere,
                profile=WINDOWS,
                windows=windows,
                peer=peer,
                # A name of its own: refused logins are counted by name.
                login=Login(
                    name=str(folder),
                    user=USER,
                    password=PASSWORD,
                    ca=peer.ca_pem,
                    plain_http=options["tls"] is None,
                ),
            )
        world.freeze(*(packages or (LCU, TOOL)))
        peer.faults.append(world.cable)
        world.wired = True
        yield world


def _nowhere(_: Host) -> Transport:
    raise AssertionError("the world itself connects")
