"""A host is taken back once, by its own attempt's restore point, and a second look says so.

Real SSH to simulated hosts: real connections, shells, jobs and files; apt and dpkg are played.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.attempt_bench import HOUR, Bench, Death, Fate
from tests.contract.point_bench import Points
from wavemend.approvals import Answer, check, sign, statement
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobSpec, read_journal, start_job
from wavemend.execution.looks import look
from wavemend.execution.rollback import roll_back_host
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.execution.taking_back import Leave, Way, take_back
from wavemend.fleet import FeedSettings, Fleet
from wavemend.ledger import (
    approvals,
    audit,
    rollback_approvals,
    rollbacks,
    rollouts,
)
from wavemend.ledger.attempts import Granted
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.tables import AttemptRow
from wavemend.managers.apt import APT
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import JobScript, Target
from wavemend.policy.care import Probe, RollBack
from wavemend.rollbacks import RollbackCase, RollbackRequest
from wavemend.steps.prepare import prepare_host
from wavemend.steps.roll_back import case_of, hosts_of, prospects
from wavemend.testing.simulated.spec import HostSpec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HOSTS = tuple(HostSpec(f"web{number}", packages=("wm-fine",)) for number in range(30))
SPARE = iter(host.name for host in HOSTS)
UNWELL = Probe(
    name="shop", argv=("sh", "-c", "test \"$(dpkg-query -W -f '${Version}' wm-fine)\" = 1.0")
)
"""Fails as soon as wm-fine is not 1.0 any more."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("lab"))
    lab.up(HOSTS)
    yield lab
    lab.down()


@dataclass
class Site:
    """One rollout of one host nobody used yet, prepared, and its way back."""

    lab: SimulatedLab
    folder: Path
    bench: Bench = field(init=False)

    def __post_init__(self) -> None:
        host = replace(self.lab.host(next(SPARE)), tenant="acme")
        self.bench = Bench(self.folder, host, lambda host: connect(host, self.lab.login()))

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the bench's means, with a stopwatch that makes a minute's patience short."""
        return replace(self.bench.hands(fate), monotonic=lambda: 20 * time.monotonic())

    def patched(self, **changes: object) -> "Site":
        """Freeze, prepare and patch."""
        self.bench.freeze("wm-fine", **changes)
        self.prepare()
        assert attempt_host(self.bench.hands(), self.bench.order()) is Outcome.PATCHED
        return self

    def prepare(self) -> None:
        """Prove the restore point."""
        bench = self.bench
        lease = bench.take_lease()
        prepare_host(bench.hands(), lease, bench.plan, bench.host, bench.profile)

    def request(self, **changes: object) -> RollbackRequest:
        """Return what an operator asks for, outside the window."""
        made = RollbackRequest(
            requested_by="olga", reason="the shop is slow", case=self.case(), outside_window=True
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def case(self) -> RollbackCase:
        """Return exactly what is asked for."""
        bench = self.bench
        with bench.ledger.reading() as book:
            return case_of(
                book,
                bench.plan,
                (bench.host.name,),
                requested_by="olga",
                reason="the shop is slow",
                outside_window=True,
            )

    def roll_back(self, **changes: object) -> RollbackEnd:
        """Take the host back as a new process would."""
        return roll_back_host(self.bench.hands(), self.bench.order(), self.request(**changes))

    def version(self) -> str:
        """Return the host's own word for wm-fine."""
        return self.run("dpkg-query", "-W", "-f", "${Version}", "wm-fine").strip()

    def run(self, *argv: str) -> str:
        """Run a command on the host as root."""
        transport = connect(self.bench.host, self.lab.login())
        try:
            return transport.run_as_root(argv, deadline=60).stdout.decode()
        finally:
            transport.close()

    def begun(self) -> list[str]:
        """Return the kinds of jobs that the host's journal says were begun: a, b."""
        transport = connect(self.bench.host, self.lab.login())
        try:
            entries = read_journal(transport, deadline=30)
        finally:
            transport.close()
        return [entry.attempt_id[0] for entry in entries if entry.kind == "begin"]

    def rows(self) -> tuple[RollbackRow, ...]:
        """Return the rollbacks of the rollout."""
        with self.bench.ledger.reading() as book:
            return rollbacks.of_rollout(book, "r-1")

    def events(self) -> list[str]:
        """Return the kinds of the rollout's events about rollbacks."""
        with self.bench.ledger.reading() as book:
            found = audit.events(book, "r-1")
        return [event.kind for event in found if event.kind.startswith("rollback.")]


