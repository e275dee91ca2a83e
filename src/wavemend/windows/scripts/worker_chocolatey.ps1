param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_host.ps1
# include: common_worker.ps1
# include: common_choco.ps1

# Lists Chocolatey's packages, or raises some of them to the versions that were approved.

function Get-Outdated([string]$Choco, $Warnings) {
    $run = Invoke-Program $Choco 'outdated --limit-output --no-color' 600
    # 2 says that there are some, where the host's Chocolatey is set to say so.
    if (@(0, 2) -notcontains $run.exit_code) {
        $said = "choco outdated ended with $($run.exit_code): $(Limit-Text $run.text 500)"
        [void]$Warnings.Add([ordered]@{ hresult = ''; context = 'chocolatey'; message = $said })
        return
    }
    foreach ($line in (Split-ChocoLines $run.text 4)) {
        $parts = $line.parts
        [ordered]@{ name = $parts[0]; installed = $parts[1]; available = $parts[2]; pinned = $parts[3] -eq 'true' }
    }
}

function Invoke-Worker($Parameters) {
    $items = @($Parameters.packages | ForEach-Object { New-PackageItem $_ })
    $script:Status.items = $items
    if ($Parameters.action -eq 'upgrade') {
        Update-ChocoPackages $items $Parameters.deadline_utc ([bool]$Parameters.continue_on_error)
    }
    $choco = Get-Choco
    $version = if ($choco -ne '') { Get-ChocoVersion $choco } else { '' }
    $warnings = New-Object Collections.ArrayList
    Set-Phase 'list' '' 80
    $installed = @(if ($choco -ne '') { Get-ChocoInstalled $choco $version })
    $outdated = @(if ($choco -ne '' -and $Parameters.action -eq 'list') { Get-Outdated $choco $warnings })
    $script:Status.result = [ordered]@{
        present = $choco -ne ''; version = $version; installed = $installed; outdated = $outdated
        warnings = @($warnings); packages = $items
    }
    $good = @($items | Where-Object { $_.state -eq 'succeeded' }).Count
    $bad = @($items | Where-Object { $_.state -eq 'failed' }).Count
    $late = @($items | Where-Object { @('deadline', 'cancelled') -contains $_.reason }).Count
    $script:Status.state = if ($late -gt 0) { 'deadline' } else { Get-Outcome $good $bad }
    if ($Parameters.action -eq 'list') { $script:Status.state = 'succeeded' }
}

Invoke-Job $job_dir
