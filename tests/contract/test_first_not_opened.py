"""A rollout that comes first is waited for before anybody has opened it, and never for ever."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import LAST_START, START, wave
from tests.cases.rollouts.ledgers import NIGHT, new_ledger
from tests.contract.night_bench import MINUTE, NIGHT_WINDOW, Night, key_of
from wavemend.calendar.windows import Window
from wavemend.fleet import RolloutKind
from wavemend.fleet_limits import NO_LIMITS, DueRollout, HostLimits, Predecessors
from wavemend.ledger import attempts, nights
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.nights import NightVerdict

HOUR = timedelta(hours=1)
NOT_YET = Wait("order db-first: the rollout acme/r-db/night of 22:00 UTC is not opened yet")
NOBODY = Refused(
    "order db-first: the rollout acme/r-db/night of 22:00 UTC comes first, and nobody has opened it"
)


def after_db(window: Window = NIGHT_WINDOW) -> HostLimits:
    due = DueRollout(key=key_of("r-db"), window=window)
    return HostLimits(after=(Predecessors(name="db-first", hosts=("db1",), rollouts=(due,)),))


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Return a night in which only the applications' rollout was opened yet."""
    made = Night(new_ledger(tmp_path))
    made.freeze("r-app", ["app1", "app2"])
    return made


def test_two_rollouts_that_begin_in_the_same_second_keep_the_order(night: Night) -> None:
    assert night.intend("r-app", "app1", after_db()) == NOT_YET
    assert not night.place("r-app", "app1", after_db())

    night.freeze("r-db", ["db1"])
    assert night.intend("r-app", "app1", after_db()) == Wait("order db-first: db1 is not done yet")
    night.intend("r-db", "db1", NO_LIMITS)
    night.end("r-db", "db1")
    assert isinstance(night.intend("r-app", "app1", after_db()), Granted)


def test_after_half_an_hour_without_it_the_host_is_refused_as_long_as_it_may_still_come(
    night: Night,
) -> None:
    over = START + 30 * MINUTE

    assert night.intend("r-app", "app1", after_db(), over - MINUTE) == NOT_YET
    assert night.intend("r-app", "app1", after_db(), over) == NOBODY
    short = replace(NIGHT_WINDOW, cutoff=3 * HOUR)  # its last start is at 23:00
    assert night.intend("r-app", "app1", after_db(short), START + HOUR - MINUTE) == NOBODY
    assert isinstance(night.intend("r-app", "app1", after_db(short), START + HOUR), Granted)


def test_a_plan_that_was_made_later_waits_its_half_hour_too(night: Night) -> None:
    """Both rollouts may have waited for the end of the same freeze."""
    night.freeze("r-late", ["app9"], created_at=START + HOUR)

    assert night.intend("r-late", "app9", after_db(), START + HOUR + 29 * MINUTE) == NOT_YET
    assert night.intend("r-late", "app9", after_db(), START + HOUR + 30 * MINUTE) == NOBODY


@pytest.mark.parametrize("verdict", list(NightVerdict))
def test_what_is_written_off_for_this_night_is_not_waited_for(
    night: Night, verdict: NightVerdict
) -> None:
    with night.ledger.writing() as book:
        nights.record(book, key_of("r-db"), NIGHT, verdict=verdict, reason="frozen", now=START)

    assert isinstance(night.intend("r-app", "app1", after_db()), Granted)


def test_an_opening_later_in_the_night_is_waited_for_and_one_after_the_last_start_is_not(
    night: Night,
) -> None:
    later = replace(NIGHT_WINDOW, start=time(23, 30), duration=3 * HOUR)
    told = night.intend("r-app", "app1", after_db(later), START + 45 * MINUTE)
    assert isinstance(told, Wait)
    assert "of 23:30 UTC is not opened yet" in told.reason

    too_late = replace(later, start=LAST_START.time())
    assert isinstance(night.intend("r-app", "app1", after_db(too_late)), Granted)


def test_a_window_of_days_waits_for_the_first_nights_rollout_only(night: Night) -> None:
    days = START + timedelta(days=3)
    long = {"window_end": days, "last_start": days - HOUR}
    night.freeze("r-long", ["app9"], **long)
    assert night.intend("r-long", "app9", after_db()) == NOT_YET

    night.freeze("r-db", ["db1"])
    night.intend("r-db", "db1", NO_LIMITS)
    night.end("r-db", "db1")
    second_night = START + timedelta(days=1)
    assert isinstance(night.intend("r-long", "app9", after_db(), second_night), Granted)


@pytest.mark.parametrize(
    "kind", [RolloutKind.EMERGENCY, RolloutKind.REPAIR, RolloutKind.RESTART], ids=str
)
def test_what_is_no_update_by_schedule_waits_for_no_schedule(
    night: Night, kind: RolloutKind
) -> None:
    night.freeze("r-now", ["app9"], kind=kind.value)

    assert isinstance(night.intend("r-now", "app9", after_db()), Granted)


# --- the reason at the cut-off -------------------------------------------------------------------


def refusal_at(
    night: Night, now: datetime, limits: HostLimits, host: str = "app1", rollout: str = "r-app"
) -> str:
    """Ask as the executor does before it looks at a host."""
    with night.ledger.reading() as book:
        return attempts.start_refusal(
            book, night.leases[rollout], night.plans[rollout], now, "", host=host, limits=limits
        )


def test_the_reason_at_the_cut_off_names_what_was_waited_for(night: Night) -> None:
    night.freeze("r-db", ["db1"])

    told = refusal_at(night, LAST_START, after_db())
    assert told.startswith("window: ")
    assert told.endswith(" while it waited: order db-first: db1 is not done yet")
    assert refusal_at(night, LAST_START - MINUTE, after_db()) == ""


def test_the_reason_at_the_cut_off_names_the_waves_own_budget_but_not_to_who_has_a_place(
    night: Night,
) -> None:
    alone = (wave(1, "app1", "app2", concurrency=1),)
    night.freeze("r-one", ["app1", "app2"], waves=alone)
    night.intend("r-one", "app1", NO_LIMITS)

    told = refusal_at(night, LAST_START, NO_LIMITS, "app2", "r-one")
    assert told.endswith(" while it waited: 1 hosts of broad-1 are out already")
    assert "waited" not in refusal_at(night, LAST_START, NO_LIMITS, "app1", "r-one")
