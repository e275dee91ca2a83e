"""Which rollout a run works for: the unfinished one, or the one of the window that is open now."""

from dataclasses import replace
from datetime import datetime, timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.workbench import Running, Workbench
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.windows import Occurrence, Window, next_occurrences, occurrence_at
from wavemend.execution.barring import barred, needed_overrides
from wavemend.fleet import RolloutKey, RolloutKind
from wavemend.ledger import nights, rollouts
from wavemend.ledger.gaps import company_hold
from wavemend.ledger.tables import (
    RolloutRow,
)
from wavemend.nights import Night, used_step
from wavemend.plans import Plan, PlannedWave
from wavemend.policy.emergencies import calendar_for
from wavemend.reporting import build_report
from wavemend.reports import RolloutReport, verdict_of
from wavemend.rollout import Action, next_action
from wavemend.steps.nights import judge_night, note_night

OPENS_SOON = timedelta(minutes=2)
"""Prefect starts a run at the second a window opens, by the server's clock. A worker whose clock
is behind sees it closed still, and the next run comes a night later. A minute is what badly kept
clocks are off by; the other one is reserve."""


LOOK_AGAIN = timedelta(seconds=60)
"""While a freeze holds: how soon one that was shortened, or a night that was signed for, counts."""


@task(task_run_name="open rollout", cache_policy=NO_CACHE)
def open_for(
    bench: Workbench, key: RolloutKey, requester: str, flow_run_id: str
) -> RolloutRow | Night | None:
    """Return the rollout to work for; None when there is none left and no window is open.

    An unfinished rollout comes first, even after its window: it starts nothing any more, but it
    is closed, verified and reported, even when the fleet in force knows its window no more. When
    calendars forbid what is left of the opening, or it is too late in it, no rollout is opened,
    and the night with its reason is returned.
    """
    hands = bench.hands
    with hands.ledger.reading() as book:
        left_over = rollouts.unfinished_of(book, key) is not None
    # An emergency is opened by whoever asks for it, with what it is about.
    waits = not left_over and key.kind != RolloutKind.EMERGENCY
    occurrence = _open_or_soon(bench, bench.fleet.window(key.window)) if waits else None
    if occurrence is not None and (night := _lost_night(bench, key, occurrence)) is not None:
        return night
    if key.kind == RolloutKind.EMERGENCY:
        _wait_out(bench, key)
    now = hands.clock()
    with hands.ledger.writing() as book:
        row = rollouts.unfinished_of(book, key)
        if row is None and occurrence is not None:
            row = rollouts.open_rollout(
                book,
                f"r-{hands.token()[:12]}",
                key,
                occurrence,
                requester=requester,
                now=now,
            )
        if row is not None:
            row.flow_run_id = flow_run_id
    return row


def _open_or_soon(bench: Workbench, window: Window) -> Occurrence | None:
    """Return the opening that holds this moment, waiting for one that is about to begin."""
    hands = bench.hands
    now = hands.clock()
    occurrence = occurrence_at(window, now)
    if occurrence is not None:
        return occurrence
    (soon,) = next_occurrences(window, now, 1)
    if soon.start - now > OPENS_SOON:
        return None
    while (left := _until(soon.start, hands.clock())) > 0:
        hands.sleep(left)
    return soon


def _lost_night(bench: Workbench, key: RolloutKey, occurrence: Occurrence) -> Night | None:
    """Wait for the first moment at which something may start; the night when there is none."""
    hands = bench.hands
    with hands.ledger.reading() as book:
        if nights.was_opened(book, str(key), occurrence.start):
            return None
    calendar = bench.fleet.calendar_of(key.tenant)
    while True:
        judged = judge_night(hands, calendar, occurrence)
        if judged.verdict is not None:
            return note_night(hands, key, occurrence, judged.verdict, judged.reason)
        if judged.wait <= timedelta(0):
            return None
        hands.sleep(min(judged.wait, LOOK_AGAIN).total_seconds())


