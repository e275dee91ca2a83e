"""Look for nights that nobody started: start them while time is left, raise an alarm after."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.watching import compare_openings, raise_alarm, start_late, told
from tasks.workbench import open_workbench


@flow(
    name="watch-nights",
    flow_run_name="watch · {site}",
    description="Compares the openings of the last days with the rollouts in the ledger. One that "
    "is open and was not started is started late when enough of it is left; one that is over is "
    "written down as missed, and this run fails: that is the alarm. What somebody switched off is "
    "not started, and is no alarm.",
)
def watch_nights(site: str = "default") -> State:
    """Look over the openings once.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    found = compare_openings(bench)
    if found.missed:  # they are written down, and not found again
        raise_alarm(found.missed)
    late = [start_late(due) for due in found.startable]
    vain = [each.trouble for each in late if each.trouble]
    if troubles := [*(told(night) for night in found.missed), *vain]:
        return Failed(name="Missed", message="; ".join(troubles))
    started = sum(each.started for each in late)
    counts = (
        f"{started} started late",
        f"{len(found.held) + len(late) - started} due and switched off",
        f"{len(found.skipped)} skipped",
    )
    return Completed(message=f"no night was missed; {', '.join(counts)}")
