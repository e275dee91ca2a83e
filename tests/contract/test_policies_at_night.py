"""Policies hold in real plans, with the ledger's history, in the report and in the commands."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.cases.rollouts.build import NOON, START, facts, update
from tests.cases.rollouts.ledgers import NIGHT, intend, new_ledger, take
from wavemend.advisories import Advisory, AdvisoryStatus, FeedSnapshot
from wavemend.cli.policy import app
from wavemend.cli.rollouts import app as rollout_app
from wavemend.errors import EnvironmentUnfit
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.start import may_begin
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import PendingUpdate
from wavemend.inventory.fleet_file import load_fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger import attempts, audit, permits, rollouts
from wavemend.ledger.attempts import Granted
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.packages import Target
from wavemend.plans import Plan
from wavemend.policy.settings import FIELDS
from wavemend.reporting import build_report, write_rollout_report
from wavemend.steps.assess import Assessor
from wavemend.steps.freeze import freeze_plan

RIGHT = (Path(__file__).parents[1] / "cases" / "fleet" / "right.yaml").read_text()
MORE = """\
  - name: web2
    tenant: acme
    address: 192.0.2.12
    labels: {os: debian, device: server, ring: broad}
  - name: kiosk1
    tenant: acme
    address: 192.0.2.41
    labels: {os: hpux, device: kiosk, ring: broad}
"""
SECOND_PILOT = """\
  - name: web3
    tenant: acme
    address: 192.0.2.13
    labels: {os: debian, device: server, ring: pilot}
"""
KEY = RolloutKey(tenant="acme", profile="debian-server", window="night")
DAY = timedelta(days=1)
FEEDS = tuple(
    FeedSnapshot(feed=feed, source="", digest="d", fetched_at=NOON, data_date=NOON, count=1)
    for feed in ("debian", "kev")
)
ABOUT_ZIP = Advisory(
    id="DSA-1-1",
    feed="debian",
    document="all.zip",
    release="bookworm",
    package="zip",
    fixed_version="9",
    status=AdvisoryStatus.FIXED,
    cves=(),
)
"""Without a word about the release every update would be decided as the worst, and be urgent."""


@dataclass
class Night:
    """A ledger, a fleet with policies, and one rollout after the other."""

    ledger: Ledger
    fleet: Fleet
    now: datetime = NOON
    count: int = 0
    offers: PendingUpdate = field(default_factory=update)

    @property
    def hands(self) -> Hands:
        parts = SimpleNamespace(
            ledger=self.ledger,
            clock=lambda: self.now,
            token=lambda: f"{self.count:032}",
            local_stop=lambda: "",
            manager=lambda _: SimpleNamespace(apply_script=lambda _: ""),
        )
        return cast("Hands", parts)

    def look(
        self, host: str, version: str, *, rollout: str = "", at: datetime | None = None
    ) -> None:
        pending = (replace(self.offers, candidate=version),) if version else ()
        seen = Look(host=host, at=at or self.now, facts=replace(facts(host), pending=pending))
        purpose = "preflight" if rollout else "scan"
        with self.ledger.writing() as book:
            record_look(book, self.fleet.host(host), seen, purpose=purpose, rollout_id=rollout)

    def frozen(self, **versions: str) -> tuple[Lease, Plan]:
        """Open the next rollout and freeze its plan over these versions of openssl.

        Hosts that are not named are seen, too, and have nothing pending.
        """
        versions = {"web1": "", "web2": "", "db1": "", **versions}
        self.count += 1
        name, later = f"r-{self.count}", (self.count - 1) * 7 * DAY
        opening = replace(
            NIGHT,
            start=NIGHT.start + later,
            end=NIGHT.end + later,
            last_start=NIGHT.last_start + later,
        )
        self.now = NOON + later
        for host, version in versions.items():
            self.look(host, version, rollout=name)
        with self.ledger.writing() as book:
            row = rollouts.open_rollout(book, name, KEY, opening, requester="olga", now=self.now)
        lease = take(self.ledger, name, now=self.now)
        said = {("bookworm", "zip"): (ABOUT_ZIP,)}
        known = Intelligence(vulnerabilities={}, advisories=said, snapshots=FEEDS)
        plan = freeze_plan(self.hands, lease, row, self.fleet, Assessor(self.fleet, known))
        return lease, plan

    def patch(
        self, lease: Lease, plan: Plan, host: str, outcome: Outcome = Outcome.PATCHED
    ) -> None:
        """Change a host as planned."""
        granted = intend(self.ledger, lease, host, plan=plan, now=plan.window_start)
        assert isinstance(granted, Granted)
        good = outcome.is_good
        results = tuple(
            PackageResult(
                name=package.name,
                arch=package.arch,
                before=package.installed,
                target=package.target,
                after=package.target if good else package.installed,
                outcome=PackageOutcome.INSTALLED if good else PackageOutcome.FAILED,
            )
            for package in plan.host(host).packages
        )
        with self.ledger.writing() as book:
            attempts.end_attempt(
                book,
                lease,
                granted.attempt_id,
                outcome=outcome,
                reason="",
                packages=results,
                evidence=None,
                now=START,
            )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def night(home: Path, policies: str, hosts: str = "") -> Night:
    path = home / "fleet.yaml"
    path.write_text(RIGHT + MORE + hosts + "policies:\n" + policies)
    fleet = load_fleet(path)
    ledger = new_ledger(home)
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="olga", now=NOON)
    return Night(ledger, fleet)


def planned(plan: Plan) -> dict[str, str]:
    return {host.name: host.packages[0].target for host in plan.hosts}


def why(plan: Plan, host: str) -> str:
    return next(left.reason for left in plan.excluded if left.name == host)


TRIED_FIRST = """\
  - name: slow
    scope: company
    tenant: acme
    rules:
      - {name: not-on-the-database, action: after_pilot, select: ring!=pilot}
