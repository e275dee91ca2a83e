"""What befalls Windows hosts, their logins and their jobs: plays that say what was seen."""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.contract.windows_bench import quick
from tests.contract.windows_world import Plague, Strike, World, world_of
from tests.windows_host.state import Fault, HostState
from tests.windows_host.state import scenario as scenario_of
from tests.winrm_peer import Injection, TlsFiles, Trouble, run_authority
from wavemend.errors import LedgerError
from wavemend.execution.attempt import attempt_host
from wavemend.execution.order import Order
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.packages import JobScript, Target
from wavemend.transports import TRANSPORTS

Play = Callable[[Path], str]
"""Plays a fault in an empty folder and returns what was seen."""


@dataclass(frozen=True)
class Watched(WindowsUpdateManager):
    """The manager, with something that happens each time a job's text has been made."""

    then: Callable[[], None] = lambda: None

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job, and let it happen."""
        script = super().apply_script(targets)
        self.then()
        return script


def lying(*, patience: int = 30, wired: bool = True, **lies: object) -> Play:
    """A host that gets things wrong, or says them wrongly.

    `patience` in minutes; what takes hundreds of questions is not `wired`: it goes without WinRM.
    """

    def play(folder: Path) -> str:
        with world_of(folder) as world:
            for lie, value in lies.items():
                setattr(world.windows.state.lies, lie, value)
            world.wired = wired
            manners = replace(world.profile.reboots, back_within=timedelta(minutes=patience))
            world.profile = replace(world.profile, reboots=manners)
            return f"{world.played()}; {of_the_host(world)}"

    return play


def of_the_host(world: World) -> str:
    """Say what the host itself knows of its restarts and of the planned updates."""
    wanted = [each.name for each in world.plan.host("win1").packages]
    done = sum(world.installs()[name] for name in wanted)
    return f"{done} of {len(wanted)} there, {world.windows.state.boots - 1} restarts"


def meanwhile(scenario: str, happens: Callable[[World], None]) -> Play:
    """A host to which something happens while its first job runs."""

    def play(folder: Path) -> str:
        with world_of(folder, scenario) as world:
            world.profile = replace(world.profile, host_deadline=timedelta(minutes=20))
            world.meanwhile = lambda: happens(world)
            return f"{world.played()}; {of_the_host(world)}"

    return play


def never_back(world: World) -> None:
    """Let the host go down and stay down."""
    world.windows.state.lies.never_returns = True
    world.windows.boot()


def cut_status(world: World) -> None:
    """Cut what the host says of its next answers in half."""
    world.windows.state.lies.truncated_status = 2


def later(world: World) -> None:
    """Let the window's last start pass."""
    world.shift = timedelta(minutes=65)


def fire(world: World) -> None:
    """Say stop."""
    (world.folder / "stop").touch()


def without_task(times: int) -> Play:
    """A host whose start dies between folder and task, so many times."""

    def play(folder: Path) -> str:
        with world_of(folder) as world:
            lies, left = world.windows.state.lies, iter([1] * times)
            world.manager = Watched(
                then=lambda: setattr(lies, "folder_without_task", next(left, 0))
            )
            return f"{world.played()}; {of_the_host(world)}"

    return play


def wrong_answers(folder: Path) -> str:
    """Play hosts whose answers to the start of the change are of no use."""
    seen = []
    for how in ("no_result", "truncated", "error", "hang_up"):
        with world_of(folder / how) as world:
            faults, fault = world.windows.state.faults, Fault(script="start_job", how=how)
            world.manager = Watched(then=partial(faults.append, fault))
            seen.append(f"{how} {world.played()}")
    return "; ".join(seen)


def at_the_start(operation: str, what: str) -> Play:
    """A line that spoils an operation of the start, before it took effect and after it."""

    def play(folder: Path) -> str:
        seen = []
        for after in (False, True):
            with world_of(folder / str(after)) as world:
                strike = Strike(operation=operation, what=what, after=after)
                world.plague = Plague(strike, {"start_job install"})
                seen.append(f"{world.played()}, {len(world.cable.struck)} struck")
        return "; ".join(seen)

    return play


def no_shell(*troubles: str) -> Play:
    """Hosts that answer each login with a fault."""

    def play(folder: Path) -> str:
        seen = []
        for what in troubles:
            with world_of(folder / what) as world:
                world.peer.faults.append(Trouble("Create", what, times=99))
                world.login = replace(world.login, connect_seconds=1.0)
                seen.append(f"{what} {world.played()}")
        return "; ".join(seen)

    return play


def off(folder: Path) -> str:
    """Play a host that is off from the beginning."""
    with world_of(folder) as world:
        world.peer.refuse()
        world.up_again = math.inf
        return world.played()


