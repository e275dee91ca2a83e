"""A restore point is made before the change, is there when it begins, and goes in its time.

Real SSH to simulated hosts; the points are made by an operator's own scripts on the worker.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import HOUR, Bench
from tests.contract.point_bench import Points
from wavemend.errors import PlanError
from wavemend.execution.attempt import attempt_host
from wavemend.execution.jobs import read_journal
from wavemend.execution.rollback import roll_back_host
from wavemend.fleet import FeedSettings, Fleet
from wavemend.ledger import audit, restore_points, rollouts
from wavemend.ledger.attempts import Refused
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.restore_points import PointState
from wavemend.outcomes import Outcome
from wavemend.policy.care import Probe
from wavemend.rollbacks import RollbackRequest
from wavemend.snapshots import RestorePoint
from wavemend.steps.prepare import prepare_host
from wavemend.steps.restore_points import decide_stays, due_points, odd_points, remove_point
from wavemend.steps.roll_back import case_of
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HOSTS = tuple(HostSpec(f"web{number}", packages=("wm-fine",)) for number in range(20))
SPARE = iter(host.name for host in HOSTS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up(HOSTS)
    yield lab
    lab.down()


@dataclass
class Site:
    """One rollout of one host, whose profile requires a point of the operator's own tool."""

    lab: SimulatedLab
    folder: Path
    bench: Bench = field(init=False)
    points: Points = field(init=False)

    def __post_init__(self) -> None:
        host = replace(self.lab.host(next(SPARE)), tenant="acme", profile="linux")
        self.bench = Bench(self.folder, host, lambda host: connect(host, self.lab.login()))
        self.points = Points(self.folder / "points")
        rule = self.points.rule()
        self.bench.profile = replace(self.bench.profile, restore_point=rule)
        with self.bench.ledger.writing() as book:
            apply_fleet(book, self.fleet(), actor="olga", now=self.bench.now())

    def fleet(self) -> Fleet:
        """Return the fleet of this one host."""
        return Fleet(
            schema="wavemend.fleet/1",
            tenants=(self.bench.tenant,),
            approvers=(),
            profiles=(self.bench.profile,),
            windows=(),
            groups=(),
            logins=(),
            hosts=(self.bench.host,),
            feeds=FeedSettings(),
        ).sealed()

    def prepare(self) -> RestorePoint:
        """Freeze the plan for this fleet, once, and prove the point."""
        found = self.try_to_prepare()
        assert isinstance(found, RestorePoint)
        return found

    def try_to_prepare(self) -> RestorePoint | Refused:
        """Do the same where it may be refused."""
        bench = self.bench
        if not self.frozen:
            freeze_for(bench, self.fleet().digest)
        lease = bench.take_lease()
        return prepare_host(bench.hands(), lease, bench.plan, bench.host, bench.profile)

    @property
    def frozen(self) -> bool:
        """True when the plan is the one of this host."""
        return any(host.name == self.bench.host.name for host in self.bench.plan.hosts)

    def attempt(self) -> Outcome:
        """Patch the host."""
        return attempt_host(self.bench.hands(), self.bench.order())

    def finish(self) -> None:
        """End the rollout, as its flow does after the report."""
        with self.bench.ledger.writing() as book:
            lease = rollouts.take_lease(book, "r-1", "flow", self.bench.now(), owner_is_dead=True)
            rollouts.finish_rollout(book, lease, "yes", self.bench.now())

    def row(self) -> RestorePointRow:
        """Return the host's point as the ledger has it."""
        with self.bench.ledger.reading() as book:
            found = restore_points.point_of(book, "r-1", self.bench.host.name)
        assert found is not None
        return found

    def tidy(self, later: timedelta) -> list[str]:
        """Do what the hourly flow does, some time later; return what could not be removed."""
        self.bench.shift += later
        hands = self.bench.hands()
        decide_stays(hands)
        tidied = [remove_point(hands, point, actor="tidy") for point in due_points(hands)]
        return [each.trouble for each in tidied if each.trouble]

    def version(self) -> str:
        """Return the host's own word for wm-fine."""
        transport = connect(self.bench.host, self.lab.login())
        try:
            form = ("dpkg-query", "-W", "-f", "${Version}", "wm-fine")
            return transport.run(form, deadline=60).stdout.decode().strip()
        finally:
            transport.close()

    def begun(self) -> int:
        """Return how many lines the host's own journal has."""
        transport = connect(self.bench.host, self.lab.login())
        try:
            return len(read_journal(transport, deadline=30))
        finally:
            transport.close()


def freeze_for(bench: Bench, fleet_digest: str) -> None:
    """Freeze a plan that was made for this fleet."""
    bench.fleet_digest = fleet_digest
    bench.freeze("wm-fine")


