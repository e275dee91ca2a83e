param([string]$job_id, [long]$log_bytes, [int]$wait_seconds)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# Says what is true of one job, at its end or after wait_seconds. Reads only.

function Wait-End([string]$Root) {
    $folder = Get-JobFolder $Root $job_id
    $tasks = Get-TaskFolder
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($watch.Elapsed.TotalSeconds -lt $wait_seconds) {
        if (-not [IO.Directory]::Exists($folder) -or (Get-EndRecord $folder).Success) { return }
        if (-not (Test-InMotion $tasks $folder)) { return }
        Start-Sleep -Milliseconds 500
    }
}

$root = Get-Root
Wait-End $root
Get-JobView $root $job_id $log_bytes
