"""A repair is an attempt as any other: intent, job, second look; it brings no version in.

Real ledger, scripts and jobs on a simulated host whose dpkg was cut.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.attempt_bench import HOUR, Bench, Death, Fate
from tests.contract.point_bench import Points
from tests.contract.test_attempt_deaths import at_each, bench_of, installs
from tests.contract.test_host_hooks import around, hook, ran
from wavemend.approvals import Answer, sign, statement
from wavemend.calendar.windows import Occurrence
from wavemend.errors import PlanError
from wavemend.execution.attempt import attempt_host
from wavemend.execution.looks import look
from wavemend.fleet import FeedSettings, Fleet, RolloutKey, RolloutKind
from wavemend.hosts import Facts
from wavemend.ledger import attempts, audit, rollouts
from wavemend.ledger.scans import record_look
from wavemend.managers.apt import APT
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import JobScript
from wavemend.plans import Plan
from wavemend.policy.care import Probe, RollBack, When
from wavemend.policy.profiles import RebootRule
from wavemend.steps import decide, prepare
from wavemend.steps.freeze_repairs import freeze_repairs
from wavemend.testing.simulated.machine import Machine

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

HostOf = tuple[Bench, Machine]
DEFECT = "wm-slow 1.0 (iF)"
MENDED = {"wm-slow:all 1.0": 1}


def cut(machine: Machine, name: str = "wm-slow") -> None:
    """Leave a package as a dpkg leaves it that was killed while it configured it."""
    path = machine.folder / "packages.json"
    data = json.loads(path.read_text())
    data["installed"][name]["status"] = "iF"
    path.write_text(json.dumps(data))


def seen(bench: Bench) -> Facts:
    facts = look(bench.hands(), bench.host, refresh=False).facts
    assert facts is not None
    return facts


def broken_bench(folder: Path, **changes: object) -> HostOf:
    """Return a rollout of repairs for one host; unsigned where nothing else is said."""
    bench, machine = bench_of(folder)
    cut(machine)
    return refrozen(bench, **changes), machine


def refrozen(bench: Bench, **changes: object) -> Bench:
    """Freeze the plan anew, in a fresh ledger: what the host's defects are now, and no package."""
    folder = bench.folder / "repair"
    folder.mkdir(mode=0o700)
    made = Bench(folder, bench.host, bench.connect, profile=bench.profile)
    defects = seen(bench).defects
    made.freeze(**{"repairs": defects, "reboot": RebootRule.NEVER, **changes})
    return made


@pytest.fixture
def host(tmp_path: Path) -> HostOf:
    return broken_bench(tmp_path / "lab")


# --- what is done --------------------------------------------------------------------------------


def test_what_was_cut_is_finished_and_the_evidence_names_it_with_its_version(host: HostOf) -> None:
    bench, machine = host

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    row = bench.row()
    assert (row.reason, row.touched) == ("", True)
    assert seen(bench).defects == ()
    assert installs(machine) == MENDED, "no other version, no other package"
    (result,) = attempts.packages_of(row)
    assert (result.name, result.before, result.after) == ("wm-slow", "1.0", "1.0")
    assert (result.outcome, result.detail) == (PackageOutcome.INSTALLED, "was half done (iF)")
    evidence = attempts.evidence_of(row)
    assert evidence is not None
    assert evidence.job_exit_status == 0
    assert evidence.second_look_at is not None
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED, "asked again: as it was"
    assert installs(machine) == MENDED


