"""Watching over nights: an alarm for those nobody started, a late start where time is left."""

from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.settings import get_current_settings

from tasks.run_log import run_log
from tasks.workbench import Workbench
from wavemend.cli.here import PrefectApi
from wavemend.cli.resume import Switches, start_as_scheduled
from wavemend.errors import EnvironmentUnfit
from wavemend.nights import Night
from wavemend.steps.nights import Due, Watched, watch_openings

MISSED_EVENT = "wavemend.night.missed"
"""What an automation waits for, to tell people."""
REQUESTER = "watch-nights"
HELD = "%s is due; its schedule is switched off, so nobody starts it"


@task(task_run_name="compare openings with the ledger", cache_policy=NO_CACHE)
def compare_openings(bench: Workbench) -> Watched:
    """Write down the nights that nobody started, and say what can still be started."""
    found = watch_openings(bench.hands, Switches(_api()).off)
    for night in (*found.missed, *found.skipped):
        run_log().warning("%s", told(night))
    for due in found.held:
        run_log().warning(HELD, due.key)
    return found


@task(task_run_name="raise the alarm", cache_policy=NO_CACHE)
def raise_alarm(missed: tuple[Night, ...]) -> None:
    """Emit an event per missed night."""
    for night in missed:
        emit_event(
            event=MISSED_EVENT,
            resource={
                "prefect.resource.id": f"wavemend.rollout-key.{night.key}",
                "prefect.resource.name": night.key,
                "wavemend.tenant": night.tenant,
            },
            payload={
                "window": night.window,
                "start": night.window_start.isoformat(),
                "end": night.window_end.isoformat(),
                "reason": night.reason,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What came of starting a rollout late."""

    started: bool = False
    """False without trouble: its schedule was switched off in the meantime."""
    trouble: str = ""


@task(task_run_name="start late: {due.key}", cache_policy=NO_CACHE)
def start_late(due: Due) -> Late:
    """Ask for a run of a rollout that is due, unless it was switched off in the meantime."""
    try:
        run = start_as_scheduled(_api(), due.key, due.opened, REQUESTER)
    except EnvironmentUnfit as error:
        return Late(trouble=f"{due.key} cannot be started: {error}")
    if not run:
        run_log().warning(HELD, due.key)
        return Late()
    run_log().warning("%s: nobody had started it; run %s does", due.key, run)
    return Late(started=True)


def _api() -> PrefectApi:
    return PrefectApi((get_current_settings().api.url or "").rstrip("/"))


def told(night: Night) -> str:
    """Return one line about a night without a rollout."""
    return f"{night.key} of {night.window_start:%Y-%m-%d %H:%M} UTC {night.verdict}: {night.reason}"
