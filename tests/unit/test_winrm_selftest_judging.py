"""What a host's answers prove: right ones pass, and each kind of wrong one fails with a way out."""

from datetime import UTC, datetime, timedelta

import pytest

from wavemend.transport import CommandResult
from wavemend.windows.selftest_judging import (
    Checked,
    Judged,
    Verdict,
    judge_binding,
    judge_clock,
    judge_dism,
    judge_echo,
    judge_folder,
    judge_groups,
    judge_powershell,
    judge_seconds,
    judge_shells,
    judge_ways_back,
    moment,
    passes,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
GERMAN = (
    '"Jeder","Bekannte Gruppe","S-1-1-0","Verbindliche Gruppe"\r\n'
    '"VORDEFINIERT\\Administratoren","Alias","S-1-5-32-544","Verbindliche Gruppe"\r\n'
    '"Verbindliche Beschriftung\\Hohe Verbindlichkeitsstufe","Bezeichnung","S-1-16-12288",""\r\n'
)
TABLE = """
Packages listing:

------- | ---------- | -------- | ----
Package Identity | State | Release Type | Install Time
------- | ---------- | -------- | ----
Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.4773.1.7  | Install Pending | Security Update |
Package_for_KB890830~31bf3856ad364e35~amd64~~1.0 | Installed | Update | 9/9/2025 3:12 AM

The operation completed successfully.
"""
ROLLUP = "Package_for_RollupFix~31bf3856ad364e35~amd64~~20348.4773.1.7"
TOOL = "Package_for_KB890830~31bf3856ad364e35~amd64~~1.0"
OURS = "O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


def said(stdout: str, *, exit_status: int = 0, stderr: bytes = b"") -> CommandResult:
    return CommandResult(
        exit_status=exit_status, stdout=stdout.encode(), stderr=stderr, dropped_bytes=0, seconds=0.1
    )


def has_failed(judged: Judged) -> bool:
    """A failure without a way out is a bug, too."""
    assert judged.verdict is Verdict.OK or judged.way_out
    return judged.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("printed", "failed", "words"),
    [
        (GERMAN, False, "with all its rights"),
        (GERMAN.replace("S-1-16-12288", "S-1-16-16384"), False, "with all its rights"),
        (GERMAN.replace("S-1-16-12288", "S-1-16-8192"), True, "cut off"),
        (GERMAN.replace("S-1-5-32-544", "S-1-5-32-580"), True, "no member"),
        (GERMAN.replace("S-1-5-32-544", "S-1-5-32-5440"), True, "no member"),
        ("", True, "0 groups"),
    ],
)
def test_rights_are_told_by_ids_in_every_language(printed: str, failed: bool, words: str) -> None:
    judged = judge_groups(said(printed))
    assert (has_failed(judged), words in judged.seen) == (failed, True)


PROGRESS = b'#< CLIXML\r\n<Objs><Obj S="progress"><S S="x">Preparing modules</S></Obj></Objs>'
ERROR = b'#< CLIXML\r\n<Objs><S S="Error">hooked_x000D__x000A_</S></Objs>'


@pytest.mark.parametrize(
    ("printed", "stderr", "failed", "words"),
    [
        ("5\r\n1\r\nFullLanguage\r\n", b"", False, "version 5.1"),
        ("5\r\n1\r\nFullLanguage\r\n", PROGRESS, False, "version 5.1"),
        ("5\r\n1\r\nFullLanguage\r\n", ERROR, True, "unasked: hooked"),
        ("5\r\n1\r\nConstrainedLanguage\r\n", b"", True, "ConstrainedLanguage"),
        ("5\r\n0\r\nFullLanguage\r\n", b"", True, "version 5.0"),
        ("7\r\n4\r\nFullLanguage\r\n", b"", True, "version 7.4"),
        ("Hello\r\n5\r\n1\r\nFullLanguage\r\n", b"", True, "Hello 5 1"),
        ("", b"not recognized", True, "not recognized"),
    ],
)
def test_powershell_is_5_1_in_full_language_and_silent(
    printed: str, stderr: bytes, failed: bool, words: str
) -> None:
    judged = judge_powershell(said(printed, stderr=stderr))
    assert (has_failed(judged), words in judged.seen) == (failed, True)


def test_a_text_that_changed_on_its_way_is_shown_with_its_place() -> None:
    assert not has_failed(judge_echo("für", "d1", "für", "d1"))
    there = judge_echo("a für", "d1", "a f?r", "d2")
    assert (has_failed(there), there.seen) == (
        True,
        "changed on the way there: 'ür' became '?r'",
    )
    assert "on the way back" in judge_echo("für", "d1", "f", "d1").seen
    assert has_failed(judge_echo("für", "d1", "für", "d2"))


