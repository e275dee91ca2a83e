"""Look at every host, match what it has with what the feeds say, and change nothing."""

from prefect import flow, tags
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.feeds import send_announcements
from tasks.scanning import line_of, scan, show_scan
from tasks.workbench import open_workbench
from wavemend.simulated import SIMULATED


@flow(
    name="scan-fleet",
    flow_run_name="scan · {site} {tenant}",
    description="Reads every host's pending updates and findings. Changes nothing on them.",
    task_runner=ThreadPoolTaskRunner(max_workers=32),  # type: ignore[arg-type]  # invariant there
)
def scan_fleet(site: str = "default", tenant: str = "") -> State:
    """Scan the fleet, or one company's part of it.

    Args:
        site: Name of the `Wavemend Site` block.
        tenant: Company to scan; empty for all.
    """
    bench = open_workbench(site)
    hosts = [host for host in bench.fleet.hosts if tenant in {"", host.tenant}]
    names, futures = [host.name for host in hosts], []
    with bench.hands.ledger.kept_open():
        for host in hosts:
            with tags(*((SIMULATED,) if host.simulated else ())):
                futures.append(scan.submit(bench, host.name))
        seen = [line_of(bench, name, future) for name, future in zip(names, futures, strict=True)]
    lines = [line for line, _ in seen]
    show_scan(lines)
    send_announcements(bench)  # a scan may be the first to judge by a new catalogue
    if broken := [f"{line.host}: {trouble}" for line, trouble in seen if trouble]:
        return Failed(message=f"{len(broken)} hosts could not be looked at: {broken[0]}")
    unseen = sum(line.pending is None for line in lines)
    return Completed(message=f"{len(lines)} hosts, {unseen} without an answer")
