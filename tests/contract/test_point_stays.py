"""How long restore points stay is decided host by host, and holds nobody up; what is used stays.

Real ledger; the points lie on no disk.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import Session

from tests.cases.rollouts.build import NOON, PROFILE, START, facts, host, plan_of, wave
from tests.cases.rollouts.ledgers import KEY, frozen, new_ledger, opened
from tests.contract.attempt_bench import TENANT, Bench
from tests.contract.local_root import LocalRoot
from tests.unit.test_snapshots import MERGING
from wavemend.approvals import Answer
from wavemend.documents import to_document
from wavemend.evidence import Evidence
from wavemend.execution.hands import Hands
from wavemend.execution.restore_points import asking, snapshotter
from wavemend.fleet import FeedSettings, Fleet, RolloutKind
from wavemend.hosts import Host
from wavemend.ledger import (
    approvals,
    audit,
    restore_points,
    rollback_approvals,
    rollback_runs,
    rollbacks,
    rollouts,
)
from wavemend.ledger.attempts import Granted
from wavemend.ledger.care_tables import RestorePointRow, RollbackRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.restore_points import PointState
from wavemend.ledger.rollback_runs import RollbackRun
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.policy.care import RestorePointRule
from wavemend.rollbacks import AT_NEXT_BOOT, BY_HAND, CaseHost, RollbackCase
from wavemend.rollout import AttemptState
from wavemend.signatures import Signer
from wavemend.steps.restore_points import (
    POINTS_AT_ONCE,
    decide_stays,
    due_points,
    forget_point,
    odd_points,
    remove_point,
)
from wavemend.transport import OUTPUT_BOUND, CommandResult

KEEP = timedelta(days=2)
RULE = RestorePointRule(
    kind="commands", required=True, keep=KEEP, find=("false",), remove=("false",)
)
EVIDENCE = Evidence(
    host_key="",
    machine_id="",
    boot_id_before="b",
    boot_id_after="b",
    kernel_before="",
    kernel_after="",
    newest_kernel="",
    facts_before="",
    facts_after="",
    job_exit_status=0,
    log_digest="",
    log_tail="",
    reboots=0,
    reboot_reasons=("kernel",),
)


class CountingLedger(Ledger):
    """The real ledger; it counts the write transactions that commit."""

    writes = 0

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield the real write transaction."""
        with super().writing() as session:
            yield session
        self.writes += 1


@dataclass
class Site:
    """A finished rollout whose hosts all have a point."""

    folder: Path
    hosts: tuple[str, ...]
    outcome: Outcome
    rule: RestorePointRule = RULE
    ledger: CountingLedger = field(init=False)
    lease: Lease = field(init=False)
    now: datetime = START + timedelta(hours=6)

    def __post_init__(self) -> None:
        self.ledger = CountingLedger(new_ledger(self.folder).url)
        fleet = self.apply(*map(host, self.hosts))
        plan = replace(plan_of(wave(1, *self.hosts)), fleet_digest=fleet.digest)
        self.lease = frozen(self.ledger, plan)
        with self.ledger.writing() as book:
            for name in self.hosts:
                book.add(point(name))
                book.add(attempt("r-1", plan.digest, name, self.outcome, START))
            rollouts.finish_rollout(book, self.lease, "yes", START)

    def apply(self, *hosts: Host) -> Fleet:
        """Let the fleet have these hosts."""
        fleet = Fleet(
            schema="wavemend.fleet/1",
            tenants=(TENANT,),
            approvers=(),
            profiles=(replace(PROFILE, name="linux", restore_point=self.rule),),
            windows=(),
            groups=(),
            logins=(),
            hosts=hosts,
            feeds=FeedSettings(),
        ).sealed()
        with self.ledger.writing() as book:
            apply_fleet(book, fleet, actor="olga", now=NOON)
        return fleet

    def hands(self) -> Hands:
        """Return the means of the tidying flow; no host is connected to."""
        folder = self.folder / "bench"
        folder.mkdir(exist_ok=True)
        bench = Bench(folder, host("none"), connect=lambda _: pytest.fail("no host"))
        return replace(bench.hands(), ledger=self.ledger, clock=lambda: self.now)

    def row(self, name: str = "web1") -> RestorePointRow:
        """Return a host's point as the ledger has it."""
        with self.ledger.reading() as book:
            found = restore_points.point_of(book, "r-1", name)
        assert found is not None
        return found

    def see(self, boot_id: str, at: datetime) -> None:
        """Look at web1, which is in this boot."""
        seen = Look(host="web1", at=at, facts=replace(facts("web1"), boot_id=boot_id))
        with self.ledger.writing() as book:
            record_look(book, host("web1"), seen, purpose="scan")

    def take_back(self) -> str:
        """Ask for the right to take web1 back; return why it is refused."""
        wish = RollbackIntent(
            rollback_id="b-1",
            nonce="n",
            attempt_id="a-r-1-web1",
            kind="commands",
            requested_by="olga",
            reason="slow",
            automatic=False,
        )
        with self.ledger.writing() as book:
            answer = rollbacks.intend(book, self.lease, wish, now=self.now, local_stop="")
            return "" if isinstance(answer, Granted) else answer.reason


