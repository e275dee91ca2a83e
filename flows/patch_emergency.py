"""Patch what an exploited vulnerability touches on one company's hosts, outside their windows.

A rollout as any other, in an opening of its own that began when it was asked for: see
`patch_rollout` for how it goes, and `plan_emergencies` for who asks.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.patch_rollout import HOSTS_AT_ONCE, carry_out
from wavemend.fleet import RolloutKey, RolloutKind


@flow(
    name="patch-emergency",
    flow_run_name="emergency {tenant} · {profile}",
    description="Patches what an exploited vulnerability touches on one company's hosts of one "
    "profile, outside their windows and with a shorter soak. Without the company's standing rule "
    "it waits for a signature over the exact plan. Safe to run again at any time.",
    task_runner=ThreadPoolTaskRunner(max_workers=HOSTS_AT_ONCE),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def patch_emergency(
    tenant: str,
    profile: str,
    window: str = "emergency",
    site: str = "default",
    requester: str = "operator",
) -> State:
    """Take an emergency rollout from where the ledger has it to its end.

    Args:
        tenant: Company whose hosts are patched.
        profile: Profile of the hosts.
        window: Always `emergency`: it makes its own opening.
        site: Name of the `Wavemend Site` block.
        requester: Who asked for it; with four eyes, that person cannot approve it.
    """
    key = RolloutKey(tenant=tenant, profile=profile, window=window, kind=RolloutKind.EMERGENCY)
    return carry_out(key, site, requester)
