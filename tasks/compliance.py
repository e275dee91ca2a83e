"""Counting how companies stand, one task run each, and showing it."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.workbench import Workbench
from wavemend.compliance import CompanyStanding, standing_of


@task(task_run_name="standing of {tenant}", cache_policy=NO_CACHE)
def compliance_of(bench: Workbench, tenant: str) -> CompanyStanding:
    """Count one company's open and overdue findings."""
    with bench.hands.ledger.reading() as book:
        return standing_of(book, bench.fleet, tenant, bench.hands.clock())


def show_compliance(lines: Sequence[CompanyStanding]) -> None:
    """Publish one row per company; unknown hosts count against it."""
    create_table_artifact(
        key="compliance",
        table=[
            {
                "company": line.tenant,
                "clean": f"{line.clean} of {line.hosts} ({line.clean_percent} %)",
                "open": line.open,
                "unknown": line.unknown,
                "unmanaged": line.unmanaged,
                "findings": line.findings,
                "overdue": line.overdue,
            }
            for line in lines
        ],
        description="By each host's last look; a host that was not seen is not compliant.",
    )
