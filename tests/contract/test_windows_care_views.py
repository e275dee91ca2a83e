"""A simulated Windows host is called so in every command that names it, and its KB has a title.

The real commands with a real ledger; nothing behind them was run on a real Windows host.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import PROFILE, START, facts, host, plan_of, wave
from tests.cases.rollouts.ledgers import end, frozen, intend, new_ledger
from wavemend.calendar.windows import Window
from wavemend.cli import main
from wavemend.fleet import FeedSettings, Fleet, Tenant
from wavemend.hosts import InstalledPackage
from wavemend.ledger import approvals, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.restore_points import record_restore_points
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.plans import ExcludedHost, LeftOut, Plan, PlannedPackage

TITLE = "2026-02 Cumulative Update for Microsoft server operating system (KB5075906)"
PRODUCT = "windows-server-2022"
KB = PlannedPackage(
    name="KB5075906",
    arch="b6f52c8e-5a7d-4c0b-9a36-507590600001",
    installed="",
    target="r200",
    origin=TITLE,
    lane="emergency",
)
NIGHT = Window(
    name="night",
    zone="UTC",
    days=frozenset(range(7)),
    start=time(22),
    duration=timedelta(hours=4),
    cutoff=timedelta(hours=1),
)
HOSTS = tuple(
    replace(host(name, critical=name == "win1"), profile="linux", window="night", simulated=True)
    for name in ("win1", "win2")
)
FLEET = Fleet(
    schema="wavemend.fleet/1",
    tenants=(Tenant(name="acme", title="Acme", zone="UTC", approvers=("alice", "olga")),),
    approvers=(),
    profiles=(PROFILE,),
    windows=(NIGHT,),
    groups=(),
    logins=(),
    hosts=HOSTS,
    feeds=FeedSettings(),
).sealed()
HALF = InstalledPackage(
    name="Package_for_KB1", version="1", arch="x64", source="", source_version="", status="Partial"
)

Run = Callable[..., str]


def plan() -> Plan:
    left = LeftOut(
        name="KB2267602",
        arch="0c0ffee0-5a7d-4c0b-9a36-226760200001",
        installed="",
        candidate="r1",
        outcome=PackageOutcome.NOT_OFFERED,
        reason="definitions are not taken",
        title="Security Intelligence Update",
    )
    made = plan_of(wave(1, "win1", kind="critical"))
    planned = replace(
        made.hosts[0], simulated=True, packages=(KB,), left_out=(left,), system=PRODUCT
    )
    without = ExcludedHost(
        name="win2", outcome=Outcome.SKIPPED, reason="preflight: space", simulated=True
    )
    return replace(made, hosts=(planned,), excluded=(without,), fleet_digest=FLEET.digest)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A rollout whose critical host waits, is seen half done, and has a restore point."""
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    made = new_ledger(tmp_path)
    with made.writing() as book:
        apply_fleet(book, FLEET, actor="olga", now=START)
        seen = Look(host="win1", at=START, facts=replace(facts("win1"), broken=(HALF,)))
        record_look(book, FLEET.host("win1"), seen, purpose="scan")
    lease = frozen(made, plan())
    point = RestorePointRow(
        rollout_id="r-1",
        host="win1",
        kind="windows",
        name="wavemend-r-1-win1",
        proven=True,
        restores="files of the system drive",
        detail="",
        at=START,
    )
    with made.writing() as book:
        record_restore_points(book, lease, [point], START)
        approvals.ask(book, lease, request_id="q-1", nonce="0" * 32, flow_run_id="", now=START)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as an operator does; return what it said."""

    def command(*words: str) -> str:
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr()
        return said.out + said.err

    return command


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("rollout", "show", "r-1"), ("win1", "win2")),
        (("rollout", "list"), ("acme",)),
        (("ready",), ("win1", "win2")),
        (("restore-points",), ("win1",)),
        (("repair", "acme", "--preview"), ("win1", "win2")),
        (("waiting",), ("acme",)),
    ],
)
def test_a_played_host_is_called_simulated_by_every_command_that_names_it(
    run: Run, words: tuple[str, ...], names: tuple[str, ...]
) -> None:
    said = run(*words)

    for name in names:
        assert f"{name} (SIMULATED)" in said, said


@pytest.mark.usefixtures("ledger")
def test_an_explanation_says_that_its_host_is_played(run: Run) -> None:
    assert "profile linux; SIMULATED" in run("explain", "win1")


def test_a_rollback_names_the_update_by_its_title_and_the_host_as_simulated(
    ledger: Ledger, run: Run
) -> None:
    with ledger.writing() as book:
        lease = rollouts.take_lease(book, "r-1", "second", START, owner_is_dead=True)
    assert isinstance(intend(ledger, lease, "win1", plan=plan()), Granted)
    with ledger.writing() as book:
        end(book, lease, "win1")
        rollouts.finish_rollout(book, lease, "yes", START)

    said = run("rollback", "win1", "--rollout", "r-1", "--reason", "slow")

    assert "win1 (SIMULATED)" in said
    assert f"KB5075906 is removed, where Windows allows that ({TITLE})" in said
    assert "may stay, unused" not in said


@pytest.mark.usefixtures("ledger")
def test_an_approver_sees_the_title_of_every_kb_and_that_the_host_is_simulated(
    run: Run, tmp_path: Path
) -> None:
    key = tmp_path / "alice"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(argv, check=True)

    said = run("approve", "r-1", "--key", str(key), "--reason", "tried", "--as", "alice", "--print")

    assert "win1 (SIMULATED)" in said
    assert "KB5075906: 2026-02 Cumulative Update" in said


@pytest.mark.usefixtures("ledger")
def test_the_report_names_updates_by_their_titles_and_the_system_by_its_product(
    run: Run, tmp_path: Path
) -> None:
    said = run("rollout", "report", "r-1")
    assert said.startswith("SIMULATED"), said
    (path,) = tmp_path.rglob("*.html")
    page, document = path.read_text(), json.loads(path.with_suffix(".json").read_text())

    assert f'<span class="muted small title">{TITLE}</span>' in page
    assert page.count("SIMULATED") == 3
    taken, left = document["hosts"]
    assert (taken["system"], taken["simulated"], left["simulated"]) == (PRODUCT, True, True)
    assert [package["title"] for package in taken["packages"]] == [TITLE]