"""


def test_after_pilot_waits_for_a_pilot_that_ended_well_with_exactly_this_version(
    home: Path,
) -> None:
    world = night(home, TRIED_FIRST)
    both = {"web2": "2.0", "db1": "2.0"}

    lease, plan = world.frozen(**both)
    assert planned(plan) == {}
    assert "no pilot of acme has had 2.0" in why(plan, "web2")

    lease, plan = world.frozen(web1="2.0")
    world.patch(lease, plan, "web1", Outcome.FAILED)
    assert planned(world.frozen(**both)[1]) == {}

    lease, plan = world.frozen(web1="2.0")
    world.patch(lease, plan, "web1")
    assert planned(world.frozen(**both)[1]) == both
    assert planned(world.frozen(web2="2.1", db1="2.0")[1]) == {"db1": "2.0"}


def refusal(world: Night, lease: Lease, plan: Plan, host: str) -> str:
    """Say why a host may not begin in the plan's window."""
    world.now = plan.window_start
    order = Order(
        lease=lease,
        plan=plan,
        host=world.fleet.host(host),
        profile=world.fleet.profile(plan.profile),
        tenant=world.fleet.tenant(plan.tenant),
    )
    return may_begin(world.hands, order)


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED, Outcome.PATCHED])
def test_a_host_begins_only_once_a_pilot_ended_well_with_what_it_waits_for(
    home: Path, outcome: Outcome | None
) -> None:
    world = night(home, TRIED_FIRST, SECOND_PILOT)
    world.look("web3", "")
    lease, plan = world.frozen(web1="2.0", web2="2.0", web3="3.0")
    assert planned(plan) == {"web1": "2.0", "web2": "2.0"}
    assert "no pilot ended well with openssl 2.0" in refusal(world, lease, plan, "web2")
    assert refusal(world, lease, plan, "web1") == "", "a pilot waits for nobody"

    if outcome:
        world.patch(lease, plan, "web1", outcome)
    assert (refusal(world, lease, plan, "web2") == "") is (outcome is Outcome.PATCHED)


