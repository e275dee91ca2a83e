"""Debian versions are ordered exactly as dpkg orders them."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.versions import deb_key, without_binary_rebuild

PAIRS = Path(__file__).parents[1] / "cases" / "versions" / "dpkg_pairs.tsv.xz"
VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+~.]{1,4})?", fullmatch=True)


def sign(first: str, second: str) -> int:
    return (deb_key(first) > deb_key(second)) - (deb_key(first) < deb_key(second))


def test_four_thousand_real_pairs_compare_as_dpkg_says_both_ways() -> None:
    wrong = []
    with lzma.open(PAIRS, "rt", encoding="ascii") as file:
        for line in file:
            first, second, said = line.rstrip("\n").split("\t")
            if sign(first, second) != int(said) or sign(second, first) != -int(said):
                wrong.append((first, second, said))

    assert wrong == []


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


@pytest.mark.parametrize(
    ("one", "other"), [("0:1.0-1", "1.0-1"), ("1.0-0", "1.0"), ("1.01-1", "1.1-1")]
)
def test_different_spellings_of_one_version_are_equal(one: str, other: str) -> None:
    assert deb_key(one) == deb_key(other)


@pytest.mark.parametrize(
    "text", ["", "a:1.0", "1.0 ", "1.0-", "1.0_1", "1.0-1\n", "²:1.0", "-1", ":1", "1.0-é"]
)
def test_what_is_no_version_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Debian version") as caught:
        deb_key(text)

    assert repr(text) in str(caught.value)


def test_only_the_mark_of_a_binary_rebuild_is_cut() -> None:
    assert without_binary_rebuild("1.0.9-2+b6") == "1.0.9-2"
    assert without_binary_rebuild("1:2.66-4+deb12u3+b1") == "1:2.66-4+deb12u3"
    assert without_binary_rebuild("1.0+b1-2") == "1.0+b1-2"


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_total(first: str, second: str, third: str) -> None:
    assert sign(first, second) == -sign(second, first)
    low, middle, high = sorted((first, second, third), key=deb_key)
    assert deb_key(low) <= deb_key(middle) <= deb_key(high)
