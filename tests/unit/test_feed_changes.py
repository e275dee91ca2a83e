"""Changes between two states are named one by one, and what softens a decision never does alone."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.advisories import FeedSnapshot, KevEntry, Reject
from wavemend.feeds.acceptance import OVERRIDABLE, RefusalKind, refusals
from wavemend.feeds.changes import (
    CountMoved,
    EpssCrossed,
    KevAdded,
    KevAddedMoved,
    KevDueMoved,
    KevRemoved,
    RansomwareFlipped,
    count_changes,
    epss_movement,
    in_force,
    kev_events,
    relaxations,
    still_kept,
)
from wavemend.feeds.store.compiled import Content

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENTRY = KevEntry(
    date_added=date(2026, 6, 1), due_date=date(2026, 6, 22), ransomware=None, name="A name"
)
LATER = date(2026, 7, 1)
SOONER = date(2026, 6, 4)
EARLIER = date(2026, 5, 30)


def test_every_kind_of_change_of_the_catalogue_is_an_event_in_order_of_the_number() -> None:
    before = {
        "CVE-2026-116303": ENTRY,
        "CVE-2026-20001": ENTRY,
        "CVE-2026-30001": ENTRY,
        "CVE-2026-40001": replace(ENTRY, ransomware=True),
        "CVE-2026-50001": ENTRY,
    }
    after = {
        "CVE-2026-10001": ENTRY,
        "CVE-2026-116303": replace(ENTRY, ransomware=True),
        "CVE-2026-30001": replace(ENTRY, due_date=LATER, date_added=SOONER),
        "CVE-2026-40001": ENTRY,
        "CVE-2026-50001": replace(ENTRY, name="Another name"),
    }

    assert kev_events(before, after) == (
        KevAdded(cve="CVE-2026-10001", entry=ENTRY),
        KevRemoved(cve="CVE-2026-20001", entry=ENTRY),
        KevAddedMoved(cve="CVE-2026-30001", before=ENTRY.date_added, after=SOONER),
        KevDueMoved(cve="CVE-2026-30001", before=ENTRY.due_date, after=LATER),
        RansomwareFlipped(cve="CVE-2026-40001", known=False),
        RansomwareFlipped(cve="CVE-2026-116303", known=True),
    )


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (None, "CVE-2026-0001 is no longer in the catalogue."),
        (
            replace(ENTRY, due_date=LATER),
            "CVE-2026-0001: due date moved from 2026-06-22 to 2026-07-01.",
        ),
        (
            replace(ENTRY, due_date=None),
            "CVE-2026-0001: due date moved from 2026-06-22 to none.",
        ),
        (
            replace(ENTRY, date_added=LATER),
            "CVE-2026-0001: listing moved from 2026-06-01 to 2026-07-01.",
        ),
    ],
)
def test_what_softens_a_decision_is_named_and_stays_in_force(
    after: KevEntry | None, said: str
) -> None:
    before = {"CVE-2026-0001": ENTRY}
    catalogue = {} if after is None else {"CVE-2026-0001": after}

    kept = still_kept(before, catalogue)

    assert [str(event) for event in relaxations(before, catalogue)] == [said]
    assert in_force(catalogue, kept) == before


def test_what_makes_a_decision_stricter_is_taken_at_once() -> None:
    before = {"CVE-2026-0001": ENTRY}
    catalogue = {
        "CVE-2026-0001": replace(ENTRY, due_date=SOONER, ransomware=True, date_added=EARLIER),
        "CVE-2026-0002": ENTRY,
    }

    assert relaxations(before, catalogue) == ()
    assert still_kept(before, catalogue) == {}


def test_ransomware_once_said_stays_said_until_somebody_signs() -> None:
    before = {"CVE-2026-0001": replace(ENTRY, ransomware=True)}
    catalogue = {"CVE-2026-0001": ENTRY}
    said = "CVE-2026-0001 is no longer said to be used by ransomware."

    assert in_force(catalogue, still_kept(before, catalogue)) == before
    assert still_kept(before, catalogue, {said}) == {}


def test_a_signed_relaxation_counts_and_the_others_of_the_same_cve_do_not() -> None:
    before = {"CVE-2026-0001": replace(ENTRY, ransomware=True)}
    catalogue = {"CVE-2026-0001": replace(ENTRY, due_date=LATER)}
    signed = "CVE-2026-0001: due date moved from 2026-06-22 to 2026-07-01."

    kept = still_kept(before, catalogue, {signed})

    (entry,) = in_force(catalogue, kept).values()
    assert (entry.due_date, entry.ransomware) == (LATER, True)


def test_a_tombstone_survives_any_number_of_later_catalogues() -> None:
    force = {"CVE-2026-0001": ENTRY}
    for _ in range(3):  # the same catalogue without the entry, day after day
        kept = still_kept(force, {})
        force = in_force({}, kept)

    assert force == {"CVE-2026-0001": ENTRY}
    back = {"CVE-2026-0001": replace(ENTRY, due_date=SOONER)}
    assert still_kept(force, back) == {}  # listed again, and stricter: nothing is kept beside it


dates = st.dates(date(2021, 11, 3), date(2026, 12, 31))
entries = st.builds(
    KevEntry,
    date_added=dates,
    due_date=st.none() | dates,
    ransomware=st.sampled_from([None, True]),
    name=st.just("A name"),
)
catalogues = st.dictionaries(
    st.integers(1, 6).map(lambda number: f"CVE-2026-{number:04}"), entries, max_size=6
)


@given(st.lists(catalogues, min_size=2, max_size=5))
def test_no_sequence_of_catalogues_ever_softens_what_is_in_force(
    days: list[dict[str, KevEntry]],
) -> None:
    force = dict(days[0])
    for catalogue in days[1:]:
        then = in_force(catalogue, still_kept(force, catalogue))
        for cve, before in force.items():
            now = then[cve]  # never gone
            assert now.date_added <= before.date_added
            assert before.due_date is None or (now.due_date or date.max) <= before.due_date
            assert now.ransomware or not before.ransomware
        force = then


def table(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["cve", "epss", "percentile"])


def test_scores_that_cross_a_mark_are_named_once_by_the_outermost_mark() -> None:
    before = table(
        ("CVE-2026-0001", 0.09, 0.5),
        ("CVE-2026-0002", 0.6, 0.991),
        ("CVE-2026-0003", 0.02, 0.899),
        ("CVE-2026-0004", 0.3, 0.94),
    )
    after = table(
        ("CVE-2026-0001", 0.55, 0.5),
        ("CVE-2026-0002", 0.05, 0.991),
        ("CVE-2026-0003", 0.02, 0.901),
        ("CVE-2026-0005", 0.11, 0.5),
    )

    moved = epss_movement(before, after, models=("v5", "v5"))

    assert (moved.new, moved.lost, moved.changed) == (1, 1, 2)
    assert moved.crossed == (
        crossed("CVE-2026-0001", 0.5, 0.09, 0.55),
        crossed("CVE-2026-0002", 0.1, 0.6, 0.05),
        # 0003 keeps its score and only drifts in rank: no line.
        EpssCrossed(cve="CVE-2026-0004", measure="percentile", mark=0.9, before=0.94, after=None),
        crossed("CVE-2026-0004", 0.1, 0.3, None),
        crossed("CVE-2026-0005", 0.1, None, 0.11),
    )
    assert [item.rose for item in moved.crossed] == [True, False, False, False, True]
    assert str(moved.crossed[0]) == "CVE-2026-0001: probability rose over 0.5 (0.09 to 0.55)."
    assert str(moved.crossed[-1]) == (
        "CVE-2026-0005: probability rose over 0.1 (no score to 0.11)."
    )


def crossed(cve: str, mark: float, before: float | None, after: float | None) -> EpssCrossed:
    return EpssCrossed(cve=cve, measure="probability", mark=mark, before=before, after=after)


def test_a_score_exactly_on_a_mark_is_over_it() -> None:
    moved = epss_movement(
        table(("CVE-2026-0001", 0.09999, 0.1)),
        table(("CVE-2026-0001", 0.1, 0.1)),
        models=("a", "a"),
    )

    assert [item.rose for item in moved.crossed] == [True]


def test_across_a_change_of_the_model_nothing_rose_and_nothing_fell() -> None:
    before = table(("CVE-2026-0001", 0.02579, 0.8))
    after = table(("CVE-2026-0001", 0.99907, 0.9999))

    moved = epss_movement(before, after, models=("v2025.03.14", "v2026.06.15"))

    assert moved.model_changed
    assert (moved.changed, moved.crossed) == (1, ())


def test_tables_without_ranks_or_rows_are_compared_too() -> None:
    bare = pd.DataFrame({"cve": ["CVE-2021-0001"], "epss": [0.05], "percentile": [None]})
    none = table()

    moved = epss_movement(none, bare, models=("m", "m"))

    assert (moved.new, moved.lost, moved.crossed) == (1, 0, ())


def snapshot(**changes: object) -> FeedSnapshot:
    known = FeedSnapshot(
        feed="kev",
        source="here",
        digest="d",
        fetched_at=NOW,
        data_date=NOW - timedelta(days=1),
        count=100,
        read=110,
        skipped=(("old", 8),),
        coverage=(("dueDate", 100),),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def content(**changes: object) -> Content:
    whole = Content(
        path=Path("content.sqlite"), data_date=NOW, count=100, read=100, coverage={"dueDate": 100}
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_figures_that_changed_are_named_and_the_others_are_not() -> None:
    after = snapshot(count=90, read=100, coverage=(("dueDate", 90), ("name", 4)))

    assert count_changes(snapshot(), after) == (
        CountMoved(name="entries read", before=110, after=100),
        CountMoved(name="entries used", before=100, after=90),
        CountMoved(name="entries with dueDate", before=100, after=90),
        CountMoved(name="entries with name", before=0, after=4),
    )
    assert str(count_changes(snapshot(), after)[0]) == "entries read: 110 to 100 (-10)."
    assert count_changes(after, after) == ()


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        (content(), []),
        (content(data_date=NOW + timedelta(hours=23)), []),
        (content(data_date=NOW + timedelta(hours=25)), [RefusalKind.FUTURE]),
        (content(count=0), [RefusalKind.EMPTY]),
        (
            content(rejected=3, rejects=(Reject(where="entry 1", reason="no id"),)),
            [RefusalKind.UNREADABLE],
        ),
        (content(count=98), []),
        (content(count=97, coverage={}), [RefusalKind.SHRUNK]),
        (content(coverage={"dueDate": 97}), [RefusalKind.FIELD_LOST]),
        (content(data_date=NOW - timedelta(days=2)), [RefusalKind.ROLLBACK]),
        (
            content(data_date=NOW - timedelta(days=2), count=1),
            [RefusalKind.ROLLBACK, RefusalKind.SHRUNK],
        ),
    ],
)
def test_a_state_is_refused_for_every_rule_it_breaks(
    new: Content, kinds: list[RefusalKind]
) -> None:
    assert [item.kind for item in refusals(snapshot(), new, NOW)] == kinds


def test_the_first_state_has_nothing_to_be_compared_with_and_keeps_the_rules_of_its_own() -> None:
    assert refusals(None, content(count=1, data_date=NOW - timedelta(days=900)), NOW) == ()
    assert [item.kind for item in refusals(None, content(count=0), NOW)] == [RefusalKind.EMPTY]


def test_nobody_can_sign_for_a_date_in_the_future_or_an_empty_or_unreadable_copy() -> None:
    assert set(RefusalKind) - OVERRIDABLE == {
        RefusalKind.FUTURE,
        RefusalKind.EMPTY,
        RefusalKind.UNREADABLE,
    }
