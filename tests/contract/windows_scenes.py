"""One company's Windows hosts from the fleet file to the report, in the hosts' own time.

Real: the fleet file, Microsoft's document of February 2026, matching, the frozen plan, the ledger,
the executor, WinRM with NTLM over TLS to the test peer, the report. Played: Windows itself, by the
simulated host. Nothing here was ever run on a real Windows host.
"""

import contextlib
import lzma
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests.cases.rollouts.ledgers import new_ledger
from tests.cases.windows_hosts import CASES
from tests.windows_host.host import WindowsHost
from tests.windows_host.machine import Clock
from tests.windows_host.state import HostState, Update, scenario
from tests.windows_host.world import PASSWORD, USER, World, winhost
from wavemend.calendar.windows import occurrence_at
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.refresh import RefreshConfig, refresh
from wavemend.fleet import Fleet, RolloutKey
from wavemend.inventory.fleet_file import load_fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.readiness import Occasion
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import AttemptRow
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.observations import Assessment, Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import JobScript, Target
from wavemend.plans import Plan
from wavemend.readiness import Readiness
from wavemend.reporting import WrittenReport, write_rollout_report
from wavemend.reports.model import HostReport
from wavemend.rollbacks import RollbackRequest
from wavemend.site import Site, hands_of
from wavemend.steps.assess import Assessor
from wavemend.steps.freeze import freeze_plan
from wavemend.steps.preflight import preflight_host
from wavemend.steps.prepare import prepare_host
from wavemend.steps.readiness import check_host
from wavemend.steps.roll_back import case_of
from wavemend.steps.scan import scan_host
from wavemend.steps.waves import verify_host

EVENING = datetime(2026, 8, 11, 20, tzinfo=UTC)
"""After the last entry of the KEV excerpt, half a year after the updates of February came out."""
DAY = 86_400.0
KEY = RolloutKey(tenant="acme", profile="windows", window="night")
LCU, NET, TOOL = "KB5075906", "KB5077863", "KB890830"
OLD, NEW = "10.0.20348.4171", "10.0.20348.4773"
_KEV = Path(__file__).parents[2] / "examples" / "feeds" / "kev"
_REAL_PAUSE = 0.02
"""Seconds that one wait takes at most: a host that restarts is away for 0.3 s of this machine."""


@cache
def known() -> Intelligence:
    """Return the real documents as the product has them, refreshed and compiled once."""
    with tempfile.TemporaryDirectory() as folder:
        inbox, kept = Path(folder) / "in", Path(folder) / "kept"
        shutil.copytree(_KEV, inbox / "kev")
        (inbox / "msrc").mkdir()
        month = lzma.decompress((CASES / "2026-Feb.xml.xz").read_bytes())
        (inbox / "msrc" / "2026-Feb.xml").write_bytes(month)
        feeds = ("kev", "msrc")
        refresh(RefreshConfig(directory=inbox, feeds=feeds), kept, EVENING)
        return load_intelligence(kept, EVENING, feeds=feeds)


def quickly(name: str) -> HostState:
    """Return a scenario whose updates take seconds."""
    state = scenario(name)
    for update in state.wua.updates:
        update.install_seconds = update.download_seconds = 5
    return state


def fleet_text(worlds: Mapping[str, World], profile: str, more: str, night: str) -> str:
    """Return the fleet file; `profile`: what it says of its own; `more`: further sections."""
    hosts = (
        f"  - {{name: {name}, tenant: acme, address: 127.0.0.1, port: {world.peer.port}, "
        f"transport: winrm, login: windows, simulated: true, "
        f"labels: {{os: windows, device: server}}}}"
        for name, world in worlds.items()
    )
    gate = "gate: {max_errors: 0, min_success_percent: 100, min_observed: 1}"
    return "\n".join(
        [
            "schema: wavemend.fleet/1",
            "tenants: [{name: acme, title: Acme, zone: UTC, window: night}]",
            "windows:",
            f'  - {{name: night, zone: UTC, start: "19:00", duration: {night}, cutoff: 10m,',
            "     days: [mon, tue, wed, thu, fri, sat, sun]}",
            "logins:",
            f"  - {{name: windows, user: {USER}, auth: ntlm,",
            "     password: file:password, ca: file:ca}",
            "profiles:",
            "  - name: windows",
            "    os: windows",
            "    device: server",
            "    manager: windows_update",
            "    updates: all",
            "    reboot: if_needed",
            *([] if "host_deadline" in profile else ["    host_deadline: 2h"]),
            "    waves:",
            f"      - {{name: pilot, kind: pilot, size: 1, {gate}}}",
            f"      - {{name: broad, kind: broad, {gate}}}",
            *(f"    {line}" for line in profile.splitlines()),
            *more.splitlines(),
            "hosts:",
            *hosts,
            "feeds: {use: [kev, msrc], max_age_hours: 8760}",
            "",
        ]
    )


