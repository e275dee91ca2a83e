"""Each rule catches its bug: a shipped script with that bug put in is refused by that rule."""

import pytest

from tests.powershell.rules import RULES, faults
from tests.powershell.tree import parse, syntax_faults
from wavemend.windows.calling import SCRIPTS, script_text, worker_text

# (rule, script, what stands there, what a hurried change makes of it)
BUGS = [
    ("newer_operators", "facts", "'unknown' }\n}", "'unknown' }\n    $start ?? 'missing'\n}"),
    ("newer_operators", "boot", "boot_id = Get-BootId", "boot_id = $x ? 1 : 2"),
    (
        "newer_operators",
        "journal",
        "$root = Get-Root\n",
        "$root = Get-Root\nGet-Root && Get-Root\n",
    ),
    (
        "newer_parameters",
        "start_job",
        "Sort-Object -Property CreationTimeUtc",
        "Sort-Object -Stable",
    ),
    ("newer_parameters", "worker_scan", "| ConvertFrom-Json", "| ConvertFrom-Json -AsHashtable"),
    ("no_exit", "boot", "boot_id = Get-BootId", "boot_id = $(exit 1)"),
    ("no_exit", "job_status", "Wait-End $root\n", "Wait-End $root\nexit\n"),
    (
        "no_restart",
        "worker_install",
        "    $session = New-UpdateSession\n",
        "    Restart-Computer\n",
    ),
    ("no_restart", "worker_rollback", "'dism.exe'", "'shutdown.exe'"),
    ("strict", "facts", "Set-StrictMode -Version 2\n", ""),
    ("strict", "worker_scan", "$ErrorActionPreference = 'Stop'\n", ""),
    ("no_other_output", "facts", "    $options = ", "    Write-Output 'policy'\n    $options = "),
    (
        "no_other_output",
        "worker_scan",
        "    Set-Phase 'inventory'",
        "    Write-Host hello\n    Set-Phase",
    ),
    ("no_text_as_code", "reboot", "Invoke-Program $shutdown", "Invoke-Expression $shutdown"),
    ("no_text_as_code", "start_job", "    Write-Job $folder", "    & $worker"),
    ("no_text_as_code", "start_job", "    Write-Job $folder", "    [ScriptBlock]::Create($worker)"),
    ("no_text_as_code", "remove_points", "Restore = @'", 'Restore = @"\nx\n"@ + @\''),
    ("known_commands", "facts", "ForEach-Object { Limit", "% { Limit"),
    ("known_commands", "worker_rollback", "Invoke-Program $dism", "dism"),
    ("known_commands", "facts", "@(Get-Disks)", "@(Get-Disk)"),
    ("known_parameters", "start_job", "Get-Root -Create", "Get-Root -Make"),
    ("known_parameters", "journal", "'journal')) $bytes", "'journal')) $bytes 1"),
    ("known_variables", "reboot", "Limit-Text $message 200", "Limit-Text $mesage 200"),
    ("no_null_text", "forbid_job", "[NullString]::Value", "$null"),
    ("utc_only", "boot", "Format-Utc (Get-LastBoot)", "(Get-Date)"),
    ("utc_only", "job_status", "[DateTime]::UtcNow", "[DateTime]::Now"),
    ("encoding_said", "journal", "[ordered]@{", "Set-Content -Path $root -Value 1\n[ordered]@{"),
    ("encoding_said", "journal", "[ordered]@{", "Get-Root > $root\n[ordered]@{"),
    ("encoding_said", "journal", "[ordered]@{", "$x = [IO.File]::ReadAllText($root)\n[ordered]@{"),
    ("json_whole", "start_job", "-InputObject $settings -Depth 3", "-InputObject $settings"),
    (
        "json_whole",
        "start_job",
        "ConvertTo-Json -InputObject $settings",
        "$settings | ConvertTo-Json",
    ),
    ("no_leaks", "worker_install", "[void]$Update.AcceptEula()", "$Update.AcceptEula()"),
    ("no_leaks", "start_job", "    [void]$service.Connect()", "    $service.Connect()"),
    (
        "registry_untouched",
        "facts",
        "    $options = ",
        "    $key.SetValue('AUOptions', 1)\n    $options = ",
    ),
    (
        "registry_untouched",
        "worker_install",
        "    [void]$Update.",
        "    $Update.IsHidden = $true\n    [void]$Update.",
    ),
    ("colon_after_variable", "worker_install", '"${Step}: ', '"$Step: '),
]


def text_of(name: str) -> str:
    return script_text(name) if name in SCRIPTS else worker_text(name.removeprefix("worker_"))


@pytest.mark.parametrize(("rule", "script", "whole", "broken"), BUGS)
def test_a_rule_catches_its_bug(rule: str, script: str, whole: str, broken: str) -> None:
    text = text_of(script)
    assert whole in text
    assert faults(parse(script, text), rule) == []
    assert faults(parse(script, text.replace(whole, broken)), rule) != []


def test_there_is_a_bug_for_every_rule() -> None:
    assert {rule for rule, *_ in BUGS} == set(RULES)


def test_a_time_that_is_made_utc_at_once_is_no_fault() -> None:
    assert faults(parse("x", "(Get-Date).ToUniversalTime()\n"), "utc_only") == []


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ("Wait-End $root\n", "Wait-End $root)\n"),
        ("function Wait-End([string]$Root) {", "function Wait-End([string]$Root) "),
        ("'run.lock'", "'run.lock"),
        ("@('queued', 'running')", "@('queued', 'running'"),
    ],
)
def test_a_text_that_no_engine_would_read_is_refused(whole: str, broken: str) -> None:
    text = text_of("job_status")
    assert whole in text
    assert syntax_faults(parse("job_status", text)) == []
    assert syntax_faults(parse("job_status", text.replace(whole, broken, 1))) != []
