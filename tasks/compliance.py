"""Counting how companies stand, one task run each, and showing it."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.workbench import Workbench
from wavemend.compliance import CompanyStanding, standing_of
from wavemend.ledger import nights
from wavemend.nights import Night
from wavemend.simulated import SIMULATED
from wavemend.steps.nights import LOOK_BACK


@task(task_run_name="standing of {tenant}", cache_policy=NO_CACHE)
def compliance_of(bench: Workbench, tenant: str) -> CompanyStanding:
    """Count one company's open and overdue findings."""
    with bench.hands.ledger.reading() as book:
        return standing_of(book, bench.fleet, tenant, bench.hands.clock())


@task(task_run_name="nights without a rollout", cache_policy=NO_CACHE)
def nights_of_week(bench: Workbench) -> tuple[Night, ...]:
    """Return the nights of the last week in which a rollout was due and did not run."""
    with bench.hands.ledger.reading() as book:
        return nights.nights_since(book, bench.hands.clock() - LOOK_BACK)


def show_nights(found: Sequence[Night]) -> None:
    """Publish one row per night without a rollout, by company."""
    create_table_artifact(
        key="nights",
        table=[
            {
                "company": night.tenant,
                "rollout": night.key,
                "opened (UTC)": f"{night.window_start:%Y-%m-%d %H:%M}",
                "what": night.verdict.value,
                "why": night.reason,
            }
            for night in sorted(found, key=lambda night: (night.tenant, night.window_start))
        ],
        description="Openings of the last week in which a rollout was due and did not run.",
    )


def show_compliance(lines: Sequence[CompanyStanding]) -> None:
    """Publish one row per company; unknown hosts count against it."""
    create_table_artifact(
        key="compliance",
        table=compliance_rows(lines),
        description="By each host's last look. Unknown is not compliant: a host that was not seen, "
        "or where no finding proves nothing, as feeds were stale or no package could be judged.",
    )


def compliance_rows(lines: Sequence[CompanyStanding]) -> list[dict[str, str | int]]:
    """Return one row per company; where hosts are only played, each says how many of its are."""
    played = any(line.simulated for line in lines)
    return [
        {
            "company": line.tenant,
            "clean": f"{line.clean} of {line.hosts} ({line.clean_percent} %)",
            "open": line.open,
            "unknown": line.unknown,
            "unmanaged": line.unmanaged,
            "findings": line.findings,
            "overdue": line.overdue,
            **({f"{SIMULATED} hosts": line.simulated} if played else {}),
        }
        for line in lines
    ]
