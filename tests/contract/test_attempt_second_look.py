"""Nothing is believed because it was true earlier: not the plan, the signature, nor the start.

What was intended and not begun meets every check again; what apt ended without doing is failed.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from tests.cases.rollouts.build import plan_of
from tests.cases.rollouts.build import wave as any_wave
from tests.cases.rollouts.ledgers import KEY
from tests.contract.attempt_bench import Bench, Death
from tests.contract.test_attempt_deaths import bench_of, installs
from tests.contract.test_attempt_reboots import START, Once, Site, site_of
from wavemend.approvals import Answer, sign, statement
from wavemend.calendar.windows import Occurrence
from wavemend.execution.attempt import attempt_host
from wavemend.execution.before import Obstacle, check_look
from wavemend.execution.drift import fleet_drift
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.fleet import FeedSettings, Fleet
from wavemend.hosts import Host
from wavemend.ledger import rollouts
from wavemend.ledger.tables import (
    DecisionRow,
)
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.plans import LeftOut
from wavemend.steps import decide
from wavemend.testing.simulated.machine import Machine

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="flock is missing")

WHOLE = {"wm-slow:all 2.0": 1, "zip:amd64 3.0-13+deb12u1": 1}


def change_packages(machine: Machine, change: Callable[[dict[str, list[str]]], None]) -> None:
    """Change what the host's package manager knows: `held` and `lists`."""
    path = machine.folder / "packages.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def hold(machine: Machine) -> None:
    change_packages(machine, lambda data: data["held"].append("zip"))


def withdraw(machine: Machine) -> None:
    change_packages(machine, lambda data: data["lists"].remove("zip=3.0-13+deb12u1"))


def swap(machine: Machine) -> None:
    machine.put("/etc/machine-id", "f" * 32 + "\n")


# --- a transaction that ended without doing it ---------------------------------------------------


@pytest.mark.parametrize(
    ("meanwhile", "became"),
    [(hold, PackageOutcome.HELD), (withdraw, PackageOutcome.NOT_OFFERED)],
)
def test_a_transaction_that_apt_refused_is_a_failed_host_and_never_a_patched_one(
    tmp_path: Path, meanwhile: Callable[[Machine], None], became: PackageOutcome
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    fate = Once(f"before {START}", lambda: meanwhile(machine))  # after the rehearsal

    assert attempt_host(bench.hands(fate), bench.order()) is Outcome.FAILED
    assert fate.struck
    assert installs(machine) == {}
    assert bench.packages()["zip"] is became
    assert bench.row().outcome == Outcome.FAILED


def test_a_held_package_that_the_plan_left_out_spoils_no_patched_host(tmp_path: Path) -> None:
    site: Site = site_of(tmp_path / "lab")
    left = LeftOut(
        name="rsync",
        arch="amd64",
        installed="3.2.7-1+deb12u6",
        candidate="3.5.0+ds1-0+deb12u1",
        outcome=PackageOutcome.HELD,
        reason="on hold on the host",
    )
    bench = Bench(_folder(tmp_path / "second"), site.bench.host, site.connect)
    bench.freeze("wm-fine", left_out=(left,))

    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    assert bench.packages() == {
        "rsync": PackageOutcome.HELD,
        "wm-fine": PackageOutcome.INSTALLED,
    }


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700)
    return path


# --- a death right after the intent --------------------------------------------------------------


def die() -> None:
    raise Death


def intended(folder: Path) -> tuple[Bench, Machine]:
    """Return a host with an intent whose owner is gone, and nothing begun."""
    bench, machine = bench_of(folder)
    with pytest.raises(Death):
        attempt_host(bench.hands(Once(f"before {START}", die)), bench.order())
    assert bench.row().state == "intent"
    assert installs(machine) == {}
    return bench, machine


def assert_given_up(bench: Bench, machine: Machine, words: str) -> None:
    row = bench.row()
    assert row.outcome == Outcome.NOT_ATTEMPTED
    assert row.reason.startswith(f"was never begun: drift: {words}")
    assert installs(machine) == {}
    packages = bench.packages()
    assert set(packages) == {"wm-slow", "zip"}
    assert set(packages.values()) <= {PackageOutcome.NOT_ATTEMPTED, PackageOutcome.HELD}
    # Final on the host too: the lost start may still be travelling.
    assert (machine.root / f"var/lib/wavemend/jobs/{row.id}/forbidden").exists()
    journal = machine.root / "var/lib/wavemend/journal"
    assert not journal.exists() or "begin " not in journal.read_text()


