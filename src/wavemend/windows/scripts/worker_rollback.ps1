param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_host.ps1
# include: common_worker.ps1

# Removes updates by DISM: wusa.exe refuses what is bundled with a servicing stack. Never restarts
# the host. A servicing stack itself, and what is permanent, cannot be removed at all.

# The package of one update: the one named after its KB, else the cumulative one of its build.
function Find-Package($Packages, $Target) {
    $there = @('Installed', 'InstallPending', 'Permanent')
    $named = @($Packages | Where-Object { $_.name -like "Package_for_$($Target.kb)~*" -and $there -contains $_.state })
    if ($named.Count -gt 0) { return $named[0] }
    if ($Target.fixed_build -eq '') { return $null }
    $parts = $Target.fixed_build.Split('.')
    $rollup = "Package_for_RollupFix~*~~$($parts[2]).$($parts[3]).*"
    @($Packages | Where-Object { $_.name -like $rollup -and $there -contains $_.state })[0]
}

# DISM's exit code is an HRESULT or a Win32 code. 0x800F0831 is a missing base, not "permanent".
function Set-DismResult($Item, [int]$Code) {
    $known = @{
        '0x00000000' = 'removed', ''
        '0x00000BC2' = 'pending_reboot', ''
        '0x800F0825' = 'not_removable', 'the package is permanent'
        '0x800F0805' = 'not_installed', 'unknown package'
        '0x800F081E' = 'not_installed', 'not applicable'
        '0x800F0831' = 'failed', 'the base of the package is missing'
    }
    $hex = '0x{0:X8}' -f $Code
    $Item.exit_code = $Code
    $Item.state = 'failed'
    $Item.reason = "DISM ended with $hex"
    if ($known.ContainsKey($hex)) {
        $Item.state = $known[$hex][0]
        if ($known[$hex][1] -ne '') { $Item.reason = "$($known[$hex][1]) ($hex)" } else { $Item.reason = '' }
    }
}

function Remove-Update($Item, $Package) {
    $dism = [IO.Path]::Combine([Environment]::SystemDirectory, 'dism.exe')
    $log = [IO.Path]::Combine($script:Folder, "dism-$($Item.kb).log")
    $words = "/Online /English /Quiet /NoRestart /Remove-Package /PackageName:$($Package.name) /LogPath:`"$log`""
    $run = Invoke-Program $dism $words 0
    Set-DismResult $Item $run.exit_code
    if ($Item.state -eq 'pending_reboot') { $script:Status.reboot_required = $true }
}

function Invoke-Target($Item, $Package, [bool]$DryRun) {
    if ($null -eq $Package) {
        $Item.state = 'not_installed'
        $Item.reason = 'no installed package of this update or build'
        return
    }
    $Item.package = $Package.name
    # The name stands in a command line.
    if ($Package.name -notmatch '\A[A-Za-z0-9_.~-]{1,300}\z') { throw "package name not in form: $($Package.name)" }
    if ($Package.name -like 'Package_for_ServicingStack*') {
        $Item.state = 'not_removable'
        $Item.reason = 'a servicing stack update'
    } elseif ($Package.state -eq 'Permanent') {
        $Item.state = 'not_removable'
        $Item.reason = 'the package is permanent'
    } elseif (-not $DryRun) {
        Remove-Update $Item $Package
    }
}

function Invoke-Worker($Parameters) {
    $before = Get-Os
    $packages = @(Get-CbsPackages)
    $items = @($Parameters.targets | ForEach-Object {
            [ordered]@{ kb = $_.kb; package = ''; state = 'pending'; exit_code = $null; reason = '' }
        })
    $script:Status.items = $items
    for ($i = 0; $i -lt $items.Count; $i++) {
        Set-Phase 'remove' $items[$i].kb ([int](90 * $i / $items.Count))
        Invoke-Target $items[$i] (Find-Package $packages @($Parameters.targets)[$i]) ([bool]$Parameters.dry_run)
        Write-JobLog "$($items[$i].kb) $($items[$i].state) $($items[$i].reason)"
    }
    $script:Status.result = [ordered]@{ os_before = $before; os_after = Get-Os; items = $items }
    $good = @($items | Where-Object { @('removed', 'pending_reboot') -contains $_.state }).Count
    $bad = @($items | Where-Object { @('failed', 'not_removable') -contains $_.state }).Count
    $script:Status.state = Get-Outcome $good $bad
}

Invoke-Job $job_dir
