"""What is found out right before a start: room, readiness, the host's own clock; and what stays.

Real ledger, scripts and jobs on a simulated host.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cases.rollouts.ledgers import KEY
from tests.contract.attempt_bench import HOUR, Bench, Death, Fate
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_reboots import START, Once
from tests.contract.test_attempt_second_look import WHOLE
from tests.contract.test_host_hooks import hook, ran
from wavemend.calendar.windows import Occurrence
from wavemend.execution.attempt import attempt_host
from wavemend.execution.finish import KEPT_JOBS
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobSpec, start_job
from wavemend.execution.order import InForce
from wavemend.ledger import rollouts
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.journals import Stranger, record_strangers
from wavemend.ledger.tables import AttemptRow
from wavemend.managers.apt import APT
from wavemend.outcomes import Outcome
from wavemend.packages import JobScript, Target, Transaction
from wavemend.policy.care import When
from wavemend.testing.simulated.machine import Machine
from wavemend.transport import Transport

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HostOf = tuple[Bench, Machine]


@pytest.fixture
def host(tmp_path: Path) -> HostOf:
    return bench_of(tmp_path / "lab")


@dataclass(frozen=True)
class Large:
    """The real manager, for a transaction that is as large as it is told."""

    install_bytes: int

    def __getattr__(self, name: str) -> Any:
        return getattr(APT, name)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Return the real rehearsal with another size."""
        real = APT.rehearse(transport, targets, deadline=deadline)
        return replace(real, install_bytes=self.install_bytes)


def driven(bench: Bench, manager: Any) -> Hands:
    return replace(bench.hands(), manager=lambda _: manager)


def test_updates_that_do_not_fit_on_the_disk_are_blocked_with_both_figures(host: HostOf) -> None:
    bench, machine = host

    assert attempt_host(driven(bench, Large(10**18)), bench.order()) is Outcome.BLOCKED
    row = bench.row()
    assert row.reason.startswith("disk: / has ")
    assert f"the updates need {10**18 // 1_048_576} MiB" in row.reason
    assert not row.touched
    assert installs(machine) == {}


def test_updates_that_fit_are_installed(host: HostOf) -> None:
    bench, machine = host

    assert attempt_host(driven(bench, Large(1_000)), bench.order()) is Outcome.PATCHED
    assert installs(machine) == WHOLE


def test_a_host_on_which_somebody_scheduled_a_shutdown_is_skipped_and_untouched(
    host: HostOf,
) -> None:
    bench, machine = host
    machine.put("/run/systemd/shutdown/scheduled", "USEC=1\nMODE=poweroff\n")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.SKIPPED
    assert "poweroff is scheduled on the host" in bench.row().reason
    assert not bench.row().touched
    assert installs(machine) == {}


def test_a_start_that_reaches_the_host_after_the_cut_off_begins_nothing(host: HostOf) -> None:
    """The controller was stopped between its intent and its start; its clock stood still."""
    bench, machine = host
    cut_off = bench.now() + timedelta(seconds=6)
    bench.plan = replace(bench.plan, last_start=cut_off)
    with bench.ledger.writing() as book:
        book.connection().exec_driver_sql(
            "UPDATE rollouts SET plan_digest = ?", (bench.plan.digest,)
        )

    def stall() -> None:
        time.sleep(max(0.0, (cut_off - bench.now()).total_seconds()) + 1.5)

    fate = Once(f"before {START}", stall)

    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.NOT_ATTEMPTED
    assert fate.struck
    assert bench.row().reason == "window: by the host's own clock the last start has passed"
    assert installs(machine) == {}
    assert "begin " not in _journal(machine)


def _journal(machine: Machine) -> str:
    path = machine.root / "var/lib/wavemend/journal"
    return path.read_text() if path.exists() else ""


def test_old_jobs_are_removed_from_the_host_when_the_evidence_is_stored(host: HostOf) -> None:
    bench, machine = host
    older = [f"a-older-{number}" for number in range(KEPT_JOBS + 3)]
    script = JobScript(text="exit 0\n", args=())
    for name in older:
        spec = JobSpec(attempt_id=name, nonce="n" * 32, fence=1, script=script)
        start_job(bench.connect(bench.host), spec, deadline=30)
    known = [
        Stranger(attempt_id=name, fence=1, begun_at=None, ended_at=None, exit_status=0)
        for name in older
    ]
    with bench.ledger.writing() as book:
        record_strangers(book, "web1", known, actor="olga", reason="", now=bench.now())

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    jobs = {path.name for path in (machine.root / "var/lib/wavemend/jobs").iterdir()}
    assert len(jobs) == KEPT_JOBS
    assert bench.row().id in jobs
    assert f"begin {bench.row().id} " in _journal(machine)


# --- what became true in the meantime ------------------------------------------------------------


