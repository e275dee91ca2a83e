"""A world of two companies: acme, and another one all of whose names hold the letters `zz`."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.cases.rollouts.build import END, NOON, START, facts, plan_of, wave
from tests.cases.rollouts.ledgers import NIGHT, intend, take
from tests.contract.test_findings_cli import ZLIB, finding, ranked
from wavemend.advisories import Vulnerability
from wavemend.documents import to_document
from wavemend.fleet import Fleet, RolloutKey
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import approvals, rollouts
from wavemend.ledger.assessments import record_assessment
from wavemend.ledger.care_tables import ReadinessRow, RestorePointRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.night_tables import NightRow
from wavemend.ledger.scans import record_look
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.observations import Assessment, Look

TEXT = """
schema: wavemend.fleet/1
tenants:
  - {name: acme, zone: Europe/Berlin, window: night, approvers: [alice@acme.example],
     duty: {roster: acme-duty, hours_from: "08:00", hours_until: "10:00"}}
  - {name: zzcorp, title: ZZ Corporation, zone: Europe/Berlin, window: zznight,
     approvers: [zzoe@zz.example],
     duty: {roster: zzduty, hours_from: "08:00", hours_until: "10:00", calendars: [zzworks]}}
approvers:
  - {name: alice@acme.example}
  - {name: zzoe@zz.example, title: Zzoe Zz}
windows:
  - {name: night, zone: UTC, start: "22:00", days: [tue], duration: 4h, cutoff: 1h}
  - {name: zznight, zone: UTC, start: "22:00", days: [tue], duration: 4h, cutoff: 1h}
profiles:
  - &linux {name: linux, os: debian, device: server, manager: apt, updates: security,
     reboot: if_needed, host_deadline: 45m, waves: [{name: all, kind: broad}]}
  - {name: zzlinux, os: zzdebian, device: server, manager: apt, updates: security,
     reboot: if_needed, host_deadline: 45m, waves: [{name: all, kind: broad}]}
logins:
  - {name: default, user: patch, key: "file:key"}
  - {name: zzlogin, user: zzpatch, key: "file:zzkey"}
hosts:
  - {name: web1, tenant: acme, address: 192.0.2.1, labels: {os: debian, device: server}}
  - {name: db1, tenant: acme, address: 192.0.2.2, labels: {os: debian, device: server},
     critical: true}
  - {name: zzweb1, tenant: zzcorp, address: 192.0.2.3, login: zzlogin,
     labels: {os: zzdebian, device: server, role: zzweb}}
  - {name: zzdb1, tenant: zzcorp, address: 192.0.2.4, login: zzlogin,
     labels: {os: zzdebian, device: server, role: zzdb}, critical: true}
groups:
  - {name: some, scope: custom, hosts: [web1, zzweb1]}
  - {name: zzsome, scope: custom, hosts: [zzweb1]}
  - {name: zzall, scope: company, tenant: zzcorp, hosts: all}
policies:
  - {name: everybody, scope: global, updates: security}
  - {name: zzpolicy, scope: company, tenant: zzcorp, updates: all}
  - {name: zzhost, scope: host, host: zzweb1, updates: all}
budgets:
  - {name: pair, most_out: 1, hosts: [web1, zzweb1]}
  - {name: zzpair, most_out: 1, hosts: [zzweb1, zzdb1]}
dependencies:
  - {name: zzfirst, first: role=zzdb, then: role=zzweb, tenant: zzcorp}
calendars:
  - {name: zzworks, source: "file:zzworks.ics"}
freezes:
  - {name: zzinventory, scope: company, tenant: zzcorp, start: "2030-01-01T00:00",
     end: "2030-01-02T00:00", reason: zz counts}
rosters:
  - {name: acme-duty, source: "file:acme.yaml", zone: UTC}
  - {name: zzduty, source: "file:zz.yaml", zone: UTC}
waivers:
  - {name: for-all, scope: global, owner: zzoe@zz.example, reason: accepted for everybody,
     until: "2031-01-01", cve: CVE-2020-1111}
  - {name: zzwaiver, tenant: zzcorp, owner: zzoe@zz.example, reason: accepted by the board of zz,
     until: "2031-01-01", cve: CVE-2020-1112}
