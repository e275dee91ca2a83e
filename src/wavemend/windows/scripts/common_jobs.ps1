# Jobs: their folders, fence, journal and tasks. Layout as on Linux hosts:
#   lock, fence, journal, mutating.lock, jobs\<job id>\{worker.ps1, params.json, job.json, run.lock,
#   begun, end, forbidden, status.json, job.log, cancel}

# One start, forbid or clean-up at a time; the caller disposes of what is returned.
function Open-JobsLock([string]$Root) {
    $lock = Open-Lock ([IO.Path]::Combine($Root, 'lock')) 20
    if ($null -eq $lock) { throw 'another start or removal on the host held the lock for 20 s' }
    $lock
}

function Get-Fence([string]$Root) {
    $path = [IO.Path]::Combine($Root, 'fence')
    if (-not [IO.File]::Exists($path)) { return [long]0 }
    $text = (Read-Text $path).Trim()
    if ($text -notmatch '\A[0-9]{1,18}\z') { throw "$path is damaged" }
    [long]$text
}

# An id names a folder that SYSTEM runs from: nothing in it leads elsewhere.
function Get-JobFolder([string]$Root, [string]$JobId) {
    if ($JobId -cnotmatch '\A[a-z0-9-]{8,64}\z') { throw "'$JobId' is no job id" }
    [IO.Path]::Combine($Root, 'jobs', $JobId)
}

function Get-JournalBegin([string]$Root, [string]$JobId) {
    # Only a whole line counts: a torn one is not followed by any line break.
    $text = Read-Text ([IO.Path]::Combine($Root, 'journal'))
    [regex]::Match($text, "(?m)^begin $JobId [0-9]{1,18} ([0-9]{1,11}) ([!-~]{1,64})\n")
}

# A torn last line is ended and marked, so that it spoils no other and reads as no beginning.
function Add-JournalLine([string]$Root, [string]$Line) {
    $lock = Open-Lock ([IO.Path]::Combine($Root, 'journal.lock')) 10
    if ($null -eq $lock) { throw "the host's journal was locked for 10 s" }
    try {
        $path = [IO.Path]::Combine($Root, 'journal')
        $end = Read-End $path 1
        $torn = if ($end.size -gt 0 -and $end.bytes[0] -ne 10) { " torn`n" } else { '' }
        $bytes = [Text.Encoding]::ASCII.GetBytes("$torn$Line`n")
        $stream = New-Object IO.FileStream ($path, [IO.FileMode]::Append, [IO.FileAccess]::Write, [IO.FileShare]::Read)
        try {
            $stream.Write($bytes, 0, $bytes.Length)
            $stream.Flush($true)
        } finally {
            $stream.Dispose()
        }
    } finally {
        $lock.Dispose()
    }
}

