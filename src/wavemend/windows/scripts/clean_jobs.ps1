param([int]$keep, [int]$journal_lines, [string]$job_id = '')
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# Removes all job folders but the newest, or one, and bounds the journal: its last lines stay, and
# those of jobs that still have a folder. A job that began is remembered as long as a late start of
# it could still come.

function Remove-One([string]$Root) {
    $tasks = Get-TaskFolder
    $folder = Get-JobFolder $Root $job_id
    if (-not [IO.Directory]::Exists($folder)) { return @{ removed = 0; running = 0 } }
    if (Test-InMotion $tasks $folder) { return @{ removed = 0; running = 1 } }
    if (Remove-JobFolder $tasks $folder) { @{ removed = 1; running = 0 } } else { @{ removed = 0; running = 1 } }
}

function Limit-Journal([string]$Root) {
    $path = [IO.Path]::Combine($Root, 'journal')
    $lock = Open-Lock ([IO.Path]::Combine($Root, 'journal.lock')) 10
    if ($null -eq $lock) { throw "the host's journal was locked for 10 s" }
    try {
        $lines = (Read-Text $path).Split([char[]]"`n", [StringSplitOptions]::RemoveEmptyEntries)
        # Twice as many before anything is written: not at every visit.
        if ($lines.Count -le 2 * $journal_lines) { return }
        $older = $lines.Count - $journal_lines
        $folders = [IO.Directory]::GetDirectories([IO.Path]::Combine($Root, 'jobs'))
        $ids = $folders | ForEach-Object { [IO.Path]::GetFileName($_) }
        $kept = for ($i = 0; $i -lt $lines.Count; $i++) {
            if ($i -ge $older -or @($ids) -contains ("$($lines[$i]) ".Split(' ')[1])) { $lines[$i] }
        }
        Write-WholeText $path ((@($kept) -join "`n") + "`n")
    } finally {
        $lock.Dispose()
    }
}

$root = Get-Root
$count = @{ removed = 0; running = 0 }
if ([IO.Directory]::Exists($root)) {
    $lock = Open-JobsLock $root
    try {
        $count = if ($job_id -ne '') { Remove-One $root } else { Remove-OldJobs $root $keep }
    } finally {
        $lock.Dispose()
    }
    Limit-Journal $root
}
[ordered]@{ removed = $count.removed; running = $count.running }
