"""A release or package that gets no fixes any more, or soon, is a finding of its own."""

from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

import pytest

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match, package, says
from wavemend.advisories import AdvisoryStatus, Lifecycle, UpdateClass
from wavemend.findings import Finding, NotJudged
from wavemend.knowledge import Intelligence

TODAY = NOON.date()


def life(
    ends: date | None,
    *,
    package: str = "",
    feed: str = "debian-support",
    release: str = "bookworm",
    ended: bool = False,
    limited: bool = False,
    paid_ends: date | None = None,
    note: str = "",
) -> Lifecycle:
    return Lifecycle(
        feed=feed,
        document=f"{feed}.csv",
        release=release,
        package=package,
        ends=ends,
        ended=ended,
        paid_ends=paid_ends,
        limited=limited,
        note=note,
    )


def aging(*lives: Lifecycle) -> Intelligence:
    found: dict[tuple[str, str], tuple[Lifecycle, ...]] = {}
    for item in lives:
        key = (item.release, item.package)
        found[key] = (*found.get(key, ()), item)
    known = knowing(says("CVE-2026-1", "unrelated", "1.0-1"))
    return replace(known, lifecycles=MappingProxyType(found))


def ends_of(*lives: Lifecycle) -> tuple[Finding, ...]:
    seen = facts(
        package("chromium", "120.0-1"),
        package("chromium-common", "120.0-1", "chromium"),
        package("zip", "3.0-13"),
    )
    return match(WEB1, seen, aging(*lives)).findings


@pytest.mark.parametrize(
    ("days", "status", "word"),
    [
        (-1, AdvisoryStatus.WILL_NOT_FIX, "ended"),
        (0, AdvisoryStatus.UNFIXED, "end"),
        (90, AdvisoryStatus.UNFIXED, "end"),
    ],
)
def test_a_release_at_its_end_is_a_finding(days: int, status: AdvisoryStatus, word: str) -> None:
    last = TODAY + timedelta(days=days)

    (finding,) = ends_of(life(last, paid_ends=date(2033, 6, 30)))

    assert (finding.advisory, finding.package) == ("eol:bookworm", "bookworm")
    assert (finding.update_class, finding.status) == (UpdateClass.END_OF_LIFE, status)
    assert (finding.cve, finding.fixed, finding.ends) == ("", None, last)
    assert finding.because.compared == f"bookworm (12): free fixes {word} on {last}"
    assert finding.note.endswith("Fixes for paying machines end on 2033-06-30.")
    assert ("Ends within 90 days." in finding.note) is (days >= 0)


def test_a_release_with_time_left_is_no_finding() -> None:
    assert ends_of(life(TODAY + timedelta(days=91))) == ()
    assert ends_of(life(None)) == ()


def test_a_package_whose_support_ended_is_a_finding_with_all_it_built() -> None:
    gone = life(date(2026, 1, 31), package="chromium", note="Too many changes to backport.")

    (finding,) = ends_of(life(date(2028, 6, 30)), gone)

    assert (finding.advisory, finding.package) == ("eol:bookworm:chromium", "chromium")
    assert finding.binaries == ("chromium", "chromium-common")
    assert finding.because.compared == (
        "chromium 120.0-1 in bookworm: free fixes ended on 2026-01-31"
    )
    assert finding.note.startswith("Too many changes to backport.")


def test_an_end_without_a_day_and_a_limited_support_are_findings() -> None:
    (ended,) = ends_of(life(None, package="zip", ended=True))
    (limited,) = ends_of(life(None, package="zip", limited=True, note="Only for local use."))

    assert ended.because.compared == "zip 3.0-13 in bookworm: free fixes have ended"
    assert limited.because.compared == "zip 3.0-13 in bookworm: fixes come for some uses only"
    assert (limited.status, limited.note) == (AdvisoryStatus.UNFIXED, "Only for local use.")


def test_a_package_that_is_not_installed_ends_nothing() -> None:
    assert ends_of(life(date(2020, 1, 1), package="nodejs")) == ()


def test_where_feeds_differ_the_earliest_end_governs() -> None:
    early = life(date(2026, 7, 11), feed="endoflife", release="debian-12")
    late = life(date(2028, 6, 30), paid_ends=date(2033, 6, 30))
    gone = life(date(2026, 10, 31), paid_ends=date(2033, 6, 30))

    for lives in ((early, late), (late, early), (early, gone), (gone, early)):
        (finding,) = ends_of(*lives)
        assert (finding.ends, finding.because.feed) == (date(2026, 7, 11), "endoflife")
        assert "2033-06-30" in finding.note


def test_the_end_of_a_release_is_told_even_where_no_advisory_speaks_of_it() -> None:
    seen = facts(package("zip", "3.0-13"), codename="stretch")
    known = aging(life(date(2022, 6, 30), release="stretch"))

    found = match(WEB1, seen, known)

    assert [item.advisory for item in found.findings] == ["eol:stretch"]
    assert [item.kind for item in found.unmatched] == [NotJudged.RELEASE]


def test_what_is_written_down_today_reads_the_same_tomorrow() -> None:
    known = aging(life(TODAY + timedelta(days=30)))
    seen = facts(package("zip", "3.0-13"))

    today = match(WEB1, seen, known).findings

    from wavemend.matching import Matcher

    tomorrow = Matcher(known).match(WEB1, seen, today=TODAY + timedelta(days=1)).findings
    assert today == tomorrow