function Get-TaskFolder {
    $service = New-Object -ComObject Schedule.Service
    [void]$service.Connect()
    $service.GetFolder('\')
}

# What job.json says: kind, nonce, fence, not_after, mutating; $null while it is not written.
function Get-JobSettings([string]$Folder) {
    $text = Read-Text ([IO.Path]::Combine($Folder, 'job.json'))
    if ($text -eq '') { return $null }
    $text | ConvertFrom-Json
}

function Get-TaskState($Tasks, [string]$Folder) {
    $settings = Get-JobSettings $Folder
    if ($null -eq $settings) { return 'missing' }
    try {
        $task = $Tasks.GetTask("Wavemend-$($settings.kind)-$([IO.Path]::GetFileName($Folder))")
    } catch {
        if ((Get-Hresult $_.Exception) -eq '0x80070002') { return 'missing' }
        throw
    }
    $names = @('unknown', 'disabled', 'queued', 'ready', 'running')
    if ($task.State -ge 0 -and $task.State -lt $names.Count) { $names[$task.State] } else { 'unknown' }
}

# On its way or at work: its task waits or runs, or its lock is held.
function Test-InMotion($Tasks, [string]$Folder) {
    if (Test-Held ([IO.Path]::Combine($Folder, 'run.lock'))) { return $true }
    @('queued', 'running') -contains (Get-TaskState $Tasks $Folder)
}

function Get-EndRecord([string]$Folder) {
    $text = (Read-Text ([IO.Path]::Combine($Folder, 'end'))).Trim()
    [regex]::Match($text, '\A([a-z0-9]{16,128}) ([0-9]{1,3}) ([0-9]{1,11})\z')
}

function Get-BeginRecord([string]$Root, [string]$JobId) {
    $path = [IO.Path]::Combine((Get-JobFolder $Root $JobId), 'begun')
    $found = [regex]::Match((Read-Text $path).Trim(), '\A[0-9]{1,18} ([0-9]{1,11}) ([!-~]{1,64})\z')
    # The folder may be gone, or the record torn: what the journal remembers has begun as well.
    if ($found.Success) { $found } else { Get-JournalBegin $Root $JobId }
}

# The job object of the contracts. First the task, then the lock, then the end record: a job that
# ends in between is seen as ended.
function Get-JobView([string]$Root, [string]$JobId, [long]$LogBytes) {
    $folder = Get-JobFolder $Root $JobId
    $found = [IO.Directory]::Exists($folder)
    $state = if ($found) { Get-TaskState (Get-TaskFolder) $folder } else { 'missing' }
    $alive = $found -and (Test-Held ([IO.Path]::Combine($folder, 'run.lock')))
    $end = Get-EndRecord $folder
    $begin = Get-BeginRecord $Root $JobId
    $log = Read-End ([IO.Path]::Combine($folder, 'job.log')) $LogBytes
    [ordered]@{
        found = $found
        forbidden = [IO.File]::Exists([IO.Path]::Combine($folder, 'forbidden'))
        task_state = $state
        worker_alive = $alive
        nonce = $end.Groups[1].Value
        exit_status = if ($end.Success) { [int]$end.Groups[2].Value } else { $null }
        begun_at = if ($begin.Success) { [long]$begin.Groups[1].Value } else { $null }
        ended_at = if ($end.Success) { [long]$end.Groups[3].Value } else { $null }
        boot_id_at_begin = $begin.Groups[2].Value
        boot_id = Get-BootId
        registered_seconds_ago = if ($found) { Get-JobAge $folder } else { $null }
        # As text: what a job wrote is for the caller to read, whatever its state.
        status_json = Read-Text ([IO.Path]::Combine($folder, 'status.json'))
        log_tail = [Convert]::ToBase64String($log.bytes)
        log_size = $log.size
        utc_now = Format-Utc ([DateTime]::UtcNow)
    }
}

# Seconds since the job was prepared the last time.
function Get-JobAge([string]$Folder) {
    $path = [IO.Path]::Combine($Folder, 'job.json')
    if (-not [IO.File]::Exists($path)) { $path = $Folder }
    $since = [DateTime]::UtcNow - [IO.File]::GetLastWriteTimeUtc($path)
    [long][Math]::Max(0, [Math]::Floor($since.TotalSeconds))
}

# Says whether it went. A file that a scanner or a person holds open keeps its folder for the next
# time, with job.json: what it was for is then still known.
function Remove-JobFolder($Tasks, [string]$Folder) {
    $settings = Get-JobSettings $Folder
    if ($null -ne $settings) {
        try {
            [void]$Tasks.DeleteTask("Wavemend-$($settings.kind)-$([IO.Path]::GetFileName($Folder))", 0)
        } catch {
            if ((Get-Hresult $_.Exception) -ne '0x80070002') { throw }
        }
    }
    try {
        foreach ($path in [IO.Directory]::GetFiles($Folder)) {
            if ([IO.Path]::GetFileName($path) -ne 'job.json') { [IO.File]::Delete($path) }
        }
        [IO.Directory]::Delete($Folder, $true)
        $true
    } catch [IO.IOException], [UnauthorizedAccessException] {
        $false
    }
}

# Removes all job folders but the newest: of changes so many, of all others three. Those of jobs in
# motion, and what is held open, stay. Returns @{removed; running}; the caller holds the jobs' lock.
function Remove-OldJobs([string]$Root, [int]$KeepChanges) {
    $tasks = Get-TaskFolder
    $folders = (New-Object IO.DirectoryInfo ([IO.Path]::Combine($Root, 'jobs'))).GetDirectories()
    $kept = @{ $true = 0; $false = 0 }
    $room = @{ $true = $KeepChanges; $false = 3 }
    $count = @{ removed = 0; running = 0 }
    foreach ($folder in ($folders | Sort-Object -Property CreationTimeUtc, Name -Descending)) {
        $settings = Get-JobSettings $folder.FullName
        $change = $null -eq $settings -or [bool]$settings.mutating
        if ($kept[$change] -lt $room[$change]) {
            $kept[$change]++
        } elseif (-not (Test-InMotion $tasks $folder.FullName) -and (Remove-JobFolder $tasks $folder.FullName)) {
            $count.removed++
        } else {
            $count.running++
        }
    }
    $count
}
