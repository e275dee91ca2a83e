"""What only Windows could show of the scripts, read from their texts: what comes before what."""

import pytest

from wavemend.windows.calling import script_text, worker_text


def test_a_mark_of_servicing_that_waits_for_its_restart_is_no_installer_at_work() -> None:
    """It stays set until the restart: read as a lock, it would keep that restart from coming."""
    assert "SessionsPending" not in script_text("facts")


def test_restarts_that_windows_update_plans_for_itself_keep_ours_from_nothing() -> None:
    for name in ("facts", "boot"):
        assert "GetFolder('\\Microsoft" not in script_text(name)


def test_the_mark_of_the_logon_screen_goes_once_a_restart_is_on_its_way() -> None:
    text = script_text("reboot")

    assert text.index("Invoke-Program $shutdown") < text.index("DeleteSubKeyTree")
    assert text.index("if ($run.exit_code -eq 0 -or $already)") < text.index("DeleteSubKeyTree")


def test_a_word_to_restart_is_judged_right_before_it_is_obeyed() -> None:
    """What takes its time (who is logged on) comes before: the word may be void after it."""
    text = script_text("reboot")

    judged = text.index("$refusal = Get-Refusal $boot")
    assert text.index("@(Get-LoggedOn)") < judged < text.index("Invoke-Program $shutdown")
    assert "if ($refusal -eq '' -and (" in text


@pytest.mark.parametrize(
    "condition",
    ["$Running -cne $boot_id", "(Get-UnixNow) -gt $not_after", "(Get-Fence (Get-Root)) -gt $fence"],
)
def test_a_word_to_restart_holds_for_one_boot_until_a_time_and_below_no_fence(
    condition: str,
) -> None:
    assert f"if ({condition}) {{ return 'refused_" in script_text("reboot")


def test_nothing_is_installed_before_windows_is_through_with_its_boot() -> None:
    text = worker_text("install")
    body = text[text.index("function Invoke-Worker") :]

    assert body.index("Wait-Servicing") < body.index("Test-RebootFirst") < body.index("Get-Work")


def test_a_search_with_errors_is_repeated_before_it_is_taken() -> None:
    text = worker_text("scan")

    assert "if ($code -eq 2) { return" in text
    assert text.index("if ($null -ne $partial) { break }") < text.index("$partial = $result")


def test_a_job_says_its_end_whatever_its_explanation_ran_into() -> None:
    text = worker_text("install")
    body = text[text.index("function Invoke-Begun") :]

    assert body.index("try {") < body.index("@(Invoke-Safely)") < body.index("} finally {")
