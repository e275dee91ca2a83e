"""Each feed's real documents are read to the last entry, and what cannot be read is counted."""

import gzip
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from wavemend.advisories import AdvisoryStatus, Cvss, KevEntry, choose_cvss
from wavemend.errors import FeedRejected
from wavemend.feeds import FEEDS, Content, Document
from wavemend.feeds.documents import moment, parse_json
from wavemend.feeds.nvd import ssvc_answers
from wavemend.feeds.scores import assessment, base_score

CASES = Path(__file__).parents[1] / "cases" / "feeds"


def parse(feed: str, *names: str) -> Content:
    paths = [CASES / feed / name for name in names]
    return FEEDS[feed]().parse(
        [Document(name=path.name.replace("DSA-list", "list"), path=path) for path in paths]
    )


def parse_text(feed: str, text: str, folder: Path, name: str = "x.json") -> Content:
    (folder / name).write_text(text, encoding="utf-8")
    return FEEDS[feed]().parse([Document(name=name, path=folder / name)])


@pytest.mark.parametrize(
    ("name", "model", "percentile"),
    [
        ("epss_scores-2021-04-14.csv.gz", "before 2022-02-04", None),
        ("epss_scores-2021-09-01.csv.gz", "before 2022-02-04", 0.9981063485700858),
        ("epss_scores-2022-02-04.csv.gz", "v2022.01.01", 0.99999),
        ("epss_scores-2023-03-07.csv.gz", "v2023.03.01", 0.99995),
    ],
)
def test_every_layout_epss_ever_had_is_read(
    name: str, model: str, percentile: float | None
) -> None:
    content = parse("epss", name)

    score = content.epss["CVE-2020-5902"]
    assert (score.model, score.percentile, score.date) == (
        model,
        percentile,
        date.fromisoformat(name[12:22]),
    )
    assert content.count == len(content.epss) == 2


def test_a_folder_with_several_days_of_epss_gives_the_newest() -> None:
    content = parse("epss", "epss_scores-2023-03-07.csv.gz", "epss_scores-2022-02-04.csv.gz")

    assert content.model == "v2023.03.01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cve,epss,percentile\nCVE-2020-5902,0.5,0.5\n",
        "#model_version:x,score_date:2026-01-01T00:00:00Z\ncve,score\nCVE-2020-5902,0.5\n",
        "#model_version:x,score_date:2026-01-01T00:00:00Z\ncve,epss\nCVE-2020-5902,0.5\nCVE-2020-1",
        "#model_version:x,score_date:2026-01-01T00:00:00Z\ncve,epss,percentile\nCVE-2020-5902,0.5\n",
        "#model_version:x,score_date:2026-01-01T00:00:00Z\ncve,epss\nCVE-20-1,0.5\n",
    ],
)
def test_a_table_that_is_not_epss_or_not_whole_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(FeedRejected):
        parse_text("epss", text, tmp_path, "scores.csv")


def test_kev_unknown_ransomware_use_is_not_no() -> None:
    content = parse("kev", "2026-08-07.json")

    assert content.kev["CVE-2023-44487"] == KevEntry(
        date_added=date(2023, 10, 10),
        due_date=date(2023, 10, 31),
        ransomware=None,
        name="HTTP/2 Rapid Reset Attack Vulnerability",
    )
    assert content.kev["CVE-2024-4577"].ransomware is True
    assert content.kev_complete
    assert content.data_date == datetime(2026, 8, 7, 16, 45, 47, 64800, tzinfo=UTC)


def test_a_catalogue_whose_count_is_wrong_was_cut(tmp_path: Path) -> None:
    catalogue = json.loads((CASES / "kev" / "2026-08-07.json").read_text("utf-8"))
    catalogue["vulnerabilities"].pop()

    with pytest.raises(FeedRejected, match="says it has 12 entries and has 11"):
        parse_text("kev", json.dumps(catalogue), tmp_path)


def test_nvd_pages_make_one_set_and_records_without_scores_stay_without() -> None:
    content = parse("nvd", "page-6.json", "page-0.json", "page-3.json")

    assert content.count == 8
    assert "CVE-2023-47246" not in content.cvss
    assert content.summaries["CVE-2023-47246"].startswith("In SysAid On-Premise before 23.3.36")
    assert content.cvss["CVE-2023-6069"][0].version == "3.0"
    assert content.rejects == ()