def point(name: str) -> RestorePointRow:
    return RestorePointRow(
        rollout_id="r-1",
        host=name,
        kind="commands",
        name=f"wavemend-r-1-{name}",
        proven=True,
        restores="",
        detail="",
        at=NOON,
    )


def attempt(rollout: str, plan: str, name: str, outcome: str, at: datetime) -> AttemptRow:
    return AttemptRow(
        id=f"a-{rollout}-{name}",
        rollout_id=rollout,
        plan_digest=plan,
        host=name,
        wave=1,
        state=AttemptState.ENDED if outcome else AttemptState.RUNNING,
        touched=True,
        intent_at=at,
        begun_at=at,
        ended_at=at if outcome else None,
        outcome=outcome,
        packages=b"[]",
        evidence=to_document(EVIDENCE),
    )


def test_four_hundred_points_are_decided_a_few_in_each_transaction_and_no_attempt_is_read(
    tmp_path: Path,
) -> None:
    names = tuple(f"web{number}" for number in range(400))
    site = Site(tmp_path, names, Outcome.PATCHED)
    hands, before, read = site.hands(), site.ledger.writes, []
    event.listen(AttemptRow, "load", lambda row, _: read.append(row))

    assert decide_stays(hands) == 400

    assert site.ledger.writes - before == 400 / POINTS_AT_ONCE
    assert read == []
    assert {site.row(name).remove_after for name in names} == {START + KEEP}


# --- a change that waits for a restart ------------------------------------------------------------


def test_a_change_that_waits_for_a_restart_keeps_its_point_until_the_next_boot_was_seen(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, ("web1",), Outcome.PATCHED_REBOOT_PENDING)
    site.see("b", START)
    site.now = START + 10 * KEEP
    assert decide_stays(site.hands()) == 0
    assert (site.row().state, site.row().remove_after) == (PointState.MADE, None)

    site.see("the next one", START + 9 * KEEP)
    assert decide_stays(site.hands()) == 1
    assert site.row().remove_after == START + 10 * KEEP


def test_a_restart_that_somebody_elses_change_waits_for_keeps_no_point_of_ours(
    tmp_path: Path,
) -> None:
    """Nothing was begun on the host, so the point holds nothing that could be wanted back."""
    site = Site(tmp_path, ("web1",), Outcome.PATCHED_REBOOT_PENDING)
    with site.ledger.writing() as book:
        row = book.get_one(AttemptRow, "a-r-1-web1")
        row.touched, row.intent_at, row.begun_at, row.evidence = False, None, None, b""

    assert decide_stays(site.hands()) == 1
    assert site.row().remove_after == START + KEEP