@dataclass(frozen=True)
class Watched(WindowsUpdateManager):
    """The manager, with something that happens when a job's text has been made."""

    then: Callable[[], None] = lambda: None

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job, and let it happen."""
        script = super().apply_script(targets)
        self.then()
        return script


@dataclass(kw_only=True)
class Scene:
    """A home folder with a ledger, and the hosts of a company's one profile."""

    home: Path
    worlds: Mapping[str, World]
    clock: Clock
    fleet: Fleet
    rollout: int = 0

    def __post_init__(self) -> None:
        self.ledger = new_ledger(self.home)
        self.site = Site(home=self.home)
        self.hands: Hands = replace(
            hands_of(self.site, self.ledger, self.fleet),
            clock=self.now,
            monotonic=self.clock.work,
            sleep=self._wait,
        )
        self.assessor = Assessor(self.fleet, known())
        with self.ledger.writing() as book:
            apply_fleet(book, self.fleet, actor="olga", now=self.now())

    def now(self) -> datetime:
        """Return the one time that hosts and controller have."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def _wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for world in self.worlds.values():
            world.windows.advance(0)
        time.sleep(min(seconds, _REAL_PAUSE))

    def windows(self, name: str = "win1") -> WindowsHost:
        """Return the host's own truth."""
        return self.worlds[name].windows

    def update(self, kb: str, name: str = "win1") -> Update:
        """Return one of its updates, as the host has it."""
        return next(each for each in self.windows(name).state.wua.updates if kb in each.kb)

    def at_the_start(self, then: Callable[[], None]) -> None:
        """Let something happen between the last look at a host and the start of its job."""
        self.hands = replace(self.hands, manager=lambda _: Watched(then=then))

    # --- what wavemend does ---

    def scan(self, name: str = "win1") -> tuple[Look, Assessment | None]:
        """Look at a host outside of any rollout."""
        return scan_host(self.hands, self.assessor, self.fleet.host(name))

    def readiness(self, name: str = "win1") -> Readiness:
        """Check a host deeply, as long before a window."""
        opening = occurrence_at(self.fleet.windows[0], self.now())
        assert opening is not None
        occasion = Occasion(
            tenant="acme",
            profile="windows",
            window="night",
            window_start=opening.start,
            name="tonight",
        )
        profile = self.fleet.profile("windows")
        return check_host(self.hands, self.fleet.host(name), profile, occasion, deep=True)

    def freeze(self) -> Plan:
        """Open the next rollout, look at every host, and freeze the plan."""
        self.rollout += 1
        opening = occurrence_at(self.fleet.windows[0], self.now())
        assert opening is not None
        with self.ledger.writing() as book:
            row = rollouts.open_rollout(
                book, self.id, KEY, opening, requester="olga", now=self.now()
            )
        for host in self.fleet.hosts:
            preflight_host(self.hands, host, self.id)
        self.plan = freeze_plan(self.hands, self.lease(), row, self.fleet, self.assessor)
        return self.plan

    @property
    def id(self) -> str:
        """Name of the newest rollout."""
        return f"r-{self.rollout}"

    def lease(self) -> Lease:
        """Become the owner of the rollout."""
        with self.ledger.writing() as book:
            return rollouts.take_lease(book, self.id, "here", self.now(), owner_is_dead=True)

    def patch(self, name: str = "win1") -> Outcome:
        """Prepare a host, bring it to its outcome, and look at it once more."""
        lease, host, profile = self.lease(), self.fleet.host(name), self.fleet.profile("windows")
        prepare_host(self.hands, lease, self.plan, host, profile)
        outcome = attempt_host(self.hands, self._order(lease, name))
        assert self.row(name).outcome == outcome
        verify_host(self.hands, self.plan, host, self.assessor, profile.probes)
        return outcome

    def finish(self) -> None:
        """End the rollout, and let a day pass."""
        lease = self.lease()
        with self.ledger.writing() as book:
            rollouts.finish_rollout(book, lease, "done", self.now())
        self.clock.advance(DAY)

    def roll_back(self, name: str = "win1") -> RollbackEnd:
        """Take a host back because a person asks for it."""
        with self.ledger.reading() as book:
            case = case_of(book, self.plan, (name,), requested_by="olga", reason="slow")
        asked = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)
        return roll_back_host(self.hands, self._order(self.lease(), name), asked)

    def _order(self, lease: Lease, name: str) -> Order:
        return Order(
            lease=lease,
            plan=self.plan,
            host=self.fleet.host(name),
            profile=self.fleet.profile("windows"),
            tenant=self.fleet.tenant("acme"),
        )

    # --- what is on record ---

    def row(self, name: str = "win1") -> AttemptRow:
        """Return the attempt on a host."""
        with self.ledger.reading() as book:
            found = attempts.find(book, self.plan.digest, name)
        assert found is not None
        return found

    def results(self, name: str = "win1") -> dict[str, PackageOutcome]:
        """Return what became of each update, by the ledger."""
        return {each.name: each.outcome for each in attempts.packages_of(self.row(name))}

    def detail(self, kb: str, name: str = "win1") -> str:
        """Return why, by the ledger."""
        found = attempts.packages_of(self.row(name))
        return next(each.detail for each in found if each.name == kb)

    def excluded(self, name: str = "win1") -> tuple[Outcome, str]:
        """Return why a host is not in the plan."""
        found = next(each for each in self.plan.excluded if each.name == name)
        return found.outcome, found.reason

    def written(self) -> WrittenReport:
        """Write the report."""
        reports = self.site.reports
        return write_rollout_report(self.ledger, self.fleet, self.id, reports, self.now())

    def reported(self, name: str = "win1") -> HostReport:
        """Return what the report says of a host."""
        return next(host for host in self.written().report.hosts if host.name == name)


