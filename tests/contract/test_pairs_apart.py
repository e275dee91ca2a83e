"""Two hosts of one pair are never out together, whoever dies; who is not to restart never does.

Real ledger, real scripts and jobs on simulated hosts. The hosts' own journals are the judge.
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import OCCASION, PROFILE, candidate, facts, ranked, update
from tests.cases.rollouts.ledgers import KEY
from tests.contract.attempt_bench import Bench, Death, Fate
from tests.contract.local_root import LocalRoot
from tests.contract.test_attempt_reboots import site_of
from wavemend.calendar.windows import Occurrence
from wavemend.execution.attempt import attempt_host
from wavemend.execution.order import Order
from wavemend.fleet_limits import HostLimits, HostSet
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import AttemptRow
from wavemend.outcomes import Outcome
from wavemend.planning import make_plan
from wavemend.policy.profiles import RebootRule
from wavemend.testing.simulated.catalogue import new_catalogue
from wavemend.testing.simulated.machine import Machine
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated.tools import write_tools
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

PAIR = HostLimits(sets=(HostSet(name="pair", hosts=("db1", "db2"), most_out=1),))


@dataclass
class Side(Bench):
    """One host of the pair, in a rollout of its own."""

    rollout: str = "r-1"
    machine: Machine | None = None

    def _open(self) -> None:
        self.plan = replace(self.plan, rollout=self.rollout)
        plan, key = self.plan, replace(KEY, profile=self.rollout)
        night = Occurrence(
            window="night",
            start=plan.window_start,
            end=plan.window_end,
            last_start=plan.last_start,
        )
        with self.ledger.writing() as book:
            rollouts.open_rollout(
                book, self.rollout, key, night, requester="olga", now=self.opened_at
            )
        lease = self.take_lease()
        with self.ledger.writing() as book:
            rollouts.store_plan(book, lease, plan, self.opened_at)

    def take_lease(self) -> Lease:
        """Become the owner of this side's rollout."""
        with self.ledger.writing() as book:
            return rollouts.take_lease(
                book, self.rollout, f"owner-{next(self.owners)}", self.now(), owner_is_dead=True
            )

    def order(self) -> Order:
        """Return the order for the host, which is one of the pair."""
        return replace(super().order(), limits=PAIR)

    def row(self) -> AttemptRow:
        """Return this side's only attempt."""
        with self.ledger.reading() as book:
            (row,) = attempts.of_rollout(book, self.rollout)
        return row

    def out(self) -> tuple[float, float]:
        """Return when the host was at work, by its own journal."""
        assert self.machine is not None
        lines = (self.machine.root / "var/lib/wavemend/journal").read_text().splitlines()
        words = [line.split() for line in lines]
        (begin,) = [line for line in words if line[0] == "begin"]
        (end,) = [line for line in words if line[0] == "end"]
        return float(begin[3]), float(end[3])

    def bring_to_its_end(self, fates: Iterator[Fate]) -> Outcome:
        """Attempt the host; die as told, and go on as a new process with the same ledger."""
        for fate in fates:
            with suppress(Death):
                return attempt_host(self.hands(fate), self.order())
        return attempt_host(self.hands(), self.order())


def pair_of(folder: Path, **changes: object) -> tuple[Side, Side]:
    catalogue = new_catalogue()
    folder.mkdir(parents=True, mode=0o700)
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    write_tools(folder / "bin")
    sides = [_side(folder, f"db{n}", f"r-{n}", catalogue) for n in (1, 2)]
    for side in sides:
        side.ledger, side.path = sides[0].ledger, sides[0].path
        side.freeze("wm-slow", **changes)
    return sides[0], sides[1]


def _side(folder: Path, name: str, rollout: str, catalogue: dict[str, object]) -> Side:
    machine = Machine(folder, name)
    spec = HostSpec(name, packages=("wm-slow",), files={"/etc/wm-slow.seconds": "1.2\n"})
    machine.build(spec, catalogue)
    machine.boot()

    def connect(_: Host) -> Transport:
        machine.refresh_proc()
        return LocalRoot(machine.root, extra=machine.environment("root"))

    own = folder / f"ledger-{name}"
    own.mkdir(mode=0o700)
    host = Host(name=name, tenant="acme", address="local")
    return Side(own, host, connect, rollout=rollout, machine=machine)


@pytest.mark.parametrize("places", [(), (6,), (8, 3), (10,)])
def test_ac_12_a_pair_is_never_out_together_also_when_the_orchestrator_is_restarted(
    tmp_path: Path, places: tuple[int, ...]
) -> None:
    first, second = pair_of(tmp_path / "lab")
    with ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(side.bring_to_its_end, (Fate(at=at) for at in places))
            for side in (first, second)
        ]
        assert [end.result(timeout=120) for end in ends] == [Outcome.PATCHED] * 2

    one, other = sorted((first, second), key=lambda side: side.out())
    assert one.out()[1] <= other.out()[0], "both were at work, says the hosts' own journal"
    ended, intended = one.row().ended_at, other.row().intent_at
    assert ended is not None
    assert intended is not None
    # From before the drain until after the second look, by the ledger's times.
    assert ended <= intended


def test_ac_12_a_host_that_was_lost_with_its_orchestrator_keeps_the_other_one_up(
    tmp_path: Path,
) -> None:
    first, second = pair_of(tmp_path / "lab")
    with pytest.raises(Death):
        attempt_host(first.hands(Fate(at=8)), first.order())
    assert first.row().outcome == ""

    with second.ledger.reading() as book:
        assert not attempts.has_place(
            book,
            second.take_lease(),
            second.plan,
            "db2",
            now=second.now(),
            limits=PAIR,
        )


# --- hosts that are not to restart ---------------------------------------------------------------


def test_ac_11_no_reboot_is_ever_sent_in_a_group_that_does_not_restart(tmp_path: Path) -> None:
    broad = replace(PROFILE, waves=PROFILE.waves[1:])
    made = make_plan(OCCASION, broad, [candidate("web1", ranked(update("wm-fine")))], ())
    assert made.hosts[0].reboot == RebootRule.NEVER

    site = site_of(tmp_path / "lab", RebootRule(made.hosts[0].reboot))
    site.ask_for_reboot()
    outcome = site.attempt()

    assert (outcome, site.told, site.bench.row().reboots) == (
        Outcome.PATCHED_REBOOT_PENDING,
        0,
        0,
    )
    assert "reboot-required" in site.bench.row().reason

    # Until the next rollout, where its facts show it: there it goes with those that restart.
    waiting = replace(facts("web1"), reboot_reasons=("/run/reboot-required",))
    later = make_plan(OCCASION, broad, [candidate("web1", facts_of=waiting)], ())
    assert later.hosts[0].reboot == RebootRule.IF_NEEDED


# --- never start what cannot finish --------------------------------------------------------------


def test_ac_19_a_host_whose_change_may_outlast_the_window_ends_as_not_attempted(
    tmp_path: Path,
) -> None:
    first, _ = pair_of(tmp_path / "lab", at_most_seconds=3 * 3600)
    assert first.plan.window_end - first.now() < timedelta(hours=2, minutes=1)

    outcome = attempt_host(first.hands(), first.order())

    assert outcome is Outcome.NOT_ATTEMPTED
    assert first.row().reason.startswith("window: it may take 180 minutes, and the window ends in ")
    assert not first.row().touched