def _wait_out(bench: Workbench, key: RolloutKey) -> None:
    """Wait while calendars forbid a start that they allow later in an emergency's own opening."""
    hands = bench.hands
    tenant = bench.fleet.tenant(key.tenant)
    calendar = calendar_for(bench.fleet.calendar_of(key.tenant), tenant.emergency)
    while True:
        with hands.ledger.reading() as book:
            row = rollouts.unfinished_of(book, key)
            if row is None or row.plan_digest:
                return
            opening = Occurrence(
                window=row.window,
                start=row.window_start,
                end=row.window_end,
                last_start=row.last_start,
            )
        judged = judge_night(hands, calendar, opening)
        if judged.verdict is not None or judged.wait <= timedelta(0):
            return
        hands.sleep(min(judged.wait, LOOK_AGAIN).total_seconds())


def _until(moment: datetime, now: datetime) -> float:
    return (moment - now).total_seconds()


def read_plan(bench: Workbench, rollout_id: str) -> Plan | None:
    """Return the frozen plan of a rollout, if there is one."""
    with bench.hands.ledger.reading() as book:
        return rollouts.read_plan(book, rollout_id)


def what_next(running: Running) -> Action:
    """Ask the core what the rollout does now."""
    hands = running.bench.hands
    profile = running.bench.fleet.profile(running.plan.profile)
    with hands.ledger.reading() as book:
        view = rollouts.read_view(book, running.lease.rollout_id)
        hold = company_hold(book, running.plan, running.tenant.gap, hands.clock())
    calendar = running.calendar
    closed = barred(hands, calendar, running.plan.window_end)
    # The file that stops this machine stops its rollouts too, between two hosts as between waves.
    stopped = view.stopped or hands.local_stop()
    probed = bool(profile.probes)
    view = replace(view, hold=hold, barred=closed, stopped=stopped, probed=probed)
    _note_overrides(running, calendar)
    return next_action(running.plan, view, hands.clock(), profile.roll_back)


def _note_overrides(running: Running, calendar: TenantCalendar) -> None:
    """Write down which signed overrides this night rests on: they stand in the report."""
    hands = running.bench.hands
    used = needed_overrides(hands, calendar, hands.almanac(), running.plan.window_end)
    for override in used:
        note_step(running, used_step(override.morning, override.identity), override.reason)


def hooks_of(running: Running, when: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands that the profile runs before or after the waves."""
    profile = running.bench.fleet.profile(running.plan.profile)
    return profile.before_hooks if when == "before" else profile.after_hooks


def steps_done(running: Running) -> frozenset[str]:
    """Return the phases that the ledger has as done.

    Asked before a command of the profile runs: raises LedgerConflict when another run goes on with
    the rollout, as that one runs it.
    """
    with running.bench.hands.ledger.reading() as book:
        rollouts.check_lease(book, running.lease)
        return rollouts.read_view(book, running.lease.rollout_id).steps


def hosts_left(running: Running) -> tuple[str, ...]:
    """Return the hosts of the plan that have no attempt yet, by name."""
    with running.bench.hands.ledger.reading() as book:
        known = rollouts.read_view(book, running.lease.rollout_id).attempts
    return tuple(host.name for host in running.plan.hosts if host.name not in known)


def note_step(running: Running, step: str, detail: str = "") -> None:
    """Write down that a phase is done."""
    hands = running.bench.hands
    with hands.ledger.writing() as book:
        rollouts.record_step(book, running.lease, step, hands.clock(), detail=detail)


def note_wave(running: Running, wave: PlannedWave) -> None:
    """Write down the first start of a wave."""
    hands = running.bench.hands
    with hands.ledger.writing() as book:
        rollouts.begin_wave(book, running.lease, wave, hands.clock())


def finish(running: Running) -> RolloutReport:
    """End the rollout in the ledger, with the answer to "did it really work?"; return it all."""
    hands, rollout_id = running.bench.hands, running.plan.rollout
    made = build_report(hands.ledger, running.bench.fleet, rollout_id, hands.clock())
    verdict = verdict_of(made)
    with hands.ledger.writing() as book:
        reason = f"{verdict.answer}: {verdict.sentence}"
        rollouts.finish_rollout(book, running.lease, reason, hands.clock())
    return made
