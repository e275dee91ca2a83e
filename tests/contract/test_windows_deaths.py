"""Wherever the controller of a Windows host dies, no update is installed twice or left out.

The attempt has two rounds and two restarts. Every ledger transaction and every call of the host is
a place to die, before it and after it; the next owner goes on with the same ledger and host. Of
the calls that only read or look, every twelfth one is struck. The host is simulated.
"""

from pathlib import Path

import pytest

from tests.contract.attempt_bench import Death, Fate
from tests.contract.windows_bench import LCU, TOOL, WindowsBench, bench_of, quick
from wavemend.execution.attempt import attempt_host
from wavemend.ledger import audit
from wavemend.outcomes import Outcome
from wavemend.rounds import job_of

CHANGES = frozenset({"clean_jobs", "forbid_job", "reboot", "install"})
"""Last words of the places where the host is changed."""


def bench(folder: Path) -> WindowsBench:
    return bench_of(folder, quick("reboot_first"), LCU, TOOL)


def judge(made: WindowsBench, outcome: Outcome, place: str) -> None:
    row = made.row()
    assert made.windows.state.strangers == [], place
    assert row.outcome == outcome, place
    assert outcome is Outcome.PATCHED, f"{place}: {row.reason}"
    assert made.installs() == {LCU: 1, TOOL: 1}, place
    assert made.begins() == [row.id, job_of(row.id, 2)], place
    assert made.windows.state.boots == 3, place
    with made.ledger.reading() as book:
        audit.verify(book)
        kinds = [event.kind for event in audit.events(book, "r-1")]
    assert kinds.count("attempt.ended") == kinds.count("attempt.step") == 1, place


def places_of(folder: Path) -> list[str]:
    """Return the places that one undisturbed attempt passes."""
    made, fate = bench(folder), Fate()
    judge(made, attempt_host(made.hands(fate), made.order()), "undisturbed")
    return fate.places


def chosen(places: list[str]) -> list[int]:
    """Return the numbers of all places that change something, and of every twelfth other one."""
    others = 0
    numbers = []
    for number, place in enumerate(places):
        changes = "write" in place or place.split()[-1] in CHANGES
        others += not changes
        if changes or others % 12 == 1:
            numbers.append(number)
    return numbers


def test_a_death_at_any_place_installs_everything_exactly_once(tmp_path: Path) -> None:
    places = places_of(tmp_path / "count")
    numbers = chosen(places)
    for number in numbers:
        made, fate = bench(tmp_path / str(number)), Fate(at=number)
        with pytest.raises(Death):
            attempt_host(made.hands(fate), made.order())
        judge(made, attempt_host(made.hands(), made.order()), f"{fate.struck} ({number})")

    assert len(numbers) >= 30
    assert sum("write" in places[number] for number in numbers) >= 20


def test_two_deaths_in_a_row_change_nothing_of_that(tmp_path: Path) -> None:
    for at, again in ((30, 9), (44, 3), (70, 20), (90, 12)):
        made = bench(tmp_path / f"{at}-{again}")
        for fate in (Fate(at=at), Fate(at=again)):
            with pytest.raises(Death):
                attempt_host(made.hands(fate), made.order())
        judge(made, attempt_host(made.hands(), made.order()), f"died at {at}, then at {again}")


def test_a_line_that_is_cut_at_any_change_installs_nothing_twice(tmp_path: Path) -> None:
    places = [place for place in places_of(tmp_path / "count") if "write" not in place]
    numbers = [n for n, place in enumerate(places) if place.split()[-1] in CHANGES]
    for number in numbers:
        made, fate = bench(tmp_path / str(number)), Fate(at=number, lose=True)
        outcome = attempt_host(made.hands(fate), made.order())
        if made.row().touched:
            judge(made, outcome, f"{fate.struck} ({number})")
        else:
            assert (outcome, made.begins()) == (Outcome.UNREACHABLE, []), fate.struck

    assert len(numbers) >= 10
