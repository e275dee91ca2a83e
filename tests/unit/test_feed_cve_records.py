"""CVE records say what the CNA and CISA found; what they say of scores is worked out again."""

import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from wavemend.advisories import Cvss, Ssvc, choose_cvss
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.cve_records import FEED
from wavemend.feeds.reading.cve_archives import chosen_assets
from wavemend.feeds.reading.scores import assessment, base_score, only_base
from wavemend.feeds.reading.ssvc import choose_ssvc, read_ssvc
from wavemend.testing.collected import Collected

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "cve"
ENRICHED = CASES / "vulnrichment-2025-01-24.tar.xz"
WHOLE = CASES / "2023-11-02_all_CVEs_at_midnight.zip.zip"
BASE_4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
BASE_3 = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"


def parse(*paths: Path) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return heading, sink


def record(cve: str = "CVE-2026-116303", **more: Any) -> dict[str, Any]:
    head = {"cveId": cve, "state": "PUBLISHED", "dateUpdated": "2026-11-20T00:00:00.000Z"}
    cna = {"providerMetadata": {"shortName": "acme"}, "title": "A flaw", "metrics": []}
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.2",
        "cveMetadata": head,
        "containers": {"cna": cna},
        **more,
    }


def tar(folder: Path, name: str, files: Mapping[str, object]) -> Path:
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for inside, value in files.items():
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            item = tarfile.TarInfo(inside)
            item.size = len(body)
            archive.addfile(item, io.BytesIO(body))
    return path


def test_every_record_of_an_archive_is_counted_and_other_files_too() -> None:
    heading, sink = parse(ENRICHED)

    assert (sink.entries, sink.taken) == (10, 8)
    assert sink.skipped == {"file that is no CVE record": 1, "rejected CVE": 1}
    assert sink.rejects == []
    assert heading.coverage == {"cvss": 6, "ssvc": 8}
    assert heading.data_date == datetime(2025, 1, 21, 18, 20, 57, 915000, tzinfo=UTC)


def test_the_cve_lists_zip_inside_a_zip_is_read() -> None:
    _, sink = parse(WHOLE)

    assert (sink.entries, sink.taken) == (5, 4)
    assert sink.summaries["CVE-2023-0001"].startswith("Cortex XDR Agent")
    (found,) = sink.candidates["CVE-2023-0001"]
    assert (found.source, found.version) == ("cna:palo_alto", "3.1")


def test_the_container_decides_who_said_it() -> None:
    _, sink = parse(ENRICHED)

    (adp,) = sink.candidates["CVE-2024-7344"]
    assert (adp.source, adp.version, adp.score) == ("cisa-adp", "3.1", 8.2)
    said = [(item.source, item.version) for item in sink.candidates["CVE-2005-10003"]]
    assert said == [("cna:VulDB", version) for version in ("2.0", "3.0", "3.1", "4.0")]


def test_a_published_score_that_does_not_follow_from_its_vector_is_flagged() -> None:
    _, sink = parse(ENRICHED)

    disputed = [item for item in sink.candidates["CVE-2016-10394"] if item.disputed]
    assert [(item.score, item.computed_score) for item in disputed] == [(9.8, 8.4)]


def test_cisas_answers_come_before_a_cnas_and_the_contradiction_is_said() -> None:
    _, sink = parse(ENRICHED)

    assert sink.answers["CVE-2024-7344"] == Ssvc(
        exploitation="none", automatable=False, impact_total=True, source="cisa-adp"
    )
    flaws = {item.where.rpartition("/")[2]: item.reason for item in sink.flaws}
    assert flaws == {
        "CVE-2023-4309.json": "SSVC: cna:cisa-cg says exploitation poc, automatable yes, total "
        "impact yes; cisa-adp counts and says exploitation none, automatable yes, total impact no",
        "CVE-2024-52270.json": "SSVC: cna:VULSec says exploitation active, automatable yes, total "
        "impact no; cisa-adp counts and says exploitation poc, automatable no, total impact no",
        "CVE-2024-7344.json": "SSVC: cna:certcc says exploitation poc, automatable no, total "
        "impact yes; cisa-adp counts and says exploitation none, automatable no, total impact yes",
    }