"""

MARK = "zz"
"""In every name of the other company, and in no text of ours, in small letters."""


def fleet_in(folder: Path) -> Fleet:
    """Write the fleet file and return what it declares."""
    path = folder / "fleet.yaml"
    path.write_text(TEXT.replace("&linux ", ""))
    return load_fleet(path)


def build(home: Path) -> Ledger:
    """Fill an installation: both companies were looked at, judged, patched, and wait for more."""
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    fleet = fleet_in(home)
    with ledger.writing() as book:
        apply_fleet(book, fleet, actor="test", now=NOON - timedelta(days=9))
    for prefix, tenant in (("", "acme"), (MARK, "zzcorp")):
        for name in ("web1", "db1"):
            _look(ledger, fleet.host(prefix + name), prefix)
        _roll_out(ledger, tenant, prefix)
    with ledger.writing() as book:
        rollouts.turn_switch(
            book, "zzcorp", engaged=True, actor="zzoe", reason="zz burns", now=NOON
        )
    return ledger


def _look(ledger: Ledger, host: Host, prefix: str) -> None:
    with ledger.writing() as book:
        look = Look(host=host.name, at=NOON, facts=replace(facts(host.name), hostname=host.name))
        scan = record_look(book, host, look, purpose="scan")
        number = f"{prefix and '9'}{host.name[-3:]}".encode().hex()[:16].ljust(16, "0")
        found = replace(
            finding(ZLIB, "CVE-2026-1000", f"{prefix}lib"),
            id=number,
            host=host.name,
            tenant=host.tenant,
        )
        record_assessment(
            book,
            scan,
            Assessment(
                host=host.name,
                tenant=host.tenant,
                scanned_at=NOON,
                assessed_at=NOON,
                intelligence="i",
                feeds=(),
                packages=1,
                judged=1,
                ranked=(ranked(found, Vulnerability(cve="CVE-2026-1000"), NOON),),
                unmatched=(),
            ),
        )


def _roll_out(ledger: Ledger, tenant: str, prefix: str) -> None:
    rollout, key = f"r-{tenant}", _key(tenant, prefix)
    plan = replace(
        plan_of(
            wave(1, f"{prefix}web1", kind="pilot"),
            wave(2, f"{prefix}db1", kind="critical", concurrency=1),
            rollout=rollout,
        ),
        tenant=tenant,
        profile=key.profile,
        window=key.window,
        requester=f"{prefix}olga",
        excluded=(),
    )
    with ledger.writing() as book:
        rollouts.open_rollout(book, rollout, key, NIGHT, requester=f"{prefix}olga", now=NOON)
    lease = take(ledger, rollout)
    with ledger.writing() as book:
        rollouts.store_plan(book, lease, plan, NOON)
    intend(ledger, lease, f"{prefix}web1", plan=plan)
    with ledger.writing() as book:
        approvals.ask(
            book, lease, request_id=f"q-{tenant}", nonce="n", flow_run_id="run", now=START
        )
        _care(book.add, tenant, prefix, key)


def _care(add: object, tenant: str, prefix: str, key: RolloutKey) -> None:
    assert callable(add)
    host, rollout = f"{prefix}web1", f"r-{tenant}"
    add(
        RestorePointRow(
            rollout_id=rollout,
            host=host,
            kind="vm",
            name=f"{prefix}point",
            proven=True,
            restores="all",
            detail="",
            at=START,
        )
    )
    add(
        ReadinessRow(
            tenant=tenant,
            profile=key.profile,
            window=key.window,
            window_start=START,
            occasion="T-24h",
            host=host,
            at=NOON,
            ready=False,
            problems=to_document([]),
        )
    )
    add(
        NightRow(
            key=str(key),
            window_start=START,
            tenant=tenant,
            profile=key.profile,
            window=key.window,
            window_end=END,
            verdict="skipped",
            reason=f"{prefix}nobody is there",
            at=END,
        )
    )


def _key(tenant: str, prefix: str) -> RolloutKey:
    return RolloutKey(tenant=tenant, profile=f"{prefix}linux", window=f"{prefix}night")
