param(
    [string]$job_id, [string]$kind, [string]$worker, [string]$params_json, [int]$time_limit_minutes,
    [string]$nonce, [long]$fence, $not_after, [bool]$mutating
)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# Prepares one job, once, and starts it as a task of SYSTEM; or finds the one that was started
# under this id. All under the jobs' lock but the last: whether a change begins is decided by its
# worker, under locks of its own (common_worker.ps1).

function Step-Fence([string]$Root) {
    $seen = Get-Fence $Root
    if ($fence -gt $seen) { Write-WholeText ([IO.Path]::Combine($Root, 'fence')) "$fence`n" }
    $seen
}

# What forbids this job, in the contract's word: its worker's refusal, or forbid_job.
function Get-Mark([string]$Folder) {
    $path = [IO.Path]::Combine($Folder, 'forbidden')
    if (-not [IO.File]::Exists($path)) { return '' }
    $said = (Read-Text $path).Trim()
    if (@('refused_fence', 'refused_late', 'busy') -contains $said) { $said } else { 'forbidden' }
}

# Why this start must not be made, in the contract's word; empty when it may.
function Get-Refusal([string]$Root, $Tasks) {
    $folder = Get-JobFolder $Root $job_id
    if ((Get-BeginRecord $Root $job_id).Success) {
        if (Test-InMotion $Tasks $folder) { return 'already_running' } else { return 'exists' }
    }
    $mark = Get-Mark $folder
    if ($mark -ne '') { return $mark }
    if ([IO.Directory]::Exists($folder) -and (Test-InMotion $Tasks $folder)) { return 'already_running' }
    if ($null -ne $not_after -and (Get-UnixNow) -gt $not_after) { return 'refused_late' }
    if ($mutating -and (Test-OtherChange $Root $Tasks)) { return 'busy' }
    ''
}

function Test-OtherChange([string]$Root, $Tasks) {
    foreach ($folder in [IO.Directory]::GetDirectories([IO.Path]::Combine($Root, 'jobs'))) {
        if ([IO.Path]::GetFileName($folder) -eq $job_id) { continue }
        $settings = Get-JobSettings $folder
        # One that said its end is past changing, though its process may take a second to go.
        if ($null -eq $settings -or -not $settings.mutating -or (Get-EndRecord $folder).Success) { continue }
        if (Test-InMotion $Tasks $folder) { return $true }
    }
    $false
}

# job.json last: it names the task, so a folder without it has none.
function Write-Job([string]$Folder) {
    New-ProtectedFolder $Folder
    Assert-Protected $Folder
    # With its mark 5.1 reads a file as UTF-8, without as the code page of the machine.
    $text = New-Object Text.UTF8Encoding $true
    Write-Whole ([IO.Path]::Combine($Folder, 'worker.ps1')) ($text.GetPreamble() + $text.GetBytes($worker))
    Write-WholeText ([IO.Path]::Combine($Folder, 'params.json')) $params_json
    $settings = [ordered]@{ kind = $kind; nonce = $nonce; fence = $fence; not_after = $not_after; mutating = $mutating }
    $json = ConvertTo-Json -InputObject $settings -Depth 3
    Write-WholeText ([IO.Path]::Combine($Folder, 'job.json')) $json
}

function Register-Job($Tasks, [string]$Folder) {
    $service = New-Object -ComObject Schedule.Service
    [void]$service.Connect()
    $definition = $service.NewTask(0)
    $definition.Principal.UserId = 'S-1-5-18'
    $definition.Principal.LogonType = 5  # service account
    $definition.Principal.RunLevel = 1  # highest
    $settings = $definition.Settings
    $settings.Enabled = $true
    $settings.Hidden = $true
    $settings.AllowDemandStart = $true
    $settings.AllowHardTerminate = $true
    $settings.DisallowStartIfOnBatteries = $false
    $settings.StopIfGoingOnBatteries = $false
    $settings.RunOnlyIfIdle = $false
    $settings.IdleSettings.StopOnIdleEnd = $false
    $settings.MultipleInstances = 2  # ignore a second start
    $settings.ExecutionTimeLimit = "PT$($time_limit_minutes)M"
    $settings.Priority = 4  # the default, 7, means low I/O: servicing takes hours
    $action = $definition.Actions.Create(0)
    $action.Path = [IO.Path]::Combine([Environment]::SystemDirectory, 'WindowsPowerShell\v1.0\powershell.exe')
    $action.Arguments = '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass ' +
        "-File `"$Folder\worker.ps1`" -job_dir `"$Folder`""
    $name = "Wavemend-$kind-$job_id"
    # 6: create or replace. 5: service account.
    $task = $Tasks.RegisterTaskDefinition($name, $definition, 6, 'S-1-5-18', $null, 5)
    [void]$task.RunEx($null, 2, 0, '')  # 2: ignore constraints
}

# Whether it begins is its worker's word. A task may be queued for minutes; 10 s are waited for it.
function Wait-Begin([string]$Root, [string]$Folder) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($watch.Elapsed.TotalSeconds -lt 10) {
        if ((Get-BeginRecord $Root $job_id).Success) { return 'started' }
        $mark = Get-Mark $Folder
        if ($mark -ne '') { return $mark }
        Start-Sleep -Milliseconds 250
    }
    'started'
}

function Get-Digest([string]$Text) {
    $sha = [Security.Cryptography.SHA256]::Create()
    $digest = $sha.ComputeHash((New-Object Text.UTF8Encoding $false).GetBytes($Text))
    [BitConverter]::ToString($digest).Replace('-', '').ToLowerInvariant()
}

function Start-WavemendJob([string]$Root) {
    $tasks = Get-TaskFolder
    $folder = Get-JobFolder $Root $job_id
    $lock = Open-JobsLock $Root
    try {
        $seen = if ($mutating) { Step-Fence $Root } else { Get-Fence $Root }
        if ($mutating -and $fence -lt $seen) { return @{ answer = 'refused_fence'; fence_seen = $seen } }
        $refusal = Get-Refusal $Root $tasks
        if ($refusal -ne '') { return @{ answer = $refusal; fence_seen = $seen } }
        if (-not $mutating) { [void](Remove-OldJobs $Root 1000) }
        Write-Job $folder
        Register-Job $tasks $folder
    } finally {
        $lock.Dispose()
    }
    @{ answer = Wait-Begin $Root $folder; fence_seen = $seen }
}

$root = Get-Root -Create
$done = Start-WavemendJob $root
[ordered]@{
    job_id = $job_id
    answer = $done.answer
    fence_seen = $done.fence_seen
    job = Get-JobView $root $job_id 262144
    worker_sha256 = if ($done.answer -eq 'started') { Get-Digest $worker } else { $null }
}
