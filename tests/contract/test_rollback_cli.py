"""`wavemend rollback` says first, then does; a critical host goes through by a signature alone."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import col, delete

from tests.cases.rollouts.build import PROFILE, START, host, plan_of, wave
from tests.cases.rollouts.ledgers import end, frozen, intend, new_ledger
from wavemend.cli import main
from wavemend.cli.here import operator
from wavemend.fleet import FeedSettings, Fleet, Tenant
from wavemend.ledger import audit, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.restore_points import record_restore_points
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import FleetRevision

REASON = ("--reason", "checkout answers 500")
TENANT = Tenant(name="acme", title="Acme", zone="UTC", approvers=("alice", "olga"), four_eyes=True)
FLEET = Fleet(
    schema="wavemend.fleet/1",
    tenants=(TENANT,),
    approvers=(),
    profiles=(PROFILE,),
    windows=(),
    groups=(),
    logins=(),
    hosts=(replace(host("db1", critical=True), profile="linux"),),
    feeds=FeedSettings(),
).sealed()

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A finished rollout with one patched, critical host."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    made = new_ledger(tmp_path)
    with made.writing() as book:
        apply_fleet(book, FLEET, actor="olga", now=START)
    plan = replace(plan_of(wave(1, "db1", kind="critical")), fleet_digest=FLEET.digest)
    lease = frozen(made, plan)
    point = RestorePointRow(
        rollout_id="r-1",
        host="db1",
        kind="package_versions",
        name="wavemend-r-1-db1",
        proven=True,
        restores="package versions only",
        detail="",
        at=START,
    )
    with made.writing() as book:
        record_restore_points(book, lease, [point], START)
    assert isinstance(intend(made, lease, "db1", plan=plan), Granted)
    with made.writing() as book:
        end(book, lease, "db1")
        rollouts.finish_rollout(book, lease, "yes", START)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as an operator does; return its exit status and what it said."""

    def command(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), said.out + said.err

    return command


