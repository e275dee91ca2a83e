"""Finish on one company's hosts what an earlier transaction left half done.

A rollout as any other, without a schedule: the same ledger, window and evidence, with a plan that
installs nothing. Every host waits for a signature. See `patch_rollout` for how it goes.
"""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.patch_rollout import HOSTS_AT_ONCE, carry_out
from wavemend.fleet import RolloutKey, RolloutKind


@flow(
    name="repair-hosts",
    flow_run_name="repair {tenant} · {profile} · {window}",
    description="Repairs the package database of one company's hosts of one profile where an "
    "earlier transaction was cut or failed, inside their maintenance window and after a signed "
    "approval of the exact plan: no other version is brought in. All memory is in the ledger: safe "
    "to run again at any time.",
    task_runner=ThreadPoolTaskRunner(max_workers=HOSTS_AT_ONCE),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def repair_hosts(
    tenant: str, profile: str, window: str, site: str = "default", requester: str = "operator"
) -> State:
    """Take a repair rollout from where the ledger has it to its end.

    Args:
        tenant: Company whose hosts are repaired.
        profile: Profile of the hosts.
        window: Maintenance window; outside of it nothing is started.
        site: Name of the `Wavemend Site` block.
        requester: Who asked for it; with four eyes, that person cannot approve it.
    """
    key = RolloutKey(tenant=tenant, profile=profile, window=window, kind=RolloutKind.REPAIR)
    return carry_out(key, site, requester)