@pytest.fixture
def site(lab: SimulatedLab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path)


# --- what is done --------------------------------------------------------------------------------


def test_an_operator_takes_a_patched_host_back_and_its_old_version_is_seen(site: Site) -> None:
    end = site.patched().roll_back()

    assert (end.outcome, end.detail) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert site.version() == "1.0"
    (result,) = end.packages
    assert (result.before, result.target, result.after) == ("2.0", "1.0", "1.0")
    assert site.begun() == ["a", "b"]
    assert site.events() == ["rollback.intent", "rollback.running", "rollback.ended"]


def test_the_attempt_keeps_its_outcome_and_the_rollback_has_one_of_its_own(site: Site) -> None:
    site.patched().roll_back()

    assert site.bench.row().outcome == Outcome.PATCHED
    (row,) = site.rows()
    assert (row.outcome, row.requested_by, row.reason, row.automatic) == (
        "rolled_back",
        "olga",
        "the shop is slow",
        False,
    )


def test_a_host_is_taken_back_once_however_often_it_is_asked_for(site: Site) -> None:
    site.patched().roll_back()

    assert site.roll_back().outcome is Outcome.ROLLED_BACK
    assert site.begun() == ["a", "b"]
    assert len(site.rows()) == 1


def test_an_old_version_that_nobody_offers_any_more_fails_and_changes_nothing(
    site: Site, lab: SimulatedLab
) -> None:
    site.patched()
    withdraw(site, lab)

    end = site.roll_back()

    assert end.outcome is Outcome.FAILED
    assert "wm-fine" in end.detail
    assert site.version() == "2.0"


def withdraw(site: Site, lab: SimulatedLab) -> None:
    """Let the archive offer the old version no more, as Debian's does after a point release."""
    with packages_of(site, lab) as data:
        data["lists"].remove("wm-fine=1.0")


@contextmanager
def packages_of(site: Site, lab: SimulatedLab) -> Iterator[Any]:
    """Yield what a host's package manager knows, to be changed behind everybody's back."""
    memory = lab.state / "hosts" / site.bench.host.name / "packages.json"
    data = json.loads(memory.read_text())
    yield data
    memory.write_text(json.dumps(data))


class BadScripts:
    """apt, but its undo ends as zypper's does when a package's script fails: versions are back."""

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        script = APT.undo_script(targets)
        return replace(script, text=f"(\n{script.text}\n)\nexit 107\n")

    def end_trouble(self, status: int | None) -> str:
        return "a script of a package failed" if status == 107 else ""

    def __getattr__(self, name: str) -> Any:
        return getattr(APT, name)


def test_a_package_script_that_fails_on_the_way_back_is_no_success_though_the_versions_are_back(
    site: Site,
) -> None:
    site.patched()
    odd: Any = BadScripts()
    hands = replace(site.hands(), manager=lambda _: odd)

    end = roll_back_host(hands, site.bench.order(), site.request())

    assert site.version() == "1.0"
    assert (end.outcome, end.detail) == (
        Outcome.FAILED,
        "the old versions are back, but a script of a package failed",
    )


# --- what is refused -----------------------------------------------------------------------------


def assert_refused(site: Site, end: RollbackEnd, words: str) -> None:
    assert end.outcome is Outcome.BLOCKED
    assert words in end.detail
    assert site.begun() == ["a"]
    assert site.rows() == ()
    assert site.events()[-1] == "rollback.refused"


def test_the_kill_switch_stops_rollbacks_too(site: Site) -> None:
    site.patched()
    (site.bench.folder / "stop").write_text("incident")

    assert_refused(site, site.roll_back(), "stopped: incident")


def test_the_companys_switch_stops_its_rollbacks(site: Site) -> None:
    site.patched()
    with site.bench.ledger.writing() as book:
        rollouts.turn_switch(
            book, "acme", engaged=True, actor="ina", reason="audit", now=site.bench.now()
        )

    assert_refused(site, site.roll_back(), "stopped: audit (by ina)")


