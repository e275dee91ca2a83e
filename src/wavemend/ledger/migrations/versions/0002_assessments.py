"""assessments: what a look means by what was known at one moment.

The findings of version 0.1 become the first assessment of their look; nothing of them is lost.
"""

import json
import zlib
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from wavemend.ledger.sorting import sortable
from wavemend.ledger.tables import UtcDateTime

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
    for column in ("host", "scan_id", "tenant"):
        op.create_index(f"ix_assessments_{column}", "assessments", [column])
    op.create_table(
        "first_sightings",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("host", "finding_id"),
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
        sa.Column("order_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("host", "finding_id"),
    )
    for column in ("tenant", "cve", "advisory", "package", "order_key"):
        op.create_index(f"ix_open_findings_{column}", "open_findings", [column])
    _carry_over()
    op.drop_table("findings")


def _carry_over() -> None:
    """Write each look's findings as one assessment, and index the newest of each host."""
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO first_sightings (host, finding_id, at) "
            "SELECT f.host, f.finding_id, MIN(s.at) FROM findings f "
            "JOIN host_scans s ON s.id = f.scan_id GROUP BY f.host, f.finding_id"
        )
    )
    meta = sa.MetaData()
    findings = sa.Table("findings", meta, autoload_with=connection)
    scans = sa.Table("host_scans", meta, autoload_with=connection)
    assessments = sa.Table(
        "assessments",
        meta,
        sa.Column("scanned_at", UtcDateTime()),
        sa.Column("assessed_at", UtcDateTime()),
        autoload_with=connection,
    )
    rows = connection.execute(
        sa.select(
            findings.c.scan_id,
            findings.c.tenant,
            findings.c.host,
            sa.type_coerce(scans.c.at, UtcDateTime()).label("at"),
            findings.c.document,
        )
        .join(scans, scans.c.id == findings.c.scan_id)
        .order_by(findings.c.scan_id, findings.c.id)
    ).all()
    newest: dict[str, list[dict[str, Any]]] = {}
    for scan_id, group in groupby(rows, key=lambda row: row.scan_id):
        found = list(group)
        newest[found[0].host] = [_renamed(json.loads(row.document)) for row in found]
        first = found[0]
        at = first.at.isoformat().replace("+00:00", "Z")
        body = {
            "host": first.host,
            "tenant": first.tenant,
            "scanned_at": at,
            "assessed_at": at,
            "intelligence": "",
            "feeds": [],
            "packages": 0,
            "judged": 0,
            "ranked": newest[first.host],
            "unmatched": [],
        }
        document = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        connection.execute(
            assessments.insert().values(
                scan_id=scan_id,
                tenant=first.tenant,
                host=first.host,
                scanned_at=first.at,
                assessed_at=first.at,
                intelligence="",
                findings=len(found),
                unjudged=0,
                document=zlib.compress(document.encode()),
            )
        )

    index = sa.Table(
        "open_findings", meta, sa.Column("due", UtcDateTime()), autoload_with=connection
    )
    lines = [_line(ranked) for group in newest.values() for ranked in group]
    if lines:
        connection.execute(index.insert(), lines)


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
        "order_key": sortable(priority["order"]),
    }


def _renamed(ranked: dict[str, Any]) -> dict[str, Any]:
    finding = ranked["finding"]
    finding["package"] = finding.pop("source_package")
    return ranked
