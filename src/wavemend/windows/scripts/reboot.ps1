param([int]$delay_seconds, [string]$message, [string]$boot_id, [long]$fence, [long]$not_after)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# Schedules one restart and answers before it; none for a word that does not hold here any more, and
# none while Windows goes on with its last one, which would undo the updates it works on. Records
# nothing.

# Why this word is not obeyed, in the contract's word; empty when it is. Whatever held a controller
# or a network up: only this host knows how late it came.
function Get-Refusal([string]$Running) {
    if ($Running -cne $boot_id) { return 'refused_boot' }
    if ((Get-UnixNow) -gt $not_after) { return 'refused_late' }
    if ((Get-Fence (Get-Root)) -gt $fence) { return 'refused_fence' }
    ''
}

$boot = Get-BootId
$last_boot = Get-LastBoot
$users = @(Get-LoggedOn)
# The message stands in a command line: it is kept from ending its own quotes.
$said = (Limit-Text $message 200) -replace '["\\\r\n]', ' '
$shutdown = [IO.Path]::Combine([Environment]::SystemDirectory, 'shutdown.exe')
$run = @{ exit_code = 21 }  # ERROR_NOT_READY
$refusal = Get-Refusal $boot
if ($refusal -eq '' -and (-not (Test-Servicing) -or (Test-LogonUi))) {
    $run = Invoke-Program $shutdown "/r /t $delay_seconds /d p:2:17 /c `"$said`"" 60
}
# 1190: one was scheduled before. 1115: one is under way.
$already = @(1190, 1115) -contains $run.exit_code
if ($run.exit_code -eq 0 -or $already) {
    # Only now: without a restart that comes, nothing would bring the mark back.
    $key = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
    $winlogon = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($key, $true)
    try {
        # It comes back with the logon screen: so the next boot is told from this one.
        $winlogon.DeleteSubKeyTree('AutoLogonChecked', $false)
    } finally {
        $winlogon.Dispose()
    }
}
[ordered]@{
    scheduled = $run.exit_code -eq 0 -or $already
    refusal = $refusal
    boot_id = $boot
    last_boot = Format-Utc $last_boot
    exit_code = $run.exit_code
    logged_on = $users
    already_scheduled = $already
}
