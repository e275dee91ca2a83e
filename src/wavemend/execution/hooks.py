"""The operator's commands around the change of one host: drain and fill, silence and speak.

Each that has ended is a step of the attempt, and is not run again. One that ran when the worker
died has no end in the ledger and runs once more: at least once, never silently not at all.
"""

from collections.abc import Callable, Iterator
from math import ceil

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.ledger import attempt_steps
from wavemend.ledger.attempt_steps import StepDone
from wavemend.ledger.rollouts import check_lease
from wavemend.operations import OUTPUT_BOUND, Operation, OperationEnd
from wavemend.policy.care import HostHook, Place, When
from wavemend.transport import WindowsTransport

_BOUND = """\
if command -v timeout >/dev/null; then exec timeout -k "$@"; fi
shift 2
exec "$@"
"""
"""A channel that is closed does not end its command. A few appliances have no `timeout`."""

_TIMED_OUT = frozenset({124, 137, 143})
"""What `timeout` ends with, of one or the other make; a command may end so by itself, earlier."""

_KILLED_AFTER = 5.0
"""Seconds between TERM and KILL of a hook on the host that is late, as on the worker."""

_MARGIN = _KILLED_AFTER + 10.0
"""How much longer than the hook itself its answer is waited for."""


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
            with hands.ledger.reading() as book:
                check_lease(book, order.lease)  # a newer owner may be in the middle of the change
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
    """Run one hook on its host; say how it failed, or nothing.

    What follows undoes it: it must not overtake one that still runs there, unseen. So the host
    itself ends it at its deadline, and where its end was not seen that deadline is waited for.
    """
    seconds = hook.deadline.total_seconds()
    until = hands.monotonic() + seconds + _KILLED_AFTER
    try:
        transport = hands.connect(order.host)
    except TransportError as error:
        return f"was not seen to end: {error.reason}: {error}"
    argv = hook.argv if isinstance(transport, WindowsTransport) else _ended(hook.argv, seconds)
    try:
        done = transport.run_as_root(argv, deadline=seconds + _MARGIN, bound=OUTPUT_BOUND)
    except TransportError as error:
        if hook.when is When.BEFORE:
            hands.sleep(max(0.0, until - hands.monotonic()))
        return f"was not seen to end: {error.reason}: {error}"
    finally:
        transport.close()
    said = (done.stderr or done.stdout).decode(errors="replace")
    if done.exit_status in _TIMED_OUT and done.seconds >= seconds:
        return OperationEnd(exit_status=None, output=said, late=True).trouble
    return OperationEnd(exit_status=done.exit_status, output=said).trouble


def _ended(argv: tuple[str, ...], seconds: float) -> tuple[str, ...]:
    """Return a command that its host ends at its deadline, with what it has started."""
    words = (f"{_KILLED_AFTER:.0f}", f"{ceil(seconds)}")
    return ("/bin/sh", "-c", _BOUND, "wavemend-hook", *words, *argv)


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
