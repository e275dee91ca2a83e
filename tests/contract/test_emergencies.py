"""An emergency is begun once, again where it came to nothing, and never for another company."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import END, NOON, PLAN, START
from tests.cases.rollouts.ledgers import end, intend, new_ledger, take
from tests.contract.test_feasible_cli import installation
from wavemend.calendar.windows import Occurrence
from wavemend.cli import main
from wavemend.cli.resume import deployment_for
from wavemend.errors import EnvironmentUnfit, FleetError, LedgerConflict
from wavemend.fleet import EMERGENCY_WINDOW, RolloutKey, RolloutKind
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.steps.emergencies import Case, Touched, cases_of, open_case, without_tried

CVE = "CVE-2026-1000"
KEY = RolloutKey(
    tenant="acme", profile="linux", window=EMERGENCY_WINDOW, kind=RolloutKind.EMERGENCY
)
EMERGENCY = replace(PLAN, kind=RolloutKind.EMERGENCY, about=(CVE,), window=EMERGENCY_WINDOW)
LATER = END + timedelta(minutes=10)


def touched(*hosts: str, name: str = CVE) -> Case:
    items = (Touched(host=host, name=name, package="openssl", version="2") for host in hosts)
    return Case(key=KEY, touched=tuple(items))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path)


def begun(ledger: Ledger) -> Lease:
    opening = Occurrence(
        window=EMERGENCY_WINDOW, start=START, end=END, last_start=EMERGENCY.last_start
    )
    with ledger.writing() as book:
        rollouts.open_rollout(book, "r-1", KEY, opening, requester="olga", now=NOON)
    lease = take(ledger)
    with ledger.writing() as book:
        rollouts.store_plan(book, lease, EMERGENCY, NOON)
    return lease


def finished(ledger: Ledger, lease: Lease) -> None:
    with ledger.writing() as book:
        rollouts.finish_rollout(book, lease, "no: it came to nothing", END)


def asked(ledger: Ledger, case: Case, minutes: int) -> Case | None:
    with ledger.reading() as book:
        return without_tried(book, case, END + timedelta(minutes=minutes))


def test_what_changed_a_host_is_not_tried_again_on_the_hosts_of_its_plan(ledger: Ledger) -> None:
    lease = begun(ledger)
    intend(ledger, lease, "web1", plan=EMERGENCY)
    with ledger.writing() as book:
        end(book, lease, "web1")
    finished(ledger, lease)
    assert asked(ledger, touched("web1", "web3"), 120) is None
    assert asked(ledger, touched("web1", "new1"), 120) == touched("new1")
    assert asked(ledger, touched("web1", name="CVE-2026-2"), 120) is not None
    assert asked(ledger, touched("web1"), 24 * 60) is not None


def test_one_that_came_to_nothing_is_tried_again_an_hour_after_its_end(ledger: Ledger) -> None:
    finished(ledger, begun(ledger))
    assert asked(ledger, touched("web1"), 59) is None
    assert asked(ledger, touched("web1"), 61) == touched("web1")


def test_while_one_runs_no_second_one_is_opened(ledger: Ledger, tmp_path: Path) -> None:
    begun(ledger)
    assert asked(ledger, touched("web1"), 5) is None
    installation(tmp_path, hosts=1)
    with ledger.writing() as book, pytest.raises(LedgerConflict, match=r"r-1 .* is not finished"):
        open_case(
            book,
            load_fleet(tmp_path / "fleet.yaml"),
            touched("web1"),
            rollout_id="r-2",
            requester="olga",
            now=LATER,
        )


def test_each_company_and_profile_has_a_case_of_its_own(tmp_path: Path) -> None:
    installation(tmp_path, hosts=2)
    fleet = load_fleet(tmp_path / "fleet.yaml")
    items = [
        Touched(host=name, name=CVE, package="openssl", version="2") for name in ("web1", "gone1")
    ]
    (case,) = cases_of(fleet, items)
    assert (case.key.tenant, case.hosts, case.names) == ("acme", ("web1",), (CVE,))


def test_without_prefect_nothing_is_opened_and_nothing_counts_as_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    installation(tmp_path, hosts=2)
    text = (tmp_path / "fleet.yaml").read_text()
    allowed = text.replace("window: nightly}", "window: nightly, emergency: {standing: true}}")
    (tmp_path / "fleet.yaml").write_text(allowed)
    with pytest.raises(SystemExit):
        main(["fleet", "apply", str(tmp_path / "fleet.yaml"), "--yes"])
    with pytest.raises(SystemExit) as ended:
        main(["emergency", CVE, "CVE-2026-9", "--all-companies", "--go"])
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "no Prefect server is known here" in said
    assert "nothing of CVE-2026-9 waits" in said
    assert "never judged, so nobody knows: new1" in said
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}").reading() as book:
        assert rollouts.list_rollouts(book) == ()


def test_neither_standing_rule_nor_approver_means_that_it_cannot_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    installation(tmp_path, hosts=1)
    with pytest.raises(SystemExit) as ended:
        main(["emergency", CVE, "--company", "acme", "--go"])
    assert ended.value.code == 1
    assert "neither a standing rule nor approvers" in capsys.readouterr().out


class OneDeployment:
    """An API that has one deployment, for another company of nearly the same name."""

    def get(self, _path: str) -> object:
        return {"id": "d", "parameters": {"tenant": "a-b", "profile": "c", "window": "w"}}


def test_a_deployment_that_works_for_another_company_is_never_run() -> None:
    key = RolloutKey(tenant="a", profile="b-c", window="w")
    with pytest.raises(EnvironmentUnfit, match="works for a-b/c/w, not for a/b-c/w"):
        deployment_for(OneDeployment(), key)  # type: ignore[arg-type]


def test_two_rollouts_of_one_name_are_refused_when_the_fleet_is_read(tmp_path: Path) -> None:
    installation(tmp_path, hosts=2)
    file = tmp_path / "fleet.yaml"
    text = file.read_text()
    text = text.replace(
        "{name: acme, zone: UTC, window: nightly}",
        "{name: a, zone: UTC, window: nightly}\n  - {name: a-b, zone: UTC, window: nightly}",
    )
    text = text.replace("tenant: acme", "tenant: a", 1).replace("tenant: acme", "tenant: a-b")
    rest = text.partition("  - name: servers")[2].partition("logins:")[0]
    second = "  - name: c" + rest.replace("os: debian", "os: suse")
    text = text.replace("  - name: servers", "  - name: b-c").replace("logins:", second + "logins:")
    text = text.replace("192.0.2.2, labels: {os: debian", "192.0.2.2, labels: {os: suse")
    file.write_text(text)
    with pytest.raises(FleetError, match="would be one deployment, a-b-c-nightly; rename"):
        load_fleet(file)