@pytest.mark.parametrize(
    ("outcome", "decided", "state"),
    [("", 0, PointState.MADE), (Outcome.FAILED, 1, PointState.KEPT)],
    ids=["its restart runs", "its restart failed"],
)
def test_a_restart_that_did_not_go_well_keeps_the_point_of_the_change_before(
    tmp_path: Path, outcome: str, decided: int, state: PointState
) -> None:
    site = Site(tmp_path, ("web1",), Outcome.PATCHED_REBOOT_PENDING)
    opened(site.ledger, "r-2", replace(KEY, kind=RolloutKind.RESTART))
    with site.ledger.writing() as book:
        book.add(attempt("r-2", "sha256:later", "web1", outcome, START + timedelta(hours=1)))
    site.see("the next one", START + timedelta(hours=2))

    assert decide_stays(site.hands()) == decided
    assert (site.row().state, site.row().remove_after) == (state, None)


@pytest.mark.parametrize(
    ("seen", "stays"),
    [
        ("web1: off: web1 does not answer", True),
        ("web1: wm-fine is not 2.0\nafter hook 1 failed: no such pool", True),
        ("web10: off: web10 does not answer\nafter hook 1 failed: web1", False),
        ("", False),
    ],
)
def test_a_host_that_was_not_found_well_at_the_last_look_keeps_its_point(
    tmp_path: Path, seen: str, stays: bool
) -> None:
    site = Site(tmp_path, ("web1",), Outcome.PATCHED)
    with site.ledger.writing() as book:
        rollouts.record_step(book, site.lease, "verified", START, detail=seen)

    assert decide_stays(site.hands()) == 1

    kept = (PointState.KEPT, None), (PointState.MADE, START + KEEP)
    assert (site.row().state, site.row().remove_after) == kept[0 if stays else 1]


# --- what is in use -------------------------------------------------------------------------------


def due(tmp_path: Path) -> Site:
    site = Site(tmp_path, ("web1",), Outcome.PATCHED)
    decide_stays(site.hands())
    site.now = START + 2 * KEEP
    return site


def test_a_point_that_a_rollback_uses_is_not_removed_by_time_nor_by_hand(tmp_path: Path) -> None:
    site = due(tmp_path)
    read_before = site.row()
    assert site.take_back() == ""

    assert remove_point(site.hands(), read_before, actor="tidy").trouble == "it is to stay by now"
    by_hand = remove_point(site.hands(), read_before, actor="olga")
    assert by_hand.trouble == "rollback b-1 has not ended, and may need it"
    assert site.row().state == PointState.KEPT


def test_nothing_is_taken_back_by_a_point_whose_removal_has_begun(tmp_path: Path) -> None:
    site = due(tmp_path)
    with site.ledger.writing() as book:
        assert not restore_points.begin_removal(
            book, site.row(), actor="tidy", only_due=True, now=site.now
        )

    assert site.take_back() == "the restore point wavemend-r-1-web1 is being removed"
    with site.ledger.reading() as book:
        assert len(restore_points.due_points(book, START)) == 1, "the next run goes on with it"


def test_a_removal_that_fails_gives_the_point_back(tmp_path: Path) -> None:
    site = due(tmp_path)

    assert remove_point(site.hands(), site.row(), actor="tidy").trouble != ""

    assert (site.row().state, site.row().remove_after) == (PointState.MADE, START + KEEP)
    assert site.take_back() == ""


def test_a_point_of_a_rollout_that_is_not_finished_is_not_removed_by_hand(tmp_path: Path) -> None:
    site = due(tmp_path)
    with site.ledger.writing() as book:
        rollouts.get_rollout(book, "r-1").state = rollouts.OPEN

    left = remove_point(site.hands(), site.row(), actor="olga")

    assert left.trouble == "rollout r-1 is not finished, and may need it"


def case_of_web1(reason: str = "slow") -> RollbackCase:
    return RollbackCase(
        rollout="r-1",
        tenant="acme",
        plan_digest="sha256:plan",
        hosts=(CaseHost(host="web1", attempt_id="a-r-1-web1"),),
        requested_by="olga",
        reason=reason,
    )


