"""Restart one company's hosts that wait for it, where restarts have a window of their own.

A rollout as any other: the same waves, gates, approvals and ledger, with a plan that installs
nothing. See `patch_rollout` for how it goes.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.patch_rollout import HOSTS_AT_ONCE, carry_out
from wavemend.fleet import RolloutKey, RolloutKind


@flow(
    name="restart-hosts",
    flow_run_name="restart {tenant} · {profile} · {window}",
    description="Restarts one company's hosts of one profile that wait for a restart, inside the "
    "window the profile names for that, in the profile's waves: nothing is installed. All memory "
    "is in the ledger: safe to run again at any time.",
    task_runner=ThreadPoolTaskRunner(max_workers=HOSTS_AT_ONCE),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def restart_hosts(
    tenant: str, profile: str, window: str, site: str = "default", requester: str = "schedule"
) -> State:
    """Take a restart rollout from where the ledger has it to its end.

    Args:
        tenant: Company whose hosts are restarted.
        profile: Profile of the hosts.
        window: The profile's window for restarts; outside of it nothing is restarted.
        site: Name of the `Wavemend Site` block.
        requester: Who asked for it; with four eyes, that person cannot approve it.
    """
    key = RolloutKey(tenant=tenant, profile=profile, window=window, kind=RolloutKind.RESTART)
    return carry_out(key, site, requester)