def test_outside_the_window_it_must_be_said_explicitly(site: Site) -> None:
    site.patched()
    site.bench.shift = 3 * HOUR

    assert_refused(site, site.roll_back(outside_window=False), "window: it ended at")
    assert site.roll_back(outside_window=True).outcome is Outcome.ROLLED_BACK


def test_a_host_that_was_not_touched_has_nothing_to_take_back(site: Site) -> None:
    site.bench.freeze("wm-fine")
    site.prepare()
    (site.bench.folder / "stop").write_text("incident")
    attempt_host(site.bench.hands(), site.bench.order())
    (site.bench.folder / "stop").unlink()

    end = site.roll_back()

    assert (end.outcome, site.begun()) == (Outcome.BLOCKED, [])


def test_another_machine_at_the_hosts_address_is_left_alone(site: Site) -> None:
    site.patched()
    site.run("sh", "-c", 'echo 0123456789abcdef0123456789abcdef >"$WAVEMEND_ROOT/etc/machine-id"')

    assert_refused(site, site.roll_back(), "another machine answers")


def test_a_version_that_came_since_by_other_hands_is_not_taken_away(
    site: Site, lab: SimulatedLab
) -> None:
    site.patched()
    with packages_of(site, lab) as data:
        data["installed"]["wm-fine"]["version"] = "3.0"

    words = "somebody has changed it since: wm-fine is 3.0, the change was from 1.0 to 2.0"
    assert_refused(site, site.roll_back(), words)


def test_nothing_is_taken_back_under_a_job_that_still_runs(site: Site) -> None:
    site.patched()
    bench, nonce = site.bench, "n" * 32
    row = bench.row()
    sleeping = JobScript(text="sleep 30\n", args=())
    spec = JobSpec(attempt_id="a-older-1", nonce=nonce, fence=row.fence, script=sleeping)
    with closing(bench.connect(bench.host)) as transport:
        start_job(transport, spec, deadline=30)
    older = row.model_dump() | {"id": "a-older-1", "nonce": nonce, "plan_digest": "another"}
    older |= {"outcome": Outcome.UNREACHABLE, "intent_at": bench.now() - HOUR}
    with bench.ledger.writing() as book:
        book.add(AttemptRow(**older))

    end = site.roll_back()

    assert (end.outcome, site.rows(), site.version()) == (Outcome.BLOCKED, (), "2.0")
    assert end.detail == "the job of its attempt a-older-1 still runs"


def test_a_start_that_was_stalled_for_hours_is_not_begun_by_the_hosts_own_clock(
    site: Site,
) -> None:
    site.patched()
    site.bench.shift = -2 * HOUR

    end = site.roll_back()

    assert (end.outcome, site.begun(), site.version()) == (Outcome.BLOCKED, ["a"], "2.0")
    assert "by the host's own clock" in end.detail


# --- what an earlier process left -----------------------------------------------------------------


def leave_intent(site: Site, *, running: bool = False) -> Granted:
    """Write what a process has written that died before, or right after, the beginning."""
    lease, bench = site.bench.take_lease(), site.bench
    wish = RollbackIntent(
        rollback_id=f"b-{bench.hands().token()}",
        nonce=bench.hands().token(),
        attempt_id=bench.row().id,
        kind=bench.profile.restore_point.kind,
        requested_by="olga",
        reason="the shop is slow",
        automatic=False,
    )
    with bench.ledger.writing() as book:
        granted = rollbacks.intend(book, lease, wish, now=bench.now(), local_stop="")
        assert isinstance(granted, Granted)
        if running:
            rollbacks.mark_running(book, lease, granted.attempt_id, bench.now(), bench.now())
    return granted


def test_an_intent_of_before_is_begun_only_after_all_checks_of_a_first_start(site: Site) -> None:
    """The way back is the operator's own command, on the worker."""
    bench, points = site.bench, Points(site.folder / "points")
    bench.profile = replace(bench.profile, restore_point=points.rule())
    site.patched()
    restored, stop = bench.folder / "restored", bench.folder / "stop"

    def assert_blocked(words: str, **changes: object) -> None:
        leave_intent(site)
        end = site.roll_back(**changes)
        assert (end.outcome, restored.exists()) == (Outcome.BLOCKED, False)
        assert words in end.detail

    stop.write_text("incident")
    assert_blocked("incident")
    stop.unlink()
    bench.shift = 3 * HOUR
    assert_blocked("window: it ended at", outside_window=False)
    assert_blocked("no valid signature over this rollback", critical=True)
    (point,) = points.folder.iterdir()
    away = point.rename(bench.folder / "away")
    assert_blocked(point.name)
    away.rename(point)

    leave_intent(site)
    site.roll_back()
    assert restored.exists()


