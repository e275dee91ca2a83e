"""An update of Windows is taken back once, by its own attempt, and what stays is said with why.

The host is simulated: Windows' scripts are played, and nothing here was run on a real one. The
executor, the ledger and the manager are the real ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Death, Fate
from tests.contract.windows_bench import LCU, WindowsBench, bench_of
from tests.windows_host.parts import Service
from tests.windows_host.state import HostState, scenario
from wavemend.execution.attempt import attempt_host
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.ledger import rollbacks
from wavemend.ledger.care_tables import RollbackRow
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.plans import PlannedPackage
from wavemend.policy.care import Probe, ProbeKind, RestorePointRule, RollBack
from wavemend.policy.profiles import RebootRule
from wavemend.rollbacks import RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of

OLD, NEW = "10.0.20348.4171", "10.0.20348.4773"
WELL = Probe(name="shop", kind=ProbeKind.SERVICE, service="Shop")


def bench(folder: Path, played: HostState | str = "ok_reboot", **changes: object) -> WindowsBench:
    """Return a rollout of the cumulative update, its point made and proven."""
    state = scenario(played) if isinstance(played, str) else played
    lcu = next(update for update in state.wua.updates if LCU in update.kb)
    planned = PlannedPackage(
        name=LCU,
        arch=lcu.update_id,
        installed="",
        target=f"r{lcu.revision}",
        origin=lcu.title,
        lane="routine",
        builds=(("windows-server-2022", NEW),),
    )
    more = {"reboot": changes["reboot"]} if "reboot" in changes else {}
    made = bench_of(folder, state, LCU, packages=(planned,), **more)
    rule = RestorePointRule(kind="windows", required=True)
    made.profile = replace(made.profile, restore_point=rule, **changes)  # type: ignore[arg-type]
    prepare_host(made.hands(), made.take_lease(), made.plan, made.host, made.profile)
    return made


def by_policy(folder: Path, played: HostState | str = "ok_reboot") -> WindowsBench:
    """Return one whose service does not come up with the new build, and does with the old one."""
    state = scenario(played) if isinstance(played, str) else played
    shop = Service(name="Shop")
    state.services.append(shop)
    made = bench(folder, state, probes=(WELL,), roll_back=RollBack.HOST)
    down = made.windows.on_reboot

    def restarted(returns: bool) -> None:
        shop.running = not shop.running
        down(returns)

    made.windows.on_reboot = restarted
    return made


def permanent() -> HostState:
    """Return a host whose cumulative update cannot be removed once it is in."""
    state = scenario("ok_reboot")
    for update in state.wua.updates:
        update.permanent = True
    return state


def by_hand(made: WindowsBench, fate: Fate | None = None) -> RollbackEnd:
    """Take the host back as an operator's run would."""
    with made.ledger.reading() as book:
        case = case_of(book, made.plan, ("win1",), requested_by="olga", reason="slow")
    request = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)
    return roll_back_host(made.hands(fate), made.order(), request)


def rows(made: WindowsBench) -> tuple[RollbackRow, ...]:
    with made.ledger.reading() as book:
        return rollbacks.of_rollout(book, "r-1")


def build(made: WindowsBench) -> str:
    """Return the host's own word for its build."""
    return str(made.windows.machine.os()["build"])


def test_a_cumulative_update_is_removed_and_the_restart_ends_it(tmp_path: Path) -> None:
    made = bench(tmp_path)
    assert attempt_host(made.hands(), made.order()) is Outcome.PATCHED
    boots = made.windows.state.boots
    assert build(made) == NEW

    end = by_hand(made)

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert build(made) == OLD
    assert made.windows.state.boots == boots + 1
    (result,) = end.packages
    assert (result.name, result.before, result.after) == (LCU, "r200", "")
    assert made.windows.jobs("rollback") == 1


def test_an_update_that_dism_calls_permanent_stays_and_the_reason_is_told(tmp_path: Path) -> None:
    made = bench(tmp_path, permanent(), reboot=RebootRule.ALWAYS)
    assert attempt_host(made.hands(), made.order()) is Outcome.PATCHED
    boots = made.windows.state.boots

    end = by_hand(made)

    assert end.outcome is Outcome.FAILED
    assert LCU in end.detail
    assert "permanent" in end.detail
    assert (build(made), made.windows.state.boots) == (NEW, boots)
    (row,) = rows(made)
    assert (row.outcome, row.detail) == (end.outcome, end.detail)


def test_a_host_whose_service_stays_down_is_taken_back_by_its_own_attempt(tmp_path: Path) -> None:
    made = by_policy(tmp_path)

    assert attempt_host(made.hands(), made.order()) is Outcome.ROLLED_BACK

    assert build(made) == OLD
    assert made.packages() == {LCU: PackageOutcome.FAILED}
    assert made.row().reason.startswith("probe shop: Shop is not up: ")
    assert made.row().reason.endswith("taken back: the old versions are back")


