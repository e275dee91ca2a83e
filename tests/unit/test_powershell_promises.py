"""What only Windows could show of the scripts, read from their texts: what comes before what."""

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