def test_an_unchanged_host_is_installed_exactly_once_after_a_death_at_the_intent(
    tmp_path: Path,
) -> None:
    bench, machine = intended(tmp_path / "lab")

    for _ in range(2):  # the second time, the outcome is there already
        assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
        assert installs(machine) == WHOLE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap, f"another machine answers: machine-id {'f' * 32}"),
        (hold, "zip was put on hold after the plan was made"),
        (withdraw, "the package manager would refuse: "),
    ],
)
def test_a_host_that_changed_since_the_intent_is_not_begun(
    tmp_path: Path, change: Callable[[Machine], None], words: str
) -> None:
    bench, machine = intended(tmp_path / "lab")
    change(machine)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert_given_up(bench, machine, words)


def fleet_of(*hosts: Host) -> Fleet:
    return Fleet(
        schema="",
        tenants=(),
        approvers=(),
        profiles=(),
        windows=(),
        groups=(),
        logins=(),
        hosts=hosts,
        feeds=FeedSettings(),
    )


def declared(bench: Bench) -> Host:
    """Return the host as a fleet has it that its rollout was planned for."""
    return replace(bench.host, profile=bench.plan.profile, window=bench.plan.window)


def under(bench: Bench, in_force: Fleet) -> Order:
    """Return the order for the host as it is given while this fleet is in force."""
    order = bench.order()
    return replace(order, fleet_drift=fleet_drift(order.plan, bench.host.name, in_force))


GONE = "the host is no longer in the fleet"
CRITICAL = "the host was made critical after the plan was frozen"


@pytest.mark.parametrize(("stays", "words"), [(False, GONE), (True, CRITICAL)])
def test_a_host_that_the_fleet_in_force_says_otherwise_of_is_not_begun_after_its_intent(
    tmp_path: Path, stays: bool, words: str
) -> None:
    bench, machine = intended(tmp_path / "lab")
    in_force = fleet_of(replace(declared(bench), critical=True)) if stays else fleet_of()

    assert attempt_host(bench.hands(), under(bench, in_force)) is Outcome.NOT_ATTEMPTED
    assert_given_up(bench, machine, words)


@pytest.mark.parametrize(("stays", "words"), [(False, GONE), (True, CRITICAL)])
def test_a_host_that_the_fleet_in_force_says_otherwise_of_gets_no_intent(
    tmp_path: Path, stays: bool, words: str
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    in_force = fleet_of(replace(declared(bench), critical=True)) if stays else fleet_of()

    assert attempt_host(bench.hands(), under(bench, in_force)) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason.startswith(f"drift: {words}")
    assert not bench.row().touched
    assert installs(machine) == {}


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ({"tenant": "globex"}, "the host belongs to another company by now"),
        ({"profile": "gentle"}, "the host has the profile gentle by now, not linux"),
        ({"profile": ""}, "the host has no profile any more"),
        ({"window": "sunday"}, "the host is changed in the window sunday by now, not in night"),
    ],
)
def test_a_host_that_was_moved_out_of_its_rollout_is_not_begun(
    tmp_path: Path, moved: dict[str, str], words: str
) -> None:
    """Its freezes, its people, its stop are those of where it is now."""
    bench, machine = bench_of(tmp_path / "lab")
    in_force = fleet_of(replace(declared(bench), **moved))  # type: ignore[arg-type]

    assert attempt_host(bench.hands(), under(bench, in_force)) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == f"drift: {words}"
    assert installs(machine) == {}


def test_a_host_that_is_in_the_fleet_in_force_as_it_was_planned_is_patched(tmp_path: Path) -> None:
    bench, machine = bench_of(tmp_path / "lab")

    assert attempt_host(bench.hands(), under(bench, fleet_of(declared(bench)))) is Outcome.PATCHED
    assert installs(machine) == WHOLE


