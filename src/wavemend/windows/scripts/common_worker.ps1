# What turns a worker's text into a job: it begins at most once, writes its status whole at every
# change, and its end last. The worker's file defines Invoke-Worker and ends with Invoke-Job.

$script:ExitStatuses = @{
    succeeded = 0; failed = 1; partial = 2; nothing_installed = 3; blocked_reboot = 4; deadline = 5; no_space = 6
}
$script:WorkerThrew = 9

# One line; also what a host's own texts say in it. It explains and proves nothing: a full disk or a
# scanner that holds the file costs the line, never the job.
function Write-JobLog([string]$Text) {
    $line = "$(Format-Utc ([DateTime]::UtcNow)) $(($Text -replace '\s+', ' ').Trim())`n"
    $bytes = (New-Object Text.UTF8Encoding $false).GetBytes((Limit-Text $line 4000))
    $share = [IO.FileShare]'ReadWrite, Delete'
    $path = [IO.Path]::Combine($script:Folder, 'job.log')
    for ($try = 1; $try -le 3; $try++) {
        try {
            $stream = New-Object IO.FileStream ($path, [IO.FileMode]::Append, [IO.FileAccess]::Write, $share)
            try { $stream.Write($bytes, 0, $bytes.Length) } finally { $stream.Dispose() }
            return
        } catch {
            Start-Sleep -Milliseconds 200
        }
    }
}

function Write-Status {
    $script:Status.seq++
    $script:Status.updated = Format-Utc ([DateTime]::UtcNow)
    $json = ConvertTo-Json -InputObject $script:Status -Depth 10 -Compress
    Write-WholeText ([IO.Path]::Combine($script:Folder, 'status.json')) $json
}

function Set-Phase([string]$Phase, [string]$Current, [int]$Percent) {
    $script:Status.phase = $Phase
    $script:Status.current = Limit-Text $Current 1000
    $script:Status.percent = $Percent
    Write-JobLog "$Phase $Current"
    Write-Status
}

# The state a worker's items add up to: what was done, what failed, neither or both.
function Get-Outcome([int]$Good, [int]$Bad) {
    if ($Bad -gt 0) {
        if ($Good -gt 0) { 'partial' } else { 'failed' }
    } else {
        if ($Good -gt 0) { 'succeeded' } else { 'nothing_installed' }
    }
}

# Asked between steps, never in one. Empty: go on.
function Get-StopReason([string]$DeadlineUtc) {
    if ([IO.File]::Exists([IO.Path]::Combine($script:Folder, 'cancel'))) { return 'cancelled' }
    # ISO times of one form and zone sort as text.
    $now = Format-Utc ([DateTime]::UtcNow)
    if ($DeadlineUtc -ne '' -and [string]::CompareOrdinal($now, $DeadlineUtc) -ge 0) { return 'deadline' }
    ''
}

function New-Status($Settings, [string]$JobId) {
    $now = Format-Utc ([DateTime]::UtcNow)
    [ordered]@{
        schema = 1; job_id = $JobId; kind = $Settings.kind; state = 'running'; phase = ''; seq = 0; pid = $PID
        started = $now; updated = $now; percent = 0; current = ''; items = @(); result = $null; error = $null
        reboot_required = $false
    }
}

# Why this job must not begin, in start_job's word; empty when it may. Whatever held a controller,
# a network or this host up: its clock and its fence are asked at the last moment.
function Get-LateRefusal([string]$Root, $Settings) {
    if ($null -ne $Settings.not_after -and (Get-UnixNow) -gt $Settings.not_after) { return 'refused_late' }
    if ($Settings.mutating -and (Get-Fence $Root) -gt $Settings.fence) { return 'refused_fence' }
    ''
}

# The room for the end is taken now: a job that fills the disk must still be able to say so.
function Write-Begin([string]$Root, $Settings, [string]$JobId) {
    Write-WholeText ([IO.Path]::Combine($script:Folder, 'end.room')) (' ' * 200)
    $now = Get-UnixNow
    $boot = Get-BootId
    $fence = [Math]::Max([long]0, [long]$Settings.fence)
    # Journal first: once `begun` is there, so is the journal's line.
    if ($Settings.mutating) { Add-JournalLine $Root "begin $JobId $fence $now $boot" }
    Write-WholeText ([IO.Path]::Combine($script:Folder, 'begun')) "$fence $now $boot`n"
}

function Write-End([string]$Root, $Settings, [string]$JobId, [int]$ExitStatus) {
    $now = Get-UnixNow
    $room = [IO.Path]::Combine($script:Folder, 'end.room')
    $bytes = [Text.Encoding]::ASCII.GetBytes("$($Settings.nonce) $ExitStatus $now".PadRight(199) + "`n")
    $stream = New-Object IO.FileStream ($room, [IO.FileMode]::Open, [IO.FileAccess]::Write, [IO.FileShare]::None)
    try {
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally {
        $stream.Dispose()
    }
    Move-Over $room ([IO.Path]::Combine($script:Folder, 'end'))
    if ($Settings.mutating) { Add-JournalLine $Root "end $JobId $ExitStatus $now" }
}

function Invoke-Safely {
    try {
        $parameters = Read-Text ([IO.Path]::Combine($script:Folder, 'params.json')) | ConvertFrom-Json
        Invoke-Worker $parameters
        $code = $script:ExitStatuses[$script:Status.state]
        # A $null would be written as 0, which says that all went well.
        if ($null -eq $code) { throw "the worker left the state '$($script:Status.state)'" }
        $code
    } catch {
        $script:Status.state = 'failed'
        $script:Status.error = [ordered]@{
            message = Limit-Text $_.Exception.Message 2000; type = $_.Exception.GetType().FullName
            hresult = Get-Hresult $_.Exception; where = Limit-Text "$($_.ScriptStackTrace)" 1000
        }
        Write-JobLog "failed: $($_.Exception.Message)"
        $script:WorkerThrew
    }
}

# Runs with the job's lock held.
function Invoke-Begun([string]$Root, $Settings, [string]$JobId) {
    $script:Status = New-Status $Settings $JobId
    Write-Begin $Root $Settings $JobId
    $exit_status = $script:WorkerThrew
    # A job that ended has ended, also where its explanation could not be written.
    try {
        $exit_status = @(Invoke-Safely)[-1]
        $script:Status.percent = 100
        Write-Status
    } catch {
        $exit_status = $script:WorkerThrew
    } finally {
        Write-End $Root $Settings $JobId $exit_status
    }
}

function Invoke-Job([string]$JobDir) {
    $script:Folder = $JobDir
    $root = Get-Root
    $id = [IO.Path]::GetFileName($JobDir)
    # Held to the end: it is what says that this job runs.
    $run = Open-Lock ([IO.Path]::Combine($JobDir, 'run.lock')) 10
    if ($null -eq $run) { return }
    $change = $null
    try {
        $forbidden = [IO.Path]::Combine($JobDir, 'forbidden')
        if ((Get-BeginRecord $root $id).Success -or [IO.File]::Exists($forbidden)) { return }
        $settings = Get-JobSettings $JobDir
        $refusal = Get-LateRefusal $root $settings
        if ($settings.mutating -and $refusal -eq '') {
            # One change at a time on a host, whoever starts them.
            $change = Open-Lock ([IO.Path]::Combine($root, 'mutating.lock')) 30
            if ($null -eq $change) { $refusal = 'busy' }
        }
        if ($refusal -ne '') { Write-WholeText $forbidden "$refusal`n" } else { Invoke-Begun $root $settings $id }
    } finally {
        if ($null -ne $change) { $change.Dispose() }
        $run.Dispose()
    }
}
