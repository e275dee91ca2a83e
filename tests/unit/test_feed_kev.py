"""A CVE in CISA's catalogue is exploited, whatever else of its line cannot be read."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from wavemend.advisories import KevEntry
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.kev import FEED
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "kev"


def parse(*paths: Path) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return heading, sink


def catalogue() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / "2026-08-07.json").read_text("utf-8"))
    return found


def many(count: int = 100) -> dict[str, Any]:
    line = catalogue()["vulnerabilities"][0]
    lines = [{**line, "cveID": f"CVE-2026-{number:06}"} for number in range(count)]
    return {**catalogue(), "count": count, "vulnerabilities": lines}


def parse_value(value: object, folder: Path) -> tuple[Heading, Collected]:
    (folder / "x.json").write_text(json.dumps(value), encoding="utf-8")
    return parse(folder / "x.json")


def test_unknown_ransomware_use_is_not_no() -> None:
    heading, sink = parse(CASES / "2026-08-07.json")

    assert sink.listed["CVE-2023-44487"] == KevEntry(
        date_added=date(2023, 10, 10),
        due_date=date(2023, 10, 31),
        ransomware=None,
        name="HTTP/2 Rapid Reset Attack Vulnerability",
    )
    assert sink.listed["CVE-2024-4577"].ransomware is True
    assert heading.data_date == datetime(2026, 8, 7, 16, 45, 47, 64800, tzinfo=UTC)
    assert heading.model == "2026.08.07"
    assert sink.flaws == []


def test_only_the_catalogue_itself_says_that_a_cve_is_not_in_it() -> None:
    heading, sink = parse(CASES / "2026-08-07.json")

    assert heading.kev_complete
    assert sink.taken == len(sink.listed) == 12
    assert heading.coverage == {"dueDate": 12, "knownRansomwareCampaignUse": 12}


def test_a_folder_with_two_catalogues_gives_the_newer_and_counts_the_other() -> None:
    heading, sink = parse(CASES / "2026-08-07.json", CASES / "2025-08-25.json")

    assert heading.model == "2026.08.07"
    assert (sink.entries, sink.taken) == (24, 12)
    assert sink.skipped == {"entry of an older catalogue": 12}


def test_a_catalogue_whose_count_is_wrong_was_cut(tmp_path: Path) -> None:
    cut = catalogue()
    cut["vulnerabilities"].pop()

    with pytest.raises(FeedRejected, match="says it has 12 entries and has 11"):
        parse_value(cut, tmp_path)


def test_a_cve_that_occurs_twice_refuses_the_catalogue(tmp_path: Path) -> None:
    twice = many(3)
    twice["vulnerabilities"][2]["cveID"] = "CVE-2026-000000"

    with pytest.raises(FeedRejected, match="CVE-2026-000000 occurs twice"):
        parse_value(twice, tmp_path)


@pytest.mark.parametrize("value", [None, "soon", "2026-13-01", 7.5, []])
def test_an_entry_whose_due_date_cannot_be_read_stays_exploited_and_is_named(
    value: object, tmp_path: Path
) -> None:
    odd = many()
    odd["vulnerabilities"][7]["dueDate"] = value

    _, sink = parse_value(odd, tmp_path)

    assert sink.listed["CVE-2026-000007"].due_date is None
    assert [item.where for item in sink.flaws] == ["x.json: CVE-2026-000007"]
    assert sink.flaws[0].reason.startswith("dueDate: ")


def test_an_unreadable_day_of_addition_counts_as_the_earliest_there_can_be(tmp_path: Path) -> None:
    odd = many()
    odd["vulnerabilities"][0]["dateAdded"] = "yesterday"
    odd["vulnerabilities"][1]["dateAdded"] = "0001-01-01"

    _, sink = parse_value(odd, tmp_path)

    assert {sink.listed[f"CVE-2026-00000{number}"].date_added for number in (0, 1)} == {
        date(2021, 11, 3)
    }
    assert len(sink.flaws) == 2


def test_due_dates_older_than_the_catalogue_are_real(tmp_path: Path) -> None:
    early = many()
    early["vulnerabilities"][0]["dueDate"] = "2021-07-20"

    _, sink = parse_value(early, tmp_path)

    assert sink.listed["CVE-2026-000000"].due_date == date(2021, 7, 20)
    assert sink.flaws == []


@pytest.mark.parametrize("cve", ["GHSA-1", "CVE-20-1", "CVE-2026-00001 ", None, 5])
def test_an_entry_without_a_cve_is_rejected_with_its_place(cve: object, tmp_path: Path) -> None:
    odd = many()
    odd["vulnerabilities"][3]["cveID"] = cve

    _, sink = parse_value(odd, tmp_path)

    assert [item.where for item in sink.rejects] == ["x.json: entry 3"]
    assert sink.taken == 99


def test_an_entry_that_is_no_object_is_rejected(tmp_path: Path) -> None:
    odd = many()
    odd["vulnerabilities"][3] = "CVE-2026-000003"

    _, sink = parse_value(odd, tmp_path)

    assert [item.where for item in sink.rejects] == ["x.json: entry 3"]


def test_a_renamed_field_refuses_the_catalogue(tmp_path: Path) -> None:
    text = json.dumps(many()).replace('"dueDate"', '"dueOn"')

    with pytest.raises(FeedRejected, match="100 of its 100 entries cannot be read whole"):
        parse_value(json.loads(text), tmp_path)


@pytest.mark.parametrize("text", ["", "  ", "{}", "[]", '"x"', "<html></html>", '{"count": NaN}'])
def test_what_is_not_a_catalogue_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")

    with pytest.raises(FeedRejected):
        parse(tmp_path / "x.json")


def test_the_schema_beside_a_catalogue_is_not_one() -> None:
    assert FEED.accepts("known_exploited_vulnerabilities.json")
    assert FEED.accepts("2026/known_exploited_vulnerabilities.json.xz")
    assert not FEED.accepts("known_exploited_vulnerabilities_schema.json")
    assert not FEED.accepts("known_exploited_vulnerabilities.csv")
