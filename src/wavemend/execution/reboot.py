"""Reboot a host when its profile asks for it, and believe it only when the boot id changed."""

from contextlib import suppress
from dataclasses import dataclass

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.hosts import Facts
from wavemend.ledger import attempts
from wavemend.observations import Look
from wavemend.policy.profiles import RebootRule

MAX_REBOOTS = 5
"""More than five in one attempt is a boot loop (Google's OS Config stops at the same number)."""

BACK_SECONDS = 600.0
"""A server's firmware alone may take five minutes."""

_TELL_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebooted:
    """The last look at a host, and why a reboot that was due has not been seen; empty if none."""

    look: Look
    pending: str = ""


def reboot_if_due(
    hands: Hands, order: Order, attempt_id: str, seen: Look, boot_id: str
) -> Rebooted:
    """Reboot the host if that is due and allowed; return the last that was seen of it.

    `boot_id`: the boot in which the job began; when it is another one already, the host has
    rebooted since, and is not told to again. Call it only for a job that ended and left the
    host's packages whole: a half-configured host may not come up again.
    """
    if seen.facts is None or not _due(order, seen.facts, boot_id):
        return Rebooted(look=seen)
    now = hands.clock()
    with hands.ledger.writing() as book:
        refusal = attempts.start_refusal(book, order.lease, order.plan, now, hands.local_stop())
        if not refusal and attempts.count_reboot(book, order.lease, attempt_id, now) > MAX_REBOOTS:
            refusal = f"it was rebooted {MAX_REBOOTS} times already: a boot loop?"
    if refusal:
        return Rebooted(look=seen, pending=f"not rebooted: {refusal}")
    _tell(hands, order)
    return _wait_until_back(hands, order, seen)


def _due(order: Order, facts: Facts, boot_id: str) -> bool:
    if boot_id and facts.boot_id != boot_id:
        return False
    match RebootRule(order.planned.reboot):
        case RebootRule.NEVER:
            return False
        case RebootRule.IF_NEEDED:
            return bool(facts.reboot_reasons)
        case RebootRule.ALWAYS:
            return True


def _tell(hands: Hands, order: Order) -> None:
    # The answer is often lost with the connection: only the boot id says what happened.
    with suppress(TransportError):
        transport = hands.connect(order.host)
        try:
            transport.run_as_root(("shutdown", "-r", "now"), deadline=_TELL_SECONDS)
        finally:
            transport.close()


def _wait_until_back(hands: Hands, order: Order, before: Look) -> Rebooted:
    """Look until another boot answers. A host that never does is what was last seen of it."""
    old = before.facts.boot_id if before.facts else ""
    until, last = hands.monotonic() + BACK_SECONDS, before
    while hands.monotonic() < until:
        hands.sleep(_ASK_AGAIN_SECONDS)
        last = look(hands, order.host, refresh=False)
        if last.facts is not None and last.facts.boot_id != old:
            return Rebooted(look=last)
    return Rebooted(look=last, pending="it was told to reboot, and its boot id has not changed")