def test_nvd_carries_ssvc_and_kev_since_2026() -> None:
    content = parse("nvd", "ssvc.json.gz")

    ssvc = content.ssvc["CVE-2021-44228"]
    assert (ssvc.exploitation, ssvc.automatable, ssvc.impact_total) == ("active", True, True)
    assert ssvc.source == "cisa-adp"
    assert content.kev["CVE-2021-44228"].due_date == date(2021, 12, 24)
    assert not content.kev_complete
    chosen = choose_cvss(content.cvss["CVE-2021-44228"])
    assert chosen is not None
    assert (chosen.source, chosen.version, chosen.score) == ("nvd", "3.1", 10.0)


def test_of_two_records_of_a_cve_the_later_one_counts(tmp_path: Path) -> None:
    page = json.loads((CASES / "nvd" / "page-6.json").read_text("utf-8"))
    page["startIndex"], page["totalResults"] = 0, 2
    newer = json.loads(json.dumps(page))
    newer["vulnerabilities"][0]["cve"]["lastModified"] = "2026-01-01T00:00:00.000"
    newer["vulnerabilities"][0]["cve"]["descriptions"][0]["value"] = "rewritten"
    documents = []
    for name, body in (("a.json", newer), ("b.json", page)):
        (tmp_path / name).write_text(json.dumps(body), encoding="utf-8")
        documents.append(Document(name=name, path=tmp_path / name))

    content = FEEDS["nvd"]().parse(documents)

    assert content.summaries["CVE-2023-47246"] == "rewritten"
    assert content.skipped["older record of a CVE"] == 2


@pytest.mark.parametrize(
    "options",
    [
        [{"exploitation": "PoC"}, {"automatable": "Yes"}, {"technicalImpact": "total"}],
        [{"Exploitation": "poc"}, {"Automatable": "yes"}, {"Technical Impact": "Total"}],
    ],
)
def test_ssvc_answers_have_one_spelling(options: list[dict[str, str]]) -> None:
    assert ssvc_answers(options) == {
        "exploitation": "poc",
        "automatable": "yes",
        "technicalimpact": "total",
    }


def test_debian_records_give_one_statement_per_release_and_source() -> None:
    content = parse("debian", "CVE-2023-4911.json", "DSA-5592-1.json")

    said = {(item.release, item.source_package): item for item in content.advisories}
    glibc = said["bookworm", "glibc"]
    assert (glibc.fixed_version, glibc.status) == ("2.36-9+deb12u3", AdvisoryStatus.FIXED)
    assert glibc.cves == ("CVE-2023-4911",)
    dsa = said["bookworm", "libspreadsheet-parseexcel-perl"]
    assert (dsa.id, dsa.cves) == ("DSA-5592-1", ("CVE-2023-7101",))
    assert content.cvss["CVE-2023-4911"][0].score == 7.8


def test_other_ecosystems_and_entries_without_a_package_are_counted_not_read() -> None:
    content = parse(
        "debian", "CVE-2023-46840.json", "CVE-2016-10515.json", "CVE-2019-7350.json", "all-2023.zip"
    )

    assert {item.release for item in content.advisories} <= {"bullseye", "bookworm", "trixie"}
    assert content.skipped["entry without a package"] == 2
    assert content.skipped["other ecosystem or release"] >= 9
    (zoneminder,) = (
        item
        for item in content.advisories
        if item.source_package == "zoneminder" and item.release == "bookworm"
    )
    assert (zoneminder.status, zoneminder.unimportant) == (AdvisoryStatus.UNFIXED, True)


def test_a_fixed_version_of_0_means_never_affected_and_the_newer_ids_are_read(
    tmp_path: Path,
) -> None:
    record = {
        "id": "DEBIAN-CVE-2026-116303",
        "modified": "2026-11-20T00:00:00Z",
        "upstream": ["CVE-2026-116303"],
        "affected": [
            {
                "package": {"ecosystem": f"Debian:{number}", "name": "zip"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, event]}],
            }
            for number, event in ((12, {"fixed": "0"}), (13, {"fixed": "3.0-15"}))
        ],
    }

    content = parse_text("debian", json.dumps(record), tmp_path)

    assert [
        (item.release, item.status.value, item.fixed_version) for item in content.advisories
    ] == [
        ("bookworm", "not_affected", None),
        ("trixie", "fixed", "3.0-15"),
    ]
    assert {item.cves for item in content.advisories} == {("CVE-2026-116303",)}


