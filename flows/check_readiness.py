"""Look, long before a window opens, whether every device is on and fit to be changed."""

from datetime import timedelta

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.readiness import check, show_readiness
from tasks.submitting import after, settled
from tasks.workbench import open_workbench
from wavemend.calendar.openings import LOOKS, looked_at
from wavemend.fleet import RolloutKey
from wavemend.ledger.readiness import Occasion


@flow(
    name="check-readiness",
    flow_run_name="{occasion} · {tenant} · {profile} · {window}",
    description="Before a maintenance window: is every device on, reachable, with room, a whole "
    "package database, repositories and a restore point provider? Changes nothing, but switches "
    "hosts on where the fleet says how.",
    task_runner=ThreadPoolTaskRunner(max_workers=32),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def check_readiness(
    tenant: str,
    profile: str,
    window: str,
    occasion: str = "T-24h",
    *,
    kind: str = "patch",
    site: str = "default",
) -> State:
    """Check the hosts of the next opening of a window; fail when one of them is not ready.

    Args:
        tenant: Company whose hosts are looked at.
        profile: Profile of the hosts.
        window: Maintenance window they will be changed in.
        occasion: How long before it this is, for people: `T-24h`, `T-30m`.
        kind: `patch`, or `restart` for a window in which hosts are only restarted.
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    key = RolloutKey(tenant=tenant, profile=profile, window=window, kind=kind)
    ahead = LOOKS.get(occasion, timedelta(0))
    opening = looked_at(bench.fleet.window(window), bench.hands.clock(), ahead)
    this = Occasion(
        tenant=tenant,
        profile=profile,
        window=window,
        window_start=opening.start,
        name=occasion,
    )
    names = [host.name for host in bench.fleet.members(key)]
    found = settled(
        [after([], check, bench, name, profile, this, deep=True, kind=kind) for name in names]
    )
    show_readiness(this, found)
    unready = sorted(readiness.host for readiness in found if not readiness.ready)
    if not unready:
        return Completed(name="Ready", message=f"all {len(names)} hosts are ready")
    told = f"{len(unready)} of {len(names)} hosts are not ready: {', '.join(unready[:10])}"
    return Failed(name="NotReady", message=told)
