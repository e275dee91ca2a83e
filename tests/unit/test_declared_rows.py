"""Items are found in what a device prints, or it is said why not: none is left out in silence."""

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.declarations import Reading
from wavemend.managers.declared.rows import Row, Rows, can_be_words, read_rows

SHOWN = """\
Name                      Default boot    Running
------------------------  --------------  ---------
1.5-rolling-202312250024  Yes
1.5-rolling-202312220023                  Yes
1.4.0"""


def reading(*, lines: str = "", skip: str = "", json: str = "", name: str = "") -> Reading:
    return Reading(
        run=("box",), deadline=timedelta(seconds=5), lines=lines, skip=skip, json=json, name=name
    )


def rows(text: str, how: Reading, asked: str = "") -> Rows:
    return read_rows(how, text.splitlines(), asked)


def test_a_table_is_read_by_its_lines_and_its_headings_are_skipped() -> None:
    how = reading(lines=r"^(?P<version>\S+)  .*Yes", skip="^(Name|---)", name="vyos")
    found = rows(SHOWN, how)
    assert [row.version for row in found.found] == [
        "1.5-rolling-202312250024",
        "1.5-rolling-202312220023",
    ]
    assert found.unread == ("neither an item nor to be skipped: '1.4.0'",)


def test_the_older_form_of_the_same_command_is_read_too() -> None:
    text = (
        "The system currently has the following image(s) installed:\n"
        "   1: 1.3-rolling-201912181733 (default boot) (running image)\n"
        "   2: 1.3-rolling-201912180242\n"
    )
    how = reading(
        lines=r"^ +\d+: (?P<version>\S+) \(default boot\)", skip=r"^The system|^ +\d+: ", name="x"
    )
    assert rows(text, how) == Rows(found=(Row(name="x", version="1.3-rolling-201912181733"),))


def test_json_is_read_by_an_expression() -> None:
    text = '{"packages": [{"id": "a", "v": "1", "fixes": ["CVE-2024-0001", "x"]}, {"id": "b"}]}'
    how = reading(json="packages[].{name: id, version: v, cves: fixes}")
    found = rows(text, how)
    assert found.found == (Row(name="a", version="1", cves=("CVE-2024-0001",)),)
    assert len(found.unread) == 1
    assert "no name and version" in found.unread[0]


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("", "items", "no JSON"),
        ("{", "items", "no JSON"),
        ("[" * 100_000, "items", "no JSON"),
        ('{"a": 1}', "items", "finds nothing"),
        ('{"items": ["a"]}', "items", "no name and version"),
        ('{"items": 7}', "length(items)", "length(items)"),
        ('{"items": [{"name": "a", "version": 1.5}]}', "items", "no name and version"),
        ('{"items": [{"name": "a", "version": null}]}', "items", "no name and version"),
    ],
)
def test_json_in_another_form_is_no_item(text: str, path: str, words: str) -> None:
    found = rows(text, reading(json=path))
    assert found.found == ()
    assert words in found.unread[0]


def test_an_empty_list_is_an_answer() -> None:
    assert rows("[]", reading(json="[]")) == Rows(found=())


def test_a_pattern_that_goes_astray_costs_a_tenth_of_a_second() -> None:
    began = time.monotonic()
    found = rows("a" * 60 + "!", reading(lines=r"^(?P<version>(?:a|aa|a?)+)+$", name="x"))
    assert time.monotonic() - began < 20
    assert "the pattern took longer than 0.1 s" in found.unread[0]


def test_the_item_that_was_asked_for_is_the_one_that_answers() -> None:
    how = reading(lines=r"^(?P<version>\S+)$")
    assert rows("2.0", how, "till").found == (Row(name="till", version="2.0"),)


@pytest.mark.parametrize(
    "version", ["", "-1", "1 2", "1;reboot", "$(id)", "`id`", "1\n2", "é", "1/2"]
)
def test_a_version_that_could_be_read_as_something_else_is_no_version(version: str) -> None:
    assert not can_be_words("thing", version)


@pytest.mark.parametrize(
    "version", ["1.4.2", "1:2.0-1~rc1", "1!2.0", "sha256:0a", "1.0^git", "v2+b"]
)
def test_the_usual_versions_are_versions(version: str) -> None:
    assert can_be_words("registry.example/@scope/thing", version)


@given(st.text(), st.text())
def test_no_name_and_no_version_holds_what_a_shell_reads(name: str, version: str) -> None:
    if can_be_words(name, version):
        assert not set(name + version) & set(" \t\n'\"`$;&|<>()*?[]{}\\#=")
        assert not (name + version).startswith("-")


@given(st.text())
def test_any_output_is_read_without_an_exception(text: str) -> None:
    rows(text, reading(lines=r"^(?P<name>\S+) (?P<version>\S+)$"))
    rows(text, reading(json="[].{name: a, version: b}"))
