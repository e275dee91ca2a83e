"""A Windows host is compared with the build that Microsoft names for its own product and row."""

import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from wavemend.advisories import Advisory, AdvisoryStatus, Cvss, Exploit, UpdateClass
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Heading
from wavemend.feeds.readers.msrc import FEED
from wavemend.feeds.readers.msrc_xml import product_of, release_of, require_safe_expat
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "msrc"
FEBRUARY = "February 2026 Security Updates"
XML = (CASES / "2026-Feb.xml").read_text("utf-8")


def parse(*paths: Path) -> tuple[Heading, Collected]:
    sink = Collected()
    heading = FEED.parse([Document(name=path.name, path=path) for path in paths], sink)
    assert sink.balanced
    return heading, sink


def parse_text(folder: Path, text: str, name: str = "2026-Feb.xml") -> tuple[Heading, Collected]:
    (folder / name).write_text(text, encoding="utf-8")
    return parse(folder / name)


def of_release(sink: Collected, release: str) -> list[Advisory]:
    return [item for item in sink.advisories if item.release == release]


def test_a_month_becomes_one_advisory_per_update_and_product() -> None:
    heading, sink = parse(CASES / "2026-Feb.xml")

    assert heading.data_date == datetime(2026, 3, 1, 1, 1, 55, tzinfo=UTC)
    full, hotpatch = of_release(sink, "windows-server-2025")
    assert full == Advisory(
        id="KB5075899",
        feed="msrc",
        document="2026-Feb.xml",
        release="windows-server-2025",
        package="windows-server-2025",
        fixed_version="10.0.26100.32370",
        status=AdvisoryStatus.FIXED,
        cves=("CVE-2026-21510", "CVE-2026-21533"),
        scheme=Scheme.WINDOWS,
        by_source=False,
        update_class=UpdateClass.SECURITY,
        summary=FEBRUARY,
        urgency="Important",
        published=datetime(2026, 2, 10, 8, tzinfo=UTC),
        note="Security Update; replaces KB5074109; restart: Yes",
        restart=True,
    )
    assert (hotpatch.id, hotpatch.module) == ("KB5075942", "hotpatch")


def test_a_hotpatch_is_a_row_of_its_own_and_asks_for_no_restart() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")
    hotpatches = [item for item in sink.advisories if item.module]

    assert {item.module for item in hotpatches} == {"hotpatch"}
    assert {(item.release, item.fixed_version) for item in hotpatches} == {
        ("windows-11-24h2", "10.0.26100.7781"),
        ("windows-server-2022", "10.0.20348.4711"),
        ("windows-server-2025", "10.0.26100.32313"),
    }
    assert not any("restart" in item.note for item in hotpatches)


def test_both_spellings_of_a_hotpatch_are_understood(tmp_path: Path) -> None:
    _, sink = parse_text(
        tmp_path, XML.replace("Security Hotpatch Update", "SecurityHotpatchUpdate")
    )
    _, real = parse(CASES / "2026-Feb.xml")

    assert [item.module for item in sink.advisories] == [item.module for item in real.advisories]


def test_the_json_of_the_api_says_the_same_as_the_xml() -> None:
    _, xml = parse(CASES / "2026-Feb.xml")
    _, api = parse(CASES / "2026-Feb.json")

    def without_name(found: Collected) -> list[str]:
        return [repr(item).replace(item.document, "") for item in found.advisories]

    assert without_name(api) == without_name(xml)
    assert (api.candidates, api.evidence, api.summaries) == (
        xml.candidates,
        xml.evidence,
        xml.summaries,
    )
    assert (api.entries, api.taken, api.skipped) == (xml.entries, xml.taken, xml.skipped)


def test_json_may_name_the_products_after_the_vulnerabilities(tmp_path: Path) -> None:
    root = json.loads((CASES / "2026-Feb.json").read_text("utf-8"))
    turned = json.dumps(dict(reversed(list(root.items()))))
    _, sink = parse_text(tmp_path, turned, "2026-Feb.json")

    assert sink.advisories == parse(CASES / "2026-Feb.json")[1].advisories