def installs(made: Scene, name: str = "win1") -> dict[str, int]:
    """Return how often the host itself called each update's installation succeeded."""
    return {each.kb[0]: each.installs for each in made.windows(name).state.wua.updates if each.kb}


def standing(made: Scene, name: str = "win1") -> tuple[str, int, int]:
    """Return a host's own word for its build, its restarts, and the changes that were begun."""
    state = made.windows(name).state
    return state.os.build, state.boots - 1, made.windows(name).jobs("install")


@contextlib.contextmanager
def scene(
    folder: Path,
    *played: str | HostState,
    profile: str = "",
    more: str = "",
    night: str = "6h",
) -> Iterator[Scene]:
    """Play hosts win1, win2, … by scenario name or state, and declare them in a fleet file.

    `night`: how long the window is, that is open for an hour when all begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(PASSWORD)
    clock = Clock(EVENING.timestamp())
    with contextlib.ExitStack() as stack:
        worlds = {}
        for number, each in enumerate(played, start=1):
            state = quickly(each) if isinstance(each, str) else each
            state.clock = int(EVENING.timestamp())
            state.os.machine_id = f"{state.os.machine_id[:-4]}{number:04x}"
            name = f"win{number}"
            world = winhost(state, name=name, clock=clock, cbt="strict")
            worlds[name] = stack.enter_context(world)
        (folder / "ca").write_text(worlds["win1"].peer.ca_pem)
        (folder / "fleet.yaml").write_text(fleet_text(worlds, profile, more, night))
        fleet = load_fleet(folder / "fleet.yaml")
        yield Scene(home=folder, worlds=worlds, clock=clock, fleet=fleet)
