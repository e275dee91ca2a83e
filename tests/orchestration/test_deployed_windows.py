"""Each window becomes a deployment, two looks before it, and restarts of their own where named."""

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest

from deployments.deploy_windows import forms_of, schedule_of
from wavemend.calendar.windows import Window
from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES

pytestmark = pytest.mark.orchestration

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet.yaml"


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return INVENTORIES["file"]()(EXAMPLE)


def window(start: time, *days: int) -> Window:
    return Window(
        name="night",
        zone="Europe/Berlin",
        start=start,
        days=frozenset(days),
        duration=timedelta(hours=4),
        cutoff=timedelta(minutes=30),
    )


@pytest.mark.parametrize(
    ("start", "days", "ahead", "cron"),
    [
        (time(22), (5,), timedelta(0), "0 22 * * 6"),  # cron counts from Sunday
        (time(22), (6,), timedelta(0), "0 22 * * 0"),
        (time(22), (5,), timedelta(minutes=30), "30 21 * * 6"),
        (time(22), (5,), timedelta(days=1), "0 22 * * 5"),
        (time(0, 10), (0, 5), timedelta(minutes=30), "40 23 * * 0,5"),
        (time(0, 10), (6,), timedelta(days=1), "10 0 * * 6"),
        (time(0), (0, 1, 2, 3, 4, 5, 6), timedelta(minutes=30), "30 23 * * *"),
    ],
)
def test_a_run_is_started_at_its_local_time_on_its_days_also_across_midnight(
    start: time, days: tuple[int, ...], ahead: timedelta, cron: str
) -> None:
    made = schedule_of(window(start, *days), active=True, ahead=ahead)

    assert (made.cron, made.timezone) == (cron, "Europe/Berlin")


def test_a_window_is_looked_at_a_day_and_half_an_hour_before(fleet: Fleet) -> None:
    (key, *_) = fleet.rollouts()
    patch, *looks = forms_of(fleet, key, "default", active=True)

    name = f"{key.tenant}-{key.profile}-{key.window}"
    assert patch.title == f"patch-rollout/{name}"
    assert {(look.title, look.parameters["occasion"]) for look in looks} == {
        (f"check-readiness/{name}-24h-before", "T-24h"),
        (f"check-readiness/{name}-30min-before", "T-30m"),
    }
    assert {look.parameters["kind"] for look in looks} == {"patch"}


def test_restarts_with_a_window_of_their_own_are_deployments_of_their_own(fleet: Fleet) -> None:
    (first, *rest) = fleet.profiles
    other = fleet.windows[0].name
    apart = replace(first, reboots=replace(first.reboots, window=other))
    declared = replace(fleet, profiles=(apart, *rest))
    keys = [key for key in declared.restarts() if key.profile == first.name]
    forms = [form for key in keys for form in forms_of(declared, key, "default", active=True)]

    assert keys
    assert {form.title.partition("/")[0] for form in forms} == {"restart-hosts", "check-readiness"}
    assert all(form.parameters["window"] == other for form in forms)
    patches = [f for key in declared.rollouts() for f in forms_of(declared, key, "s", active=True)]
    titles = [form.title for form in (*forms, *patches)]
    assert len(titles) == len(set(titles))