def test_a_cnas_answers_count_where_cisa_gave_none(tmp_path: Path) -> None:
    content = {"options": [{"Exploitation": "active"}]}
    alone = record()
    alone["containers"]["cna"]["metrics"] = [{"other": {"type": "ssvc", "content": content}}]

    _, sink = parse(tar(tmp_path, "a.tar.gz", {"CVE-2026-116303.json": alone}))

    assert sink.answers["CVE-2026-116303"] == Ssvc(
        exploitation="active", automatable=None, impact_total=None, source="cna:acme"
    )


def test_cisas_word_that_a_cve_is_exploited_is_taken_over() -> None:
    heading, sink = parse(ENRICHED)

    entry = sink.listed["CVE-2009-2055"]
    assert (entry.date_added, entry.due_date) == (date(2022, 3, 25), None)
    assert not heading.kev_complete


def test_of_two_records_of_a_cve_the_later_changed_one_counts(tmp_path: Path) -> None:
    old, new = record(), record()
    new["cveMetadata"] = {**new["cveMetadata"], "dateUpdated": "2026-11-20T01:00:00.000Z"}
    new["containers"]["cna"]["title"] = "A worse flaw"
    name = "cves/2026/116xxx/CVE-2026-116303.json"
    archives = [tar(tmp_path, f"{at}.tar.gz", {name: it}) for at, it in (("a", new), ("b", old))]

    heading, sink = parse(*archives)

    assert sink.summaries == {"CVE-2026-116303": "A worse flaw"}
    assert sink.skipped == {"older record of a CVE": 1}
    assert heading.data_date == datetime(2026, 11, 20, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"{", "not valid JSON"),
        ([], "list where an object"),
        (record(dataType="CVE"), "not a CVE record of version 5"),
        (record(dataVersion="4.0"), "not a CVE record of version 5"),
        (record("CVE-1"), "is not a CVE"),
        (record(containers=None), "where an object must be"),
        (record(containers={"cna": {"metrics": {}}}), "where a list must be"),
        (record(cveMetadata={"cveId": "CVE-2026-0001", "state": "NEW"}), "state 'NEW'"),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_with_its_place(
    broken: object, why: str, tmp_path: Path
) -> None:
    files = {"CVE-2026-0001.json": broken, "CVE-2026-116303.json": record()}

    _, sink = parse(tar(tmp_path, "a.tar.gz", files))

    assert [item.where for item in sink.rejects] == ["a.tar.gz/CVE-2026-0001.json"]
    assert why in sink.rejects[0].reason
    assert list(sink.summaries) == ["CVE-2026-116303"]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip", "CVE-2026-0001.json"])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html></html>", b"PK\x03\x04"])
def test_what_is_no_archive_of_records_is_refused(name: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)

    with pytest.raises(FeedRejected):
        parse(tmp_path / name)


def test_the_newest_whole_list_and_all_changes_of_its_day_are_fetched() -> None:
    def release(*names: str) -> dict[str, Any]:
        return {"assets": [{"name": it, "browser_download_url": f"https://x/{it}"} for it in names]}

    whole = "2026-11-20_all_CVEs_at_midnight.zip.zip"
    releases = [
        release(whole, "2026-11-20_delta_CVEs_at_0200Z.zip", "notes.md"),
        release(whole, "2026-11-20_delta_CVEs_at_0100Z.zip"),
        release("2026-11-19_all_CVEs_at_midnight.zip.zip", "2026-11-19_delta_CVEs_at_2300Z.zip"),
    ]

    chosen, changes = chosen_assets(releases, "x")

    assert chosen == (whole, f"https://x/{whole}")
    assert [name for name, _ in changes] == [
        "2026-11-20_delta_CVEs_at_0100Z.zip",
        "2026-11-20_delta_CVEs_at_0200Z.zip",
    ]
    with pytest.raises(FeedRejected, match="no file with all CVE records"):
        chosen_assets([release("notes.md")], "x")


POC = Ssvc(exploitation="poc", automatable=True, impact_total=True, source="x")


