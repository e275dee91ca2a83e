param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_worker.ps1

# A job that does nothing: an attempt that only restarts the host, and proof that jobs work here.

function Invoke-Worker($Parameters) {
    $script:Status.result = @{}
    $script:Status.state = 'succeeded'
}

Invoke-Job $job_dir
