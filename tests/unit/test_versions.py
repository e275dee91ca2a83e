"""Versions are ordered exactly as dpkg, rpm and Windows order them."""

import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.versions import (
    Scheme,
    VersionKey,
    deb_key,
    key_of,
    order_name,
    rpm_key,
    windows_key,
    without_binary_rebuild,
)

CASES = Path(__file__).parents[1] / "cases" / "versions"
VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+~.]{1,4})?", fullmatch=True)
RPM_VERSIONS = st.from_regex(r"([0-9]:)?[0-9a-z._+~^]{1,7}(-[0-9a-z._+~^]{1,5})?", fullmatch=True)
BUILDS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,3}){1,3}", fullmatch=True)
Key = Callable[[str], VersionKey]


def sign(first: str, second: str, key: Key = deb_key) -> int:
    return (key(first) > key(second)) - (key(first) < key(second))


@pytest.mark.parametrize(
    ("name", "key", "count"),
    [
        ("dpkg_version_pairs_a.tsv.xz", deb_key, 17_004),
        ("rpm_evr_pairs_a.tsv.xz", rpm_key, 27_202),
    ],
)
def test_every_real_pair_compares_as_the_package_manager_says_both_ways(
    name: str, key: Key, count: int
) -> None:
    wrong, seen = [], 0
    with lzma.open(CASES / name, "rt", encoding="ascii") as file:
        for line in file:
            first, second, said = line.rstrip("\n").split("\t")
            seen += 1
            if sign(first, second, key) != int(said) or sign(second, first, key) != -int(said):
                wrong.append((first, second, said))

    assert wrong == []
    assert seen == count


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("9:1.0-1", "10:1.0-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0a-1"),
        ("1.0a-1", "1.0+b-1"),
        ("2.9.14+dfsg-1.3~deb12u5", "2.9.14+dfsg-1.3"),
        ("1.9", "1.10"),
        ("1.0-1~~", "1.0-1~"),
    ],
)
def test_the_telling_cases_of_the_order(older: str, newer: str) -> None:
    assert deb_key(older) < deb_key(newer)


# rpm's own tests of rpmvercmp: first, second, sign.
RPMVERCMP = """
1.0 1.0 0|1.0 2.0 -1|2.0.1 2.0.1 0|2.0 2.0.1 -1|2.0.1a 2.0.1a 0|2.0.1a 2.0.1 1
5.5p1 5.5p1 0|5.5p1 5.5p2 -1|5.5p10 5.5p10 0|5.5p1 5.5p10 -1
10xyz 10.1xyz -1|xyz10 xyz10 0|xyz10 xyz10.1 -1|xyz.4 xyz.4 0|xyz.4 8 -1|xyz.4 2 -1
5.5p2 5.6p1 -1|5.6p1 6.5p1 -1|6.0.rc1 6.0 1|10b2 10a1 1|10a2 10b2 -1
1.0aa 1.0aa 0|1.0a 1.0aa -1|10.0001 10.0001 0|10.0001 10.1 0|10.0001 10.0039 -1
4.999.9 5.0 -1|20101121 20101121 0|20101121 20101122 -1|2_0 2_0 0|2.0 2_0 0
a a 0|a+ a+ 0|a+ a_ 0|+a +a 0|+a _a 0|+_ +_ 0|_+ +_ 0|+ _ 0
1.0~rc1 1.0~rc1 0|1.0~rc1 1.0 -1|1.0~rc1 1.0~rc2 -1|1.0~rc1~git123 1.0~rc1~git123 0
1.0~rc1~git123 1.0~rc1 -1|1.0^ 1.0^ 0|1.0^ 1.0 1|1.0^git1 1.0^git1 0|1.0^git1 1.0 1
1.0^git1 1.0^git2 -1|1.0^git1 1.01 -1|1.0^20160101 1.0^20160101 0|1.0^20160101 1.0.1 -1
1.0^20160101^git1 1.0^20160101^git1 0|1.0^20160102 1.0^20160101^git1 1
1.0~rc1^git1 1.0~rc1^git1 0|1.0~rc1^git1 1.0~rc1 1|1.0^git1~pre 1.0^git1~pre 0
1.0^git1 1.0^git1~pre 1|1b.fc17 1b.fc17 0|1b.fc17 1.fc17 -1|1g.fc17 1g.fc17 0|1g.fc17 1.fc17 1
"""


