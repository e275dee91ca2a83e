param([string]$job_id)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1

# What only `wavemend winrm-selftest` asks: settings of the WinRM service, which ways back there
# could be, and how a job's folder and task really look. A part that cannot be read is said, and the
# others are read all the same. Reads only.

$script:Faults = @()

function Add-Fault([string]$Context, [Exception]$Cause) { $script:Faults += New-Fault $Context $Cause }

function Get-Setting([string]$Name) {
    try {
        "$((Get-Item -LiteralPath "WSMan:\localhost\$Name").Value)"
    } catch {
        Add-Fault $Name $_.Exception
        ''
    }
}

# Every shell of WinRM is a process of its own; those of other users are counted, too.
function Get-ShellCount { @([Diagnostics.Process]::GetProcessesByName('winrshost')).Count }

function Get-FolderSddl {
    if ($job_id -eq '') { return '' }
    try {
        $sections = [Security.AccessControl.AccessControlSections]'Access, Owner'
        $folder = New-Object IO.DirectoryInfo (Get-JobFolder (Get-Root) $job_id)
        $folder.GetAccessControl($sections).GetSecurityDescriptorSddlForm($sections)
    } catch {
        Add-Fault "the folder of $job_id" $_.Exception
        ''
    }
}

# As the scheduler wrote it down: an id, whatever the display language calls it.
function Get-TaskUser {
    if ($job_id -eq '') { return '' }
    try {
        $settings = Get-JobSettings (Get-JobFolder (Get-Root) $job_id)
        $task = (Get-TaskFolder).GetTask("Wavemend-$($settings.kind)-$job_id")
        [regex]::Match($task.Xml, '<UserId>([^<]{1,200})</UserId>').Groups[1].Value
    } catch {
        Add-Fault "the task of $job_id" $_.Exception
        ''
    }
}

function Get-RestorePointObstacle {
    if ([int](Get-CimInstance -ClassName Win32_OperatingSystem).ProductType -ne 1) {
        return 'servers have no System Restore'
    }
    if ((Get-RegistryValue 'SOFTWARE\Policies\Microsoft\Windows NT\SystemRestore' 'DisableSR') -eq 1) {
        return 'a policy switches System Restore off'
    }
    $on = Get-RegistryValue 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\SystemRestore' 'RPSessionInterval'
    if ($on -ne 1) { return 'System Restore is switched off' }
    ''
}

function Get-ShadowCopyObstacle {
    foreach ($service in 'VSS', 'swprv') {
        $start = Get-RegistryValue "SYSTEM\CurrentControlSet\Services\$service" 'Start'
        if ($null -eq $start -or $start -eq 4) { return "the service $service is missing or disabled" }
    }
    ''
}

function Get-WayBack([string]$Kind, [string]$Obstacle) {
    [ordered]@{ kind = $Kind; possible = $Obstacle -eq ''; reason = $Obstacle }
}

[ordered]@{
    utc_now = Format-Utc ([DateTime]::UtcNow)
    cbt_level = Get-Setting 'Service\Auth\CbtHardeningLevel'
    max_shells = Get-Setting 'Shell\MaxShellsPerUser'
    shells_open = Get-ShellCount
    folder_sddl = Get-FolderSddl
    task_user = Get-TaskUser
    ways_back = @(
        Get-WayBack 'restore_point' (Get-RestorePointObstacle)
        Get-WayBack 'shadow_copy' (Get-ShadowCopyObstacle)
    )
    faults = @($script:Faults)
}