def key_of(tmp_path: Path, name: str) -> Path:
    """Make a key, and list it as this person's."""
    key = tmp_path / name
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(argv, check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    with (tmp_path / "signers").open("a") as signers:
        signers.write(f'{name} namespaces="patch-approval" {public}\n')
    return key


def asked(run: Run, *more: str) -> str:
    """Ask for the rollback; return the request that it prints."""
    code, said = run("rollback", "db1", *REASON, "--yes", "--as", "olga", *more)
    assert code == 14, said
    found = re.search(r"approve-rollback (q-\S+)", said)
    assert found
    return found[1]


def test_without_yes_nothing_is_asked_for_and_nothing_is_done(ledger: Ledger, run: Run) -> None:
    code, said = run("rollback", "db1", *REASON)

    assert code == 0
    for words in ("critical", "package versions only", "wm-fine 2.0 -> 1.0", "nothing was done"):
        assert words in said
    with ledger.reading() as book:
        assert "rollback.asked" not in {event.kind for event in audit.events(book, "r-1")}


def test_a_critical_host_needs_the_signature_of_somebody_else_who_may(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    alice, olga, eve = (key_of(tmp_path, name) for name in ("alice", "olga", "eve"))
    request = asked(run)
    assert asked(run) == request, "asking again asks for the same signature"

    why = ("--reason", "it is down")
    assert run("approve-rollback", request, "--key", str(eve), *why)[0] == 14
    code, said = run("approve-rollback", request, "--key", str(olga), *why)
    assert (code, "olga asked for this rollout and may not approve it" in said) == (14, True)
    assert asked(run) != "", "neither of them counts"

    code, said = run("approve-rollback", request, "--key", str(alice), *why)
    assert code == 0, said
    assert "wavemend rollback v1" in said

    code, said = run("rollback", "db1", *REASON, "--yes", "--as", "olga")
    assert (code, "no Prefect server is known here" in said) == (18, True), "only a run is missing"


def test_a_request_is_listed_until_it_is_answered_and_can_be_rejected(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    alice = key_of(tmp_path, "alice")
    request = asked(run)
    code, said = run("waiting")
    assert (code, f"rollback {request}: db1 of r-1" in said) == (0, True)

    code, said = run("reject-rollback", request, "--key", str(alice), "--reason", "it heals")

    assert (code, "rejected as alice" in said) == (0, True)
    assert request not in run("waiting")[1]
    code, said = run("rollback", "db1", *REASON, "--yes", "--as", "olga")
    assert (code, "rejected by the approver" in said) == (14, True)


def test_a_signature_over_one_reason_is_none_over_another(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    alice = key_of(tmp_path, "alice")
    why = ("--reason", "it is down")
    assert run("approve-rollback", asked(run), "--key", str(alice), *why)[0] == 0

    code, said = run("rollback", "db1", "--reason", "another one", "--yes", "--as", "olga")

    assert (code, "no valid signature over this rollback" in said) == (14, True)


def test_a_signature_for_inside_the_window_is_none_for_outside_of_it(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    alice = key_of(tmp_path, "alice")
    why = ("--reason", "it is down")
    assert run("approve-rollback", asked(run), "--key", str(alice), *why)[0] == 0

    request = asked(run, "--outside-window")

    assert f"rollback {request}: db1 of r-1 outside its window" in run("waiting")[1]
    code, said = run("approve-rollback", request, "--key", str(alice), *why)
    assert (code, "also while the maintenance window is closed" in said) == (0, True)


def test_a_stop_holds_rollbacks_too_and_says_the_way_out(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "STOP").write_text("incident\n")

    code, said = run("rollback", "db1", *REASON, "--yes")

    assert (code, "stopped: incident" in said, "wavemend go" in said) == (16, True, True)


def test_a_rollout_that_is_not_finished_is_not_taken_back(ledger: Ledger, run: Run) -> None:
    with ledger.writing() as book:
        rollouts.get_rollout(book, "r-1").state = rollouts.OPEN

    code, said = run("rollback", "db1", *REASON)

    assert (code, "r-1 is not finished" in said) == (15, True)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (("db2",), "no rollout has changed a host db2"),
        (("broad-7", "--rollout", "r-1"), "r-1 has no host or wave broad-7"),
    ],
)
def test_a_name_that_means_nothing_is_said(
    ledger: Ledger, run: Run, target: tuple[str, ...], words: str
) -> None:
    code, said = run("rollback", *target, *REASON)

    assert (code, words in said) == (15, True)


def test_the_list_of_points_shows_those_that_something_lies_behind(
    ledger: Ledger, run: Run
) -> None:
    code, said = run("restore-points")

    assert (code, "wavemend-r-1-db1" in said) == (0, False), "package versions lie nowhere"
    code, said = run("restore-points", "--remove", "db1", "--rollout", "r-1")
    assert (code, "has no restore point of db1 that stands" in said) == (13, True)


def test_a_point_of_a_host_that_has_left_is_forgotten_with_a_reason_only(
    ledger: Ledger, run: Run
) -> None:
    with ledger.writing() as book:
        book.get_one(RestorePointRow, ("r-1", "db1")).kind = "lvm"
    forget = ("restore-points", "--forget", "db1", "--rollout", "r-1")
    shredded = (*forget, "--reason", "its disks were shredded")
    code, said = run(*shredded)
    assert (code, "its host is in the fleet: --remove asks it" in said) == (13, True), said
    with ledger.writing() as book:
        apply_fleet(book, replace(FLEET, hosts=()).sealed(), actor="olga", now=START)

    _, said = run("restore-points")
    assert "its host has left the fleet" in " ".join(said.split())
    code, said = run(*forget)
    assert (code, "wavemend-r-1-db1 is not forgotten without a reason" in said) == (13, True), said
    assert run(*shredded)[0] == 0

    _, said = run("restore-points")
    assert "wavemend-r-1-db1" not in said
    with ledger.reading() as book:
        last = audit.events(book, "r-1")[-1]
    assert (last.kind, last.actor) == ("restore_point.gone", operator())
    assert "its disks were shredded" in last.body


def test_show_says_what_the_last_look_found(run: Run, ledger: Ledger) -> None:
    with ledger.writing() as book:
        lease = rollouts.take_lease(book, "r-1", "me", START, owner_is_dead=True)
        rollouts.record_step(book, lease, "verified", START, detail="db1: wm-fine is not 2.0")

    _, said = run("rollout", "show", "r-1")

    assert "at the last look: db1: wm-fine is not 2.0\n" in said


def test_a_report_made_again_speaks_of_the_fleet_that_was_planned_for(
    run: Run, ledger: Ledger
) -> None:
    """The company has left since; in another fleet it would have another zone and gap, too."""
    other = replace(FLEET, tenants=(replace(TENANT, name="blue"),), hosts=()).sealed()
    with ledger.writing() as book:
        apply_fleet(book, other, actor="olga", now=START)

    code, said = run("rollout", "report", "r-1")

    assert (code, said.partition(":")[0]) == (0, "Acme"), said


def test_a_report_in_the_words_of_todays_fleet_says_so(run: Run, ledger: Ledger) -> None:
    today = replace(FLEET, tenants=(replace(TENANT, title="Acme of today"),)).sealed()
    with ledger.writing() as book:
        plan = rollouts.read_plan(book, "r-1")
        assert plan is not None
        book.execute(delete(FleetRevision).where(col(FleetRevision.digest) == plan.fleet_digest))
        apply_fleet(book, today, actor="olga", now=START)

    code, said = run("rollout", "report", "r-1")

    assert (code, "in the words of today's fleet: no fleet sha256:" in said) == (0, True), said
