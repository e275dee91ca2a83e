"""pacman's and apk's versions are ordered as they themselves order them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.versions import Scheme, VersionKey, apk_key, key_of, order_name, pacman_key

PACMAN = st.from_regex(r"([0-9]:)?[0-9a-z._+]{0,6}[0-9a-z]-[0-9]{1,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0-1", "1.0-2"),
        ("1.0-1", "1.0-1.1"),
        ("1.0-9", "1.0-10"),
        ("1.0rc1-1", "1.0-1"),
        ("1.0-1", "1.0.1-1"),
        ("1.0-1", "1.0.a-1"),
        ("1.0a-1", "1.0.a-1"),
        ("1.0.a-1", "1.0.1-1"),
        ("1.0.1-1", "1.0..1-1"),
        ("9.9-9", "1:0.1-1"),
        ("2.34.0-1", "2.36.0+2+ga7c869a-1"),
        ("6.6.8.arch1-1", "6.6.8.arch2-1"),
    ],
)
def test_the_telling_cases_of_pacmans_order(older: str, newer: str) -> None:
    assert pacman_key(older) < pacman_key(newer)


@pytest.mark.parametrize(
    ("first", "second"),
    [("1.0-1", "0:1.0-1"), ("1.01-1", "1.1-1"), ("1.0-1", "1_0-1"), ("1+0-1", "1.0-1")],
)
def test_spelling_alone_makes_no_difference_to_pacman(first: str, second: str) -> None:
    assert pacman_key(first) == pacman_key(second)


@pytest.mark.parametrize(
    "version",
    ["", "1.0", "1.0-", "-1", "a:1-1", ":1-1", "1.0.-1", "1 0-1", "1-2-3", "1/0-1", "1\n-1", "é-1"],
)
def test_what_is_no_version_of_pacmans_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="is not a pacman version"):
        pacman_key(version)


# From apk-tools' own list of its order, test/unit/version.data: chains, oldest first.
APK_CHAINS = """
0.1.0_alpha 0.1.0_alpha2 0.1.3_alpha 2.2.39-r1
1.0.4-r3 1.0.4-r4 1.6
1.1_alpha1 1.1 1.1.1-r1 1.1.3-r1 1.1.3-r2
1.3_alpha 1.3_alpha2 1.3_alpha3 1.3_alpha8 1.3
0.8_beta1 0.8_beta2 0.8_beta4 4.8-r1
2.3.0b-r1 2.3.0b-r2 2.3.0b-r3 2.3.0b-r4 3.10.18-r1
0.12 0.12.1 0.12.2 0.12.3 0.13_beta1 0.13_beta2 0.13_beta5
1.06-r6 006 013 014-r1
3.1_p16 3.1_p17
20050718-r1 20050718-r2
1.00_beta2 1.8 1.39
2.8.0.6-r1 4.2.52_p2-r1 4.2.52_p4-r2
1.02 1.02.07 1.02.10-r1 1.03-r1 1.05-r4 1.05-r18 1.05-r19
2.5.1-r8 2.5.1a-r1
0.15.1b 0.15.1b-r2 1.0.1 1.06-r1 1.06-r2
3.9_pre20060124 3.9.10
0.1_pre20060810 0.1_pre20060817
4.5_p1 4.5_p1-r1
1.7 1.7b 1.8.4-r3 1.8.5 1.8.5_p2
0.9.8c-r1 0.9.8d
2.9.11_pre20051101 2.9.11_pre20051101-r2 2.9.11_pre20051101-r3 2.9.11_pre20061021-r1
1.6.8_p9-r2 1.6.8_p12-r1
1.2.5_rc2 5.52-r1
7.0.17 7.0.174
1.3-r0 1.3.1-r0
1.3_pre1-r1 1.3.2
1.0_p9-r0 1.0_p10-r0
0.1.0_alpha_pre2 0.1.0_alpha
1.0.0_pre20191002222144-r0 1.0.0_pre20210530193627-r0
6.0_pre1 6.0 6.0_p1
8.2.0015 8.2.002
1.2-r1 1.2.1
"""


def test_apks_own_cases_of_its_comparison_hold() -> None:
    wrong = []
    pairs = 0
    for chain in APK_CHAINS.strip().split("\n"):
        versions = chain.split()
        for place, older in enumerate(versions):
            for newer in versions[place + 1 :]:
                pairs += 1
                if not apk_key(older) < apk_key(newer):
                    wrong.append((older, newer))

    assert wrong == []
    assert pairs > 100


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0_alpha", "1.0_beta"),
        ("1.0_beta", "1.0_pre"),
        ("1.0_pre", "1.0_rc"),
        ("1.0_rc", "1.0"),
        ("1.0", "1.0-r0"),
        ("1.0-r0", "1.0_cvs"),
        ("1.0_cvs", "1.0_svn"),
        ("1.0_svn", "1.0_git"),
        ("1.0_git", "1.0_hg"),
        ("1.0_hg", "1.0_p"),
        ("1.0_p", "1.0_p0"),
        ("1.0_p", "1.0a"),
        ("1.0a", "1.0.0"),
        ("1.0", "1.0~ab12"),
        ("1.0~ab12-r1", "1.0~ab13-r0"),
        ("1.05", "1.5"),
        ("1.0", "1.00"),
        ("1.9", "1.10"),
    ],
)
def test_every_kind_of_part_has_its_place_in_apks_order(older: str, newer: str) -> None:
    assert apk_key(older) < apk_key(newer)


@pytest.mark.parametrize(
    "version",
    [
        "", "a", "1.", ".1", "1..2", "1.0bc", "1.0_foo", "1.0_", "1.0-1", "1.0-r", "1.0-r1-r2",
        "1.0-r1_p1", "1.0~", "1.0~xyz", "1.0~ab~cd", "1 0", "1.0\n", "1.0A", "23_foo",
    ],
)  # fmt: skip
def test_what_is_no_version_of_apks_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="is not an apk version"):
        apk_key(version)


@pytest.mark.parametrize("key", [pacman_key, apk_key])
def test_a_version_too_long_to_be_one_is_refused(key: Callable[[str], VersionKey]) -> None:
    with pytest.raises(ValueError, match="is not a"):
        key("1" * 5_000)


@given(versions=st.lists(PACMAN, min_size=3, max_size=3))
def test_pacmans_keys_are_one_order(versions: list[str]) -> None:
    first, second, third = sorted(versions, key=pacman_key)

    assert pacman_key(first) <= pacman_key(second) <= pacman_key(third)


def test_both_schemes_are_reached_by_their_names() -> None:
    assert key_of(Scheme.PACMAN, "1-1") == pacman_key("1-1")
    assert key_of(Scheme.APK, "1-r1") == apk_key("1-r1")
    assert (order_name(Scheme.PACMAN), order_name(Scheme.APK)) == ("pacman", "apk")