# --- a signature over another plan ---------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def approve_another_plan(bench: Bench, key: Path) -> None:
    """Open a second rollout in the same ledger and have its plan really signed."""
    night = replace(KEY, window="night2")
    wave = any_wave(1, bench.host.name, kind="critical")
    other = replace(
        plan_of(wave, rollout="r-2", nonce="9" * 32),
        window=night.window,
        window_start=bench.plan.window_start,
        window_end=bench.plan.window_end,
        last_start=bench.plan.last_start,
    )
    times = Occurrence(
        window=night.window,
        start=other.window_start,
        end=other.window_end,
        last_start=other.last_start,
    )
    with bench.ledger.writing() as book:
        rollouts.open_rollout(book, "r-2", night, times, requester="olga", now=bench.now())
    with bench.ledger.writing() as book:
        lease = rollouts.take_lease(book, "r-2", "owner", bench.now(), owner_is_dead=False)
    with bench.ledger.writing() as book:
        rollouts.store_plan(book, lease, other, bench.now())
    request = decide.ask(bench.hands(), lease, "flow").request
    signature = sign(statement(request, "approve", "alice", "ok so"), key)
    answer = Answer(decision="approve", identity="alice", reason="ok so", signature=signature)
    assert decide.take_answer(bench.hands(), request, answer, bench.tenant, "olga") == ""


def copy_decision(bench: Bench) -> None:
    """Do what somebody does who can write into the database: claim the signature for our plan."""
    with bench.ledger.writing() as book:
        (row,) = book.exec(select(DecisionRow))
        ours = {"id": None, "rollout_id": "r-1", "plan_digest": bench.plan.digest}
        book.add(DecisionRow(**{**row.model_dump(), **ours}))


def test_a_signature_copied_from_another_rollouts_plan_starts_no_critical_host(
    tmp_path: Path, key: Path
) -> None:
    site = site_of(tmp_path / "lab")
    bench = Bench(_folder(tmp_path / "second"), site.bench.host, site.connect)
    bench.freeze("wm-fine", critical=True)
    (bench.folder / "signers").write_text(f"alice {key.with_suffix('.pub').read_text()}")
    approve_another_plan(bench, key)
    copy_decision(bench)

    assert attempt_host(bench.hands(), bench.order()) is Outcome.NOT_ATTEMPTED
    assert bench.row().reason == "approval: the signed request is over another plan"
    assert not bench.row().touched
    assert installs(site.machine) == {}


# --- what somebody else did meanwhile -------------------------------------------------------------


def test_a_host_that_has_every_version_and_runs_old_code_waits_for_its_restart(
    tmp_path: Path,
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    assert attempt_host(bench.hands(), bench.order()) is Outcome.PATCHED
    machine.put("/run/reboot-required", "")
    machine.put("/run/reboot-required.pkgs", "linux-image-6.1.0-32-amd64\n")

    found = check_look(bench.hands(), bench.order(), look(bench.hands(), bench.host, refresh=False))

    assert isinstance(found, Obstacle)
    assert found.outcome is Outcome.PATCHED_REBOOT_PENDING
    assert found.reason.startswith("every target version is installed already; it waits for a ")
    assert "linux-image-6.1.0-32-amd64" in found.reason


def upgraded(machine: Machine, version: str) -> None:
    """Bring zip to a version behind the controller's back, as an unattended upgrade does."""

    def change(data: dict[str, Any]) -> None:
        data["installed"]["zip"]["version"] = version

    change_packages(machine, change)


@pytest.mark.parametrize("lost", [False, True], ids=["and stays", "and is lost again"])
def test_what_somebody_else_installed_meanwhile_is_looked_at_too(
    tmp_path: Path, lost: bool
) -> None:
    bench, machine = bench_of(tmp_path / "lab")
    old, new = next(
        (p.installed, p.target) for p in bench.plan.hosts[0].packages if p.name == "zip"
    )
    upgraded(machine, new)
    fate = Once(f"before {START}", lambda: upgraded(machine, old) if lost else None)

    outcome = attempt_host(bench.hands(fate), bench.order())

    assert fate.struck
    assert bench.packages().get("wm-slow") is PackageOutcome.INSTALLED
    wanted = PackageOutcome.FAILED if lost else PackageOutcome.INSTALLED
    assert bench.packages().get("zip") is wanted
    assert outcome is (Outcome.FAILED if lost else Outcome.PATCHED), bench.row().reason
