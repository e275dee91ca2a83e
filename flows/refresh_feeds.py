"""Fetch every feed, keep the last good copy of each, and judge the fleet by what is known now."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.feeds import feeds_of, load_results, message_of, reassess, refresh_one, show_feeds
from tasks.workbench import open_workbench


@flow(
    name="refresh-feeds",
    flow_run_name="feeds · {site}",
    description="Fetches the feeds this fleet needs, shows their age and what changed, and judges "
    "every host's last look anew. A bad copy never replaces a good one.",
)
def refresh_feeds(site: str = "default") -> State:
    """Refresh each feed on its own, then judge the fleet anew.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    # One after the other: they share one folder of copies, and the next one would wait anyway.
    results = load_results(bench, [refresh_one(bench, feed) for feed in feeds_of(bench)])
    judged = reassess(bench)
    show_feeds(results, judged)
    message = message_of(results, judged)
    if not all(result.is_current for result in results):
        return Failed(name="KeptOld", message=message)
    return Completed(message=message)