@pytest.mark.parametrize(
    ("level", "verdict"),
    [
        ("Strict", Verdict.OK),
        ("Relaxed", Verdict.OK),
        ("None", Verdict.FAILED),
        ("", Verdict.FAILED),
    ],
)
def test_logins_must_be_bound_to_their_connection(level: str, verdict: Verdict) -> None:
    assert judge_binding(level, binds=True).verdict is verdict
    unbound = judge_binding(level, binds=False)
    assert (unbound.verdict, unbound.by_choice) == (Verdict.NOT_TRIED, True)


@pytest.mark.parametrize(
    ("most", "in_use", "failed"),
    [("30", 1, False), ("30", 28, False), ("30", 29, True), ("1", 1, True), ("", 1, True)],
)
def test_two_more_shells_must_fit(most: str, in_use: int, failed: bool) -> None:
    assert has_failed(judge_shells(most, in_use)) is failed


@pytest.mark.parametrize(
    ("seconds", "failed", "words"),
    [
        (0, False, "right"),
        (-1, False, "right"),
        (4, False, "2 s fast"),
        (31, False, "29 s fast"),
        (33, True, "31 s fast"),
        (-31, False, "30 s slow"),
        (-32, True, "31 s slow"),
        (-600, True, "599 s slow"),
    ],
)
def test_only_what_lies_outside_the_call_is_a_wrong_clock(
    seconds: float, failed: bool, words: str
) -> None:
    judged = judge_clock(NOON + timedelta(seconds=seconds), NOON, NOON + timedelta(seconds=2))
    assert has_failed(judged) is failed
    assert judged.seen.startswith(words)
    assert moment("2026-03-10T12:00:00Z") == NOON


@pytest.mark.parametrize(
    ("known", "failed", "words"),
    [
        ({ROLLUP: "InstallPending", TOOL: "Installed"}, False, "2 listed"),
        ({TOOL: "Permanent"}, False, "2 listed"),
        ({}, False, "the 0 updates"),
        ({ROLLUP: "Installed"}, True, "is Installed in the registry and InstallPending for DISM"),
        ({"Package_for_KB1~~": "Installed"}, True, "not listed for DISM"),
    ],
)
def test_dism_and_registry_agree_on_every_update(
    known: dict[str, str], failed: bool, words: str
) -> None:
    judged = judge_dism(said(TABLE), known)
    assert (has_failed(judged), words in judged.seen) == (failed, True)


def test_a_dism_that_fails_or_lists_nothing_is_seen() -> None:
    assert has_failed(judge_dism(said(TABLE, exit_status=740), {}))
    assert has_failed(judge_dism(said("Fehler: 87"), {}))


@pytest.mark.parametrize(
    ("sddl", "user", "failed", "words"),
    [
        (OURS, "S-1-5-18", False, "alone"),
        ("O:SYD:PAI(A;;FA;;;SY)", "S-1-5-18", False, "alone"),
        (OURS + "(A;OICI;0x1301bf;;;BU)", "S-1-5-18", True, "BU has rights"),
        (OURS + "(A;;FA;;;S-1-5-21-1-2-3-500)", "S-1-5-18", True, "S-1-5-21-1-2-3-500"),
        (OURS.replace("D:PAI", "D:AI"), "S-1-5-18", True, "other rights"),
        (OURS.replace("O:BA", "O:S-1-5-21-1-2-3-1001"), "S-1-5-18", True, "other rights"),
        ("", "S-1-5-18", True, "not readable"),
        (OURS, "S-1-5-19", True, "S-1-5-19"),
        (OURS, "", True, "nobody"),
    ],
)
def test_a_jobs_folder_is_for_system_and_administrators_alone(
    sddl: str, user: str, failed: bool, words: str
) -> None:
    judged = judge_folder(sddl, user)
    assert (has_failed(judged), words in judged.seen) == (failed, True)


def test_one_way_back_is_enough_and_none_is_a_failure() -> None:
    none = [("restore_point", "servers have no System Restore"), ("shadow_copy", "VSS is disabled")]
    assert not has_failed(judge_ways_back([none[0], ("shadow_copy", "")], 2, []))
    assert has_failed(judge_ways_back(none, 0, []))
    assert has_failed(judge_ways_back([("shadow_copy", "")], 0, ["x.json"]))


def test_a_look_of_more_than_a_minute_is_too_slow() -> None:
    assert not has_failed(judge_seconds("Windows", 60.0))
    assert has_failed(judge_seconds("Windows", 60.1))


def test_all_is_well_only_when_everything_that_was_meant_was_tried() -> None:
    good = Checked(name="a", verdict=Verdict.OK, seen="")
    left_out = Checked(name="b", verdict=Verdict.NOT_TRIED, seen="", by_choice=True)
    assert passes([good, left_out])
    assert not passes([good, Checked(name="c", verdict=Verdict.NOT_TRIED, seen="")])
    assert not passes([good, Checked(name="d", verdict=Verdict.FAILED, seen="")])