@pytest.mark.parametrize(
    "content",
    [
        {
            "options": [
                {"exploitation": "poc"},
                {"automatable": "yes"},
                {"technicalImpact": "total"},
            ]
        },
        {
            "options": [
                {"Exploitation": "PoC"},
                {"Automatable": "Yes"},
                {"Technical Impact": "Total"},
            ]
        },
        {
            "selections": [
                {"name": "Exploitation", "values": ["Public PoC"]},
                {"name": "Automatable", "values": ["yes"]},
                {"name": "Technical Impact", "values": ["total"]},
            ]
        },
        {"Exploitation": "PoC", "Automatable": "Yes", "Technical Impact": "Total", "version": "2"},
    ],
)
def test_ssvc_answers_have_one_spelling(content: dict[str, Any]) -> None:
    assert read_ssvc(content, "x") == (POC, "")


def test_cisas_answers_count_even_when_a_cna_answered_later() -> None:
    cisa = Ssvc(exploitation="none", automatable=None, impact_total=None, source="cisa-adp")
    cna = Ssvc(exploitation="active", automatable=None, impact_total=None, source="cna:x")

    chosen, troubles = choose_ssvc([(cna, "2026-02-01T00:00:00Z"), (cisa, "2026-01-01T00:00:00Z")])

    assert chosen == cisa
    assert len(troubles) == 1
    assert choose_ssvc([(cna, ""), (cna, "")]) == (cna, [])


def test_an_ssvc_answer_nobody_knows_stays_open_and_is_said() -> None:
    content = {
        "options": [{"Exploitation": "perhaps"}, {"Automatable": "no"}],
        "selections": [{"name": "Technical Impact", "values": ["partial", "total"]}],
    }

    found, trouble = read_ssvc(content, "x")

    assert found == Ssvc(exploitation="", automatable=False, impact_total=None, source="x")
    assert "Exploitation: 'perhaps'" in trouble
    assert "Technical Impact" in trouble
    assert read_ssvc({"options": []}, "x") == (None, "")


def test_a_score_that_is_no_score_is_not_taken() -> None:
    honest, _ = assessment(vector=BASE_3, published=7.8, source="nvd", where="x")
    odd, _ = assessment(vector=BASE_3, published=9.8, source="cna:x", where="x")
    assert honest is not None
    assert odd is not None
    assert (honest.disputed, odd.disputed, odd.computed_score) == (False, True, 7.8)

    for published in (11, -1, float("nan"), True, "7.8", "missing"):
        none, why = assessment(vector=BASE_3, published=published, source="nvd", where="x")
        assert none is None
        assert why is not None


@pytest.mark.parametrize(
    ("version", "base", "more", "score"),
    [
        ("4.0", BASE_4, "/E:U/MAV:L/S:P/AU:Y", 9.3),
        ("3.1", BASE_3, "/E:U/RL:O/RC:C", 7.8),
        ("3.0", BASE_3.replace("3.1", "3.0"), "/E:P/RL:O/RC:C/MAV:P", 7.8),
        ("2.0", "AV:L/AC:L/Au:N/C:N/I:P/A:N", "/E:U/RL:OF/RC:C/CDP:N/TD:L", 2.1),
    ],
)
def test_only_base_metrics_make_the_base_score(
    version: str, base: str, more: str, score: float
) -> None:
    assert base_score(version, f"{base}{more}") == base_score(version, base) == score
    assert only_base(version, f"{base}{more}") == base


@pytest.mark.parametrize("vector", ["", "CVSS:3.1/", f"{BASE_3}/XX:Y", f"{BASE_3}/AV:L", "AV:Q"])
def test_a_vector_nobody_can_read_has_no_computed_score(vector: str) -> None:
    assert base_score("3.1", vector) is None


def test_the_choice_among_scores_follows_the_written_order_not_the_list() -> None:
    def made(version: str, score: float, source: str) -> Cvss:
        return Cvss(version=version, vector="", score=score, computed_score=None, source=source)

    nvd2, cna31 = made("2.0", 9.9, "nvd"), made("3.1", 5.0, "cna:a")
    nvd31, cna40 = made("3.1", 4.0, "nvd"), made("4.0", 9.0, "cna:a")
    adp, debian = made("3.1", 8.0, "cisa-adp"), made("3.1", 9.0, "distribution:debian-osv")

    assert choose_cvss((debian, adp, cna31, nvd2)) == cna31
    assert choose_cvss((cna40, nvd31)) == nvd31
    assert choose_cvss((cna31, cna40)) == cna40
    assert choose_cvss((debian, adp)) == adp
    assert choose_cvss((nvd2,)) == nvd2
    assert choose_cvss(()) is None