class Refusing:
    """Refuses the last step of every login; a hook of the peer."""

    def __init__(self) -> None:
        self.times = 0
        self._steps: Counter[int] = Counter()

    def __call__(self, connection: int, operation: str) -> Injection | None:
        """Refuse a login where it is proven."""
        self._steps[connection] += operation == "Authenticate"
        if operation != "Authenticate" or self._steps[connection] < 2:
            return None
        self.times += 1
        return Injection(what="http_401")


def password_changed(folder: Path) -> str:
    """Play a host that refuses the login from the middle of its job on; count how often."""
    with world_of(folder) as world:
        world.profile = replace(world.profile, host_deadline=timedelta(minutes=10))
        world.abandoned = 1
        refusing = Refusing()

        def change() -> None:
            world.peer.faults.append(refusing)
            world.peer.drop_all()

        world.meanwhile = change
        return f"{world.played()}; {of_the_host(world)}, refused {refusing.times} times"


def full_from_the_beginning(folder: Path) -> str:
    """Play a host whose shells are all somebody else's."""
    with world_of(folder, quota=1) as world:
        world.abandoned = 1
        other = replace(world.login, name="somebody else's")
        world.login = replace(world.login, connect_seconds=1.0)
        with contextlib.closing(TRANSPORTS["winrm"](world.host, other)):
            return world.played()


def full_at_times(folder: Path) -> str:
    """Play a host whose shells are all taken at the first try of each visit."""
    with world_of(folder) as world:
        full = Strike(operation="Create", what="shell_quota")
        world.at_visit = dict.fromkeys(range(99), full)
        return f"{world.played()}; {len(world.cable.struck)} times"


def certificate(made: Callable[[], TlsFiles]) -> Play:
    """A host with another certificate; says how many logins it was offered."""

    def play(folder: Path) -> str:
        with world_of(folder, tls=made()) as world:
            world.login = replace(world.login, ca=run_authority().pem)
            return f"{world.played()}; {world.peer.counters().unauthorized} logins"

    return play


def wrong_password(folder: Path) -> str:
    """Play five hosts of a fleet whose password is wrong."""
    outcomes, offered = [], 0
    for number in range(5):
        with world_of(folder / str(number)) as world:
            name = f"wrong in {folder}"
            world.login = replace(world.login, name=name, password="not this one")
            outcomes.append(world.played())
            offered += world.peer.counters().operations.get("Create", 0)
            tried = [each for each in world.cable.seen if each[2:] == ("Authenticate", 2)]
            offered += len(tried)
    words = [outcome.partition(": ")[0] for outcome in outcomes]
    held = sum("is not tried again" in outcome for outcome in outcomes)
    assert set(words) == {"blocked never begun"}, outcomes
    return f"5 blocked never begun, {held} held back, {offered} offered to hosts"


def newer_controller(folder: Path) -> str:
    """Play a controller that is overtaken just before its start, and then goes on with it."""
    with world_of(folder) as world:
        late, newer = world.order(), list[Order]()

        def overtake() -> None:
            if not newer:
                newer.append(world.order())
                attempt_host(world.hands(), newer[0])

        world.manager = Watched(then=overtake)
        with pytest.raises(LedgerError) as refused:
            attempt_host(world.hands(), late)
        return f"{world.played()}; the older one: {refused.value}"


def newer_fence(folder: Path) -> str:
    """Play a host that has heard of a newer controller."""
    with world_of(folder) as world:
        world.windows.state.fence = 10**9
        return world.played()


def exit_status(
    scenario: str,
    *packages: str,
    then: Callable[[HostState], None] = lambda _: None,
    minutes: int = 90,
) -> Play:
    """A scenario; says what the host's jobs ended with, and what that came to.

    `then` happens when the job is made, `minutes` is how long it is followed.
    """

    def play(folder: Path) -> str:
        state = scenario_of(scenario) if scenario == "deadline" else quick(scenario)
        with world_of(folder, state, *packages) as world:
            world.manager = Watched(then=lambda: then(state))
            world.profile = replace(world.profile, host_deadline=timedelta(minutes=minutes))
            seen = world.played()
            jobs = [job for job in state.jobs if job.kind == "install"]
            ends = ", ".join(str(job.exit_status) for job in jobs)
            return f"exit {ends}: {seen}; {of_the_host(world)}"

    return play


def no_network(state: HostState) -> None:
    """Let every search for updates throw from now on."""
    state.wua.search_hresult = "0x8024402C"


def no_space(state: HostState) -> None:
    """Fill the system drive."""
    state.free_bytes = 100 * 1024**2
