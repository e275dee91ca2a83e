"""NVD's records are read from pages, years and changes; the latest of each CVE counts, once."""

import gzip
import hashlib
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from wavemend.advisories import choose_cvss
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.nvd import FEED
from wavemend.feeds.readers.nvd_fetch import windows_since
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "nvd"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def parse(*paths: Path) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return heading, sink


def case(*names: str) -> tuple[Heading, Collected]:
    return parse(*(CASES / name for name in names))


def record(number: int = 1, changed: str = "2026-01-01T00:00:00.000", **more: Any) -> Any:
    cve = {
        "id": f"CVE-2026-{number:06}",
        "published": "2025-12-31T00:00:00.000",
        "lastModified": changed,
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": f"Text of {changed[:10]}."}],
        "metrics": {},
    }
    return {"cve": {**cve, **more}}


def page(*records: Any, start: int = 0, total: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "resultsPerPage": len(records),
        "startIndex": start,
        "totalResults": len(records) if total is None else total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": "2026-11-20T12:00:00.000",
        "vulnerabilities": list(records),
        **more,
    }


def parse_pages(folder: Path, pages: Mapping[str, object]) -> tuple[Heading, Collected]:
    for name, value in pages.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return parse(*(folder / name for name in pages))


def metric(vector: str, score: float, source: str = "nvd@nist.gov") -> dict[str, Any]:
    return {"source": source, "cvssData": {"vectorString": vector, "baseScore": score}}


def test_pages_make_one_set_and_records_without_scores_stay_without() -> None:
    heading, sink = case("page-6.json", "page-0.json", "page-3.json")

    assert sink.taken == sink.entries == 8
    assert "CVE-2023-47246" not in sink.candidates
    assert sink.summaries["CVE-2023-47246"].startswith("In SysAid On-Premise before 23.3.36")
    assert sink.candidates["CVE-2023-6069"][0].version == "3.0"
    assert sink.dates["CVE-2023-6069"] == datetime(2023, 11, 10, 1, 15, 7, 623000, tzinfo=UTC)
    assert (sink.rejects, sink.flaws) == ([], [])
    assert heading.coverage == {"cvss": 5, "ssvc": 0, "kev": 0}


def test_what_is_known_of_a_paged_set_is_what_was_known_when_its_first_page_was_read() -> None:
    heading, _ = case("page-6.json", "page-0.json", "page-3.json")

    assert heading.data_date == datetime(2023, 11, 10, 7, 39, 23, 140000, tzinfo=UTC)


def test_ssvc_and_kev_come_inline_and_affected_products_do_not_disturb() -> None:
    heading, sink = case("ssvc.json.gz")

    ssvc = sink.answers["CVE-2021-44228"]
    assert (ssvc.exploitation, ssvc.automatable, ssvc.impact_total) == ("active", True, True)
    assert ssvc.source == "cisa-adp"
    assert sink.listed["CVE-2021-44228"].date_added == date(2021, 12, 10)
    assert sink.listed["CVE-2021-44228"].due_date == date(2021, 12, 24)
    assert not heading.kev_complete
    chosen = choose_cvss(sink.candidates["CVE-2021-44228"])
    assert chosen is not None
    assert (chosen.source, chosen.version, chosen.score) == ("nvd", "3.1", 10.0)


def test_rejected_cves_are_counted_and_say_nothing() -> None:
    heading, sink = case("nvdcve-modified-2024-10-25.json.gz")

    assert sink.skipped == {"rejected CVE": 2}
    assert (sink.entries, sink.taken) == (10, 8)
    assert "CVE-2024-10115" not in sink.summaries
    assert sink.summaries["CVE-2022-48946"]
    assert heading.coverage == {"cvss": 4, "ssvc": 0, "kev": 2}


def test_a_score_that_holds_a_threat_metric_is_disputed() -> None:
    _, sink = case("nvdcve-modified-2024-10-25.json.gz")

    (found,) = sink.candidates["CVE-2024-41128"]
    assert (found.version, found.score, found.computed_score) == ("4.0", 6.6, 8.7)
    assert found.disputed
    assert "/E:U/" in found.vector


