"""assessments: what a look means by what was known at one moment.

The findings of version 0.1 become the first assessment of their look; nothing of them is lost.
"""

import json
import zlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from wavemend.ledger.columns import (
    UtcDateTime,
)
from wavemend.ledger.sorting import sortable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move forward; a ledger is never taken back."""
    op.create_table(
        "assessments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("scanned_at", UtcDateTime(), nullable=False),
        sa.Column("assessed_at", UtcDateTime(), nullable=False),
        sa.Column("intelligence", sa.String(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("unjudged", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["scan_id"], ["host_scans.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_assessments_scan_id", "assessments", ["scan_id"])
    op.create_index("ix_assessments_host_scan_id", "assessments", ["host", "scan_id"])
    _create_clocks()
    _create_index()
    _carry_over()
    op.drop_table("findings")


def _create_clocks() -> None:
    """What is known of a finding over time: its clock, its earliest date, that it was told."""
    op.create_table(
        "first_sightings",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=True),
        sa.Column("due_reason", sa.String(), nullable=True),
        sa.Column("due_basis", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("host", "finding_id"),
    )
    op.create_index("ix_first_sightings_finding_id", "first_sightings", ["finding_id"])
    op.create_table(
        "announcements",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("cve", sa.String(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("threat", sa.String(), nullable=False),
        sa.Column("fixed", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("host", "tenant", "cve", "package"),
    )
    op.create_index("ix_announcements_state", "announcements", ["state"])


def _create_index() -> None:
    """The newest judgement of each host: what it rests on, and its findings for lists."""
    op.create_table(
        "judged_hosts",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("scanned_at", UtcDateTime(), nullable=False),
        sa.Column("assessed_at", UtcDateTime(), nullable=False),
        sa.Column("intelligence", sa.String(), nullable=False),
        sa.Column("fleet", sa.String(), nullable=False),
        sa.Column("packages", sa.Integer(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("feeds", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_table(
        "open_findings",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("cve", sa.String(), nullable=False),
        sa.Column("advisory", sa.String(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=True),
        sa.Column("installed", sa.String(), nullable=False),
        sa.Column("fixed", sa.String(), nullable=False),
        sa.Column("update_class", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("cvss", sa.Float(), nullable=True),
        sa.Column("epss", sa.Float(), nullable=True),
        sa.Column("kev", sa.Boolean(), nullable=False),
        sa.Column("zero_day", sa.Boolean(), nullable=False),
        sa.Column("waived", sa.Boolean(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("feed", sa.String(), nullable=False),
        sa.Column("known_at", UtcDateTime(), nullable=True),
        sa.Column("order_key", sa.String(), nullable=False),
        sa.Column("due_rule", sa.String(), nullable=False, server_default=""),
        sa.Column("waiver_id", sa.String(), nullable=False, server_default=""),
        sa.Column("waived_until", UtcDateTime(), nullable=True),
        sa.Column("first_seen", UtcDateTime(), nullable=True),
        sa.Column("judged_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("host", "finding_id"),
    )
    for column in ("finding_id", "tenant", "cve", "advisory", "package"):
        op.create_index(f"ix_open_findings_{column}", "open_findings", [column])
    op.create_index("ix_open_findings_order_key_host", "open_findings", ["order_key", "host"])


def _carry_over() -> None:
    """Write each look's findings as one assessment, and index the newest of each host.

    One look after the other: all findings of a year do not fit into memory. A look that was judged
    and found nothing is an assessment too, or the findings of the look before would stay open.
    """
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO first_sightings (host, finding_id, at) "
            "SELECT f.host, f.finding_id, MIN(s.at) FROM findings f "
            "JOIN host_scans s ON s.id = f.scan_id GROUP BY f.host, f.finding_id"
        )
    )
    old = _Old(connection)
    newest: dict[str, int] = {}
    for scan_id in old.judged_scans():
        scan = old.scan(scan_id)
        newest[scan.host] = scan_id
        connection.execute(
            old.assessments.insert().values(**_assessment(scan, old.ranked(scan_id)))
        )
    for host in sorted(newest):
        scan = old.scan(newest[host])
        ranked = old.ranked(scan.id)
        connection.execute(old.judged_hosts.insert().values(**_judged_host(scan)))
        if ranked:
            connection.execute(old.open_findings.insert(), [_line(item) for item in ranked])
        if told := _told(ranked, scan.at):
            connection.execute(old.announcements.insert(), told)


class _Old:
    """The tables of version 0.1, and the new ones, as they are at this moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.meta = sa.MetaData()
        # First what others point to, or it is read without our type of time.
        self.scans = self._table("host_scans", "at")
        self.findings = self._table("findings")
        self.assessments = self._table("assessments", "scanned_at", "assessed_at")
        self.judged_hosts = self._table("judged_hosts", "scanned_at", "assessed_at")
        self.open_findings = self._table("open_findings", "due")
        self.announcements = self._table("announcements", "at", "sent_at")

    def _table(self, name: str, *times: str) -> sa.Table:
        columns: list[sa.Column[datetime]] = [sa.Column(item, UtcDateTime()) for item in times]
        return sa.Table(name, self.meta, *columns, autoload_with=self.connection)

    def judged_scans(self) -> list[int]:
        """Return the looks that were judged: of a preflight only where a plan was frozen."""
        scans = self.scans.c
        has_findings = sa.exists().where(self.findings.c.scan_id == scans.id)
        judged = sa.and_(scans.facts_digest != "", scans.purpose.in_(("scan", "verify")))
        query = sa.select(scans.id).where(sa.or_(judged, has_findings)).order_by(scans.id)
        return list(self.connection.scalars(query))

    def scan(self, scan_id: int) -> Any:
        """Return one look, without its facts."""
        scans = self.scans.c
        query = sa.select(scans.id, scans.host, scans.tenant, scans.at).where(scans.id == scan_id)
        return self.connection.execute(query).one()

    def ranked(self, scan_id: int) -> list[dict[str, Any]]:
        """Return a look's findings."""
        query = sa.select(self.findings.c.document).where(self.findings.c.scan_id == scan_id)
        rows = self.connection.scalars(query.order_by(self.findings.c.id))
        return [_renamed(json.loads(document)) for document in rows]


