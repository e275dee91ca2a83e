"""A replay orders each day's work by what was known on that day, and counts what came of it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wavemend.advisories import DEFAULT_CVSS_ORDER, Cvss, CvssOrder, KevEntry, choose_cvss
from wavemend.cve_numbers import cve_numbers
from wavemend.effectiveness.assembling import Assessments, Catalogue, assemble, names_of
from wavemend.effectiveness.history import NEVER, NO, YES, EpssTable, History, Ints, pack_table
from wavemend.effectiveness.measures import EFFORTS, measure, sign_test, wilson
from wavemend.effectiveness.replay import Horizon, Played, horizon_of, play
from wavemend.effectiveness.simulation import Question, simulate
from wavemend.effectiveness.strategies import OURS, Strategy, strategies
from wavemend.errors import FeedError

START = date(2026, 1, 1)
DAY = START.toordinal()


def day(after: int) -> date:
    return START + timedelta(days=after)


def table(after: int, scores: Mapping[str, float]) -> EpssTable:
    names = pd.Series(list(scores), dtype="object")
    return pack_table(day(after), "v1", cve_numbers(names), np.array(list(scores.values())))


def catalogue(after: int, listed: Mapping[str, int], ransomware: Sequence[str] = ()) -> Catalogue:
    entries = {
        cve: KevEntry(
            date_added=day(added), due_date=None, ransomware=cve in ransomware or None, name=""
        )
        for cve, added in listed.items()
    }
    return Catalogue(day=DAY + after, entries=entries)


def assessed(
    after: int,
    cvss: Mapping[str, float | None],
    *,
    published: Mapping[str, int] | None = None,
    words: Mapping[str, int] | None = None,
    place: int = 0,
    feed: str = "nvd",
) -> Assessments:
    names = sorted(cvss)
    size = len(names)
    scores = [np.nan if cvss[name] is None else cvss[name] for name in names]
    days = [DAY + (published or {}).get(name, -100) for name in names]
    said = np.array([(words or {}).get(name, 0) for name in names], dtype=np.int8)
    return Assessments(
        feed=feed,
        day=DAY + after,
        numbers=cve_numbers(pd.Series(names, dtype="object")),
        published=np.array(days, dtype=np.int32),
        cvss=np.array(scores, dtype=np.float64),
        cvss_place=np.full(size, place, dtype=np.int32),
        automatable=np.where(said > 0, YES, 0).astype(np.int8),
        impact_total=np.where(said > 0, NO, 0).astype(np.int8),
        exploitation=said,
    )


def one(history: History, name: str) -> int:
    return int(np.flatnonzero(history.names == name)[0])


def closing_days(
    history: History, strategy: str, capacity: int = 1, last: int = 9
) -> dict[str, int]:
    """Return on which day of the replay each CVE is closed; one that stays open is not there."""
    horizon = horizon_of(history, DAY, DAY + last)
    compared = {strategy: strategies(0, len(history.names))[strategy]}
    (played,) = play(history, horizon, compared, (Fraction(capacity),))
    pairs = zip(history.names.tolist(), played.closed.tolist(), strict=True)
    return {name: closed - DAY for name, closed in pairs if closed != NEVER}


A, B, C, D, E = (f"CVE-2025-{number}" for number in ("0001", "0002", "0003", "0004", "10005"))


def test_a_number_gives_its_cve_back_and_sorts_as_cves_do() -> None:
    names = ["CVE-1999-0001", "CVE-2025-0999", "CVE-2025-10005", "CVE-2026-116303"]

    numbers = cve_numbers(pd.Series(names, dtype="object"))

    assert names_of(numbers).tolist() == names
    assert numbers.tolist() == sorted(numbers.tolist())


def test_a_packed_table_gives_every_score_back_and_none_for_others() -> None:
    packed = table(0, {C: 0.3, A: 0.1, E: 0.00005})
    wanted = cve_numbers(pd.Series([A, B, C, D, E, "CVE-2026-0001"], dtype="object"))

    found = packed.column(wanted)

    assert found[[0, 2, 4]].tolist() == [0.1, 0.3, 0.00005]
    assert np.isnan(found[[1, 3, 5]]).all()


def test_cvss_first_closes_the_unscored_last_and_not_as_zero() -> None:
    history = assemble(
        [table(0, {A: 0.9, B: 0.1, C: 0.1, D: 0.1})],
        [catalogue(9, {E: 8})],
        [assessed(0, {B: 0.0, C: 9.8, D: 9.8, A: None})],
    )

    assert closing_days(history, "CVSS first, oldest first") == {C: 0, D: 1, B: 2, A: 3, E: 8}
    assert closing_days(history, "CVSS first, newest first")[D] == 0


def test_epss_first_goes_by_the_newest_table_of_the_day_and_never_by_a_later_one() -> None:
    history = assemble(
        [table(0, {A: 0.1, B: 0.2, C: 0.3}), table(2, {A: 0.5, B: 0.2, C: 0.3, D: 0.9})],
        [catalogue(9, {E: 8})],
        [],
    )

    assert closing_days(history, "EPSS first") == {C: 0, B: 1, D: 2, A: 3, E: 8}


def test_a_day_without_work_is_not_made_up_for_later() -> None:
    history = assemble(
        [table(0, {A: 0.1}), table(5, {A: 0.1, B: 0.4, C: 0.3, D: 0.2})], [catalogue(9, {E: 9})], []
    )

    assert closing_days(history, "EPSS first") == {A: 0, B: 5, C: 6, D: 7, E: 9}


@pytest.mark.parametrize("strategy", ["KEV, then EPSS", *OURS])
def test_a_listing_is_closed_on_the_day_it_becomes_known_and_not_before(strategy: str) -> None:
    scores = {f"CVE-2025-{number}": 0.5 for number in range(1000, 1020)}
    history = assemble(
        [table(0, {**scores, A: 0.00001})],
        [catalogue(9, {A: 4})],
        [assessed(0, {**dict.fromkeys(scores, 9.8), A: 2.0})],
    )

    assert closing_days(history, strategy)[A] == 4
    assert A not in closing_days(history, "CVSS first, oldest first")


def test_a_cve_that_is_taken_off_the_list_is_urgent_until_then_and_no_label() -> None:
    scores = {f"CVE-2025-{number}": 0.5 for number in range(1000, 1040)}
    tables, kept = [table(0, {**scores, A: 0.1, B: 0.1})], {A: 2}

    late = assemble(tables, [catalogue(2, {A: 2, B: 2}), catalogue(9, kept)], [])
    soon = assemble(
        tables, [catalogue(2, {A: 2, B: 2}), catalogue(3, kept), catalogue(9, kept)], []
    )

    # On day 3 nobody could know that it would be taken off on day 9.
    assert closing_days(late, "KEV, then EPSS")[B] == 3
    assert B not in closing_days(soon, "KEV, then EPSS")
    horizon = horizon_of(soon, DAY, DAY + 9)
    assert soon.names[horizon.positives].tolist() == [A]


def test_what_was_listed_on_the_first_day_is_left_out_for_every_order() -> None:
    history = assemble([table(0, {A: 0.1, B: 0.2})], [catalogue(9, {A: 0, B: 1})], [])

    horizon = horizon_of(history, DAY, DAY + 9)

    assert (horizon.left_out, horizon.size) == (1, 1)
    assert closing_days(history, "KEV, then EPSS") == {B: 0}


def test_a_cve_enters_when_it_is_published_scored_or_listed_whichever_is_first() -> None:
    history = assemble(
        [table(0, {A: 0.1}), table(5, {A: 0.1, B: 0.2, C: 0.3})],
        [catalogue(9, {D: 7})],
        [assessed(0, {B: 5.0}, published={B: 3})],
    )

    entered = {name: history.entered[one(history, name)] - DAY for name in (A, B, C, D)}
    assert entered == {A: 0, B: 3, C: 5, D: 7}


def test_an_answer_about_exploitation_counts_from_its_documents_day_and_not_before() -> None:
    history = assemble(
        [table(0, {A: 0.1, B: 0.2})],
        [catalogue(9, {E: 8})],
        [assessed(4, {A: 5.0}, published={A: -50}, words={A: 2})],
    )
    rows, epss = np.array([one(history, A)], dtype=np.int32), np.full(3, 0.1)

    def known_on(after: int) -> tuple[int, int, float]:
        known = history.known(rows, np.array([DAY + after], dtype=np.int32), epss)
        return int(known.exploitation[0]), int(known.automatable[0]), float(known.cvss[0])

    assert known_on(3) == (0, YES, 5.0)
    assert known_on(4) == (2, YES, 5.0)


def test_a_score_is_unknown_before_the_cve_is_published_even_where_epss_is_earlier() -> None:
    history = assemble(
        [table(0, {A: 0.1})], [catalogue(9, {E: 8})], [assessed(0, {A: 5.0}, published={A: 3})]
    )
    rows, epss = np.array([one(history, A)], dtype=np.int32), np.full(2, 0.1)

    def score_on(after: int) -> float:
        as_of = np.array([DAY + after], dtype=np.int32)
        return float(history.known(rows, as_of, epss).cvss[0])

    assert np.isnan(score_on(2))
    assert score_on(3) == 5.0


def test_use_by_ransomware_is_known_from_the_first_catalogue_that_says_so() -> None:
    history = assemble(
        [table(0, {A: 0.1})],
        [catalogue(3, {A: 2}), catalogue(6, {A: 2}, ransomware=[A]), catalogue(9, {A: 2}, [A])],
        [],
    )
    rows, epss = np.array([one(history, A)], dtype=np.int32), np.full(1, 0.1)

    known = [
        bool(history.known(rows, np.array([DAY + after], dtype=np.int32), epss).ransomware[0])
        for after in (2, 5, 6)
    ]

    assert known == [False, False, True]


def test_of_two_feeds_the_better_placed_score_counts_and_the_first_answers() -> None:
    history = assemble(
        [table(0, {A: 0.1})],
        [catalogue(9, {E: 8})],
        [
            assessed(0, {A: 9.0, B: 1.0}, words={A: 1}, place=5),
            assessed(0, {A: 4.0, B: None}, words={A: 2}, place=2, feed="cve"),
        ],
    )

    assert history.cvss[[one(history, A), one(history, B)]].tolist() == [4.0, 1.0]
    assert history.exploitation[one(history, A)] == 1


@pytest.mark.parametrize("order", [DEFAULT_CVSS_ORDER, CvssOrder(first="source")])
def test_scores_are_placed_as_the_written_order_of_choice_places_them(order: CvssOrder) -> None:
    from wavemend.effectiveness.sources import cvss_places

    cases = [
        Cvss(version=version, vector="", score=1.0, computed_score=None, source=source)
        for version in ("4.0", "3.1", "3.0", "2.0")
        for source in ("nvd", "cna:x", "cisa-adp", "distribution:y", "adp:z")
    ]
    frame = pd.DataFrame(
        {"version": [item.version for item in cases], "source": [item.source for item in cases]}
    )

    places = cvss_places(frame, order).tolist()

    for one_place, left in zip(places, cases, strict=True):
        for other_place, right in zip(places, cases, strict=True):
            if one_place != other_place:
                better = left if one_place < other_place else right
                assert choose_cvss((left, right), order) == better
    assert len(set(places)) == len(cases)


# --- against a replay that orders everything anew every day ----------------------------------


def some_history(seed: int) -> History:
    dice = random.Random(seed)
    names = [f"CVE-2025-{1000 + number}" for number in range(80)]
    tables = [
        table(after, {n: round(dice.random(), 2) for n in names if dice.random() < 0.7})
        for after in (0, 5, 6, 13)
    ]
    listed = {name: dice.randint(-3, 20) for name in dice.sample(names, 30)}
    off = dict(list(listed.items())[5:])
    cvss = {name: dice.choice([None, 2.1, 5.0, 7.5, 9.8]) for name in dice.sample(names, 55)}
    return assemble(
        tables,
        [catalogue(9, listed), catalogue(20, off, dice.sample(sorted(off), 5))],
        [
            assessed(
                8,
                cvss,
                published={name: dice.randint(-5, 18) for name in cvss},
                words={name: dice.choice([0, 1, 2]) for name in cvss},
            )
        ],
    )


def naive(history: History, horizon: Horizon, strategy: Strategy, capacity: Fraction) -> Ints:
    closed = np.full(len(history.names), NEVER, dtype=np.int32)
    before = 0
    for now in range(horizon.first, horizon.last + 1):
        in_force = history.table_on(now)
        assert in_force is not None
        there = horizon.population & (closed == NEVER) & (history.entered <= now)
        rows = np.flatnonzero(there).astype(np.int32)
        as_of = np.full(len(rows), now, dtype=np.int32)
        known = history.known(rows, as_of, in_force.column(history.numbers))
        upto = int(capacity * (now - horizon.first + 1))
        closed[rows[strategy(known)][: upto - before]] = now
        before = upto
    return closed


@pytest.mark.parametrize("name", list(strategies(0, 1)))
@pytest.mark.parametrize("seed", range(2))
def test_the_replay_closes_what_ordering_everything_anew_every_day_would(
    name: str, seed: int
) -> None:
    history = some_history(seed)
    horizon = horizon_of(history, DAY, DAY + 20)
    strategy = strategies(seed, len(history.names))[name]
    capacities = (Fraction(1, 3), Fraction(2), Fraction(15, 2))

    played = play(history, horizon, {name: strategy}, capacities)

    assert len(horizon.positives) > 15
    for item in played:
        wanted = naive(history, horizon, strategy, item.capacity)
        assert item.closed.tolist() == wanted.tolist()
        assert len(item.sequence) == int((wanted != NEVER).sum())


@pytest.mark.parametrize("name", list(strategies(0, 1)))
def test_nothing_that_becomes_known_later_changes_what_was_done_before(name: str) -> None:
    history = some_history(1)
    horizon = horizon_of(history, DAY, DAY + 20)
    turn = DAY + 10
    # Another future: other tables, nothing listed, answered or published any more.
    shut: dict[str, Any] = {
        column: np.where(getattr(history, column) > turn, NEVER, getattr(history, column)).astype(
            np.int32
        )
        for column in (
            *("entered", "cvss_from", "answered_from", "exploitation_from"),
            *("listed_from", "listed_until", "ransomware_from"),
        )
    }
    tables = tuple(item for item in history.tables if item.day <= turn)
    other = replace(history, tables=(*tables, table(11, {A: 0.5})), **shut)
    strategy = {name: strategies(0, len(history.names))[name]}

    both = [play(item, horizon, strategy, (Fraction(3),))[0].closed for item in (history, other)]

    past = [np.where(closed <= turn, closed, NEVER).tolist() for closed in both]
    assert past[0] == past[1]


# --- the figures -----------------------------------------------------------------------------


def played_by_hand(history: History, horizon: Horizon, days: Mapping[str, int]) -> Played:
    closed = np.full(len(history.names), NEVER, dtype=np.int32)
    for name, after in days.items():
        closed[one(history, name)] = DAY + after
    sequence = np.array([one(history, name) for name in days], dtype=np.int32)
    return Played(
        strategy="by hand",
        capacity=Fraction(1),
        closed=closed,
        sequence=sequence,
        weighted_days=np.zeros(len(horizon.positives)),
        open_probability=0.0,
    )


def test_coverage_efficiency_and_risk_days_are_those_counted_by_hand() -> None:
    history = assemble(
        [table(0, {A: 0.1, B: 0.1, C: 0.1, D: 0.1})], [catalogue(9, {A: 3, B: 3, C: 5, E: 7})], []
    )
    horizon = horizon_of(history, DAY, DAY + 9)

    # A before its listing, B on its day, D never listed, C two days late, E never closed.
    done = played_by_hand(history, horizon, {A: 1, B: 3, D: 4, C: 7})
    found = measure(history, horizon, done, seed=0)

    assert (found.population, found.positives, found.closed) == (5, 4, 4)
    assert (found.before, found.after, found.never) == (1, 2, 1)
    assert (found.coverage.part, found.coverage.whole) == (1, 4)
    assert (found.efficiency.part, found.efficiency.whole) == (3, 4)
    assert found.risk_days.total == 0 + 0 + 2 + 3  # E is open on days 7, 8 and 9
    assert found.known_risk_days.total == 2
    assert found.risk_days.low <= found.risk_days.total <= found.risk_days.high
    at = found.at[EFFORTS.index(0.20)]
    assert (at.closed, at.day, at.coverage.part, at.efficiency.part) == (1, 2, 1, 1)


def test_an_effort_that_is_not_reached_in_time_is_said_to_be() -> None:
    names = {f"CVE-2025-{number}": 0.5 for number in range(1000, 1100)}
    history = assemble([table(0, names)], [catalogue(9, {E: 8})], [])

    found = simulate(history, Question(capacities=(Fraction(1, 2),)))

    at = found.measured[0].at
    assert [item.day for item in at] == [4, None, None, None]


def test_days_are_weighted_with_the_scores_of_these_days_and_unscored_is_the_worst() -> None:
    history = assemble(
        [table(0, {A: 0.1, D: 0.9}), table(4, {A: 0.4, D: 0.9})], [catalogue(9, {A: 2, E: 7})], []
    )
    horizon = horizon_of(history, DAY, DAY + 9)

    (idle,) = play(history, horizon, {"none": strategies(0, 3)["EPSS first"]}, (Fraction(1, 1000),))

    # A: days 2 and 3 with 0.1, 4 to 9 with 0.4. E, which no table scores: days 7 to 9 with 1.
    assert idle.weighted_days.tolist() == pytest.approx([2 * 0.1 + 6 * 0.4, 3.0])
    # All open: A and D on ten days, E adds nothing because it has no score.
    assert idle.open_probability == pytest.approx(4 * 0.1 + 6 * 0.4 + 10 * 0.9)


def test_a_share_of_few_has_wilsons_interval() -> None:
    found = wilson(41, 86)
    assert (round(found.low, 3), round(found.high, 3)) == (0.374, 0.581)
    assert wilson(0, 10).low == 0.0
    assert wilson(10, 10).high == 1.0
    assert wilson(0, 0).value is None


def test_an_even_split_is_chance_and_an_uneven_one_is_not() -> None:
    assert sign_test(0, 0) == sign_test(5, 5) == 1.0
    assert sign_test(1, 9) == pytest.approx(2 * 11 / 1024)
    assert sign_test(9, 1) == sign_test(1, 9)
    assert sign_test(0, 400) < 1e-100


def test_a_replay_that_would_have_to_guess_is_refused() -> None:
    history = assemble([table(2, {A: 0.1})], [catalogue(9, {A: 3})], [])

    with pytest.raises(FeedError, match="no EPSS table is as old"):
        horizon_of(history, DAY, DAY + 9)
    with pytest.raises(FeedError, match="not after the newest KEV catalogue"):
        horizon_of(history, DAY + 2, DAY + 10)
    with pytest.raises(FeedError, match="there is no EPSS table"):
        assemble([], [catalogue(9, {A: 3})], [])
    with pytest.raises(FeedError, match="there is no KEV catalogue"):
        assemble([table(2, {A: 0.1})], [], [])


def test_only_scored_cves_are_at_stake_where_that_is_asked() -> None:
    history = assemble(
        [table(0, {A: 0.1, B: 0.2})], [catalogue(9, {A: 3, B: 4})], [assessed(0, {A: 5.0})]
    )

    found = simulate(history, Question(scored=True))

    assert (found.population, found.positives) == (1, 1)


def test_every_answer_names_its_label_its_numbers_and_what_it_cannot_tell() -> None:
    found = simulate(some_history(2), Question(capacities=(Fraction(2), Fraction(4))))

    assert found.label == "listed in CISA KEV after 2026-01-01 and up to 2026-01-21"
    assert len(found.measured) == 2 * len(found.curves) == 2 * len(strategies(0, 1))
    assert {pair.strategy for pair in found.pairs} == set(OURS)
    assert all(pair.earlier + pair.later + pair.same == found.positives for pair in found.pairs)
    assert found.limits[0].startswith(f"{found.foreseeable} of the {found.positives} exploited")


def test_a_long_time_without_a_table_is_said() -> None:
    history = assemble([table(0, {A: 0.1})], [catalogue(60, {A: 3})], [])

    found = simulate(history, Question())

    assert any(
        "No EPSS table between 2026-01-01 and 2026-03-02, 60 days" in s for s in found.limits
    )


def test_the_same_question_gets_the_same_answer() -> None:
    question = Question(seed=7)
    assert simulate(some_history(3), question) == simulate(some_history(3), question)