def test_a_host_that_a_run_has_not_come_to_yet_keeps_its_point(tmp_path: Path) -> None:
    site = due(tmp_path)
    run = RollbackRun(case=case_of_web1(), outside_window=True)
    with site.ledger.writing() as book:
        rollback_runs.begin_run(book, site.lease, "run-1", run, now=site.now)

    for actor in ("tidy", "olga"):
        left = remove_point(site.hands(), site.row(), actor=actor)
        assert left.trouble == "a run that takes the host back has not ended, and may need it"
    with site.ledger.writing() as book:
        rollback_runs.end_run(book, site.lease, "run-1", now=site.now)
    assert "ended with 1" in remove_point(site.hands(), site.row(), actor="tidy").trouble


def test_a_host_that_waits_for_a_signature_over_its_rollback_keeps_its_point(
    tmp_path: Path,
) -> None:
    site = due(tmp_path)
    with site.ledger.writing() as book:
        asked = rollback_approvals.ask(
            book, case_of_web1(), request_id="q-1", nonce="n", actor="olga", now=site.now
        )

    left = remove_point(site.hands(), site.row(), actor="tidy")
    assert left.trouble == "somebody has asked to take the host back, and may need it"
    site.now = asked.expires_at + timedelta(seconds=1)
    assert "ended with 1" in remove_point(site.hands(), site.row(), actor="tidy").trouble


def test_a_rollback_that_was_rejected_keeps_no_point(tmp_path: Path) -> None:
    site = due(tmp_path)
    with site.ledger.writing() as book:
        asked = rollback_approvals.ask(
            book, case_of_web1(), request_id="q-1", nonce="n", actor="olga", now=site.now
        )
        no = Answer(decision="reject", identity="alice", reason="no", signature="s")
        approvals.record(
            book,
            asked,
            no,
            statement="",
            signer=Signer(identity="alice", key="k", fingerprint="f"),
            refusal="",
            now=site.now,
        )

    assert "ended with 1" in remove_point(site.hands(), site.row(), actor="tidy").trouble


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_nothing_is_tidied_away_while_everything_is_stopped(tmp_path: Path, tenant: str) -> None:
    site = due(tmp_path)
    hands, point = site.hands(), site.row()
    assert [row.host for row in due_points(hands)] == ["web1"]
    with site.ledger.writing() as book:
        rollouts.turn_switch(book, tenant, engaged=True, actor="olga", reason="fire", now=site.now)

    assert due_points(hands) == ()
    left = remove_point(hands, point, actor="tidy")  # the switch came after the list
    assert left.trouble == "stopped: fire (by olga)"
    assert site.row().state == PointState.MADE


def test_nothing_is_tidied_away_where_the_file_stops_this_machine(tmp_path: Path) -> None:
    site = due(tmp_path)
    hands, point = site.hands(), site.row()
    hands.stop_file.write_text("fire")

    assert due_points(hands) == ()
    assert remove_point(hands, point, actor="tidy").trouble == "stopped: fire"
    assert site.row().state == PointState.MADE


def test_a_point_whose_disk_the_next_boot_puts_back_is_not_removed_before(tmp_path: Path) -> None:
    site = due(tmp_path)
    assert site.take_back() == ""
    with site.ledger.writing() as book:
        book.get_one(RollbackRow, "b-1").kind = "lvm"
        rollbacks.end(
            book,
            site.lease,
            "b-1",
            outcome=Outcome.NEEDS_HUMAN,
            detail=f"{AT_NEXT_BOOT}: not restarted: stopped: fire",
            packages=(),
            evidence=EVIDENCE,
            now=site.now,
        )

    words = "rollback b-1 puts its disk back with its next restart: restart it by hand, and scan it"
    assert remove_point(site.hands(), site.row(), actor="olga").trouble == words
    site.see("the next one", site.now)
    assert "ended with 1" in remove_point(site.hands(), site.row(), actor="olga").trouble


