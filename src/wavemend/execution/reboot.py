"""Reboot a host when its profile asks for it, and believe it only when the boot id changed."""

from contextlib import suppress

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.ledger import attempts
from wavemend.observations import Look
from wavemend.policy.profiles import RebootRule

MAX_REBOOTS = 5
"""More than five in one attempt is a boot loop (Google's OS Config stops at the same number)."""

BACK_SECONDS = 600.0
"""A server's firmware alone may take five minutes."""

_TELL_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 1.0


def reboot_if_due(hands: Hands, order: Order, attempt_id: str, seen: Look, boot_id: str) -> Look:
    """Return the look after the reboot, or the given one when no reboot is due or allowed.

    `boot_id`: the boot in which the job began; when it is another one already, the host has
    rebooted since, and is not told to again.
    """
    if seen.facts is None or not _due(order, seen, boot_id):
        return seen
    now = hands.clock()
    if now >= order.plan.last_start or hands.local_stop():
        return seen
    with hands.ledger.writing() as book:
        if attempts.count_reboot(book, order.lease, attempt_id, now) > MAX_REBOOTS:
            return seen
    _tell(hands, order)
    return _wait_until_back(hands, order, seen.facts.boot_id) or seen


def _due(order: Order, seen: Look, boot_id: str) -> bool:
    if seen.facts is None:
        return False
    match RebootRule(order.planned.reboot):
        case RebootRule.NEVER:
            return False
        case RebootRule.IF_NEEDED:
            return bool(seen.facts.reboot_reasons)
        case RebootRule.ALWAYS:
            return bool(seen.facts.reboot_reasons) or seen.facts.boot_id == boot_id


def _tell(hands: Hands, order: Order) -> None:
    # The answer is often lost with the connection: only the boot id says what happened.
    with suppress(TransportError):
        transport = hands.connect(order.host)
        try:
            transport.run_as_root(("shutdown", "-r", "now"), deadline=_TELL_SECONDS)
        finally:
            transport.close()


def _wait_until_back(hands: Hands, order: Order, old_boot_id: str) -> Look | None:
    until = hands.monotonic() + BACK_SECONDS
    while hands.monotonic() < until:
        hands.sleep(_ASK_AGAIN_SECONDS)
        seen = look(hands, order.host, refresh=False)
        if seen.facts is not None and seen.facts.boot_id != old_boot_id:
            return seen
    return None