def test_what_was_seen_to_begin_is_never_begun_again_by_a_host_that_forgot_it(site: Site) -> None:
    site.patched()
    leave_intent(site, running=True)

    end = site.roll_back()

    assert (end.outcome, site.begun()) == (Outcome.NEEDS_HUMAN, ["a"])
    assert end.detail.startswith("it was begun and its end is unknown")


def test_a_restart_that_belongs_to_it_is_stopped_by_the_kill_switch_too(site: Site) -> None:
    site.patched()
    granted, hands, order = leave_intent(site), site.bench.hands(), site.bench.order()
    leave = Leave(
        before=look(hands, site.bench.host, refresh=False),
        found=None,
        refusal=lambda: "stopped: incident",
        obstacle=lambda: "",
        last_start=lambda: site.bench.now() + HOUR,
    )
    way = Way(script=JobScript(text="exit 0\n", args=()), restarts=True, whole=True)

    taken = take_back(hands, order, granted, way, leave)

    assert taken.followed.ended
    assert taken.rebooted.pending == "not restarted: stopped: incident"
    assert "rollback.restart" not in site.events()


# --- critical hosts ------------------------------------------------------------------------------


def signed(site: Site, *, case: RollbackCase | None = None, identity: str = "alice") -> None:
    """Ask for a signature over a case, and let somebody answer as the command does."""
    bench = site.bench
    key = bench.folder / "key"
    if not key.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(argv, check=True)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        line = f'{identity} namespaces="patch-approval" {public}\n'
        (bench.folder / "signers").write_text(line)
    with bench.ledger.writing() as book:
        asked = rollback_approvals.ask(
            book,
            case or site.case(),
            request_id=f"q-{bench.hands().token()}",
            nonce=bench.hands().token(),
            actor="olga",
            now=bench.now(),
        )
    text = statement(asked, "approve", identity, "it is broken")
    assert text.startswith(b"wavemend rollback v1\n")
    answer = Answer(
        decision="approve", identity=identity, reason="it is broken", signature=sign(text, key)
    )
    signer = check(
        answer,
        asked,
        signers_file=bench.folder / "signers",
        allowed=bench.tenant.approvers,
        requester="olga",
        four_eyes=False,
        now=bench.now(),
    )
    with bench.ledger.writing() as book:
        approvals.record(
            book,
            asked,
            answer,
            statement=text.decode(),
            signer=signer,
            refusal="",
            now=bench.now(),
        )


def test_a_host_that_is_critical_needs_a_signature_over_exactly_this_rollback(site: Site) -> None:
    site.patched()
    now_critical = {"critical": True}
    assert_refused(site, site.roll_back(**now_critical), "no valid signature over this rollback")

    signed(site, case=replace(site.case(), reason="something else"))
    assert_refused(site, site.roll_back(**now_critical), "no valid signature over this rollback")

    inside = replace(site.case(), outside_window=False)
    signed(site, case=inside)
    assert_refused(site, site.roll_back(**now_critical), "no valid signature over this rollback")
    words = "it was not asked for outside the maintenance window"
    assert_refused(site, site.roll_back(case=inside, **now_critical), words)

    signed(site)
    assert site.roll_back(**now_critical).outcome is Outcome.ROLLED_BACK


def test_a_signature_counts_for_four_hours_and_only_while_its_signer_may(site: Site) -> None:
    site.patched()
    signed(site)
    site.bench.shift = timedelta(hours=5)
    assert_refused(site, site.roll_back(critical=True), "the request expired")

    site.bench.shift = timedelta(0)
    site.bench.tenant = replace(site.bench.tenant, approvers=("berta",))
    assert_refused(site, site.roll_back(critical=True), "alice may not decide for acme")


# --- by policy -----------------------------------------------------------------------------------