@pytest.fixture
def site(lab: SimulatedLab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path)


def name_of(site: Site) -> str:
    return f"wavemend-r-1-{site.bench.host.name}"


# --- before the change ---------------------------------------------------------------------------


def test_a_point_is_named_by_its_run_and_is_made_once_however_often_it_is_prepared(
    site: Site,
) -> None:
    first = site.prepare()
    made_at = site.row().at
    site.bench.shift = HOUR / 2
    second = site.prepare()

    assert first.proven
    assert second.proven
    assert first.name == name_of(site)
    assert site.points.names() == [name_of(site)]
    assert site.row().at == made_at, "as old as when it was made"


def test_a_required_point_that_fails_blocks_its_host(site: Site) -> None:
    site.points.folder.chmod(0o700)
    broken = replace(site.bench.profile.restore_point, create=("false",))
    site.bench.profile = replace(site.bench.profile, restore_point=broken)

    assert not site.prepare().proven

    assert (site.attempt(), site.begun(), site.version()) == (Outcome.BLOCKED, 0, "1.0")
    assert site.bench.row().reason == "no restore point: create a restore point: it ended with 1"


def test_a_point_that_is_not_required_and_fails_is_said_and_does_not_block(site: Site) -> None:
    broken = replace(site.bench.profile.restore_point, create=("false",), required=False)
    site.bench.profile = replace(site.bench.profile, restore_point=broken)

    assert not site.prepare().proven

    assert site.attempt() is Outcome.PATCHED
    assert (site.row().proven, site.row().detail) == (
        False,
        "create a restore point: it ended with 1",
    )


def stop_by_switch(site: Site) -> None:
    now = site.bench.now()
    with site.bench.ledger.writing() as book:
        rollouts.turn_switch(book, "acme", engaged=True, actor="olga", reason="fire", now=now)


def stop_by_file(site: Site) -> None:
    site.bench.hands().stop_file.write_text("fire")


def pass_the_cut_off(site: Site) -> None:
    site.bench.shift = site.bench.plan.last_start - site.bench.now()


@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        (stop_by_switch, "stopped: fire (by olga)"),
        (stop_by_file, "stopped: fire"),
        (pass_the_cut_off, "window: "),
    ],
)
def test_no_point_is_made_while_everything_is_stopped_or_after_the_cut_off(
    site: Site, happen: Callable[[Site], None], reason: str
) -> None:
    freeze_for(site.bench, site.fleet().digest)
    happen(site)

    refused = site.try_to_prepare()

    assert isinstance(refused, Refused)
    assert refused.reason.startswith(reason)
    assert site.points.names() == []


def vanish(points: Points) -> None:
    for name in points.names():
        (points.folder / name).unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (vanish, "is not listed"),
        (Points.break_listing, "restore points cannot be listed: find a restore point: it ended"),
    ],
    ids=["it vanishes", "it cannot be listed"],
)
def test_a_required_point_that_is_not_there_when_the_change_begins_blocks_its_host(
    site: Site, change: Callable[[Points], None], words: str
) -> None:
    assert site.prepare().proven
    change(site.points)

    assert (site.attempt(), site.begun(), site.version()) == (Outcome.BLOCKED, 0, "1.0")

    assert words in site.bench.row().reason
    assert not site.bench.row().touched


# --- after the change ----------------------------------------------------------------------------


def test_a_point_stays_its_time_after_a_success_and_is_proven_gone_then(site: Site) -> None:
    site.prepare()
    site.attempt()
    assert site.tidy(timedelta(0)) == []
    assert site.row().remove_after is None, "its rollout is not finished"

    site.finish()
    site.tidy(timedelta(0))
    kept = site.bench.profile.restore_point.keep
    assert site.row().remove_after is not None
    site.tidy(kept - HOUR)
    assert site.points.names() == [name_of(site)]

    assert site.tidy(2 * HOUR) == []
    assert site.points.names() == []
    assert site.row().state == PointState.REMOVED


def test_the_point_of_a_failed_host_stays_until_a_person_removes_it(site: Site) -> None:
    unwell = Probe(name="shop", argv=("sh", "-c", "! dpkg-query -W wm-fine | grep -q 2.0"))
    site.bench.profile = replace(site.bench.profile, probes=(unwell,))
    with site.bench.ledger.writing() as book:
        apply_fleet(book, site.fleet(), actor="olga", now=site.bench.now())
    site.prepare()
    hands = replace(site.bench.hands(), monotonic=fast())
    assert attempt_host(hands, site.bench.order()) is Outcome.FAILED
    site.finish()

    site.tidy(100 * site.bench.profile.restore_point.keep)

    assert site.points.names() == [name_of(site)]
    assert site.row().state == PointState.KEPT
    assert remove_point(site.bench.hands(), site.row(), actor="olga").trouble == ""
    assert site.row().state == PointState.REMOVED
    with site.bench.ledger.reading() as book:
        last = audit.events(book, "r-1")[-1]
    assert (last.kind, last.actor) == ("restore_point.removed", "olga")


