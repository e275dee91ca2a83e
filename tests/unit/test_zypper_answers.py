"""zypper's XML and its patches are read as SLES, Leap and Tumbleweed print them."""

import pytest

from wavemend.managers.reading.sections import Section
from wavemend.managers.zypper.answers import (
    read_answer,
    read_patches,
    read_summary,
    read_updates,
)
from wavemend.packages import Target


def section(text: str, status: int = 0) -> Section:
    return Section(lines=tuple(text.strip("\n").split("\n")), errors=(), status=status)


# The forms are those of public transcripts of SLES 15 and Leap, with other packages.

LISTED = """<?xml version='1.0'?>
<stream>
<message type="info">Loading repository data...</message>
<update-status version="0.6">
<update-list>
<update kind="patch" name="SUSE-SLE-Module-Basesystem-15-SP5-2024-1375" edition="1" arch="noarch"
 status="needed" category="security" severity="important" pkgmanager="false" restart="true"
 interactive="true"><source url="https://example.org/b" alias="SLE-Updates"/>
<issue-list><issue type="bugzilla" id="1220726"/><issue type="cve" id="CVE-2024-2961"/></issue-list>
</update>
<update kind="patch" name="openSUSE-SLE-15.5-2024-1131" edition="1" arch="noarch" status="needed"
 category="recommended" severity="moderate"><issue-list/></update>
</update-list>
</update-status>
</stream>"""
INFOS = """
Name           : SUSE-SLE-Module-Basesystem-15-SP5-2024-1375
Conflicts      : [6]
    glibc.x86_64 < 2.31-150300.74.1
    glibc.noarch < 2.31-150300.74.1
    libfoo1_2.3.x86_64 < 32:1.0-1
    srcpackage:glibc < 2.31-150300.74.1
    glibc-locale < 2.31-150300.74.1
    an odd line
Name           : openSUSE-SLE-15.5-2024-1131
Conflicts      : kernel-firmware.noarch < 20230724-150500.3.9.1
"""


def test_patches_carry_their_cves_and_the_builds_they_ask_for() -> None:
    recommended, security = sorted(
        read_patches(read_answer(section(LISTED)), section(INFOS)), key=lambda patch: patch.security
    )

    assert (security.security, security.cves) == (True, ("CVE-2024-2961",))
    assert security.below == (
        Target(name="glibc", arch="x86_64", version="2.31-150300.74.1"),
        Target(name="glibc", arch="noarch", version="2.31-150300.74.1"),
        Target(name="libfoo1_2.3", arch="x86_64", version="32:1.0-1"),
        Target(name="glibc", arch="", version="2.31-150300.74.1"),
        Target(name="glibc-locale", arch="", version="2.31-150300.74.1"),
    )
    assert (recommended.security, recommended.cves) == (False, ())
    assert [target.name for target in recommended.below] == ["kernel-firmware"]


def test_patches_in_a_list_of_updates_are_no_packages() -> None:
    assert read_updates(read_answer(section(LISTED))) == ()


SUMMARY = """<stream>
<install-summary download-size="{size}" space-usage-diff="-12" packages-to-change="3">
<to-upgrade><solvable type="package" name="zip" edition="0:3.0-2" arch="x86_64"/></to-upgrade>
<to-install><solvable type="package" name="kernel-default" edition="6-1" arch="x86_64"/>
<solvable type="patch" name="SUSE-1" edition="1" arch="noarch"/></to-install>
<to-remove><solvable type="package" name="kernel-default" edition="5-1" arch="x86_64"/>
<solvable type="package" name="old" edition="5-1" arch="x86_64"/></to-remove>
{more}
</install-summary></stream>"""


def test_a_summary_is_read_with_sizes_and_without_patches() -> None:
    summary = read_summary(read_answer(section(SUMMARY.format(size="2048", more=""))))

    assert [target.name for target in summary.incoming] == ["kernel-default", "zip"]
    assert summary.incoming[1].version == "3.0-2"
    assert summary.removed == ("old",)  # of the kernel, a newer one comes in
    assert (summary.download_bytes, summary.install_bytes) == (2048, -12)
    assert (summary.complete, summary.unwanted) == (True, "")


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("to-downgrade", "downgrade bad"),
        ("to-change-vendor", "change the vendor of bad"),
        ("to-change-arch", "change the architecture of bad"),
    ],
)
def test_what_is_never_planned_is_named(group: str, words: str) -> None:
    row = f'<{group}><solvable type="package" name="bad" edition="1-1" arch="noarch"/></{group}>'
    summary = read_summary(read_answer(section(SUMMARY.format(size="x", more=row))))

    assert summary.unwanted == words
    assert summary.download_bytes is None


@pytest.mark.parametrize("text", ["", "Killed", "<stream>", "<stream><a></stream>", "<stream>&x;"])
def test_what_is_no_xml_was_not_answered(text: str) -> None:
    answer = read_answer(section(text or "\n", status=1))

    assert answer.root is None
    assert answer.words
    assert not read_summary(answer).complete


def test_errors_are_told_in_zyppers_own_words() -> None:
    text = (
        '<stream><message type="info">Loading</message><message type="error">System management is'
        " locked by the application with pid 812 (packagekitd).</message></stream>"
    )

    assert read_answer(section(text, status=7)).words.endswith("pid 812 (packagekitd).")