def test_a_package_that_cannot_be_configured_leaves_its_host_failed_with_its_name(
    tmp_path: Path,
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    path = machine.folder / "packages.json"
    data = json.loads(path.read_text())
    data["installed"]["wm-slow"].update(status="iF", quirk="fails")
    path.write_text(json.dumps(data))
    bench = refrozen(bench)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.FAILED
    assert bench.row().reason == "wm-slow: half done still (iF)"
    assert bench.packages() == {"wm-slow": PackageOutcome.FAILED}
    evidence = attempts.evidence_of(bench.row())
    assert evidence is not None
    assert evidence.job_exit_status == 71
    assert "this package always fails" in evidence.log_tail


@dataclass(frozen=True)
class Ends:
    """The real manager, whose repair ends with a status of its own after it has done its work."""

    status: int

    def __getattr__(self, name: str) -> Any:
        return getattr(APT, name)

    def repair_script(self) -> JobScript:
        real = APT.repair_script()
        return replace(real, text=f"(\n{real.text}\n)\nexit {self.status}\n")


def test_an_exit_status_that_nobody_documents_is_no_success_though_all_looks_well(
    host: HostOf,
) -> None:
    bench, _ = host
    hands = replace(bench.hands(), manager=lambda _: Ends(77))

    assert attempt_host(hands, bench.order()) is Outcome.FAILED
    assert bench.row().reason == (
        "no package is half done any more, but exit status 77, which apt-get does not document"
    )


class Without(Ends):
    """A manager whose declaration has no repair."""

    def repair_script(self) -> JobScript:
        raise PlanError("box declares no repair")


# --- what keeps it from being done ---------------------------------------------------------------


def assert_untouched(bench: Bench, machine: Machine) -> None:
    assert not bench.row().touched
    assert installs(machine) == {}
    assert not (machine.root / "var/lib/wavemend/journal").exists()


def test_a_host_that_somebody_mended_meanwhile_is_left_alone(host: HostOf) -> None:
    bench, machine = host
    path = machine.folder / "packages.json"
    path.write_text(path.read_text().replace('"iF"', '"ii"'))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOTHING_TO_DO
    assert_untouched(bench, machine)


class Busy:
    """apt on a host where somebody changes packages just now."""

    def __getattr__(self, name: str) -> Any:
        return getattr(APT, name)

    def read_facts(self, *args: Any, **kwargs: Any) -> Facts:
        return replace(APT.read_facts(*args, **kwargs), lock_holder="packagekitd (77)")


def test_a_host_that_cannot_say_now_what_is_half_done_has_not_been_mended(host: HostOf) -> None:
    bench, machine = host
    path = machine.folder / "packages.json"
    path.write_text(path.read_text().replace('"iF"', '"ii"'))
    hands = replace(bench.hands(), manager=lambda _: Busy())

    assert attempt_host(hands, bench.order()) is Outcome.SKIPPED
    assert bench.row().reason.startswith("lock: ")
    assert "packagekitd (77) changes packages" in bench.row().reason
    assert_untouched(bench, machine)


def test_what_was_half_done_after_the_plan_is_drift_and_nobody_approved_it(host: HostOf) -> None:
    bench, machine = host
    cut(machine, "zip")

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "drift: half done, and not in the plan: zip 3.0-13 (iF)"
    assert_untouched(bench, machine)


def test_a_manager_without_a_repair_is_told_before_anything_is_begun(host: HostOf) -> None:
    bench, machine = host

    hands = replace(bench.hands(), manager=lambda _: Without(0))
    assert attempt_host(hands, bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "drift: box declares no repair"
    assert_untouched(bench, machine)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


def test_a_repair_starts_with_a_valid_signature_over_its_plan_and_not_without(
    tmp_path: Path, key: Path
) -> None:
    bench, machine = broken_bench(tmp_path / "without", critical=True)
    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "approval: no valid signature over this plan"
    assert_untouched(bench, machine)

    bench, machine = broken_bench(tmp_path / "with", critical=True)
    public = key.with_suffix(".pub").read_text()
    (bench.folder / "signers").write_text(f"alice {public}")
    request = decide.ask(bench.hands(), bench.take_lease(), "run-1").request
    signature = sign(statement(request, "approve", "alice", "mend it"), key)
    answer = Answer(decision="approve", identity="alice", reason="mend it", signature=signature)
    assert decide.take_answer(bench.hands(), request, answer, bench.tenant, "olga") == ""

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert installs(machine) == MENDED


# --- care ----------------------------------------------------------------------------------------


def test_hooks_run_around_a_repair_as_around_a_change(host: HostOf, tmp_path: Path) -> None:
    bench, machine = host
    log = tmp_path / "hooks.log"
    around(bench, hook("drain", When.BEFORE, log), hook("fill", When.AFTER, log))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert ran(log) == ["drain web1", "fill web1 patched"]
    assert installs(machine) == MENDED


def test_a_required_restore_point_is_made_and_blocks_the_repair_where_it_vanished(
    tmp_path: Path,
) -> None:
    points = Points(tmp_path / "points")
    for vanish, outcome in ((False, Outcome.PATCHED), (True, Outcome.BLOCKED)):
        bench, machine = broken_bench(tmp_path / f"lab-{outcome}")
        bench.profile = replace(bench.profile, restore_point=points.rule())
        lease = bench.take_lease()
        point = prepare.prepare_host(bench.hands(), lease, bench.plan, bench.host, bench.profile)
        assert getattr(point, "proven", False), point
        if vanish:
            for file in points.folder.iterdir():
                if not file.name.endswith(".sh"):
                    file.unlink()
        assert attempt_host(bench.hands(), bench.order()) is outcome, bench.row().reason
        assert ("not listed" in bench.row().reason) == vanish
        assert installs(machine) == ({} if vanish else MENDED)


ILL = Probe(name="well", argv=("false",))


def test_a_service_that_is_down_keeps_no_host_from_its_repair_and_is_no_success_after_it(
    host: HostOf,
) -> None:
    bench, machine = host
    bench.profile = replace(bench.profile, probes=(ILL,), roll_back=RollBack.HOST)
    hands = bench.hands()
    clock = iter(range(10**9))
    hands = replace(hands, monotonic=lambda: 20.0 * next(clock))

    assert attempt_host(hands, bench.order()) is Outcome.FAILED
    assert "probe well" in bench.row().reason
    assert "taken back" not in bench.row().reason, "half done is nothing to go back to"
    assert installs(machine) == MENDED


# --- wherever the controller dies ----------------------------------------------------------------


def test_a_death_before_or_after_any_write_or_command_repairs_the_host_once(
    tmp_path: Path,
) -> None:
    fate = Fate()
    bench, _ = broken_bench(tmp_path / "count")
    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.PATCHED

    def die(at: int) -> Outcome | None:
        bench, machine = broken_bench(tmp_path / f"lab{at}")
        fate = Fate(at=at)
        try:
            attempt_host(bench.hands(fate), bench.order())
        except Death:
            outcome = attempt_host(bench.hands(), bench.order())
        else:
            return None  # this one asked the host less often, and was through before
        place = f"died {fate.struck} ({at})"
        assert outcome is Outcome.PATCHED, f"{place}: {bench.row().reason}"
        assert installs(machine) == MENDED, place
        journal = (machine.root / "var/lib/wavemend/journal").read_text().split("\n")
        assert sum(line.startswith("begin ") for line in journal) == 1, place
        with bench.ledger.reading() as book:
            audit.verify(book)
            kinds = [event.kind for event in audit.events(book, "r-1")]
        assert kinds.count("attempt.ended") == 1, place
        return outcome

    outcomes = at_each(fate.places, die)

    assert len(fate.places) >= 14
    assert sum(outcome is Outcome.PATCHED for outcome in outcomes) >= len(fate.places) - 4


# --- the step that freezes its plan --------------------------------------------------------------


def frozen_by_the_step(folder: Path, broken: Bench, manager: Any = APT) -> Plan:
    """Open a rollout of repairs in a fresh ledger, look as preflight does, and freeze its plan."""
    folder.mkdir(mode=0o700)
    bench = Bench(folder, broken.host, broken.connect)
    member = replace(bench.host, profile=bench.profile.name, window="night")
    fleet = Fleet(
        schema="wavemend.fleet/1",
        tenants=(bench.tenant,),
        approvers=(),
        profiles=(bench.profile,),
        windows=(),
        groups=(),
        logins=(),
        hosts=(member,),
        feeds=FeedSettings(),
    ).sealed()
    key = RolloutKey(tenant="acme", profile="linux", window="night", kind=RolloutKind.REPAIR)
    hands, now = replace(bench.hands(), manager=lambda _: manager), bench.now()
    night = Occurrence(window="night", start=now - HOUR, end=now + 2 * HOUR, last_start=now + HOUR)
    with bench.ledger.writing() as book:
        rollouts.open_rollout(book, "r-1", key, night, requester="olga", now=now)
        found = look(hands, member, refresh=False)
        record_look(book, member, found, purpose="preflight", rollout_id="r-1")
    lease = bench.take_lease()
    with bench.ledger.reading() as book:
        row = rollouts.get_rollout(book, "r-1")
    plan = freeze_repairs(hands, lease, row, fleet)
    with bench.ledger.reading() as book:
        assert rollouts.read_plan(book, "r-1") == plan
    return plan


def test_the_frozen_plan_makes_an_ordinary_host_critical_and_names_what_is_half_done(
    host: HostOf, tmp_path: Path
) -> None:
    plan = frozen_by_the_step(tmp_path / "frozen", host[0])

    assert [(wave.kind, wave.hosts) for wave in plan.waves] == [("critical", ("web1",))]
    planned = plan.host("web1")
    assert (planned.critical, planned.repairs, planned.packages) == (True, (DEFECT,), ())


def test_a_host_whose_manager_has_no_repair_is_blocked_when_the_plan_is_made(
    host: HostOf, tmp_path: Path
) -> None:
    plan = frozen_by_the_step(tmp_path / "frozen", host[0], Without(0))

    assert [(left.outcome, left.reason) for left in plan.excluded] == [
        (Outcome.BLOCKED, "box declares no repair")
    ]
