param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_host.ps1
# include: common_worker.ps1
# include: common_wua.ps1
# include: common_choco.ps1
# include: common_install.ps1

# Installs exactly the updates that were approved, by id and revision, then the Chocolatey packages
# that were. Never restarts the host, hides no update, changes no policy.

# Pairs every approved update with what is offered now. Returns @{item; update}, updates that must
# be installed alone first.
function Get-Work($Approved, $Offered) {
    $by_id = @{}
    foreach ($update in $Offered) { $by_id[(Get-Guid $update.Identity.UpdateID)] = $update }
    $work = foreach ($wanted in $Approved) {
        $item = New-InstallItem $wanted.update_id
        $update = $by_id[$wanted.update_id]
        if ($null -eq $update) {
            Set-Skipped $item 'not_offered'
        } else {
            $item.title = Limit-Text "$($update.Title)" 1024
            $item.kb = Get-FirstKb $update
            if ([int]$update.Identity.RevisionNumber -ne $wanted.revision) { Set-Skipped $item 'revision_changed' }
        }
        $behavior = Get-Property $update 'InstallationBehavior' $null
        @{ item = $item; update = $update; exclusive = [int](Get-Property $behavior 'Impact' 0) -eq 2 }
    }
    @($work | Where-Object { $_.exclusive }) + @($work | Where-Object { -not $_.exclusive })
}

# Whether nothing may be installed before a restart: servicing's own flags, or the agent's word. A new
# name of the computer, a domain or ConfigMgr wait for one as well, and keep nothing from installing.
function Test-RebootFirst {
    $blocking = @(Get-HardReasons | Where-Object { $_ -like 'cbs_*' -or $_ -eq 'wu_reboot_required' })
    $blocking.Count -gt 0 -or [bool](New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired
}

function Invoke-One($Session, $Job, $Parameters) {
    $item = $Job.item
    $watch = [Diagnostics.Stopwatch]::StartNew()
    if (Test-DefenderDefinitions $Job.update) {
        Update-Definitions $Job.update $item
    } else {
        $unfit = Get-Unfit $Job.update ([bool]$Parameters.accept_eula)
        if ($unfit -ne '') {
            Set-Skipped $item $unfit
        } elseif (Save-Update $Session $Job.update $item) {
            # A download may take hours.
            $stop = Get-StopReason $Parameters.deadline_utc
            if ($stop -ne '') { Set-Skipped $item $stop } else { Install-Update $Session $Job.update $item }
        }
    }
    $item.seconds = [int]$watch.Elapsed.TotalSeconds
    Write-JobLog "$($item.kb) $($item.state) $($item.hresult) $($item.reason)"
    if ($item.reboot_required) { $script:Status.reboot_required = $true }
}

# Why the rest is not begun; empty: it is.
function Get-Halt($Job, [bool]$RebootFirst, [bool]$Failed, $Parameters) {
    $stop = Get-StopReason $Parameters.deadline_utc
    if ($stop -ne '') { return $stop }
    if ($RebootFirst -and -not (Test-DefenderDefinitions $Job.update)) { return 'reboot_first' }
    if ($Failed -and -not $Parameters.continue_on_error) { return 'stopped' }
    ''
}

function Invoke-Updates($Session, $Work, [bool]$RebootFirst, $Parameters) {
    $failed = $false
    $number = 0
    foreach ($job in $Work) {
        $number++
        if ($job.item.state -ne 'pending') { continue }
        $halt = Get-Halt $job $RebootFirst $failed $Parameters
        if ($halt -ne '') {
            Set-Skipped $job.item $halt
            continue
        }
        Set-Phase 'install' "$($job.item.kb) $($job.item.title)" ([int](90 * ($number - 1) / $Work.Count))
        Invoke-One $Session $job $Parameters
        # After one that must be alone nothing else goes before its restart.
        if ($job.exclusive -and $job.item.reboot_required) { $RebootFirst = $true }
        if (@('failed', 'aborted') -contains $job.item.state) { $failed = $true }
        Write-Status
    }
}

# What the updates leave to the Chocolatey packages: nothing before a restart or after a failure.
function Skip-Packages($Packages, $Parameters) {
    $items = @($script:Status.items)
    $failed = @($items | Where-Object { @('failed', 'aborted') -contains $_.state }).Count -gt 0
    $why = if (@($items | ForEach-Object { $_.reason }) -contains 'reboot_first') { 'reboot_first' } else { '' }
    if ($failed -and -not $Parameters.continue_on_error) { $why = 'stopped' }
    foreach ($item in $Packages) { if ($why -ne '') { Set-Skipped $item $why } }
}

function Get-FinalState {
    $items = @($script:Status.items)
    $reasons = @($items | ForEach-Object { $_.reason })
    if ($reasons -contains 'reboot_first') { return 'blocked_reboot' }
    if ($reasons -contains 'deadline' -or $reasons -contains 'cancelled') { return 'deadline' }
    $good = @($items | Where-Object { @('succeeded', 'succeeded_with_errors') -contains $_.state }).Count
    $bad = @($items | Where-Object { @('failed', 'aborted') -contains $_.state }).Count
    Get-Outcome $good $bad
}

# The search fails the job where it must: without it nothing that was approved can be found.
function Get-Offered($Session, $Parameters) {
    if (@($Parameters.approved).Count -eq 0) { return }
    Set-Phase 'search' $Parameters.criteria 5
    $search = Invoke-Search (New-UpdateSearcher $Session $Parameters) $Parameters.criteria
    if ($null -eq $search.result) {
        throw "nothing was installed, the search failed: $($search.error.hresult) $($search.error.message)"
    }
    foreach ($update in $search.result.Updates) { $update }
}

# After a boot Windows goes on with what waited for it; nothing is changed beside that.
function Wait-Servicing {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ((Test-Servicing) -and -not (Test-LogonUi)) {
        if ($watch.Elapsed.TotalSeconds -ge 3600) { throw 'Windows was not through with its boot within an hour' }
        Start-Sleep -Seconds 10
    }
}

function Invoke-Worker($Parameters) {
    Wait-Servicing
    $before = Get-Os
    $reboot_first = Test-RebootFirst
    $packages = @($Parameters.packages | ForEach-Object { New-PackageItem $_ })
    $script:Status.items = @($Parameters.approved | ForEach-Object { New-InstallItem $_.update_id }) + $packages
    $script:Status.result = [ordered]@{
        os_before = $before; os_after = $before; reboot_required_before = $reboot_first
    }
    if ($before.free_system_drive_mb -lt $Parameters.min_free_mb) {
        Write-JobLog "$($before.free_system_drive_mb) MB are free, $($Parameters.min_free_mb) are needed"
        foreach ($item in $script:Status.items) { Set-Skipped $item 'no_space' }
        $script:Status.state = 'no_space'
        return
    }
    $session = New-UpdateSession
    $work = @(Get-Work $Parameters.approved @(Get-Offered $session $Parameters))
    $script:Status.items = @($work | ForEach-Object { $_.item }) + $packages
    Invoke-Updates $session $work $reboot_first $Parameters
    Skip-Packages $packages $Parameters
    $packages = @($packages | Where-Object { $_.state -eq 'pending' })
    Update-ChocoPackages $packages $Parameters.deadline_utc ([bool]$Parameters.continue_on_error)
    $script:Status.result.os_after = Get-Os
    $script:Status.state = Get-FinalState
}

Invoke-Job $job_dir
