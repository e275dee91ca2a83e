"""Preflight: is every host on, reachable and fit, before anything is prepared or changed?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from wavemend.errors import PlanError, TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look, look_and_record, past_lock, seconds_of
from wavemend.execution.restore_points import asking, snapshotter
from wavemend.fleet import RolloutKind
from wavemend.hosts import Facts, Host
from wavemend.ledger.journals import strangers
from wavemend.ledger.readiness import (
    Occasion,
    claim_switch_on,
    note_not_switched_on,
    record_readiness,
)
from wavemend.ledger.scans import record_look
from wavemend.observations import Look
from wavemend.packages import Target, Transaction
from wavemend.policy.care import RestorePointRule
from wavemend.policy.profiles import Profile
from wavemend.power_on import can_be_switched_on, switch_on
from wavemend.readiness import NO_OBSTACLE, Check, GroupAnswer, Problem, Readiness, judge_look

REHEARSE_SECONDS = 180.0
"""A solver on a slow host with hundreds of pending updates."""

BOOT_SECONDS = 420.0
"""A server's firmware alone may take five minutes; a virtual machine is there in one."""

_LOOK_AGAIN_SECONDS = 10.0

HOLD_SECONDS = 60.0
"""Between two looks at the hosts a group is held for."""


def check_host(
    hands: Hands,
    host: Host,
    profile: Profile,
    occasion: Occasion,
    *,
    deep: bool,
    until: datetime | None = None,
    kind: str = RolloutKind.PATCH,
) -> Readiness:
    """Look at one host, say what is wrong with it, and write that down.

    `deep`: with a fresh package index, a rehearsal of what is pending and a question to who keeps
    restore points, for the checks long before the window; the quick form comes right before a
    wave, when all that was seen lately. `until`: from then on no host is switched on. `kind`: what
    the host is to be ready for.
    """
    purpose = f"readiness {occasion.name}"
    _, seen = look_and_record(hands, host, purpose=purpose, refresh=deep)
    asked = ""
    if seen.facts is None and seen.reason == Check.OFF and can_be_switched_on(host, profile):
        asked = _switch_on(hands, host, profile, occasion, until)
        if not asked:
            seen = _wait_for(hands, host, purpose)
            asked = "" if seen.facts else "it was told to switch on and does not answer"
    seen = past_lock(hands, host, seen, purpose=purpose, refresh=deep)
    installs = kind not in NO_OBSTACLE
    rehearsal = _rehearsal(hands, host, seen.facts) if deep and installs else None
    with hands.ledger.reading() as book:
        unknown = strangers(book, host.name, seen.facts)
    readiness = judge_look(seen, rehearsal, strangers=unknown, kind=kind)
    problems = list(readiness.problems)
    if asked:
        problems[0] = replace(problems[0], hint=asked)
    if deep and seen.facts is not None:
        problems += _no_provider(hands, host, profile.restore_point)
    readiness = replace(readiness, problems=tuple(problems))
    with hands.ledger.writing() as book:
        record_readiness(book, occasion, readiness, hands.clock())
    return readiness


def _switch_on(
    hands: Hands, host: Host, profile: Profile, occasion: Occasion, until: datetime | None
) -> str:
    """Switch a host on, once; return why that was not done, or what went wrong, or nothing.

    Critical ones too: nothing on the host is changed by it.
    """
    now = hands.clock()
    if until is not None and now >= until:
        return "it was not switched on: the window's cut-off has passed"
    with hands.ledger.writing() as book:
        refusal = claim_switch_on(book, occasion, host.name, now, hands.local_stop())
    if refusal:
        return refusal
    trouble = switch_on(hands, host, profile)
    if trouble:
        with hands.ledger.writing() as book:
            note_not_switched_on(book, occasion, host.name, hands.clock(), trouble)
    return trouble


def _no_provider(hands: Hands, host: Host, rule: RestorePointRule) -> list[Problem]:
    """Ask who keeps the restore points that a profile requires for a list of them."""
    if not rule.required:
        return []
    with asking(hands, host) as ask:
        try:
            trouble = snapshotter(rule).listed(ask, host).trouble
        except PlanError as error:
            trouble = str(error)
    if not trouble:
        return []
    reason = f"restore points are required and cannot be listed: {trouble}"
    hint = "without a restore point the host will be blocked, not patched"
    return [Problem(check=Check.RESTORE_POINT, reason=reason, hint=hint)]


def _wait_for(hands: Hands, host: Host, purpose: str) -> Look:
    """Look again until the host answers or its time to boot is over."""
    until = hands.monotonic() + BOOT_SECONDS
    while True:
        hands.sleep(_LOOK_AGAIN_SECONDS)
        seen = look(hands, host, refresh=False)
        if seen.facts is not None or hands.monotonic() >= until:
            break
    with hands.ledger.writing() as book:
        record_look(book, host, seen, purpose=purpose)
    return seen


def _rehearsal(hands: Hands, host: Host, facts: Facts | None) -> Transaction | None:
    """Ask for the sizes of everything pending that could be installed; None: nobody can say."""
    if facts is None:
        return None
    targets = [
        Target(name=update.name, arch=update.arch, version=update.candidate)
        for update in facts.pending
        if not (update.held or update.phased or update.not_taken)
    ]
    if not targets:
        return None
    try:
        transport = hands.connect(host)
        try:
            manager = hands.manager(host)
            deadline = seconds_of(manager, REHEARSE_SECONDS)
            return manager.rehearse(transport, targets, deadline=deadline)
        finally:
            transport.close()
    except PlanError as error:
        return Transaction(installs=(), removals=(), refusal=str(error))
    except TransportError as error:
        return Transaction(installs=(), removals=(), refusal=f"{error.reason}: {error}")


def until_ready(
    hands: Hands,
    first: Sequence[Readiness],
    *,
    again: Callable[[Sequence[str]], Sequence[Readiness]],
    answer: Callable[[Sequence[Readiness]], GroupAnswer],
    notify: Callable[[str], None],
) -> GroupAnswer:
    """Hold a group as long as its rule says so: look again at those that are not ready.

    `again` looks at the named hosts, `answer` applies the rule at that moment, `notify` is told
    each new reason once.
    """
    found = {readiness.host: readiness for readiness in first}
    said = ""
    while True:
        verdict = answer([found[name] for name in sorted(found)])
        if not verdict.hold:
            return verdict
        if verdict.reason != said:
            said = verdict.reason
            notify(said)
        hands.sleep(HOLD_SECONDS)
        unready = [name for name in sorted(found) if not found[name].ready]
        found.update({readiness.host: readiness for readiness in again(unready)})
