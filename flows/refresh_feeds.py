"""Fetch every feed, keep the last good copy of each, and show age and counts."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.feeds import load_results, refresh_one, show_feeds
from tasks.workbench import open_workbench
from wavemend.feeds import FEEDS


@flow(
    name="refresh-feeds",
    flow_run_name="feeds · {site}",
    description="Fetches EPSS, CISA KEV, NVD and Debian's advisories. A bad copy never replaces "
    "a good one; a feed that cannot be refreshed is shown with its age.",
)
def refresh_feeds(site: str = "default") -> State:
    """Refresh each feed on its own.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    # One after the other: they share one folder of copies, and its lock does not wait.
    results = load_results(bench, [refresh_one(bench, feed) for feed in sorted(FEEDS)])
    show_feeds(results)
    bad = [result.feed for result in results if not result.is_current]
    if bad:
        return Failed(name="KeptOld", message=f"not refreshed, last good copy in use: {bad}")
    return Completed(message=f"{len(results)} feeds are current")