def test_what_microsoft_saw_exploited_or_published_is_evidence_of_the_day_of_the_fix() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")
    day = date(2026, 2, 10)

    assert sink.evidence["CVE-2026-21510"] == (
        Exploit(kind="msrc-disclosed", reference=FEBRUARY, published=day),
        Exploit(kind="msrc-exploited", reference=FEBRUARY, published=day),
    )
    assert sink.evidence["CVE-2026-21533"] == (
        Exploit(kind="msrc-exploited", reference=FEBRUARY, published=day),
    )
    assert "CVE-2026-0102" not in sink.evidence


def test_temporal_metrics_are_no_part_of_the_base_score() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")

    assert sink.candidates["CVE-2026-21533"] == (
        Cvss(
            version="3.1",
            vector="CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
            score=7.8,
            computed_score=7.8,
            source="distribution:msrc",
        ),
    )
    assert sink.flaws == []


def test_products_that_are_scored_apart_keep_both_scores(tmp_path: Path) -> None:
    lower = XML.replace(
        "<vuln:BaseScore>7.8</vuln:BaseScore>", "<vuln:BaseScore>5.5</vuln:BaseScore>", 1
    )
    lower = lower.replace(
        "AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N", 1
    )
    _, sink = parse_text(tmp_path, lower)
    apart = [found for found in sink.candidates.values() if len(found) > 1]

    assert [[item.score for item in found] for found in apart] == [[7.8, 5.5]] or [
        [item.score for item in found] for found in apart
    ] == [[5.5, 7.8]]


def test_a_fix_without_a_kb_is_known_by_its_cve_and_version() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")
    (edge,) = of_release(sink, "microsoft-edge-chromium-based")

    assert (edge.id, edge.fixed_version) == ("CVE-2026-0102", "145.0.3800.58")
    assert edge.package == "microsoft-edge-chromium-based"


def test_words_where_a_version_should_be_are_counted_and_never_compared() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")

    assert sink.skipped == Counter(
        {
            "remediation: Release Notes": 24,
            "remediation: Known Issue": 8,
            "vendor fix without a version of its product (Click to Run, Security Update)": 1,
        }
    )


def test_a_kb_without_a_build_cannot_be_compared_and_is_counted() -> None:
    _, sink = parse(CASES / "2016-Apr.xml")

    assert sink.advisories == []
    assert sink.skipped["vendor fix without a version (a KB, Security Update)"] == 6


def test_linux_rows_are_source_packages_with_rpm_versions() -> None:
    _, sink = parse(CASES / "2026-Feb.xml")
    (azure,) = of_release(sink, "azurelinux-3.0")
    (mariner,) = of_release(sink, "mariner-2.0")

    assert (azure.package, azure.fixed_version) == ("libtiff", "4.6.0-12")
    assert azure.scheme is mariner.scheme is Scheme.RPM
    assert azure.by_source
    assert azure.arch == ""


def test_a_collection_split_by_cve_is_read_file_by_file() -> None:
    heading, sink = parse(CASES / "cvrf-split.tar.xz")
    file = "cvrf-split.tar.xz/2025-Feb/2025/CVE-2025-21418.json"
    found = [item for item in sink.advisories if item.document == file]
    server = {item.module: item for item in found if item.release == "windows-server-2022"}

    assert heading.data_date == datetime(2025, 2, 16, tzinfo=UTC)
    assert server[""].fixed_version == "10.0.20348.3207"
    assert server["hotpatch"].id == "KB5052106"
    assert {item.package for item in of_release(sink, "mariner-1.0")} == {"python2", "python3"}
    assert sink.skipped["advisory without a CVE"] == 1


def test_the_number_of_an_ie_update_is_never_taken_for_a_build_of_windows() -> None:
    _, sink = parse(CASES / "cvrf-split.tar.xz")

    assert sink.skipped["vendor fix without a version of its product (a KB, IE Cumulative)"] == 1
    builds = {item.fixed_version for item in of_release(sink, "windows-server-2012-r2")}
    assert "1.001" not in builds


def test_of_two_documents_the_later_changed_one_scores_a_cve(tmp_path: Path) -> None:
    old = XML.replace("2026-03-01T01:01:55", "2026-02-11T00:00:00").replace("7.8<", "1.0<")
    (tmp_path / "2026-Mar.xml").write_text(old, encoding="utf-8")
    _, sink = parse(CASES / "2026-Feb.xml", tmp_path / "2026-Mar.xml")

    assert [item.score for item in sink.candidates["CVE-2026-21533"]] == [7.8]