def test_rpm_s_own_cases_of_its_comparison_hold_both_ways() -> None:
    cases = [case.split() for line in RPMVERCMP.split("\n") for case in line.split("|") if case]
    wrong = [
        case
        for case in cases
        if sign(case[0], case[1], rpm_key) != int(case[2])
        or sign(case[1], case[0], rpm_key) != -int(case[2])
    ]

    assert wrong == []
    assert len(cases) == 62


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("9:1.0-1", "10:1.0-1"),
        ("2.0-1", "1:1.0-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0^git1-1"),
        ("1.0^git1-1", "1.0.1-1"),
        ("1.0-9.el9", "1.0-10.el9"),
        ("1.0a-1", "1.0.1-1"),
        ("1.0-1.el9", "1.0-1.el9_4.1"),
        ("1.0", "1.0-1"),
    ],
)
def test_the_telling_cases_of_rpm_s_order(older: str, newer: str) -> None:
    assert rpm_key(older) < rpm_key(newer)


def test_windows_builds_are_numbers_and_not_texts() -> None:
    assert windows_key("10.0.20348.887") < windows_key("10.0.20348.2227")
    assert windows_key("10.0.17763.9999") < windows_key("10.0.20348.1")
    assert windows_key("6.3.9600.22318") < windows_key("10.0.14393.0")


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ("0:1.0-1", "1.0-1", deb_key),
        ("1.0-0", "1.0", deb_key),
        ("1.01-1", "1.1-1", deb_key),
        ("0:1.0-1", "1.0-1", rpm_key),
        ("1.01-1", "1.1-1", rpm_key),
        ("1.0_1-1", "1.0.1-1", rpm_key),
        ("10.0.20348", "10.0.20348.0", windows_key),
    ],
)
def test_different_spellings_of_one_version_are_equal(one: str, other: str, key: Key) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    "text", ["", "a:1.0", "1.0 ", "1.0-", "1.0_1", "1.0-1\n", "²:1.0", "-1", ":1", "1.0-é"]
)
def test_what_is_no_version_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Debian version") as caught:
        deb_key(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:1.0-1",
        "1.0 -1",
        "1.0-",
        "-1",
        "foo-1.0-1",
        "1.0-1\n",
        "²:1.0",
        ":1",
        "1.0-é",
        "1:2:3",
    ],
)
def test_what_rpm_would_not_build_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not an RPM version") as caught:
        rpm_key(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "10", "10.", "10.0.x", "1.2.3.4.5.6", "10.0\n", "٣.1", "-1.0"]
)
def test_what_is_no_windows_build_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Windows build") as caught:
        windows_key(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_no_length_of_a_version_takes_long_or_breaks_python(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match=r"1\.1111"):
        key_of(scheme, "1." + "1" * 5_000)


def test_each_scheme_has_its_key_and_its_name() -> None:
    assert key_of(Scheme.DEB, "1:1.0-1") == deb_key("1:1.0-1")
    assert key_of(Scheme.RPM, "1:1.0-1") == rpm_key("1:1.0-1")
    assert key_of(Scheme.WINDOWS, "10.0.1") == windows_key("10.0.1")
    names = ["dpkg", "rpm", "pacman", "apk", "Windows builds"]
    assert [order_name(scheme) for scheme in Scheme] == names


def test_only_the_mark_of_a_binary_rebuild_is_cut() -> None:
    assert without_binary_rebuild("1.0.9-2+b6") == "1.0.9-2"
    assert without_binary_rebuild("1:2.66-4+deb12u3+b1") == "1:2.66-4+deb12u3"
    assert without_binary_rebuild("1.0+b1-2") == "1.0+b1-2"


def is_total(first: str, second: str, third: str, key: Key) -> None:
    assert sign(first, second, key) == -sign(second, first, key)
    low, middle, high = sorted((first, second, third), key=key)
    assert key(low) <= key(middle) <= key(high)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_total(first: str, second: str, third: str) -> None:
    is_total(first, second, third, deb_key)


@given(RPM_VERSIONS, RPM_VERSIONS, RPM_VERSIONS)
def test_rpm_s_order_is_total(first: str, second: str, third: str) -> None:
    is_total(first, second, third, rpm_key)


@given(BUILDS, BUILDS, BUILDS)
def test_the_order_of_builds_is_total(first: str, second: str, third: str) -> None:
    is_total(first, second, third, windows_key)