def test_what_an_update_brings_along_is_known_as_tried_too(home: Path) -> None:
    world = night(home, TRIED_FIRST)
    data = Target(name="openssl-data", arch="all", version="2.0")
    one = replace(world, offers=replace(update(), brings=(data,)))
    lease, plan = one.frozen(web1="2.0")
    one.patch(lease, plan, "web1")

    lease, made = one.frozen(web2="2.0")
    assert [package.name for package in made.host("web2").packages] == ["openssl", "openssl-data"]
    assert refusal(one, lease, made, "web2") == ""


def test_what_only_a_broad_host_got_is_not_tried_nor_is_what_another_company_tried(
    home: Path,
) -> None:
    world = night(home, "  - {name: open, scope: global, updates: all}\n")
    wanted = frozenset({("openssl", "amd64", "2.0"), ("zip", "amd64", "9")})

    lease, plan = world.frozen(web2="2.0")
    world.patch(lease, plan, "web2")
    with world.ledger.reading() as book:
        assert permits.tried_versions(book, "acme", wanted) == frozenset()

    lease, plan = world.frozen(web1="2.0")
    world.patch(lease, plan, "web1")
    with world.ledger.reading() as book:
        assert permits.tried_versions(book, "acme", wanted) == {("openssl", "amd64", "2.0")}
        assert permits.tried_versions(book, "globex", wanted) == frozenset()


def test_a_deferral_counts_from_the_first_look_that_was_offered_the_version(home: Path) -> None:
    world = night(home, "  - {name: wait, scope: global, defer: 7d}\n")
    world.look("web1", "2.0", at=NOON - 8 * DAY)
    world.look("web2", "1.9", at=NOON - 8 * DAY)
    world.look("web2", "2.0", at=NOON - 3 * DAY)

    _, plan = world.frozen(web1="2.0", web2="2.0", db1="2.0")
    assert planned(plan) == {"web1": "2.0"}
    assert "policy wait (global) waits 7d" in why(plan, "web2")
    assert planned(world.frozen(web2="2.0", db1="2.0")[1]) == {"web2": "2.0", "db1": "2.0"}


def test_a_package_that_is_too_young_is_taken_when_a_person_names_it(home: Path) -> None:
    world = night(home, "  - {name: wait, scope: global, defer: 7d}\n")
    with world.ledger.writing() as book:
        permits.take(book, KEY, ["openssl"], actor="olga@cli", now=NOON)

    assert planned(world.frozen(web1="2.0")[1]) == {"web1": "2.0"}


def test_what_is_left_to_a_person_is_taken_once_by_the_next_plan_and_the_chain_says_who(
    home: Path,
) -> None:
    world = night(
        home,
        "  - {name: care, scope: global, rules: [{name: by-hand, action: manual}]}\n",
    )
    offered = {"web1": "2.0", "web2": "2.0"}
    assert planned(world.frozen(**offered)[1]) == {}

    with world.ledger.writing() as book:
        permits.take(book, KEY, ["by-hand"], actor="olga@cli", now=world.now + DAY)
    assert planned(world.frozen(**offered)[1]) == offered
    assert planned(world.frozen(**offered)[1]) == {}

    with world.ledger.reading() as book:
        (event,) = (e for e in audit.events(book, str(KEY)) if e.kind == permits.TAKEN)
        assert (event.actor, json.loads(event.body)) == ("olga@cli", {"names": ["by-hand"]})