def begun_and_dead(bench: Bench, machine: Machine) -> None:
    """Let the controller die once the ledger knows that the host has begun, and the job end."""

    class Running(Fate):
        def pass_by(self, place: str, *, on_host: bool) -> None:  # noqa: ARG002 - one kind
            if place == "after a write" and "begin " in _journal(machine):
                raise Death

    with pytest.raises(Death):
        attempt_host(bench.hands(Running()), bench.order())
    assert bench.row().begun_at is not None
    until = time.monotonic() + 30
    while "end " not in _journal(machine) and time.monotonic() < until:
        time.sleep(0.1)


def test_a_host_that_forgot_a_job_it_had_begun_is_judged_by_what_is_there(host: HostOf) -> None:
    bench, machine = host
    begun_and_dead(bench, machine)
    shutil.rmtree(machine.root / "var/lib/wavemend")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert installs(machine) == WHOLE
    assert "begin " not in _journal(machine)


def test_a_host_that_was_restored_to_before_its_job_is_failed_and_not_changed_again(
    host: HostOf,
) -> None:
    bench, machine = host
    packages = machine.folder / "packages.json"
    day_zero = packages.read_text()
    begun_and_dead(bench, machine)
    shutil.rmtree(machine.root / "var/lib/wavemend")
    (machine.root / "var/log/dpkg.log").unlink()
    packages.write_text(day_zero)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.FAILED
    assert installs(machine) == {}
    assert "begin " not in _journal(machine)


def test_what_the_fleet_says_is_asked_again_at_the_intent(host: HostOf) -> None:
    bench, machine = host
    asked: list[int] = []

    def ask() -> InForce:
        asked.append(1)
        gone = "" if len(asked) < 3 else "the host is no longer in the fleet"
        return InForce(tenant=bench.tenant, fleet_drift=gone)

    order = replace(bench.order(), ask=ask)

    assert attempt_host(bench.hands(), order) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "drift: the host is no longer in the fleet"
    # For its place, twice before the look (for its words and its calendar), and at the intent.
    assert len(asked) == 4
    assert not bench.row().touched
    assert installs(machine) == {}


def test_a_stop_between_two_hooks_keeps_the_second_from_running(
    host: HostOf, tmp_path: Path
) -> None:
    bench, machine = host
    log = tmp_path / "hooks.log"
    stop = f"echo fire >{bench.folder / 'stop'}"
    hooks = (
        hook("drain", When.BEFORE, log, then=stop),
        hook("silence", When.BEFORE, log),
        hook("fill", When.AFTER, log),
    )
    bench.profile = replace(bench.profile, hooks=hooks)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert [line.split()[0] for line in ran(log)] == ["drain", "fill"]
    assert installs(machine) == {}


@pytest.mark.parametrize("outcome", [Outcome.NEEDS_HUMAN, Outcome.UNREACHABLE])
@pytest.mark.parametrize("what", ["attempt", "rollback"])
def test_nothing_begins_beside_an_earlier_job_that_still_runs(
    host: HostOf, what: str, outcome: Outcome
) -> None:
    bench, machine = host
    sleeping = JobScript(text="sleep 5\n", args=())
    job = "a-older-1" if what == "attempt" else "b-older-1"
    spec = JobSpec(attempt_id=job, nonce="n" * 32, fence=1, script=sleeping)
    start_job(bench.connect(bench.host), spec, deadline=30)
    night = Occurrence(
        window="earlier", start=bench.now(), end=bench.now() + HOUR, last_start=bench.now()
    )
    key = replace(KEY, window="earlier")
    with bench.ledger.writing() as book:
        rollouts.open_rollout(book, "r-0", key, night, requester="olga", now=bench.now())
        book.add(
            AttemptRow(
                id="a-older-1",
                rollout_id="r-0",
                plan_digest="another",
                host="web1",
                wave=1,
                nonce="n" * 32,
                state="ended",
                touched=True,
                intent_at=bench.now(),
                outcome=outcome if what == "attempt" else Outcome.FAILED,
                packages=b"[]",
                evidence=b"",
            )
        )
        book.flush()
        book.add(
            RollbackRow(
                id="b-older-1",
                rollout_id="r-0",
                attempt_id="a-older-1",
                host="web1",
                kind="packages",
                requested_by="olga",
                reason="",
                nonce="n" * 32,
                state="ended",
                intent_at=bench.now(),
                outcome=outcome if what == "rollback" else Outcome.FAILED,
                packages=b"[]",
                evidence=b"",
            )
        )

    assert attempt_host(bench.hands(), bench.order()) is Outcome.BLOCKED
    assert bench.row().reason == f"the job of its {what} {job} still runs"
    assert not bench.row().touched
    assert installs(machine) == {}