def test_an_update_that_cannot_be_taken_back_by_policy_is_never_silently_left(
    tmp_path: Path,
) -> None:
    made = by_policy(tmp_path, permanent())

    assert attempt_host(made.hands(), made.order()) is Outcome.FAILED

    reason = made.row().reason
    assert f"taking it back: {LCU}" in reason
    assert "permanent" in reason
    assert build(made) == NEW


def test_where_the_plan_never_restarts_a_removal_that_needs_it_waits_for_a_person(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, reboot=RebootRule.NEVER)
    assert attempt_host(made.hands(), made.order()) is Outcome.PATCHED_REBOOT_PENDING
    boots = made.windows.state.boots

    end = by_hand(made)

    assert end.outcome is Outcome.NEEDS_HUMAN
    assert "restart" in end.detail
    assert made.windows.state.boots == boots


def test_a_removal_does_not_restart_a_host_under_somebody_who_is_logged_in(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path)
    attempt_host(made.hands(), made.order())
    boots = made.windows.state.boots
    made.windows.state.users = ["olga"]

    end = by_hand(made)

    assert (end.outcome, made.windows.state.boots) == (Outcome.NEEDS_HUMAN, boots)
    assert end.detail == (
        "it takes effect with a restart: not restarted: logged in: olga: restart it by hand, and "
        "scan it"
    )


@dataclass
class AfterTheWord(Fate):
    """Strikes when the host was told to restart for the rollback, and counts down."""

    made: WindowsBench | None = None

    def pass_by(self, place: str, *, on_host: bool) -> None:
        if self.made is not None and not self.struck and place == "after reboot":
            self.at = len(self.places)
        super().pass_by(place, on_host=on_host)


@pytest.mark.parametrize("longer", [0.0, 600.0], ids=["it is down", "it counts down"])
def test_a_successor_waits_for_the_restart_that_its_predecessor_told_the_host(
    tmp_path: Path, longer: float
) -> None:
    made = bench(tmp_path)
    attempt_host(made.hands(), made.order())
    with pytest.raises(Death):
        by_hand(made, AfterTheWord(made=made))
    assert made.windows.state.shutdown_at is not None
    made.windows.state.shutdown_at += longer

    assert by_hand(made).outcome is Outcome.ROLLED_BACK
    assert build(made) == OLD


def test_a_second_rollback_finds_nothing_to_remove_and_says_so(tmp_path: Path) -> None:
    made = bench(tmp_path)
    attempt_host(made.hands(), made.order())
    by_hand(made)

    again = by_hand(made)

    assert again.outcome is Outcome.ROLLED_BACK
    assert made.windows.jobs("rollback") == 1


def lives(folder: Path, strike: int) -> tuple[WindowsBench, Fate]:
    """Take a host back by policy under a fate; a successor goes on after the death."""
    made = by_policy(folder)
    fate = Fate(at=strike)
    try:
        attempt_host(made.hands(fate), made.order())
    except Death:
        attempt_host(made.hands(), made.order())
    return made, fate


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return at how many places a whole course touches the ledger or the host."""
    _, fate = lives(tmp_path_factory.mktemp("golden"), -1)
    return len(fate.places)


@pytest.mark.parametrize("share", [0.6, 0.75, 0.85, 0.95])
def test_whoever_dies_wherever_it_is_installed_once_and_removed_once(
    tmp_path: Path, places: int, share: float
) -> None:
    made, struck = lives(tmp_path, int(places * share))

    assert struck.struck
    assert made.installs()[LCU] == 1
    assert made.windows.jobs("install") == 1
    assert made.windows.jobs("rollback") == 1
    assert build(made) == OLD
    assert made.row().outcome == Outcome.ROLLED_BACK


@dataclass
class AfterTheIntent(Fate):
    """Strikes at the first place after the intent to take the host back was written."""

    made: WindowsBench | None = None

    def pass_by(self, place: str, *, on_host: bool) -> None:
        if self.made is not None and not self.struck and rows(self.made):
            self.at = len(self.places)
        super().pass_by(place, on_host=on_host)


def test_an_intent_that_nobody_began_is_begun_by_the_successor(tmp_path: Path) -> None:
    made = by_policy(tmp_path)
    with pytest.raises(Death):
        attempt_host(made.hands(AfterTheIntent(made=made)), made.order())
    assert made.windows.jobs("rollback") == 0
    assert build(made) == NEW

    assert attempt_host(made.hands(), made.order()) is Outcome.ROLLED_BACK

    assert made.windows.jobs("rollback") == 1
    assert build(made) == OLD


def journal(made: WindowsBench) -> list[str]:
    """Return the kinds of the host's own journal: a scan and a point leave no line in it."""
    return [line.split()[1][0] for line in made.windows.state.journal if line.startswith("begin")]


def test_the_hosts_own_journal_names_the_change_and_its_way_back_and_nothing_else(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path)
    attempt_host(made.hands(), made.order())
    by_hand(made)

    assert journal(made) == ["a", "b"]
