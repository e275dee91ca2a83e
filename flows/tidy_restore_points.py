"""Remove the restore points whose time is over; gone is what is not listed any more."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.tidying import decide, find_odd, remove, show_odd, what_is_due
from tasks.workbench import open_workbench


@flow(
    name="tidy-restore-points",
    flow_run_name="restore points · {site}",
    description="Removes restore points the profile's time after a verified success. Those of a "
    "change that did not go well, or was taken back, stay until a person removes them.",
    task_runner=ThreadPoolTaskRunner(max_workers=16),  # type: ignore[arg-type]  # invariant there
)
def tidy_restore_points(site: str = "default", *, orphans: bool = False) -> State:
    """Tidy restore points.

    Args:
        site: Name of the `Wavemend Site` block.
        orphans: Also list every host and backend, and show what should not be there.
    """
    bench = open_workbench(site)
    decide(bench)
    futures = [remove.submit(bench, point, point.host) for point in what_is_due(bench)]
    tidied = [future.result() for future in futures]
    left = [each for each in tidied if each.trouble]
    told = f"{len(tidied) - len(left)} restore points removed, {len(left)} could not be"
    if orphans:
        odd = find_odd(bench)
        show_odd(bench, odd)
        told += f", {len(odd)} to look at"
    return Failed(message=told) if left else Completed(message=told)
