"""Windows hosts go through the same flows, approvals, reports and commands as all others.

Everything is real but the hosts: those are simulated, Windows never ran here, and every view says
so.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.artifacts import by_key
from tests.orchestration.windows_world import PLAYED, TENANT, WindowsWorld
from tests.world.fleet import APPROVER
from tests.world.standing import Standing
from wavemend.ledger import attempts
from wavemend.ledger.attempt_steps import steps_of

pytestmark = pytest.mark.orchestration

FIXED = "10.0.20348.4773"
LCU = "KB5075906"


@pytest.fixture(scope="module")
def office() -> Iterator[WindowsWorld]:
    home = Path(tempfile.mkdtemp(prefix="wavemend-office-"))
    with contextlib.closing(WindowsWorld(home)) as made:
        made.prepare()
        yield made
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def scanned(office: WindowsWorld) -> str:
    """One scan of the whole company, before anything is changed; the id of its run."""
    run = office.run_deployment("scan-fleet/daily", tenant=TENANT)
    assert run["state"]["message"] == "4 hosts, 0 without an answer"
    return str(run["id"])


@pytest.fixture(scope="module")
def words(office: WindowsWorld, scanned: str) -> dict[str, str]:
    """What the commands said of hosts and findings between the scan and the rollout."""
    assert scanned
    said = {
        name: office.wavemend(*command).stdout
        for name, command in {
            "findings": ("findings", "--host", "win1", "--lane", "emergency"),
            "host": ("explain", "win1"),
            "cve": ("explain", "CVE-2026-21510"),
            "calendar": ("calendar", "preview"),
            "limits": ("limits", "show"),
        }.items()
    }
    first = next(line.split()[-1] for line in said["findings"].splitlines() if "CVE-" in line)
    return {**said, "finding": office.wavemend("explain", first).stdout}


@pytest.fixture(scope="module")
def ended(office: WindowsWorld, words: dict[str, str]) -> Standing:
    """A rollout to its end: the critical host changes after Alice has signed."""
    assert words
    office.begin(TENANT)
    asking = office.wait_asking(TENANT)
    assert asking.request is not None
    assert "win3" not in asking.attempts
    assert office.played("win3").begun.get("install") is None
    office.resume(asking.flow_run, office.signed(asking.request))
    found = office.wait_finished(TENANT)
    office.wait_ended(found.flow_run)
    return found


def test_one_scan_sees_linux_and_windows_hosts_side_by_side(
    office: WindowsWorld, scanned: str
) -> None:
    rows = {row["host"]: row for row in by_key(office, scanned)["scan"].rows()}

    assert sorted(rows) == ["lin1", *PLAYED]
    assert {rows[name]["note"] for name in PLAYED} == {"SIMULATED"}
    assert int(rows["lin1"]["pending"]) > 0
    assert rows["win1"]["most urgent"] == "CVE-2026-21510 (emergency)"
    assert (rows["win1"]["pending"], rows["win1"]["findings"]) == (3, 29)


def test_findings_and_their_explanations_speak_of_windows_in_its_own_words(
    words: dict[str, str],
) -> None:
    assert "5 emergency" in words["findings"]
    assert "SIMULATED, not real machines: win1" in words["findings"]
    assert "yes: nothing keeps win1 from being changed" in words["host"]
    assert "3 of them judged" in words["host"]
    assert "(hotpatch)" in words["cve"]
    finding = " ".join(words["finding"].split())
    assert "win1 has windows-server-2022 10.0.20348.4171 installed" in finding
    assert f"The vendor fixed it in {FIXED}, which {LCU} brings." in finding
    assert "Exploited, says Microsoft" in finding


def test_calendar_and_limits_ask_nobody_for_an_operating_system(words: dict[str, str]) -> None:
    assert "window now: linux, server" in words["calendar"]
    assert "one-server" in words["limits"]
    assert "budget: nobody keeps it back [budget one-server]" in words["host"]


def test_pilot_broad_and_critical_hosts_are_patched_restarted_and_proven(
    office: WindowsWorld, ended: Standing
) -> None:
    assert ended.outcomes == dict.fromkeys(PLAYED, "patched")
    assert [(each.identity, each.accepted) for each in ended.decisions] == [(APPROVER, True)]
    for name, boots in {"win1": 1, "win2": 2, "win3": 1}.items():
        state = office.played(name)
        assert (state.os.build, state.boots - 1, state.strangers) == (FIXED, boots, [])
        assert {each.installs for each in state.wua.updates} == {1}
        evidence = attempts.evidence_of(ended.attempts[name])
        assert evidence is not None
        assert (evidence.kernel_after, evidence.reboots) == (FIXED, boots)
    with office.ledger.reading() as book:
        assert list(steps_of(book, ended.attempts["win2"].id)) == ["round 2"]


def test_run_tasks_artifacts_report_and_lists_say_simulated(
    office: WindowsWorld, ended: Standing
) -> None:
    run = office.flow_run(ended.flow_run)
    assert run["name"] == f"{TENANT} · server · now (SIMULATED)"
    assert "SIMULATED" in run["tags"]
    assert run["state"]["name"] == "VerdictYes"
    shown = by_key(office, ended.flow_run)
    assert len(shown) == 4
    outcomes = shown[f"{TENANT}-outcomes-{ended.rollout}"].rows()
    assert [row["host"] for row in outcomes] == [f"{name} (SIMULATED)" for name in PLAYED]
    for what in ("plan", "verdict"):
        assert "SIMULATED" in str(shown[f"{TENANT}-{what}-{ended.rollout}"].data)
    page = (office.home / "reports" / f"rollout-{ended.rollout}.html").read_text()
    assert all(said in page for said in ("SIMULATED", LCU, FIXED, "CVE-2026-21510"))
    listed = office.wavemend("rollout", "list").stdout
    assert f"{TENANT} (SIMULATED)" in listed
