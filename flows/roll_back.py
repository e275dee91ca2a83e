"""Take hosts of a finished rollout back to what they were before it, because somebody asks."""

from prefect import flow, runtime, tags
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.host_steps import verify
from tasks.rolling_back import (
    Asked,
    batches,
    begin_run,
    end_run,
    read_case,
    roll_back_asked,
    show_rollback,
)
from tasks.submitting import Futures, after, settled
from tasks.workbench import Running, open_workbench
from wavemend.execution.rollback_end import RollbackEnd
from wavemend.outcomes import Outcome
from wavemend.steps.lease import hold


@flow(
    name="roll-back",
    flow_run_name="roll back · {rollout}",
    description="Takes hosts of a finished rollout back by their restore points, a wave's budget "
    "at a time. Critical hosts need a signature over exactly this. Started by `wavemend rollback`.",
    task_runner=ThreadPoolTaskRunner(max_workers=32),  # type: ignore[arg-type]  # invariant there
    persist_result=False,
)
def roll_back(
    rollout: str,
    hosts: list[str],
    reason: str,
    requester: str,
    *,
    outside_window: bool = False,
    site: str = "default",
) -> State:
    """Take hosts back.

    Args:
        rollout: The finished rollout whose changes are taken back.
        hosts: Its hosts that are.
        reason: Why, in one sentence; it is recorded, and part of what an approver signs.
        requester: Who asked for it.
        outside_window: Also while the hosts' maintenance window is closed.
        site: Name of the `Wavemend Site` block.
    """
    bench = open_workbench(site)
    names = tuple(sorted(set(hosts)))
    plan, case = read_case(bench, rollout, names, requester, reason, outside_window=outside_window)
    with hold(bench.hands, rollout) as lease:
        asked = Asked(Running(bench, lease, plan), case)
        begin_run(asked, str(runtime.flow_run.id))
        ends: dict[str, RollbackEnd] = {}
        done: Futures = []
        with tags(f"tenant:{plan.tenant}"):
            for batch in batches(plan, case):
                done = [after(done, roll_back_asked, asked, name) for name in batch]
                ends.update(zip(batch, settled(done), strict=True))
        end_run(asked, str(runtime.flow_run.id))
        # What the hosts lack again is open again: the look of their rollout says it is closed.
        touched = [name for name, end in ends.items() if end.outcome is not Outcome.BLOCKED]
        settled([after(done, verify, asked.running, name) for name in touched])
        show_rollback(asked, ends)
    back = sum(end.outcome is Outcome.ROLLED_BACK for end in ends.values())
    told = f"{back} of {len(ends)} hosts are taken back"
    return Completed(message=told) if back == len(ends) else Failed(message=told)