def test_a_fix_for_a_product_nobody_listed_is_rejected_by_name(tmp_path: Path) -> None:
    _, sink = parse_text(
        tmp_path,
        XML.replace("<vuln:ProductID>11655</vuln:ProductID>", "<vuln:ProductID>1</vuln:ProductID>"),
    )

    (reject,) = sink.rejects
    assert reject.where == "2026-Feb.xml: CVE-2026-0102"
    assert "only products that the document does not list" in reject.reason


def test_an_entry_that_is_no_cve_is_rejected_with_its_remediations_counted(tmp_path: Path) -> None:
    _, sink = parse_text(tmp_path, XML.replace(">CVE-2026-0102<", ">CVE-2026-x<"))

    assert [item.reason for item in sink.rejects] == ["is not a CVE"]
    assert sink.skipped["remediation of an advisory without a CVE"] == 2


def test_a_month_that_is_listed_and_not_there_is_named() -> None:
    heading, sink = parse(CASES / "updates.json", CASES / "2016-Apr.xml")

    assert heading.data_date == datetime(2024, 4, 9, 7, tzinfo=UTC)
    assert [item.where for item in sink.flaws] == ["updates.json: 2024-Mar"]


@pytest.mark.parametrize(
    ("product", "release", "arch", "note"),
    [
        ("Windows Server 2022", "windows-server-2022", "", ""),
        (
            "Windows Server 2022 (Server Core installation)",
            "windows-server-2022",
            "",
            "Server Core installation",
        ),
        (
            "Windows Server 2022, 23H2 Edition (Server Core installation)",
            "windows-server-23h2",
            "",
            "Server Core installation",
        ),
        (
            "Windows Server, version 20H2 (Server Core Installation)",
            "windows-server-20h2",
            "",
            "Server Core Installation",
        ),
        (
            "Windows Server 2008 R2 for x64-based Systems Service Pack 1",
            "windows-server-2008-r2",
            "x64",
            "Service Pack 1",
        ),
        (
            "Windows Server 2008 for 32-bit Systems Service Pack 2 (Server Core installation)",
            "windows-server-2008",
            "x86",
            "Service Pack 2, Server Core installation",
        ),
        ("Windows 11 Version 24H2 for x64-based Systems", "windows-11-24h2", "x64", ""),
        ("Windows 11 version 26H1 for ARM64-based Systems", "windows-11-26h1", "arm64", ""),
        ("Windows 10 for 32-bit Systems", "windows-10-1507", "x86", ""),
        ("Windows 8.1 for x64-based systems", "windows-8.1", "x64", ""),
        ("Microsoft Word 2016 (64-bit edition)", "microsoft-word-2016", "x64", ""),
        (
            "Microsoft SQL Server 2022 for x64-based Systems (GDR)",
            "microsoft-sql-server-2022-gdr",
            "x64",
            "",
        ),
        ("Windows Notepad", "windows-notepad", "", ""),
        (".NET 8.0 installed on Windows", "net-8.0-installed-on-windows", "", ""),
    ],
)
def test_a_published_product_has_one_release_key(
    product: str, release: str, arch: str, note: str
) -> None:
    assert release_of(product) == (release, arch, note)


def test_a_component_belongs_to_the_windows_it_runs_on() -> None:
    found = product_of(
        "Microsoft .NET Framework 3.5 AND 4.8 on Windows 10 Version 22H2 for x64-based Systems", ""
    )

    assert (found.release, found.package) == (
        "windows-10-22h2",
        "microsoft-net-framework-3.5-and-4.8",
    )
    assert found.arch == "x64"
    assert found.can_compare("4.8.04775.01")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (XML[: len(XML) // 2], "not whole, plain XML"),
        ("<a/>", "it has no title"),
        (f'<!DOCTYPE a [<!ENTITY b "c">]>{XML}', "not whole, plain XML"),
        (f"<!DOCTYPE cvrfdoc>{XML}", "not whole, plain XML"),
        ("<a>" * 40 + "</a>" * 40, "nested too deeply"),
        (XML.replace("CurrentReleaseDate", "CurrentDate"), "when it was last changed"),
    ],
    ids=["cut off", "another document", "own entities", "own rules", "deep", "undated"],
)
def test_a_document_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(FeedRejected, match=why):
        parse_text(tmp_path, text)


