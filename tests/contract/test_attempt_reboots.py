"""A host is rebooted only when that is due and allowed, and believed only when it came back.

Real ledger, real scripts and jobs on a simulated host; only its power is played here, and time
leaps while the controller waits for it.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench, Death, Fate
from tests.contract.local_root import LocalRoot
from tests.contract.test_attempt_deaths import at_each, installs
from wavemend.errors import ConnectionLost, HostUnreachable
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.reboot import MAX_REBOOTS
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.outcomes import Outcome
from wavemend.policy.care import RebootManners
from wavemend.policy.profiles import RebootRule
from wavemend.rollout import judge_gate
from wavemend.testing.simulated.catalogue import new_catalogue
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated.tools import write_tools
from wavemend.transport import OUTPUT_BOUND, CommandResult, Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

BACK_SECONDS = RebootManners().back_within.total_seconds()
RULES = (RebootRule.IF_NEEDED, RebootRule.ALWAYS)
START = "/bin/sh -c IFS= read"
"""How the command that starts a job is named among a fate's places."""


class PoweredRoot(LocalRoot):
    """A simulated host's shell, reached without SSH, in which `shutdown` reaches the power."""

    def __init__(self, site: "Site") -> None:
        machine = site.machine
        super().__init__(machine.root, extra=machine.environment("root"))
        self.site = site

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run it; the line is cut by a shutdown, as it is on a real host."""
        if "shutdown" in argv:
            # What the host asks before it obeys is asked for real.
            asked = (*argv[: argv.index("shutdown")], "true")
            answer = super().run_as_root(asked, stdin=stdin, deadline=deadline, bound=bound)
            if answer.exit_status != 0:
                return answer
            self.site.told += 1
            self.site.when_told()
            raise ConnectionLost("closed by the other side")
        return super().run_as_root(argv, stdin=stdin, deadline=deadline, bound=bound)


@dataclass
class Site:
    """One rollout of one host, and what the host does when it is told to reboot."""

    machine: Machine
    bench: Bench = field(init=False)
    when_told: Callable[[], None] = field(init=False)
    told: int = 0
    off: bool = False
    leapt: float = 0.0

    def __post_init__(self) -> None:
        self.when_told = self.machine.boot

    def connect(self, host: Host) -> Transport:
        if self.off:
            raise HostUnreachable(f"{host.name} is off")
        self.machine.refresh_proc()
        return PoweredRoot(self)

    def sleep(self, seconds: float) -> None:
        """Once the host was told, a nap takes minutes of the controller's time, none of ours."""
        if self.told:
            self.leapt += BACK_SECONDS / 4
        else:
            time.sleep(min(seconds, 0.3))

    def hands(self, fate: Fate | None = None) -> Hands:
        return replace(
            self.bench.hands(fate),
            monotonic=lambda: time.monotonic() + self.leapt,
            sleep=self.sleep,
        )

    def ask_for_reboot(self) -> None:
        self.machine.put("/run/reboot-required", "*** System restart required ***\n")

    def boot_asking_again(self) -> None:
        self.machine.boot()
        self.ask_for_reboot()

    def lose_power(self) -> None:
        self.off = True

    def attempt(self, fate: Fate | None = None) -> Outcome:
        outcome = attempt_host(self.hands(fate), self.bench.order())
        assert self.bench.row().outcome == outcome
        return outcome


def site_of(
    folder: Path, rule: RebootRule = RebootRule.IF_NEEDED, package: str = "wm-fine"
) -> Site:
    """Return a rollout of one fresh host, which asks for a reboot if the rule goes by that."""
    catalogue = new_catalogue()
    folder.mkdir(parents=True, mode=0o700)
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    write_tools(folder / "bin")
    machine = Machine(folder, "web1")
    machine.build(HostSpec("web1", packages=(package,)), catalogue)
    machine.boot()
    site = Site(machine)
    site.bench = Bench(folder, Host(name="web1", tenant="acme", address="local"), site.connect)
    site.bench.freeze(package, "zip", reboot=rule)
    if rule is RebootRule.IF_NEEDED:
        site.ask_for_reboot()
    return site


class Once(Fate):
    """Does something at the first place of that name."""

    def __init__(self, place: str, action: Callable[[], None]) -> None:
        super().__init__()
        self.place, self.action = place, action

    def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - one kind
        """Act when this is the place."""
        if place.startswith(self.place) and not self.struck:
            self.struck = place
            self.action()


# --- coming back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_host_that_comes_back_with_another_boot_id_is_patched(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)

    assert site.attempt() is Outcome.PATCHED
    assert (site.told, site.bench.row().reboots) == (1, 1)


@pytest.mark.parametrize("rule", RULES)
def test_a_host_that_never_comes_back_is_unreachable_and_an_error_at_the_gate(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)
    site.when_told = site.lose_power

    assert site.attempt() is Outcome.UNREACHABLE
    assert site.bench.row().reason == "after the change: off: web1 is off"
    assert site.told == 1
    assert site.leapt >= BACK_SECONDS
    with site.bench.ledger.reading() as book:
        view = rollouts.read_view(book, "r-1")
    numbers = judge_gate(site.bench.plan.waves[0], view)
    assert (numbers.passed, numbers.errors, numbers.good) == (False, 1, 0)


