"""What feeds change about the golden CVEs: a new model raises no alarm, nothing is taken back."""

from datetime import UTC, datetime
from pathlib import Path

from tests.contract.golden_world import (
    FEEDS,
    FIRST_KEV,
    LAST_KEV,
    MODELS,
    ROWS,
    V3,
    V4,
    V4_WINTER,
    V5,
    catalogue,
    column_of,
    decisions,
    epss_table,
    made_world,
)
from wavemend.feeds.differences import compare
from wavemend.feeds.refresh import FeedStatus
from wavemend.scoring import Lane


def test_a_new_model_of_epss_raises_no_alarm_and_moves_no_date(tmp_path: Path) -> None:
    world = made_world(tmp_path, epss=V3)
    world.refresh()
    decided = decisions(world.load())
    for before, after in ((V3, V4), (V4, V5)):
        world.bring("epss", epss_table(after))
        (result,) = world.refresh("epss")

        moved = compare(world.cache, "epss")

        assert result.status is FeedStatus.REFRESHED
        assert moved is not None
        assert moved.epss is not None
        assert (moved.epss.model_before, moved.epss.model_after) == (MODELS[before], MODELS[after])
        assert moved.epss.changed > 15
        assert (moved.epss.crossed, moved.newly_exploited) == ((), ())
        assert "Scores of two models are not comparable" in moved.sentences[0]
        assert decisions(world.load()) == decided
    # It was no small move.
    scores = [column_of(day, "epss")["CVE-2026-31431"] for day in (V4, V5)]
    assert scores == [0.02579, 0.94016]


def test_inside_a_model_the_same_move_is_named(tmp_path: Path) -> None:
    """The silence across a change of model is not the silence of a broken alarm."""
    world = made_world(tmp_path, epss=V4_WINTER)
    world.refresh("epss")
    world.bring("epss", epss_table(V4))
    world.refresh("epss")

    moved = compare(world.cache, "epss")

    assert moved is not None
    assert moved.epss is not None
    assert not moved.epss.model_changed
    assert [str(item) for item in moved.epss.crossed] == [
        "CVE-2024-5535: percentile rose over 0.9 (0.88809 to 0.91495).",
        "CVE-2024-6119: probability rose over 0.1 (0.05692 to 0.10778).",
        "CVE-2025-49844: probability rose over 0.1 (0.05982 to 0.11111).",
    ]


def test_what_the_catalogue_added_within_a_year_becomes_an_emergency(tmp_path: Path) -> None:
    world = made_world(tmp_path, kev=FIRST_KEV)
    world.refresh()
    before = decisions(world.load())
    world.bring("kev", catalogue(LAST_KEV))
    world.refresh("kev")

    changed = compare(world.cache, "kev")
    after = decisions(world.load())

    assert changed is not None
    assert changed.newly_exploited == ("CVE-2025-49113", "CVE-2026-31431")
    assert {cve for cve, _ in before if before[cve, False] != after[cve, False]} == set(
        changed.newly_exploited
    )
    lanes = [before[cve, False][0] for cve in changed.newly_exploited]
    assert lanes == [Lane.EXPEDITED, Lane.ROUTINE]  # nuclei's tags knew of the first
    assert {after[cve, False][0] for cve in changed.newly_exploited} == {Lane.EMERGENCY}


def test_what_the_catalogue_takes_back_stays_due_when_it_was(tmp_path: Path) -> None:
    removed, moved = "CVE-2024-36971", "CVE-2024-38475"
    world = made_world(tmp_path, kev=FIRST_KEV)
    world.refresh()
    rows = [row for row in ROWS if row.fields["kev_date_added"] < FIRST_KEV]
    # Without the records of CVEs, which say "in KEV" too: here the catalogue alone shall speak.
    feeds = tuple(feed for feed in FEEDS if feed != "cve")
    before = decisions(world.load(*feeds), rows)
    text = catalogue(LAST_KEV).read_text(encoding="utf-8")
    for release in ("2026-08-07", "2026-08-08"):
        softened = text.replace('"dueDate": "2025-05-22"', '"dueDate": "2025-12-31"')
        softened = softened.replace(f'"cveID": "{removed}"', '"cveID": "CVE-2024-99999"')
        softened = softened.replace('"dateReleased": "2026-08-07', f'"dateReleased": "{release}')
        assert softened.count(removed) == text.count(removed) - 1
        (world.folder / "kev").joinpath(f"{FIRST_KEV}.json").write_text(softened, encoding="utf-8")
        (result,) = world.refresh("kev")

        assert result.status is FeedStatus.REFRESHED
        assert result.relaxed == (
            f"{removed} is no longer in the catalogue.",
            f"{moved}: due date moved from 2025-05-22 to 2025-12-31.",
        )
        assert decisions(world.load(*feeds), rows) == before
    assert before[removed, False][:2] == (
        Lane.EMERGENCY,
        datetime(2024, 8, 28, 23, 59, 59, tzinfo=UTC),
    )
    assert before[moved, False][1] == datetime(2025, 5, 22, 23, 59, 59, tzinfo=UTC)
