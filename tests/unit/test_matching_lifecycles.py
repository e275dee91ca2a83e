"""A release or package that gets no fixes any more, or soon, is a finding of its own."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.unit.test_findings import NOON, WEB1, facts, knowing, match, package, says
from wavemend.advisories import AdvisoryStatus, Lifecycle, UpdateClass
from wavemend.feeds import Document
from wavemend.feeds.readers.debian_support import FEED
from wavemend.findings import Finding, NotJudged
from wavemend.hosts import Facts
from wavemend.knowledge import Intelligence
from wavemend.matching import Matcher
from wavemend.matching.lifecycles import pattern_of
from wavemend.testing.collected import Collected

TODAY = NOON.date()
LISTS = Path(__file__).parents[1] / "cases" / "feeds" / "debian-support"


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

    tomorrow = Matcher(known).match(WEB1, seen, today=TODAY + timedelta(days=1)).findings
    assert today == tomorrow


def as_debian_lists() -> Intelligence:
    """Return what Debian's own lists say of bookworm, read from their real lines."""
    sink = Collected()
    names = ("security-support-ended.deb12", "security-support-limited")
    FEED.parse([Document(name=name, path=LISTS / name) for name in names], sink)
    assert (sink.taken, len(sink.lifecycles)) == (8, 8)
    return aging(*sink.lifecycles)


EVERY_LISTED = facts(
    package("golang-1.19-go", "1.19.8-2", "golang-1.19"),
    package("golang-go", "2:1.19~1", "golang-defaults", "1.19~1"),
    package("php-horde-core", "2.31.16-1"),
    package("php-horde", "5.2.23-1"),
    package("binutils", "2.40-2"),
    package("libhdf5-103-1", "1.10.8-1", "hdf5"),
    package("libwebkit2gtk-4.1-0", "2.50.1-1", "webkit2gtk"),
    package("libwpewebkit-1.1-0", "2.38.6-1", "wpewebkit"),
    package("pdns-server", "4.7.3-2", "pdns"),
    package("suricata", "1:6.0.10-1"),
    # Near misses: the name must be meant whole.
    package("xgolang", "1"),
    package("php-hord", "1"),
    package("pdns-recursor", "4.8.8-1"),
    package("golang-doc", "1", "moregolang"),
)


def ended_sources(seen: Facts, known: Intelligence) -> list[str]:
    return sorted(item.package for item in match(WEB1, seen, known).findings)


def test_debians_lists_speak_of_source_packages_by_name_and_by_pattern() -> None:
    known = as_debian_lists()

    assert ended_sources(EVERY_LISTED, known) == [
        "binutils",
        "golang-1.19",
        "golang-defaults",
        "hdf5",
        "pdns",
        "php-horde",
        "php-horde-core",
        "suricata",
        "webkit2gtk",
        "wpewebkit",
    ]
    found = {item.package: item for item in match(WEB1, EVERY_LISTED, known).findings}
    golang = found["golang-1.19"]
    assert (golang.advisory, golang.binaries) == ("eol:bookworm:golang-1.19", ("golang-1.19-go",))
    assert golang.because.document == "security-support-limited: line 10"
    assert (
        golang.because.compared == "golang-1.19 1.19.8-2 in bookworm: fixes come for some uses only"
    )
    assert found["php-horde-core"].ends == date(2025, 3, 22)


@pytest.mark.parametrize(
    ("listed", "meant", "not_meant"),
    [
        ("golang.*", ("golang", "golang-1.19", "golang-github-x"), ("go", "xgolang")),
        ("node-.*", ("node-ws",), ("node", "nodejs")),
        ("rust.*", ("rustc", "rust-ring"), ("trust",)),
        ("lib.*-perl", ("libnet-ssleay-perl",), ("libperl", "libx-perl5")),
        ("libsigc++.*", ("libsigc++-2.0",), ("libsigc", "libsigccc-2.0")),
    ],
)
def test_a_pattern_means_whole_names_as_debians_own_script_reads_it(
    listed: str, meant: tuple[str, ...], not_meant: tuple[str, ...]
) -> None:
    pattern = pattern_of(listed)

    assert pattern is not None
    assert all(pattern.fullmatch(name) for name in meant)
    assert not any(pattern.fullmatch(name) for name in not_meant)


@pytest.mark.parametrize("listed", ["(a+)+b*", "rust*", "[a-z]*", "a.*b.*c.*d.*", "x|.*", "a\\d*"])
def test_a_name_that_is_not_understood_is_said_and_means_nothing(listed: str) -> None:
    known = aging(life(date(2026, 1, 1), package=listed), life(date(2026, 1, 1), package="zip"))
    seen = facts(package("zip", "3.0-13"), package("rustc", "1"))

    found = match(WEB1, seen, known)

    assert [item.package for item in found.findings] == ["zip"]
    (trouble,) = found.unmatched
    assert (trouble.package, trouble.kind, trouble.packages) == (listed, NotJudged.STATEMENT, 0)
    assert "whether it means an installed package cannot be said" in trouble.reason
    assert found.judged == found.packages == 2


def test_a_package_listed_by_name_and_by_pattern_ends_with_the_earlier() -> None:
    by_name = life(date(2026, 10, 1), package="chromium")
    by_pattern = life(date(2026, 3, 1), package="chrom.*")

    for lives in ((by_name, by_pattern), (by_pattern, by_name)):
        (finding,) = ends_of(*lives)
        assert (finding.package, finding.ends) == ("chromium", date(2026, 3, 1))