class ToBeMerged(LocalRoot):
    """A host whose lvs says what LVM says of a snapshot that its next boot merges."""

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Answer the list; nothing else is to be asked."""
        assert "lvs" in argv, (argv, stdin, deadline, bound)
        said = MERGING.encode()
        return CommandResult(exit_status=0, stdout=said, stderr=b"", dropped_bytes=0, seconds=0)


def test_a_merge_that_the_ledger_knows_nothing_of_is_to_be_looked_at_and_not_removed(
    tmp_path: Path,
) -> None:
    rule = RestorePointRule(kind="lvm", of="vg0/root")
    site = Site(tmp_path, ("web1",), Outcome.PATCHED, rule)
    hands = replace(site.hands(), connect=lambda _: ToBeMerged(tmp_path))
    with site.ledger.writing() as book:
        book.get_one(RestorePointRow, ("r-1", "web1")).kind = "lvm"

    (odd,) = odd_points(hands, site.apply(host("web1")))

    assert (odd.host, odd.name) == ("web1", "wavemend-r-1-web1")
    assert odd.what.endswith("is put back with the host's next restart: " + BY_HAND)
    assert remove_point(hands, site.row(), actor="olga").trouble == odd.what


# --- a host that is gone --------------------------------------------------------------------------

LEFT = "; its host has left the fleet: if gone for good, `wavemend restore-points --forget`"


def test_a_point_is_gone_with_its_host_when_somebody_says_so_and_not_before(
    tmp_path: Path,
) -> None:
    site = due(tmp_path)
    fleet = site.apply()
    failed = "find a restore point: it ended with 1"

    assert remove_point(site.hands(), site.row(), actor="tidy").trouble == f"{failed}{LEFT}"
    assert [row.name for row in due_points(site.hands())] == ["wavemend-r-1-web1"]
    (odd,) = odd_points(site.hands(), fleet)
    assert (odd.host, odd.what) == ("web1", f"cannot be listed: {failed}{LEFT}")

    assert forget_point(site.hands(), site.row(), actor="olga", reason="shredded") == ""

    assert (site.row().state, site.row().removed_at) == (PointState.GONE, site.now)
    assert due_points(site.hands()) == ()
    assert odd_points(site.hands(), fleet) == ()
    with site.ledger.reading() as book:
        last = audit.events(book, "r-1")[-1]
    assert (last.kind, last.actor) == ("restore_point.gone", "olga")
    assert '"reason":"shredded"' in last.body
    assert forget_point(site.hands(), site.row(), actor="ina", reason="x") == "it is gone already"
    site.apply(host("web1"))
    assert site.take_back() == "the restore point wavemend-r-1-web1 is gone"


def test_a_point_whose_host_can_be_asked_or_is_to_be_taken_back_is_not_forgotten(
    tmp_path: Path,
) -> None:
    site = due(tmp_path)

    kept = forget_point(site.hands(), site.row(), actor="olga", reason="shredded")
    assert kept == "its host is in the fleet: --remove asks it, and finds what is gone"
    assert site.take_back() == ""
    site.apply()
    kept = forget_point(site.hands(), site.row(), actor="olga", reason="shredded")
    assert kept == "rollback b-1 has not ended, and may need it"
    assert site.row().state == PointState.KEPT


def test_a_host_that_has_moved_is_asked_where_it_is_now(tmp_path: Path) -> None:
    there = ("sh", "-c", 'test "$WAVEMEND_ADDRESS" = 192.0.2.99')
    site = Site(tmp_path, ("web1",), Outcome.PATCHED, replace(RULE, find=there))
    moved = replace(host("web1"), address="192.0.2.99")
    assert remove_point(site.hands(), site.row(), actor="olga").trouble != ""
    site.apply(moved)

    assert remove_point(site.hands(), site.row(), actor="olga").trouble == ""
    assert site.row().state == PointState.REMOVED


def test_a_list_that_was_cut_is_no_list_whatever_letters_it_is_written_in(tmp_path: Path) -> None:
    site = due(tmp_path)
    longer = "import sys; print('wavemend-r-1-web1'); sys.stdout.write('schön gelöscht\\n' * 8000)"
    rule = replace(RULE, find=(sys.executable, "-X", "utf8", "-c", longer))

    with asking(site.hands(), host("web1")) as ask:
        listing = snapshotter(rule).listed(ask, host("web1"))

    assert listing.trouble == "find a restore point: the answer is longer than can be read"
