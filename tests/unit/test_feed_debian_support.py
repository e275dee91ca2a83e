"""Until when a release or a package gets fixes is read from Debian's own tables and lists."""

from datetime import date
from pathlib import Path

import pytest

from wavemend.advisories import Lifecycle
from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.debian_support import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "debian-support"


def parse(*names: str) -> Collected:
    sink = Collected()
    FEED.parse([Document(name=name, path=CASES / name) for name in names], sink)
    assert sink.balanced
    return sink


def parse_text(name: str, text: str, folder: Path) -> Collected:
    (folder / name).write_text(text, encoding="utf-8")
    sink = Collected()
    FEED.parse([Document(name=name, path=folder / name)], sink)
    assert sink.balanced
    return sink


def of(sink: Collected, release: str, package: str = "") -> Lifecycle:
    (found,) = (x for x in sink.lifecycles if (x.release, x.package) == (release, package))
    return found


def test_debian_12_ends_with_its_free_lts_and_elts_is_paid() -> None:
    sink = parse("debian.csv")

    bookworm = of(sink, "bookworm")
    assert (bookworm.ends, bookworm.paid_ends) == (date(2028, 6, 30), date(2033, 6, 30))
    assert bookworm.note == (
        "Debian's security team until 2026-07-11; "
        "LTS, for fewer architectures and packages, until 2028-06-30; "
        "ELTS, paid, until 2033-06-30"
    )
    assert (sink.taken, sink.skipped) == (18, {"release without an end of support": 4})


def test_ubuntu_has_standard_support_and_two_paid_periods() -> None:
    sink = parse("ubuntu.csv")

    bionic = of(sink, "bionic")
    assert (bionic.ends, bionic.paid_ends) == (date(2023, 5, 31), date(2030, 4, 30))
    assert "ESM, with Ubuntu Pro, until 2028-04-26" in bionic.note
    questing = of(sink, "questing")
    assert (questing.ends, questing.paid_ends) == (date(2026, 7, 9), None)
    assert of(sink, "dapper").ends == date(2011, 6, 1)
    assert sink.entries == sink.taken == 45


def test_a_package_may_end_before_its_release_or_be_supported_for_some_uses_only() -> None:
    sink = parse("security-support-ended.deb12", "security-support-limited")

    suricata = of(sink, "bookworm", "suricata")
    assert (suricata.ends, suricata.ended, suricata.limited) == (date(2026, 4, 30), False, False)
    assert suricata.note.startswith("the last supported version is 1:6.0.10-1; Upstream")
    binutils = of(sink, "bookworm", "binutils")
    assert (binutils.ends, binutils.limited) == (None, True)
    assert binutils.note.startswith("Only suitable for trusted content")
    assert {item.release for item in sink.lifecycles} == {"bookworm"}
    assert sink.taken == 8


def test_a_name_that_stands_for_many_packages_is_handed_on_as_it_stands() -> None:
    sink = parse("security-support-ended.deb12", "security-support-limited")

    assert of(sink, "bookworm", "golang.*").limited
    assert of(sink, "bookworm", "php-horde.*").note.startswith("no version; ")


def test_the_list_of_limits_alone_speaks_of_every_release() -> None:
    sink = parse("security-support-limited")

    named = {item.release for item in sink.lifecycles if item.package == "hdf5"}
    assert named == {"buster", "bullseye", "bookworm", "trixie", "forky"}
    assert sink.taken == 4


def test_lines_and_rows_that_mean_nothing_are_rejected_with_their_place(tmp_path: Path) -> None:
    lines = "# a comment\nzip 1.0 2026-02-31 gone\nzip\nunzip 6.0-28 2026-01-01\n"
    ended = parse_text("security-support-ended.deb13", lines, tmp_path)
    assert [item.where.rpartition(": ")[2] for item in ended.rejects] == ["line 2", "line 3"]
    assert of(ended, "trixie", "unzip").ends == date(2026, 1, 1)

    rows = (
        "version,codename,series,created,release,eol,eol-lts\n"
        "12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-07-11,soon\n"
        "13,Trixie,trixie,2023-06-10,2025-08-09,2028-08-09,2030-06-30,2035-06-30,x\n"
        "11,Bullseye,bullseye,2019-07-06,2021-08-14,2024-08-14\n"
    )
    table = parse_text("debian.csv", rows, tmp_path)
    assert [item.reason for item in table.rejects] == [
        "eol-lts is not a date: soon",
        "has no series, or more columns than the head",
    ]
    assert of(table, "bullseye").ends == date(2024, 8, 14)


@pytest.mark.parametrize(
    "name",
    ["debian.csv", "ubuntu.csv", "security-support-ended.deb12", "security-support-limited", "x"],
)
@pytest.mark.parametrize("text", ["", "  ", "{}", "[]", '"x"', "<html></html>"])
def test_an_empty_and_a_foreign_document_are_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(FeedRejected):
        parse_text(name, text, tmp_path)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("debian.csv", True),
        ("share/ubuntu.csv", True),
        ("security-support-ended.deb12", True),
        ("security-support-limited", True),
        ("README.md", False),
        ("devuan.csv", False),
    ],
)
def test_a_folder_gives_only_the_documents_this_feed_reads(name: str, accepted: bool) -> None:
    assert FEED.accepts(name) is accepted
