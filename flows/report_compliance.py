"""Say for every company what is open, what is overdue, and what was never seen."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.compliance import compliance_of, nights_of_week, show_compliance, show_nights
from tasks.workbench import open_workbench


@flow(
    name="report-compliance",
    flow_run_name="compliance · {site}",
    description="Counts open and overdue findings per company from each host's last scan. "
    "A host without a scan is unknown, and unknown is not compliant.",
)
def report_compliance(site: str = "default") -> State:
    """Publish one table for all companies, and the nights in which nothing ran.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    futures = [compliance_of.submit(bench, tenant.name) for tenant in bench.fleet.tenants]
    lines = [future.result() for future in futures]
    show_compliance(lines)
    quiet = nights_of_week(bench)
    show_nights(quiet)
    overdue = sum(line.overdue for line in lines)
    unknown = sum(line.unknown for line in lines)
    told = f"{overdue} findings overdue, {unknown} hosts unknown"
    return Completed(message=f"{told}, {len(quiet)} nights of a week without a rollout")
