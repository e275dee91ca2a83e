param([string]$job_id, [long]$log_bytes)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# Makes sure that a job which has not begun never will, and says what is true then. A start whose
# answer was lost may still be on its way: it finds the mark.

function Set-Forbidden([string]$Root) {
    if ((Get-BeginRecord $Root $job_id).Success) { return }
    $folder = Get-JobFolder $Root $job_id
    New-ProtectedFolder $folder
    Assert-Protected $folder
    $run = Open-Lock ([IO.Path]::Combine($folder, 'run.lock')) 2
    # Not to be had: its worker holds it, so it has begun or refuses, and the answer says so.
    if ($null -eq $run) { return }
    try {
        if ((Get-BeginRecord $Root $job_id).Success) { return }
        Write-WholeText ([IO.Path]::Combine($folder, 'forbidden')) "forbidden`n"
    } finally {
        $run.Dispose()
    }
}

$root = Get-Root -Create
$lock = Open-JobsLock $root
try {
    Set-Forbidden $root
} finally {
    $lock.Dispose()
}
Get-JobView $root $job_id $log_bytes
