"""Restart a host when that is due and allowed, and believe it only when it is proven.

Proven: another boot id, an uptime shorter than the time since the command, the newest kernel, and
no second boot for as long as the profile says. A host that goes on servicing after its restart is
not up before its manager says so.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wavemend.errors import HostPortClosed, HostUnreachable, LoginRefused, TransportError
from wavemend.execution import reboot_rules
from wavemend.execution.barring import barred
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.hosts import Facts
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Granted
from wavemend.managers import TellsReboot, WatchesBoot
from wavemend.observations import Look

MAX_REBOOTS = 5
"""More than five in one attempt is a boot loop (Google's OS Config stops at the same number)."""

_TELL_SECONDS = 30.0
_TOLD_WITHIN = timedelta(minutes=10)
"""A word that takes longer to its host is not obeyed any more: a stalled controller's comes hours
later, after the window, or under somebody else's change. A queue of connections takes minutes, and
preflight bounds how far clocks differ."""

_GUARD = """\
R="${WAVEMEND_ROOT:-}"
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin"
say() { echo "$2" >&2; exit "$1"; }
[ "$(cat "$R/proc/sys/kernel/random/boot_id")" = "$1" ] || say 83 'it runs in another boot by now'
[ "$(date +%s)" -le "$2" ] || say 82 'the word came too late by its own clock'
seen=0
[ ! -e "$R/var/lib/wavemend/fence" ] || read -r seen <"$R/var/lib/wavemend/fence"
[ "$3" -ge "$seen" ] || say 76 "it has seen a newer controller"
shift 3
exec "$@"
"""
"""What a job is asked before it begins: nobody here can know how late its word arrives there."""

_NOT_OBEYED = frozenset({76, 82})
_TELL_AGAIN_SECONDS = 300.0
_ASK_AGAIN_SECONDS = (1.0, 5.0)
"""First and longest pause between two looks at a host that is restarting."""

_GLANCE_SECONDS = 60.0
_NOT_UP = "booting"
_OBEYS = frozenset({_NOT_UP, HostUnreachable.reason, HostPortClosed.reason})
"""Why a host that was told to restart is not seen when it does: told again, it would once more."""

_REFUSED_SECONDS = 60.0
"""Pause after a refused login: a domain's machines answer before their directory does, and a
password that is wrong after all must not lock its account."""

_STAY_SECONDS = 10.0
"""Longest pause between two looks at a host that must stay in its new boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebooted:
    """The last look at a host, and what there is to say about its restart."""

    look: Look
    pending: str = ""
    """Why a restart that was due has not been seen; empty when none was, or it was seen."""
    trouble: str = ""
    """Why the restart failed: another kernel than expected, a boot loop."""
    happened: bool = False
    """True when the host was seen in another boot than the one its job began in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The word to restart: whose it is, for which boot, and until when it is one."""

    fence: int
    boot_id: str
    last: datetime
    """When it may not be said any more."""
    not_after: datetime
    """When it is not obeyed any more, once it was said."""

    def said(self, now: datetime) -> "Word":
        """Return it as it is said now."""
        return replace(self, not_after=min(self.last, now + _TOLD_WITHIN))


def word_of(hands: Hands, granted: Granted, seen: Look, last: datetime) -> Word:
    """Return the word to restart a host as it was seen, before it is asked whether it may be."""
    boot_id = seen.facts.boot_id if seen.facts else ""
    word = Word(fence=granted.fence, boot_id=boot_id, last=last, not_after=last)
    return word.said(hands.clock())


def reboot_if_due(
    hands: Hands, order: Order, granted: Granted, seen: Look, boot_id: str, *, first: bool = False
) -> Rebooted:
    """Restart the host if that is due and allowed; return the last that was seen of it.

    `boot_id`: the boot in which the job began; when it is another one already, the host has
    restarted since, and is not told to again. `first`: what is left to do begins with a restart.
    Call it only for a job that ended and left the host's packages whole: a half-configured host
    may not come up again.
    """
    facts = seen.facts
    if facts is None:
        return Rebooted(look=seen)
    with hands.ledger.reading() as book:
        told = attempts.reboots_of(book, granted.attempt_id) > 0
    if boot_id and facts.boot_id != boot_id:
        return _watched(hands, order, seen, None) if told else Rebooted(look=seen, happened=True)
    if not reboot_rules.is_due(order, facts, first=first):
        return Rebooted(look=seen)
    facts = without_our_shutdown(hands, order, facts, told=told)
    word = word_of(hands, granted, seen, order.plan.last_start)
    refusal = reboot_rules.deferral(order, facts, hands.clock())
    if refusal := refusal or _count(hands, order, granted.attempt_id):
        return Rebooted(look=seen, pending=f"not rebooted: {refusal}")
    return restart(hands, order, seen, word)


def without_our_shutdown(hands: Hands, order: Order, facts: Facts, *, told: bool) -> Facts:
    """Leave out the shutdown that a host counts down to because we told it: it is nobody else's."""
    if told and isinstance(hands.manager(order.host), TellsReboot):
        return replace(facts, scheduled_shutdown="")
    return facts


def _count(hands: Hands, order: Order, attempt_id: str) -> str:
    """Write the intent to restart the host; say why it may not be, instead, if so."""
    now = hands.clock()
    closed = barred(hands, order.in_force().calendar, order.plan.window_end)
    with hands.ledger.writing() as book:
        refusal = attempts.start_refusal(
            book, order.lease, order.plan, now, hands.local_stop(), barred=closed
        )
        if not refusal and attempts.count_reboot(book, order.lease, attempt_id, now) > MAX_REBOOTS:
            refusal = f"it was rebooted {MAX_REBOOTS} times already: a boot loop?"
    return refusal


def restart(hands: Hands, order: Order, seen: Look, word: Word) -> Rebooted:
    """Tell a host to restart, and wait until it is proven to have; nothing is asked before."""
    told = told_last = hands.monotonic()
    pause, until = _ASK_AGAIN_SECONDS[0], told + _patience(order)
    old = word.boot_id
    # The word may have been lost, and where to be told twice is to restart once, it is said again.
    unheard = isinstance(hands.manager(order.host), TellsReboot)
    said, obeyed = _tell(hands, order, word)
    if not obeyed:
        return Rebooted(look=seen, pending=f"not rebooted{said}")
    last = seen
    while hands.monotonic() < until:
        hands.sleep(_pause(pause, last))
        pause = min(1.2 * pause, _ASK_AGAIN_SECONDS[1])
        last = _glance(hands, order, seen, old=old)
        if last.facts is None:
            unheard = unheard and last.reason not in _OBEYS
            continue
        if last.facts.boot_id != old:
            return _watched(hands, order, last, told)
        if unheard and hands.monotonic() > told_last + _TELL_AGAIN_SECONDS:
            told_last = hands.monotonic()
            said, _ = _tell(hands, order, word.said(hands.clock()))
    why = last.detail if last.reason == _NOT_UP else "its boot id has not changed"
    pending = f"it was told to reboot, and {why}{said}"
    return Rebooted(look=_whole(hands, order, last), pending=pending)


def once_up(hands: Hands, order: Order) -> Look:
    """Look until the host answers, as long as a restart may take."""
    pause, until = _ASK_AGAIN_SECONDS[0], hands.monotonic() + _patience(order)
    while True:
        seen = look(hands, order.host, refresh=False)
        if seen.facts is not None or hands.monotonic() >= until:
            return seen
        hands.sleep(_pause(pause, seen))
        pause = min(1.5 * pause, _ASK_AGAIN_SECONDS[1])


def until_serviced(hands: Hands, order: Order, known: Look, old: str) -> None:
    """Wait while a host goes on servicing in another boot than `old`, as long as that may take.

    Whoever restarted it: what is searched, changed or restarted meanwhile undoes its updates.
    `known`: an earlier look at it.
    """
    if not old or not isinstance(hands.manager(order.host), WatchesBoot):
        return
    until = hands.monotonic() + _patience(order)
    while _glance(hands, order, known, old=old).reason == _NOT_UP and hands.monotonic() < until:
        hands.sleep(_ASK_AGAIN_SECONDS[1])


def _pause(usual: float, last: Look) -> float:
    """Return the seconds until a host is asked again."""
    return _REFUSED_SECONDS if last.reason == LoginRefused.reason else usual


def _patience(order: Order) -> float:
    return order.profile.reboots.back_within.total_seconds()


def _glance(hands: Hands, order: Order, known: Look, *, old: str = "") -> Look:
    """Look at a host that is restarting; a short question where its manager has one.

    The answer to that is what was known of the host, with the boot id of now. `old`: the boot it is
    to leave; nobody asks whether it is up for good in that one.
    """
    manager = hands.manager(order.host)
    if known.facts is None or not isinstance(manager, WatchesBoot):
        return look(hands, order.host, refresh=False)
    unseen = Look(host=order.host.name, at=hands.clock(), facts=None)
    try:
        transport = hands.connect(order.host)
        try:
            boot = manager.boot_seen(transport, deadline=_GLANCE_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        return replace(unseen, reason=error.reason, detail=str(error))
    if not boot.is_up and boot.boot_id != old:
        return replace(unseen, reason=_NOT_UP, detail="it answers and is not up for good")
    facts = replace(known.facts, boot_id=boot.boot_id)
    return replace(unseen, facts=facts, peer_key=known.peer_key)


def _whole(hands: Hands, order: Order, last: Look) -> Look:
    """Return a whole look, where only a short question was asked."""
    if isinstance(hands.manager(order.host), WatchesBoot):
        return look(hands, order.host, refresh=False)
    return last


def _tell(hands: Hands, order: Order, word: Word) -> tuple[str, bool]:
    """Tell the host to restart; return what it said against that, behind a colon.

    False: the word is nobody's any more. The answer is often lost with the connection: only the
    boot id says what happened.
    """
    with suppress(TransportError):
        transport = hands.connect(order.host)
        try:
            if hands.clock() > word.not_after:
                return ": the word took too long to the host", False
            manager = hands.manager(order.host)
            if isinstance(manager, TellsReboot):
                refusal = manager.tell_reboot(
                    transport,
                    boot_id=word.boot_id,
                    fence=word.fence,
                    not_after=int(word.not_after.timestamp()),
                    deadline=_TELL_SECONDS,
                )
                if refusal:
                    return f": the host refused: {refusal}", False
            else:
                argv = _guarded(manager.reboot_argv, word)
                done = transport.run_as_root(argv, deadline=_TELL_SECONDS)
                if done.exit_status != 0:
                    words = (done.stderr or done.stdout).decode(errors="replace").split()
                    said = f": the command ended with {done.exit_status} {' '.join(words)[:200]}"
                    return said, done.exit_status not in _NOT_OBEYED
        finally:
            transport.close()
    return "", True


def _guarded(argv: tuple[str, ...], word: Word) -> tuple[str, ...]:
    """Return a command that its host runs only while the word to restart still holds there."""
    holds = (word.boot_id, str(int(word.not_after.timestamp())), str(word.fence))
    return ("/bin/sh", "-c", _GUARD, "wavemend-restart", *holds, *argv)


def _watched(hands: Hands, order: Order, first: Look, told: float | None) -> Rebooted:
    """Say whether a host that answers from another boot is back for good, and with its kernel.

    `told`: when it was told to restart, on our stopwatch; None: by an earlier process.
    """
    back = _stay(hands, order, first)
    facts = back.look.facts
    if back.trouble or facts is None:
        return back
    since_told = None if told is None else hands.monotonic() - told
    if reason := reboot_rules.unproven_boot(facts, since_told):
        return replace(back, pending=reason)
    return replace(back, trouble=reboot_rules.wrong_kernel(facts))


def _stay(hands: Hands, order: Order, first: Look) -> Rebooted:
    """Look on until the new boot has lasted; a second one within that time is a boot loop.

    A host that is away for a moment and comes back in the same boot has not flapped; one that
    stays away is what was last seen of it.
    """
    manners = order.profile.reboots
    stable, patience = manners.stable_for.total_seconds(), _patience(order)
    short = isinstance(hands.manager(order.host), WatchesBoot)
    began, last = hands.monotonic(), _glance(hands, order, first) if short else first
    while (gone := hands.monotonic() - began) < stable or last.facts is None:
        if last.facts is None and gone >= stable + patience:
            break
        hands.sleep(_pause(min(_STAY_SECONDS, max(1.0, stable / 4)), last))
        last = _glance(hands, order, first)
        if last.facts is not None and _boot(last.facts) != _boot(first.facts):
            trouble = f"boot loop: it came up again within {gone:.0f} s of its restart"
            return Rebooted(look=_whole(hands, order, last), trouble=trouble, happened=True)
    return Rebooted(look=_whole(hands, order, last), happened=True)


def _boot(facts: Facts | None) -> str:
    return facts.boot_id if facts else ""