@pytest.mark.parametrize("rule", RULES)
def test_a_host_whose_boot_id_does_not_change_is_pending_and_never_patched(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)
    site.when_told = lambda: None

    assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING
    assert site.bench.row().reason.startswith(
        "it was told to reboot, and its boot id has not changed"
    )
    assert site.told == 1


# --- may it? -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("tenant", ["acme", ""])
def test_a_stop_between_the_job_and_the_reboot_leaves_the_host_running(
    tmp_path: Path, rule: RebootRule, tenant: str
) -> None:
    site = site_of(tmp_path / "lab", rule)
    bench = site.bench

    def stop() -> None:
        with bench.ledger.writing() as book:
            rollouts.turn_switch(
                book, tenant, engaged=True, actor="olga", reason="fire", now=bench.now()
            )

    assert site.attempt(Once(f"after {START}", stop)) is Outcome.PATCHED_REBOOT_PENDING
    assert bench.row().reason.startswith("not rebooted: stopped: fire (by olga)")
    assert (site.told, bench.row().reboots) == (0, 0)
    assert installs(site.machine)["wm-fine:all 2.0"] == 1


def test_the_stop_of_another_tenant_keeps_no_host_from_its_reboot(tmp_path: Path) -> None:
    site = site_of(tmp_path / "lab")
    with site.bench.ledger.writing() as book:
        rollouts.turn_switch(
            book, "globex", engaged=True, actor="olga", reason="fire", now=site.bench.now()
        )

    assert site.attempt() is Outcome.PATCHED
    assert site.told == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_cut_off_that_passed_during_the_job_leaves_the_host_running(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)

    def grow_late() -> None:
        site.bench.shift = site.bench.plan.last_start - site.bench.opened_at + timedelta(minutes=1)

    assert site.attempt(Once(f"after {START}", grow_late)) is Outcome.PATCHED_REBOOT_PENDING
    assert site.bench.row().reason.startswith("not rebooted: window: ")
    assert (site.told, site.bench.row().reboots) == (0, 0)


def test_a_host_that_was_rebooted_too_often_is_not_told_again_and_says_why(tmp_path: Path) -> None:
    site = site_of(tmp_path / "lab")
    bench = site.bench

    def count() -> None:
        lease = bench.take_lease()
        for _ in range(MAX_REBOOTS):
            with bench.ledger.writing() as book:
                attempts.count_reboot(book, lease, bench.row().id, bench.now())
        raise Death

    with pytest.raises(Death):
        site.attempt(Once(f"after {START}", count))

    assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING
    assert f"not rebooted: it was rebooted {MAX_REBOOTS} times already" in bench.row().reason
    assert site.told == 0


# --- is it fit? ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_host_that_refused_the_fence_is_not_rebooted_and_not_attempted(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)
    site.machine.put("/var/lib/wavemend/fence", "999999\n")

    assert site.attempt() is Outcome.NOT_ATTEMPTED
    assert "newer controller" in site.bench.row().reason
    assert site.told == 0
    assert installs(site.machine) == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_host_with_half_configured_packages_is_not_rebooted(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule, package="wm-fails")

    assert site.attempt() is Outcome.FAILED
    assert "wm-fails" in site.bench.row().reason
    assert (site.told, site.bench.row().reboots) == (0, 0)


# --- deaths --------------------------------------------------------------------------------------


class AfterTelling(Fate):
    """Counts only the places after the host was told to reboot."""

    site: Site

    def pass_by(self, place: str, *, on_host: bool) -> None:
        """Go on while the host was not told yet."""
        if self.site.told:
            super().pass_by(place, on_host=on_host)


def told_and_dying(folder: Path, at: int = -1) -> tuple[Site, AfterTelling]:
    """Return a host that comes back with the reason to reboot still there, and that fate."""
    site = site_of(folder)
    site.when_told = site.boot_asking_again
    fate = AfterTelling(at=at)
    fate.site = site
    return site, fate


def test_a_death_after_the_host_was_told_leads_to_no_second_reboot(tmp_path: Path) -> None:
    def die_at(at: int) -> Outcome | None:
        site, fate = told_and_dying(tmp_path / f"lab{at}", at)
        with pytest.raises(Death):
            site.attempt(fate)
        for _ in range(2):  # the second time, the outcome is there already
            assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING, fate.struck
        assert (site.told, site.bench.row().reboots) == (1, 1), fate.struck
        assert "reboot-required" in site.bench.row().reason
        return None

    site, undisturbed = told_and_dying(tmp_path / "count")
    site.attempt(undisturbed)
    assert len(undisturbed.places) >= 6
    at_each(undisturbed.places, die_at)


@pytest.mark.parametrize("rule", RULES)
def test_a_death_in_the_middle_of_telling_leads_to_no_second_reboot(
    tmp_path: Path, rule: RebootRule
) -> None:
    site = site_of(tmp_path / "lab", rule)

    def boot_and_die() -> None:
        site.boot_asking_again()
        raise Death

    site.when_told = boot_and_die
    with pytest.raises(Death):
        site.attempt()

    assert site.attempt() is Outcome.PATCHED_REBOOT_PENDING
    assert site.told == 1