def test_ac_09_an_unmanaged_host_is_never_planned_and_stands_in_every_report(home: Path) -> None:
    world = night(home, "  - {name: open, scope: global, updates: all}\n")
    world.look("kiosk1", "2.0")
    lease, plan = world.frozen(web1="2.0", kiosk1="2.0")
    world.patch(lease, plan, "web1")

    assert "kiosk1" not in plan.expected()
    with world.ledger.reading() as book:
        assert attempts.find(book, plan.digest, "kiosk1") is None
    assert build_report(world.ledger, world.fleet, "r-1", world.now).unmanaged == ("kiosk1",)
    written = write_rollout_report(world.ledger, world.fleet, "r-1", home, world.now)
    assert "unmanaged, never patched: 1 host that no profile covers: kiosk1" in written.summary
    assert json.loads(written.paths.json.read_bytes())["unmanaged"] == ["kiosk1"]
    page = written.paths.html.read_text()
    assert "kiosk1" in page[page.index('id="unmanaged"') :]


def test_ac_10_the_frozen_set_of_a_run_has_one_version_and_nothing_published_later(
    home: Path,
) -> None:
    world = night(home, "  - {name: open, scope: global, updates: all}\n")
    lease, plan = world.frozen(web1="2.0", web2="2.1", db1="2.0")
    assert planned(plan) == {"web1": "2.0", "db1": "2.0"}
    assert "all hosts of a rollout get one version: openssl 2.0" in why(plan, "web2")

    for host in ("web1", "web2", "db1"):
        world.look(host, "3.0", rollout="r-1")
    with world.ledger.reading() as book:
        assert rollouts.read_plan(book, "r-1") == plan
    world.patch(lease, plan, "web1")
    with world.ledger.reading() as book:
        row = attempts.find(book, plan.digest, "web1")
        assert row is not None
        assert [result.after for result in attempts.packages_of(row)] == ["2.0"]


# --- the commands ---------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert app(list(words), result_action="return_value") == 0
    return " ".join(capsys.readouterr().out.split())


def test_ac_08_policy_show_prints_value_and_origin_of_every_field(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night(
        home,
        "  - {name: base, scope: global, reboot: never, lock: [reboot]}\n"
        "  - {name: vip, scope: host, host: db1, reboot: always, defer: 7d,\n"
        "     rules: [{name: no-zip, action: reject, packages: [zip]}]}\n",
    )
    text = said(capsys, "show", "db1")

    assert all(field in text for field in FIELDS)
    assert "defer 7d policy vip (host db1)" in text
    assert "critical yes its own entry" in text
    assert "window night company acme" in text
    assert "reboot never policy base (global)" in text
    assert "policy vip (host db1) says always: overruled, policy base (global) locks it" in text
    assert "reject no-zip, policy vip (host db1): package zip" in text


def test_ac_09_policy_show_says_that_a_host_is_unmanaged(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night(home, "  - {name: open, scope: global, updates: all}\n")

    assert "kiosk1 is unmanaged: no profile fits it" in said(capsys, "show", "kiosk1")


def test_policy_test_names_the_rule_that_decides_each_pending_update(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = night(
        home,
        "  - {name: care, scope: global, rules: [{name: no-ssl, action: reject,\n"
        "     packages: [openssl]}]}\n",
    )
    world.look("web1", "2.0")
    text = said(capsys, "test", "web1")

    assert "rule no-ssl of policy care (global): reject" in text
    assert "rejects it: change the rule to have it installed" in text
    only = said(capsys, "test", "web1", "--package", "zip")
    assert "zip is not pending there" in only


def test_rollout_start_notes_what_its_next_plan_takes_before_anything_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = night(home, "  - {name: open, scope: global, updates: all}\n")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    with pytest.raises(EnvironmentUnfit):
        rollout_app(
            ["start", "acme", "--take", "by-hand", "--take", "zip"], result_action="return_value"
        )
    assert "its next plan takes by-hand, zip" in capsys.readouterr().out
    with world.ledger.reading() as book:
        (event,) = (e for e in audit.events(book, str(KEY)) if e.kind == permits.TAKEN)
        assert json.loads(event.body) == {"names": ["by-hand", "zip"]}
