"""Which rollout a run works for: the unfinished one, or the one of the window that is open now."""

from datetime import datetime, timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.workbench import Running, Workbench
from wavemend.calendar.windows import Occurrence, Window, next_occurrences, occurrence_at
from wavemend.fleet import RolloutKey
from wavemend.ledger import rollouts
from wavemend.ledger.tables import (
    RolloutRow,
)
from wavemend.plans import Plan, PlannedWave
from wavemend.reporting import build_report
from wavemend.reports import Verdict, verdict_of
from wavemend.rollout import Action, next_action

OPENS_SOON = timedelta(minutes=2)
"""Prefect starts a run at the second a window opens, by the server's clock. A worker whose clock
is behind sees it closed still, and the next run comes a night later. A minute is what badly kept
clocks are off by; the other one is reserve."""


@task(task_run_name="open rollout", cache_policy=NO_CACHE)
def open_for(
    bench: Workbench, key: RolloutKey, requester: str, flow_run_id: str
) -> RolloutRow | None:
    """Return the rollout to work for; None when there is none left and no window is open.

    An unfinished rollout comes first, even after its window: it starts nothing any more, but it
    is closed, verified and reported, even when the fleet in force knows its window no more.
    """
    hands = bench.hands
    with hands.ledger.reading() as book:
        left_over = rollouts.unfinished_of(book, key) is not None
    occurrence = None if left_over else _open_or_soon(bench, bench.fleet.window(key.window))
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
    return next_action(running.plan, view, hands.clock(), profile.roll_back)


def hooks_of(running: Running, when: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands that the profile runs before or after the waves."""
    profile = running.bench.fleet.profile(running.plan.profile)
    return profile.before_hooks if when == "before" else profile.after_hooks


def steps_done(running: Running) -> frozenset[str]:
    """Return the phases that the ledger has as done."""
    with running.bench.hands.ledger.reading() as book:
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


def finish(running: Running) -> Verdict:
    """End the rollout in the ledger, with the answer to "did it really work?"."""
    hands, rollout_id = running.bench.hands, running.plan.rollout
    made = build_report(hands.ledger, running.bench.fleet, rollout_id, hands.clock())
    verdict = verdict_of(made)
    with hands.ledger.writing() as book:
        reason = f"{verdict.answer}: {verdict.sentence}"
        rollouts.finish_rollout(book, running.lease, reason, hands.clock())
    return verdict
