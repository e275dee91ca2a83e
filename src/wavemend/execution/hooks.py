"""The operator's commands around the change of one host: drain and fill, silence and speak.

Each that has ended is a step of the attempt, and is not run again. One that ran when the worker
died has no end in the ledger and runs once more: at least once, never silently not at all.
"""

from collections.abc import Callable, Iterator

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.ledger import attempt_steps
from wavemend.ledger.attempt_steps import StepDone
from wavemend.operations import OUTPUT_BOUND, Operation, OperationEnd
from wavemend.policy.care import HostHook, Place, When


def run_hooks(
    hands: Hands,
    order: Order,
    attempt_id: str,
    when: When,
    *,
    outcome: str = "",
    refused: Callable[[], bool] = lambda: False,
) -> tuple[str, ...]:
    """Run the hooks of one side that have not ended yet; say which failed, by name and words.

    Of those before the change, none follows one that failed; those after it all run. `outcome`:
    what the hooks after the change are told became of the host. `refused`: asked before each
    hook; once the change is, none is run any more.
    """
    with hands.ledger.reading() as book:
        done = attempt_steps.steps_of(book, attempt_id)
    troubles = []
    for step, hook in _of(order, when):
        ended = done.get(step)
        if ended is None:
            if refused():
                break
            trouble = _trouble(hands, order, attempt_id, hook, outcome)
            ended = StepDone(step=step, ok=not trouble, detail=trouble)
            with hands.ledger.writing() as book:
                attempt_steps.record_step(book, order.lease, attempt_id, ended, hands.clock())
        if not ended.ok:
            troubles.append(f"{when} hook {hook.name} {ended.detail}")
            if when is When.BEFORE:
                break
    return tuple(troubles)


def _of(order: Order, when: When) -> Iterator[tuple[str, HostHook]]:
    """Yield a side's hooks with what the ledger calls them: names may repeat, places do not."""
    for number, hook in enumerate(order.profile.hooks, start=1):
        if hook.when is when:
            yield f"hook {number} {hook.name}", hook


def _trouble(hands: Hands, order: Order, attempt_id: str, hook: HostHook, outcome: str) -> str:
    """Run one hook; say how it failed, or nothing."""
    if hook.on is Place.HOST:
        return _on_host(hands, order, hook)
    return hands.operate(_operation(order, attempt_id, hook, outcome)).trouble


def _on_host(hands: Hands, order: Order, hook: HostHook) -> str:
    try:
        transport = hands.connect(order.host)
        try:
            done = transport.run_as_root(
                hook.argv, deadline=hook.deadline.total_seconds(), bound=OUTPUT_BOUND
            )
        finally:
            transport.close()
    except TransportError as error:
        return f"was not seen to end: {error.reason}: {error}"
    said = (done.stderr or done.stdout).decode(errors="replace")
    return OperationEnd(exit_status=done.exit_status, output=said).trouble


def _operation(order: Order, attempt_id: str, hook: HostHook, outcome: str) -> Operation:
    host = order.host
    return Operation(
        title=f"{host.name}: {hook.name}",
        argv=hook.argv,
        environment={
            "WAVEMEND_HOST": host.name,
            "WAVEMEND_ADDRESS": host.address,
            "WAVEMEND_TENANT": host.tenant,
            "WAVEMEND_ROLLOUT": order.plan.rollout,
            "WAVEMEND_WAVE": order.plan.wave_of(host.name).name,
            "WAVEMEND_ATTEMPT": attempt_id,
            "WAVEMEND_OUTCOME": outcome,
        },
        seconds=hook.deadline.total_seconds(),
    )