def test_an_xml_parser_with_known_holes_is_refused() -> None:
    require_safe_expat((2, 4, 1))
    with pytest.raises(FeedRejected, match=r"expat 2\.4\.0 is unsafe"):
        require_safe_expat((2, 4, 0))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("msrc-cvrf-2026-Feb.xml.xz", True),
        ("cvrf/2016-Apr", True),
        ("2026-Feb.json", True),
        ("updates", True),
        ("updates.json", True),
        ("msrc-cvrf-split-2024-11_2025-02.tar.xz", True),
        ("2025-Feb/2025/CVE-2025-21418.json", True),
        ("2024-Nov/others/ADV240001.json", True),
        ("2025/msrc_cve-2025-29795.json", False),
        ("index.txt", False),
    ],
)
def test_months_are_told_from_other_formats_of_microsoft(name: str, accepted: bool) -> None:
    assert FEED.accepts(name) is accepted


@dataclass
class Fetched:
    """A `Downloads` that answers from a table of documents and writes down what was asked."""

    folder: Path
    answers: Mapping[str, str]
    stored: Mapping[str, Document] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    since: datetime | None = None
    api_key: str = ""

    def get(
        self,
        url: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Document:
        assert not fresh
        assert (headers or {}).get("Accept", "").endswith(name.rpartition(".")[2])
        self.asked.append(url)
        path = self.folder / name
        path.write_text(self.answers[url], encoding="utf-8")
        return Document(name=name, path=path)

    def earlier(self, source: str) -> tuple[Document, ...]:
        assert source == f"{API}/updates"
        return tuple(self.stored.values())

    def keep(self, name: str) -> Document:
        self.kept.append(name)
        return self.stored[name]

    def discard(self, name: str) -> None:
        raise AssertionError(f"{name} was fetched in vain")

    def pause(self, seconds: float) -> None:
        """A fake upstream needs no rest."""


API = "https://api.example.org/cvrf/v3.0"


def listed(**months: str) -> str:
    lines = [
        {
            "ID": name.replace("_", "-"),
            "CurrentReleaseDate": at,
            "CvrfUrl": "https://elsewhere.example.org/",
        }
        for name, at in months.items()
    ]
    return json.dumps({"value": [{**line, "ID": line["ID"].removeprefix("m")} for line in lines]})


def test_only_months_that_changed_are_fetched_again(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    months = {f"{API}/cvrf/2026-Jan": XML, f"{API}/cvrf/2026-Feb": XML}
    old = listed(m2026_Jan="2026-02-01T00:00:00Z", m2026_Feb="2026-02-10T08:00:00Z")
    first = Fetched(before, {f"{API}/updates": old, **months})
    FEED.download(f"{API}/updates", first)
    stored = {
        name: Document(name=name, path=before / name)
        for name in ("updates.json", "2026-Jan.xml", "2026-Feb.xml")
    }
    new = listed(m2026_Jan="2026-02-01T00:00:00Z", m2026_Feb="2026-03-01T01:01:55Z")
    second = Fetched(after, {f"{API}/updates": new, **months}, stored)
    FEED.download(f"{API}/updates", second)

    assert sorted(first.asked) == sorted([f"{API}/updates", *months])
    assert second.asked == [f"{API}/updates", f"{API}/cvrf/2026-Feb"]
    assert second.kept == ["2026-Jan.xml"]


def test_an_index_cannot_send_us_to_another_place(tmp_path: Path) -> None:
    forged = json.dumps(
        {"value": [{"ID": "../../x", "CurrentReleaseDate": "2026-02-01T00:00:00Z"}]}
    )
    with pytest.raises(FeedRejected, match="without a usable name or date"):
        FEED.download(f"{API}/updates", Fetched(tmp_path, {f"{API}/updates": forged}))


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cvrf.tar", "w") as archive:
        archive.add(CASES / "2026-Feb.json", "2026-Feb.json")
    whole = (tmp_path / "cvrf.tar").read_bytes()
    (tmp_path / "cvrf.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FeedRejected, match=r"not a whole tar archive|ends too early"):
        parse(tmp_path / "cvrf.tar")
