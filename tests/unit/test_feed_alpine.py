"""Alpine's database says which version of a source fixed what, per release; the rest is unknown."""

import json
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.readers.alpine import FEED, RELEASES
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

CASES = Path(__file__).parents[1] / "cases" / "feeds" / "alpine"


def documents(*names: str) -> list[Document]:
    return [Document(name=name, path=CASES / name) for name in names]


def parse(folder: Path, fixes: object, *, release: str = "v3.23", name: str = "zip") -> Collected:
    """Read one release whose main repository says this, and whose community says nothing."""
    jq: object = {"pkg": {"name": "jq", "secfixes": {"1-r0": ["CVE-2026-0009"]}}}
    packages = {"main": [jq, {"pkg": {"name": name, "secfixes": fixes}}], "community": None}
    made = []
    for repository, said in packages.items():
        path = folder / f"{repository}.json"
        root = {"reponame": repository, "distroversion": release, "packages": said}
        path.write_text(json.dumps(root), encoding="utf-8")
        made.append(Document(name=f"{release}/{repository}.json", path=path))
    sink = Collected()
    FEED.parse(made, sink)
    assert sink.balanced
    return sink


def test_the_real_documents_are_read_to_the_last_statement() -> None:
    sink = Collected()
    names = ("v3.16/main.json", "v3.16/community.json", "edge/main.json", "edge/community.json")
    heading = FEED.parse(documents(*names), sink)

    assert sink.balanced
    assert (sink.entries, sink.taken, sink.rejects) == (9, 9, [])
    assert {
        (item.release, item.package, item.fixed_version, item.cves) for item in sink.advisories
    } >= {
        ("alpine-3.16", "apache2", "2.4.27-r1", ("CVE-2017-9798",)),
        ("alpine-edge", "aom", "3.1.1-r0", ("CVE-2021-30473",)),
    }
    assert {(item.scheme, item.by_source, item.id in item.cves) for item in sink.advisories} == {
        (Scheme.APK, True, True)
    }
    assert sink.advisories[0].document == "edge/community.json: advancecomp 2.1-r2"
    assert heading.coverage == {"fixed": 9, "releases": 2}


def test_version_0_means_that_alpine_was_never_affected(tmp_path: Path) -> None:
    said = parse(tmp_path, {"0": ["CVE-2026-0001"]}).advisories[-1]

    assert (said.status.value, said.fixed_version) == ("not_affected", None)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("CVE-2024-22195 GHSA-h5c8-rqwp-cp95", ["CVE-2024-22195"]),
        ("CVE-2017-2616 (+ regression fix)", ["CVE-2017-2616"]),
        ("CVE-2026-0001 CVE-2026-0002", ["CVE-2026-0001", "CVE-2026-0002"]),
        ("GHSA-h6cc-rc6q-23j4 (+regression fix)", ["GHSA-h6cc-rc6q-23j4"]),
        ("XSA-207", ["XSA-207"]),
    ],
)
def test_names_are_read_out_of_what_stands_around_them(
    line: str, names: list[str], tmp_path: Path
) -> None:
    sink = parse(tmp_path, {"1-r0": [line]})

    assert [item.id for item in sink.advisories[1:]] == names


def test_what_has_no_cve_names_none(tmp_path: Path) -> None:
    assert parse(tmp_path, {"1-r0": ["XSA-207"]}).advisories[-1].cves == ()


@pytest.mark.parametrize(
    ("fixes", "rejects", "skipped"),
    [
        ({"not a version": ["CVE-2026-0001"]}, 1, 0),
        ({"1-r0": "CVE-2026-0001"}, 1, 0),
        ({"1-r0": 7}, 1, 0),
        ({"1-r0": None}, 0, 1),
        ({"1-r0": []}, 0, 1),
        ({"1-r0": ["a remark only", None]}, 0, 1),
        (None, 1, 0),
        (["1-r0"], 1, 0),
    ],
)
def test_what_is_not_understood_is_counted_alone(
    fixes: object, rejects: int, skipped: int, tmp_path: Path
) -> None:
    sink = parse(tmp_path, fixes)

    assert (len(sink.rejects), sink.skipped.total()) == (rejects, skipped)
    assert [item.package for item in sink.advisories] == ["jq"]


def test_a_release_of_which_one_repository_is_missing_refuses_the_copy() -> None:
    with pytest.raises(FeedRejected, match=r"alpine-3\.16: has no document of the repository comm"):
        FEED.parse(documents("v3.16/main.json"), Collected())


@pytest.mark.parametrize("release", ["", "3.16", "v4.0", "v3.16.1", "trixie"])
def test_a_document_of_no_release_of_alpines_is_refused(release: str, tmp_path: Path) -> None:
    with pytest.raises(FeedRejected, match="not one of Alpine's"):
        parse(tmp_path, {}, release=release)


@pytest.mark.parametrize(
    "root", [[], {}, {"reponame": "main", "distroversion": "edge"}, {"packages": []}]
)
def test_what_is_not_alpines_is_refused(root: object, tmp_path: Path) -> None:
    (tmp_path / "main.json").write_text(json.dumps(root), encoding="utf-8")

    with pytest.raises(FeedRejected):
        FEED.parse([Document(name="main.json", path=tmp_path / "main.json")], Collected())


def test_both_repositories_of_every_known_release_are_fetched() -> None:
    class Asked:
        urls: list[str] = []  # noqa: RUF012

        def get(self, url: str, name: str) -> None:
            self.urls.append(f"{url} {name}")

    asked = Asked()
    FEED.download("https://mirror.example/secdb/", asked)  # type: ignore[arg-type]

    assert len(asked.urls) == 2 * len(RELEASES)
    assert asked.urls[0] == "https://mirror.example/secdb/v3.16/main.json v3.16/main.json"
    assert asked.urls[-1] == "https://mirror.example/secdb/edge/community.json edge/community.json"
