"""A result code that is not in the table is unknown: never a success, never tried again."""

import pytest

from wavemend.windows.hresults import Action, Kind, explain, known_codes

DONE = {
    "0x00000000",
    "0x00240005",
    "0x00240006",
    "0x00240007",
    "0x00240008",
    "0x80070BC2",
}
"""The codes that say success; everything else is none."""


def test_only_these_codes_say_success() -> None:
    assert {code for code in known_codes() if explain(code).is_done} == DONE


@pytest.mark.parametrize(
    ("code", "kind", "action"),
    [
        ("0x00240006", Kind.DONE, Action.NOTHING),
        ("0x00240005", Kind.RESTART, Action.RESTART),
        (3010, Kind.RESTART, Action.RESTART),
        ("0x80240017", Kind.GONE, Action.RESCAN),
        ("0x80240022", Kind.UNCLEAR, Action.PERSON),
        ("0x80240016", Kind.BUSY, Action.WAIT),
        ("0x80240009", Kind.BUSY, Action.WAIT),
        (1618, Kind.BUSY, Action.WAIT),
        ("0x8024001E", Kind.STOPPED, Action.RESTART_AND_RETRY),
        ("0x8007045B", Kind.STOPPED, Action.RESTART_AND_RETRY),
        ("0x80070005", Kind.RIGHTS, Action.PERSON),
        ("0x80240044", Kind.RIGHTS, Action.PERSON),
        ("0x80072EE2", Kind.NETWORK, Action.RETRY),
        ("0x80072F8F", Kind.NETWORK, Action.RETRY),
        ("0x8024402C", Kind.NETWORK, Action.RETRY),
        ("0x80244022", Kind.SERVER, Action.RETRY),
        ("0x80240438", Kind.SERVER, Action.RETRY),
        ("0x8024002E", Kind.POLICY, Action.PERSON),
        ("0x8024500C", Kind.POLICY, Action.PERSON),
        ("0x80240034", Kind.DOWNLOAD, Action.RETRY),
        ("0x80246008", Kind.DOWNLOAD, Action.RETRY),
        ("0x8024200B", Kind.PENDING, Action.RESTART_AND_RETRY),
        ("0x80242014", Kind.PENDING, Action.RESTART_AND_RETRY),
        (1603, Kind.INSTALLER, Action.RESTART_AND_RETRY),
        ("0x800F0922", Kind.SERVICING, Action.RESTART_AND_RETRY),
        (-2146498511, Kind.SERVICING, Action.RESTART_AND_RETRY),
        ("0x80070070", Kind.SPACE, Action.PERSON),
        ("0x800705B4", Kind.TIME, Action.RETRY),
        ("0x80070BC9", Kind.PENDING, Action.RESTART_AND_RETRY),
        (-2146498523, Kind.PERMANENT, Action.PERSON),
        (-2146498555, Kind.ABSENT, Action.NOTHING),
        (-2146498530, Kind.GONE, Action.RESCAN),
        ("0x80240028", Kind.PERMANENT, Action.PERSON),
    ],
)
def test_each_code_of_the_documents_is_of_its_kind(
    code: str | int, kind: Kind, action: Action
) -> None:
    assert (explain(code).kind, explain(code).action) == (kind, action)


@pytest.mark.parametrize(
    "code", ["0x8ABCDEF0", "0x00241234", "", "success", "0x0", 0x00249999, -1, 42, "0x00000000\n"]
)
def test_what_is_not_in_the_table_is_unknown(code: str | int) -> None:
    result = explain(code)

    assert (result.kind, result.action) == (Kind.UNKNOWN, Action.PERSON)
    assert not result.is_done
    assert "does not know" in str(result)


def test_a_missing_base_is_not_taken_for_a_permanent_package() -> None:
    """Their numbers differ in one digit, and mean the opposite of each other."""
    assert explain(-2146498511).name == "CBS_E_STORE_CORRUPTION"
    assert explain(-2146498523).name == "CBS_E_CANNOT_UNINSTALL"


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    for code in known_codes():
        result = explain(code)
        assert result.name, code
        assert result.meaning, code
        assert result.way_out or result.is_done or result.kind in {Kind.GONE, Kind.ABSENT}, code
        assert str(result).startswith(f"{code} {result.name}: ")
