"""A plan says beforehand when its waves end, and for whom too little of the window is left."""

from dataclasses import replace
from datetime import timedelta

from tests.cases.rollouts.build import END, LAST_START, NOON, START, plan_of, wave
from wavemend.expected_times import expected_waves, in_words
from wavemend.plans import Plan

MINUTE = timedelta(minutes=1)


def timed(plan: Plan, takes: int, at_most: int) -> Plan:
    hosts = (
        replace(host, takes_seconds=60 * takes, at_most_seconds=60 * at_most) for host in plan.hosts
    )
    return replace(plan, hosts=tuple(hosts))


def test_waves_follow_each_other_after_soak_and_gap_as_many_hosts_at_once_as_they_may() -> None:
    plan = timed(
        plan_of(
            wave(1, "a1", "a2", "a3", concurrency=2, soak=5 * MINUTE, gap=60 * MINUTE),
            wave(2, "b1"),
        ),
        takes=4,
        at_most=15,
    )
    first, second = expected_waves(plan, NOON)

    assert (first.starts, first.ends) == (START, START + 8 * MINUTE)
    assert (second.starts, second.ends) == (START + 68 * MINUTE, START + 72 * MINUTE)
    assert in_words(first) == "broad-1: expected 22:00 to 22:08 UTC"
    assert expected_waves(plan, START + MINUTE)[0].starts == START + MINUTE


def test_hosts_for_which_too_little_of_the_window_is_left_are_named() -> None:
    plan = timed(plan_of(wave(1, *(f"a{n}" for n in range(9)), concurrency=1)), 30, 90)
    (only,) = expected_waves(plan, START)

    # The fifth would start at midnight and might need until after the window's end.
    assert END - START == 240 * MINUTE
    assert only.too_late == ("a6", "a7", "a8")
    assert in_words(only).endswith("too little of the window is left for a6, a7, a8")


def test_nobody_is_expected_to_start_after_the_cut_off() -> None:
    plan = timed(plan_of(wave(1, "a1")), 1, 1)

    assert expected_waves(plan, LAST_START)[0].too_late == ("a1",)