def by_policy(site: Site) -> Bench:
    """Let the profile take hosts back whose probes fail after the change."""
    bench = site.bench
    manners = replace(bench.profile.reboots, back_within=timedelta(seconds=20))
    bench.profile = replace(
        bench.profile,
        probes=(UNWELL,),
        roll_back=RollBack.HOST,
        reboots=manners,
        host_deadline=timedelta(minutes=20),
    )
    bench.freeze("wm-fine")
    site.prepare()
    return bench


def test_a_host_whose_probe_fails_is_taken_back_by_its_own_attempt(site: Site) -> None:
    bench = by_policy(site)

    assert attempt_host(site.hands(), bench.order()) is Outcome.ROLLED_BACK

    row = bench.row()
    assert row.reason.startswith("probe shop: exit status 1")
    assert row.reason.endswith("taken back: the old versions are back")
    assert site.version() == "1.0"
    assert site.begun() == ["a", "b"]
    assert bench.packages() == {"wm-fine": PackageOutcome.FAILED}
    (back,) = site.rows()
    assert (back.automatic, back.requested_by) == (True, "profile linux")


def test_a_rollback_that_fails_is_never_silent(site: Site, lab: SimulatedLab) -> None:
    bench = by_policy(site)
    withdraw(site, lab)

    assert attempt_host(site.hands(), bench.order()) is Outcome.FAILED

    assert "taking it back: wm-fine" in bench.row().reason
    assert site.version() == "2.0"


def test_a_kill_switch_that_comes_meanwhile_leaves_the_host_as_it_is_and_says_so(
    site: Site,
) -> None:
    bench = by_policy(site)
    hands = site.hands()

    def stop_then_sleep(seconds: float) -> None:
        if bench.row().state == "running" and site.version() == "2.0":
            hands.stop_file.write_text("incident")
        bench.hands().sleep(seconds)

    outcome = attempt_host(replace(hands, sleep=stop_then_sleep), bench.order())

    assert outcome is Outcome.FAILED
    assert bench.row().reason.endswith("not taken back: stopped: incident")
    assert site.version() == "2.0"


def test_whoever_dies_wherever_the_host_is_patched_once_and_taken_back_once(
    lab: SimulatedLab, tmp_path: Path
) -> None:
    """Struck at places spread over patching and taking back; a successor goes on each time."""
    golden = Fate()
    whole = Site(lab, new_folder(tmp_path / "golden"))
    by_policy(whole)
    assert attempt_host(whole.hands(golden), whole.bench.order()) is Outcome.ROLLED_BACK
    places = len(golden.places)
    for at in range(places // 3, places, max(1, places // 8)):
        each = Site(lab, new_folder(tmp_path / str(at)))
        bench, fate = by_policy(each), Fate(at=at)
        with suppress(Death):
            attempt_host(each.hands(fate), bench.order())
        assert attempt_host(each.hands(), bench.order()) is Outcome.ROLLED_BACK, fate.struck
        assert each.begun() == ["a", "b"], fate.struck
        assert each.version() == "1.0", fate.struck


def new_folder(path: Path) -> Path:
    path.mkdir(mode=0o700)
    return path


# --- what a person is told before ----------------------------------------------------------------


def test_a_person_is_told_what_comes_back_what_not_and_how_old_it_is(site: Site) -> None:
    bench = site.bench
    fleet = fleet_with(bench)
    with bench.ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=bench.now())
    site.patched()
    plan = replace(bench.plan, fleet_digest=fleet.digest)
    with bench.ledger.reading() as book:
        assert hosts_of(book, plan, plan.waves[0].name) == (bench.host.name,)
        (told,) = prospects(book, plan, (bench.host.name,), fleet, bench.now() + 26 * HOUR)

    assert told.packages == ("wm-fine 2.0 -> 1.0",)
    assert told.restores.startswith("package versions only")
    assert "data stays as it is" in told.warning
    assert "1 d 2 h" in told.warning
    assert told.obstacle == ""


def fleet_with(bench: Bench) -> Fleet:
    """Return a fleet of this host under its profile."""
    return Fleet(
        schema="wavemend.fleet/1",
        tenants=(bench.tenant,),
        approvers=(),
        profiles=(bench.profile,),
        windows=(),
        groups=(),
        logins=(),
        hosts=(replace(bench.host, profile=bench.profile.name),),
        feeds=FeedSettings(),
    ).sealed()