def _assessment(scan: Any, ranked: list[dict[str, Any]]) -> dict[str, Any]:
    at = scan.at.isoformat().replace("+00:00", "Z")
    body = {
        "host": scan.host,
        "tenant": scan.tenant,
        "scanned_at": at,
        "assessed_at": at,
        "intelligence": "",
        "feeds": [],
        "packages": 0,
        "judged": 0,
        "ranked": ranked,
        "unmatched": [],
    }
    document = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "scan_id": scan.id,
        "tenant": scan.tenant,
        "host": scan.host,
        "scanned_at": scan.at,
        "assessed_at": scan.at,
        "intelligence": "",
        "findings": len(ranked),
        "unjudged": 0,
        "document": zlib.compress(document.encode()),
    }


def _judged_host(scan: Any) -> dict[str, Any]:
    return {
        "host": scan.host,
        "tenant": scan.tenant,
        "scan_id": scan.id,
        "scanned_at": scan.at,
        "assessed_at": scan.at,
        "intelligence": "",
        "fleet": "",
        "packages": 0,
        "judged": 0,
        "kept": 0,
        "feeds": b"[]",
    }


def _told(ranked: list[dict[str, Any]], at: datetime) -> list[dict[str, Any]]:
    """What was known to be exploited is no news after an upgrade."""
    rows = {}
    for item in ranked:
        finding = item["finding"]
        if item["vulnerability"].get("kev") is None:
            continue
        rows[finding["cve"], finding["package"], finding["tenant"]] = {
            "host": finding["host"],
            "tenant": finding["tenant"],
            "cve": finding["cve"],
            "package": finding["package"],
            "threat": "kev",
            "fixed": finding.get("fixed") or "",
            "at": at,
            "state": "first look",
            "sent_at": None,
        }
    return list(rows.values())


def _line(ranked: dict[str, Any]) -> dict[str, Any]:
    finding, known, priority = ranked["finding"], ranked["vulnerability"], ranked["priority"]
    because = finding["because"]
    due = priority.get("due")
    return {
        "host": finding["host"],
        "finding_id": finding["id"],
        "tenant": finding["tenant"],
        "cve": finding["cve"],
        "advisory": "",
        "package": finding["package"],
        "lane": priority["lane"],
        "due": datetime.fromisoformat(due) if due else None,
        "installed": finding["installed"],
        "fixed": finding.get("fixed") or "",
        "update_class": "security",
        "status": "fixed" if finding.get("fixed") else "unfixed",
        "cvss": (known.get("cvss") or {}).get("score"),
        "epss": (known.get("epss") or {}).get("probability"),
        "kev": known.get("kev") is not None,
        "zero_day": False,
        "waived": False,
        "because": f"{because['feed']} {because['document']}: {because['compared']}",
        "feed": because["feed"],
        "known_at": None,
        "order_key": sortable(priority["order"]),
    }


def _renamed(ranked: dict[str, Any]) -> dict[str, Any]:
    finding = ranked["finding"]
    finding["package"] = finding.pop("source_package")
    return ranked