def test_the_order_of_metrics_in_a_record_means_nothing(tmp_path: Path) -> None:
    high = metric("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9, "cna@example.org")
    low = metric("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8)
    one = page(record(metrics={"cvssMetricV31": [high, low]}))
    other = page(record(metrics={"cvssMetricV31": [low, high]}))

    first = parse_pages(tmp_path, {"a.json": one})[1].candidates
    second = parse_pages(tmp_path, {"a.json": other})[1].candidates

    assert first == second
    chosen = choose_cvss(first["CVE-2026-000001"])
    assert chosen is not None
    assert (chosen.source, chosen.score) == ("nvd", 8.8)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_records_of_a_cve_the_later_one_counts_whole(tmp_path: Path, swapped: bool) -> None:
    scored = {"cvssMetricV31": [metric("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8)]}
    older = page(record(metrics=scored, cisaExploitAdd="2026-01-01"))
    newer = page(record(changed="2026-02-01T00:00:00.000"))
    names = ("b.json", "a.json") if swapped else ("a.json", "b.json")

    heading, sink = parse_pages(tmp_path, dict(zip(names, (older, newer), strict=True)))

    assert sink.summaries == {"CVE-2026-000001": "Text of 2026-02-01."}
    assert sink.candidates == {}
    assert sink.listed == {}
    assert (sink.entries, sink.taken) == (2, 1)
    assert sink.skipped == {"older record of a CVE": 1}
    assert heading.coverage == {"cvss": 0, "ssvc": 0, "kev": 0}


def test_a_cve_that_was_rejected_later_says_nothing_any_more(tmp_path: Path) -> None:
    gone = page(record(changed="2026-02-01T00:00:00.000", vulnStatus="Rejected"))

    _, sink = parse_pages(tmp_path, {"a.json": page(record()), "b.json": gone})

    assert sink.summaries == {}
    assert sink.taken == 0
    assert sink.skipped == {"older record of a CVE": 1, "rejected CVE": 1}


def test_states_nobody_knew_before_do_not_hide_a_cve(tmp_path: Path) -> None:
    _, sink = parse_pages(tmp_path, {"a.json": page(record(vulnStatus="Not Scheduled"))})

    assert sink.taken == 1


@pytest.mark.parametrize(
    "broken",
    [
        "x",
        {},
        {"cve": {"id": "GHSA-1"}},
        {"cve": {"id": "CVE-2026-000001", "metrics": []}},
        record(metrics={"cvssMetricV31": {}}),
        record(metrics={"cvssMetricV31": ["x"]}),
        record(metrics={"ssvcV203": "x"}),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_with_its_place_and_the_rest_is_read(
    broken: object, tmp_path: Path
) -> None:
    _, sink = parse_pages(tmp_path, {"a.json": page(record(7), broken, record(8))})

    assert [item.where for item in sink.rejects] == ["a.json: entry 1"]
    assert sorted(sink.summaries) == ["CVE-2026-000007", "CVE-2026-000008"]


def test_a_part_that_cannot_be_read_is_a_flaw_of_a_used_record(tmp_path: Path) -> None:
    odd = record(
        published="once",
        cisaExploitAdd="soon",
        metrics={"cvssMetricV31": [metric("CVSS:3.1/AV:Q", 9.8), metric("CVSS:9.9/AV:N", 1.0)]},
    )

    _, sink = parse_pages(tmp_path, {"a.json": page(odd)})

    assert {item.reason for item in sink.flaws} == {
        "CVSS vector cannot be read: CVSS:3.1/AV:Q",
        "CVSS vector of an unknown version: CVSS:9.9/AV:N",
        "cisaExploitAdd 'soon' is not a date",
        "published 'once' is not a time",
    }
    (kept,) = sink.candidates["CVE-2026-000001"]
    assert (kept.score, kept.computed_score) == (9.8, None)
    assert sink.listed["CVE-2026-000001"].date_added == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ({"a.json": page(record(1), total=2)}, "end at entry 1 of 2"),
        ({"a.json": page(record(1), start=1, total=2)}, "begins at entry 1"),
        (
            {"a.json": page(record(1), total=3), "c.json": page(record(3), start=2, total=3)},
            "begins at entry 2; the pages before end at 1",
        ),
        (
            {
                "page-00000000.json": page(record(1)),
                "window-20261119T000000Z-20261120T000000Z-00000000.json": page(record(2), total=2),
            },
            "end at entry 1 of 2",
        ),
        ({"a.json": page(record(1), format="NVD_CVEHistory")}, "not in the form of NVD"),
        ({"a.json": page(record(1), timestamp="today")}, "does not say when"),
        ({"a.json": page(record(1), vulnerabilities={"CVE-1": {}})}, "an object where"),
        ({"a.json": {}}, "not in the form of NVD"),
        ({"a.json": []}, "not in the form of NVD"),
        ({"a.json": "x"}, "not valid JSON"),
    ],
)
def test_a_set_with_a_hole_or_of_another_form_is_refused(
    pages: dict[str, object], why: str, tmp_path: Path
) -> None:
    with pytest.raises(FeedRejected, match=why):
        parse_pages(tmp_path, pages)


def test_changes_are_known_until_the_end_of_their_window(tmp_path: Path) -> None:
    base = page(record(1), timestamp="2026-11-18T00:00:00.000")
    window = "window-20261117T220000Z-20261119T000000Z-00000000.json"
    change = page(record(1, changed="2026-11-18T12:00:00.000"))

    heading, sink = parse_pages(tmp_path, {"page-00000000.json": base, window: change})

    assert heading.data_date == datetime(2026, 11, 19, tzinfo=UTC)
    assert sink.summaries == {"CVE-2026-000001": "Text of 2026-11-18."}


def test_windows_leave_no_gap_and_none_is_longer_than_nvd_allows() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)

    windows = windows_since(since, NOON)

    assert windows[0].start < since
    assert windows[-1].end == NOON
    assert all(one.end == two.start for one, two in itertools.pairwise(windows))
    assert all((item.end - item.start).days < 120 for item in windows)


def test_a_clock_that_is_behind_still_asks_for_the_overlap() -> None:
    windows = windows_since(NOON, datetime(2026, 11, 19, tzinfo=UTC))

    assert [(item.start, item.end) for item in windows] == [
        (datetime(2026, 11, 20, 10, tzinfo=UTC), NOON)
    ]


def test_a_file_is_checked_against_its_meta(tmp_path: Path) -> None:
    body = json.dumps(page(record(1))).encode()
    year = tmp_path / "nvdcve-2.0-2026.json.gz"
    year.write_bytes(gzip.compress(body))
    meta = tmp_path / "nvdcve-2.0-2026.meta"
    digest = hashlib.sha256(body).hexdigest().upper()
    meta.write_text(f"lastModifiedDate:2026-11-20T03:00:01-05:00\r\nsha256:{digest}\r\n")

    _, sink = parse(year, meta)
    assert sink.taken == 1

    year.write_bytes(gzip.compress(body.replace(b"Text", b"Hext")))
    with pytest.raises(FeedRejected, match=r"not the file that nvdcve-2\.0-2026\.meta announces"):
        parse(year, meta)
    with pytest.raises(FeedRejected, match="without the file"):
        parse(meta)


def test_documents_that_are_not_of_the_cve_api_2_are_not_taken_from_a_folder() -> None:
    assert FEED.accepts("2026/nvdcve-2.0-2026.json.gz")
    assert FEED.accepts("nvdcve-2.0-2026.meta")
    assert FEED.accepts("page-00000000.json")
    assert not FEED.accepts("nvdcve-1.1-2002.json.gz")
    assert not FEED.accepts("cve_api_json_2.0.schema.json")
    assert not FEED.accepts("cache.properties")


def test_reading_the_same_documents_in_another_order_gives_the_same() -> None:
    names = ("page-6.json", "page-0.json", "page-3.json")

    one, other = case(*names)[1], case(*reversed(names))[1]

    assert list(one.summaries.items()) == list(other.summaries.items())
    assert one.candidates == other.candidates
