"""What hosts of the RHEL family and SLES printed is read to the last row; see tests/cases/dnf."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.rpm_cases import CASES, read, recorded, with_section
from wavemend.managers.dnf.tables import read_advisories, read_listing
from wavemend.managers.reading.sections import Section
from wavemend.managers.zypper.answers import read_answer, read_updates

LAB = re.compile(r".*-debian[0-9]+-2026-11-20")
PUBLISHED = {
    folder: sorted(path.stem for path in (CASES / folder).glob("*.txt") if not LAB.match(path.stem))
    for folder in ("dnf", "zypper")
}
LISTINGS = [
    "check-update-broken-notices-rhel7-2015-11",
    "check-update-centos6.5-2014-06",
    "check-update-kernel-notice-rhel7.1-2015-09",
    "check-update-obsoletes-centos7.0-2015-05",
    "check-update-unregistered-rhel7-2017-04",
    "list-fedora28-2018",
    "list-rhel7.4-2017-08",
]
ADVISORIES = ["updateinfo-list-fedora32-2020"]
REPOSITORIES = ["repolist-rhel7-2015", "repolist-rhel8-2020-04", "repolist-stale-rhel7"]
"""The shell asks for these: see tests/contract/test_dnf_recorded_scripts.py."""
SUSE = ["list-updates-sles12sp1-2015-12"]


def said(name: str, folder: str = "dnf") -> tuple[str, ...]:
    """Return the lines of a published recording, as a section of an answer has them."""
    text = (CASES / folder / f"{name}.txt").read_text()
    return tuple(line for line in text.split("\n") if line.strip())


def worked_out(name: str, folder: str = "dnf") -> list[str]:
    """Return what is to be read of it."""
    rows: list[str] = json.loads((CASES / folder / f"{name}.json").read_text())
    return rows


@pytest.mark.parametrize("name", LISTINGS)
def test_every_row_of_a_recorded_listing_is_read_and_no_sentence_is_one(name: str) -> None:
    listing = read_listing(said(name))

    assert [
        f"{row.package.name} {row.package.arch} {row.package.version} {row.repository}"
        for row in listing.updates
    ] == worked_out(name)
    assert listing.unread == ()


@pytest.mark.parametrize("name", [name for name in LISTINGS if name.startswith("check-update")])
def test_a_host_that_answers_so_has_these_updates_and_no_errors(name: str) -> None:
    answer = recorded("dnf4", "facts-held-kept-back")
    for section in ("updates", "updates-unlocked"):
        answer = with_section(answer, section, "\n".join(said(name)), 100)
    facts = read("dnf4", answer)

    offered = {f"{u.name} {u.arch} {u.candidate} {u.origin}" for u in facts.pending if u.origin}
    assert offered == set(worked_out(name))
    assert facts.index_errors == ()


@pytest.mark.parametrize("name", ADVISORIES)
def test_every_row_of_a_recorded_list_of_advisories_is_read(name: str) -> None:
    rows, unread = read_advisories(said(name))
    expected = [row.split(" ") for row in worked_out(name)]

    assert [
        (row.name, row.package.name, row.package.arch, row.package.version) for row in rows
    ] == [(advisory, package, arch, version) for advisory, _, package, arch, version in expected]
    assert [row.security for row in rows] == [kind.endswith("/Sec.") for _, kind, *_ in expected]
    assert unread == ()


@pytest.mark.parametrize("name", SUSE)
def test_every_row_of_a_recorded_list_of_updates_of_suse_is_read(name: str) -> None:
    answer = read_answer(Section(lines=said(name, "zypper"), errors=(), status=0))

    assert [
        f"{row.package.name} {row.package.arch} {row.package.version} {row.repository}"
        for row in read_updates(answer)
    ] == worked_out(name, "zypper")


def test_every_published_recording_is_read_by_a_test() -> None:
    assert PUBLISHED["dnf"] == sorted([*LISTINGS, *ADVISORIES, *REPOSITORIES])
    assert PUBLISHED["zypper"] == SUSE


@pytest.mark.parametrize("folder", PUBLISHED)
def test_of_every_published_recording_it_is_said_where_it_comes_from(folder: str) -> None:
    text = (CASES / folder / "README.md").read_text()
    rows = [row.strip("`").removesuffix("*") for row in re.findall(r"^\| (`\S+`) \|", text, re.M)]

    for name in PUBLISHED[folder]:
        assert any(name.startswith(row) for row in rows), name
    for row in rows:
        assert any(name.startswith(row) for name in PUBLISHED[folder]), row


@pytest.mark.parametrize("folder", PUBLISHED)
def test_every_file_is_a_recording_or_what_is_to_be_read_of_one(folder: str) -> None:
    files = [path for path in Path(CASES / folder).iterdir() if path.name != "README.md"]
    texts = {path.stem for path in files if path.suffix in {".txt", ".log"}}

    assert {path.stem for path in files if path.suffix == ".json"} <= texts
    assert {path.suffix for path in files} == {".txt", ".log", ".json"}