def test_an_entry_in_an_unknown_form_is_rejected_with_its_place(tmp_path: Path) -> None:
    events = [{"introduced": "0"}, {"last_affected": "1.0"}]
    package = {"ecosystem": "Debian:12", "name": "zip"}
    record = {
        "id": "CVE-2026-0001",
        "modified": "2026-11-20T00:00:00Z",
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }

    content = parse_text("debian", json.dumps(record), tmp_path)

    assert content.advisories == ()
    assert [item.where for item in content.rejects] == ["x.json: zip in bookworm"]


def test_the_list_of_dsa_is_read_with_its_odd_lines() -> None:
    content = parse("debian", "DSA-list", "DSA-list-2018")

    first = next(item for item in content.advisories if item.id == "DSA-5380-1")
    assert (first.release, first.source_package) == ("bullseye", "xorg-server")
    assert (first.fixed_version, first.cves) == ("2:1.20.11-1+deb11u6", ("CVE-2023-1393",))
    regression = next(item for item in content.advisories if item.id == "DSA-5356-2")
    assert regression.cves == ()
    assert content.data_date == datetime(2023, 3, 29, tzinfo=UTC)
    assert content.rejects == ()


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    whole = (CASES / "debian" / "all-2023.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(FeedRejected, match="not a whole zip"):
        FEEDS["debian"]().parse([Document(name="all.zip", path=tmp_path / "all.zip")])


def test_a_published_score_that_does_not_follow_from_its_vector_is_flagged() -> None:
    vector = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"

    honest, _ = assessment(vector=vector, published=7.8, source="nvd", where="x")
    odd, _ = assessment(vector=vector, published=9.8, source="cna:x", where="x")
    none, why = assessment(vector=vector, published=11, source="nvd", where="x")

    assert honest is not None
    assert odd is not None
    assert (honest.disputed, odd.disputed, odd.computed_score) == (False, True, 7.8)
    assert none is None
    assert why is not None


def test_only_the_base_metrics_of_version_4_make_the_base_score() -> None:
    base = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"

    assert base_score("4.0", f"{base}/E:U/MAV:L") == base_score("4.0", base) == 9.3


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


def test_nine_digits_of_a_second_are_a_time() -> None:
    assert moment("2025-06-25T03:01:03.129977612") == datetime(
        2025, 6, 25, 3, 1, 3, 129977, tzinfo=UTC
    )


def test_json_of_any_kind_of_damage_is_one_kind_of_error() -> None:
    for body in (b"{", b"\xff", b"[1e999]", b"[-Infinity]", b'{"a":1,"a":2}', b"[" * 100_000):
        with pytest.raises(FeedRejected):
            parse_json(body, "x")


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_every_feed_refuses_an_empty_and_a_foreign_document(feed: str, tmp_path: Path) -> None:
    name = {"epss": "x.csv", "debian": "x.json", "kev": "x.json", "nvd": "x.json"}[feed]
    for text in ("", "   ", "{}", "[]", '"x"', "<html></html>"):
        with pytest.raises(FeedRejected):
            parse_text(feed, text, tmp_path, name)


def test_the_bundled_examples_are_whole_small_and_honest(tmp_path: Path) -> None:
    from wavemend.feeds.refresh import FeedStatus, RefreshConfig, refresh

    examples = CASES.parents[2] / "examples" / "feeds"
    now = datetime(2026, 11, 20, 18, tzinfo=UTC)
    results = refresh(RefreshConfig(directory=examples), tmp_path / "cache", now)

    assert [item.status for item in results] == [FeedStatus.REFRESHED] * 4
    assert [len(item.snapshot.rejects) if item.snapshot else -1 for item in results] == [0] * 4
    size = sum(path.stat().st_size for path in examples.rglob("*") if path.is_file())
    assert size < 1_500_000
    for path in (examples / "debian" / "derived").iterdir():
        record = json.loads(path.read_text("utf-8"))
        assert record["database_specific"]["derived"] is True, path.name
    shutil.rmtree(tmp_path / "cache")


def test_a_gzip_file_of_two_members_is_read_whole(tmp_path: Path) -> None:
    head = b"#model_version:v1,score_date:2026-01-01T00:00:00Z\ncve,epss\nCVE-2020-0001,0.5\n"
    body = gzip.compress(head) + gzip.compress(b"CVE-2020-0002,0.5\n")
    (tmp_path / "x.csv.gz").write_bytes(body)

    content = FEEDS["epss"]().parse([Document(name="x.csv.gz", path=tmp_path / "x.csv.gz")])

    assert content.count == 2