def fast() -> Callable[[], float]:
    """Return a stopwatch that makes a minute's patience short."""
    return lambda: 30 * time.monotonic()


def test_a_disk_is_not_put_back_over_changes_that_the_ledger_does_not_know_of(site: Site) -> None:
    site.prepare()
    site.attempt()
    bench = site.bench
    stranger = f"sed -n 's/^begin a-[^ ]*/begin a-{32 * '0'}/p' journal"
    line = f"cd ${{WAVEMEND_ROOT-}}/var/lib/wavemend && {stranger}"
    transport = connect(bench.host, site.lab.login())
    try:
        transport.run_as_root(("sh", "-c", f"{line} >more && cat more >>journal"), deadline=60)
    finally:
        transport.close()
    with bench.ledger.reading() as book:
        case = case_of(book, bench.plan, (bench.host.name,), requested_by="olga", reason="slow")
    request = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)

    end = roll_back_host(bench.hands(), bench.order(), request)

    assert end.outcome is Outcome.BLOCKED
    assert "its journal has 1 changes that this ledger does not know of" in end.detail
    assert not (bench.folder / "restored").exists()


def test_a_run_that_names_no_host_takes_nothing_back(site: Site) -> None:
    site.prepare()
    with site.bench.ledger.reading() as book, pytest.raises(PlanError, match="no host is named"):
        case_of(book, site.bench.plan, (), requested_by="olga", reason="slow")


def test_a_point_that_was_used_stays_until_a_person_removes_it(site: Site) -> None:
    site.prepare()
    site.attempt()
    bench = site.bench
    with bench.ledger.reading() as book:
        case = case_of(book, bench.plan, (bench.host.name,), requested_by="olga", reason="slow")
    request = RollbackRequest(requested_by="olga", reason="slow", case=case, outside_window=True)

    end = roll_back_host(bench.hands(), bench.order(), request)

    assert (bench.folder / "restored").read_text() == f"{bench.host.name}\n", "its own restore ran"
    assert end.outcome is Outcome.FAILED, "nothing was brought back, whatever the command says"
    assert end.detail == "wm-fine: still at 2.0"
    site.finish()
    site.tidy(100 * bench.profile.restore_point.keep)
    assert site.row().state == PointState.KEPT


def test_a_point_that_cannot_be_removed_stays_due_and_is_tried_again(site: Site) -> None:
    site.prepare()
    site.attempt()
    site.finish()
    kept = site.points.folder.with_name("points-remove")
    works = kept.read_text()
    kept.write_text("#!/bin/sh\nexit 1\n")

    site.tidy(timedelta(0))
    assert site.tidy(100 * HOUR) == ["remove a restore point: it ended with 1"]
    assert site.row().state == PointState.MADE

    kept.write_text(works)
    assert site.tidy(timedelta(0)) == []
    assert site.points.names() == []


# --- orphans -------------------------------------------------------------------------------------


def odd(site: Site) -> list[tuple[str, str]]:
    return [(each.name, each.what) for each in odd_points(site.bench.hands(), site.fleet())]


def test_points_that_the_ledger_does_not_know_are_found_and_those_of_others_are_not(
    site: Site,
) -> None:
    site.prepare()
    assert odd(site) == []

    (site.points.folder / "wavemend-r-0-web77").touch()
    (site.points.folder / "nightly-backup").touch()

    unknown = "the ledger has no such point, or has it as removed"
    assert odd(site) == [("wavemend-r-0-web77", unknown)]
    assert len(site.points.names()) == 3, "nothing is removed"


def test_a_point_that_was_removed_and_is_there_again_is_an_orphan(site: Site) -> None:
    site.prepare()
    site.finish()
    remove_point(site.bench.hands(), site.row(), actor="olga")
    (site.points.folder / name_of(site)).touch()

    assert [name for name, _ in odd(site)] == [name_of(site)]


def test_a_point_that_should_be_there_and_is_not_is_named(site: Site) -> None:
    site.prepare()
    vanish(site.points)

    assert odd(site) == [(name_of(site), "made, and is not listed any more")]


def test_a_backend_that_cannot_be_listed_is_named_and_hides_no_point(site: Site) -> None:
    site.prepare()
    site.points.break_listing()

    ((name, what),) = odd(site)

    assert name == ""
    assert what.startswith("cannot be listed: find a restore point: it ended with 7")
