# What the host is and what it waits for.

$script:Cbs = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing'
$script:Version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'

# Always four parts; hosts before Windows 10 have no major number of their own.
function Get-Build {
    $major = Get-RegistryValue $script:Version 'CurrentMajorVersionNumber'
    $minor = Get-RegistryValue $script:Version 'CurrentMinorVersionNumber'
    $kernel = if ($null -eq $major) { Get-RegistryValue $script:Version 'CurrentVersion' } else { "$major.$minor" }
    "$kernel.$(Get-RegistryValue $script:Version 'CurrentBuildNumber').$(Get-Ubr)"
}

function Get-Ubr { [long](Get-RegistryValue $script:Version 'UBR') }

function Get-Architecture {
    $names = @{ AMD64 = 'x64'; ARM64 = 'arm64'; X86 = 'x86' }
    $said = [Environment]::GetEnvironmentVariable('PROCESSOR_ARCHITECTURE', 'Machine')
    if ($names.ContainsKey($said)) { $names[$said] } else { "$said".ToLowerInvariant() }
}

function Get-Os {
    $os = Get-CimInstance -ClassName Win32_OperatingSystem
    $drive = New-Object IO.DriveInfo ([IO.Path]::GetPathRoot([Environment]::SystemDirectory))
    $targeting = "$script:Version\Update\TargetingInfo\DynamicInstalled"
    [ordered]@{
        caption = "$($os.Caption)".Trim()
        build = Get-Build
        edition = "$(Get-RegistryValue $script:Version 'EditionID')"
        installation_type = "$(Get-RegistryValue $script:Version 'InstallationType')"
        architecture = Get-Architecture
        product_type = [int]$os.ProductType
        boot_id = Get-BootId
        last_boot = Format-Utc $os.LastBootUpTime
        free_system_drive_mb = [long][Math]::Floor($drive.AvailableFreeSpace / 1MB)
        computer = [Environment]::MachineName
        machine_id = "$(Get-RegistryValue 'SOFTWARE\Microsoft\Cryptography' 'MachineGuid')".ToLowerInvariant()
        ubr = Get-Ubr
        product_name = "$(Get-RegistryValue $script:Version 'ProductName')"
        display_version = "$(Get-RegistryValue $script:Version 'DisplayVersion')"
        hotpatch_enrolled = $null -ne (Get-RegistryValue "$targeting\Hotpatch.amd64" 'Name')
    }
}

# Reasons that make servicing refuse or go wrong: nothing is installed before the restart.
function Get-HardReasons {
    $names = 'SYSTEM\CurrentControlSet\Control\ComputerName'
    $netlogon = 'SYSTEM\CurrentControlSet\Services\Netlogon'
    $reasons = @()
    if (Test-RegistryKey "$script:Cbs\RebootPending") { $reasons += 'cbs_reboot_pending' }
    if (Test-RegistryKey "$script:Cbs\RebootInProgress") { $reasons += 'cbs_reboot_in_progress' }
    if (Test-RegistryKey "$script:Cbs\PackagesPending") { $reasons += 'cbs_packages_pending' }
    if (Test-RegistryKey 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired') {
        $reasons += 'wu_reboot_required'
    }
    $volatile = Get-RegistryValue 'SOFTWARE\Microsoft\Updates' 'UpdateExeVolatile'
    if ($null -ne $volatile -and $volatile -ne 0) { $reasons += 'update_exe_volatile' }
    $active = Get-RegistryValue "$names\ActiveComputerName" 'ComputerName'
    if ($active -ne (Get-RegistryValue "$names\ComputerName" 'ComputerName')) { $reasons += 'computer_rename' }
    $joining = @('JoinDomain', 'AvoidSpnSet') | Where-Object { $null -ne (Get-RegistryValue $netlogon $_) }
    if ($joining) { $reasons += 'domain_join' }
    if (Test-ConfigMgrReboot) { $reasons += 'configmgr' }
    $reasons
}

function Test-ConfigMgrReboot {
    if (-not (Test-RegistryKey 'SYSTEM\CurrentControlSet\Services\CcmExec')) { return $false }
    $class = @{ Namespace = 'root/ccm/ClientSDK'; ClassName = 'CCM_ClientUtilities' }
    $said = Invoke-CimMethod @class -MethodName DetermineIfRebootPending -ErrorAction SilentlyContinue
    $null -ne $said -and ($said.RebootPending -or $said.IsHardRebootPending)
}

function Get-PendingRenames {
    $key = 'SYSTEM\CurrentControlSet\Control\Session Manager'
    $count = 0
    foreach ($name in 'PendingFileRenameOperations', 'PendingFileRenameOperations2') {
        # Pairs of source and destination; an empty destination is a deletion.
        $count += [Math]::Ceiling(@(Get-RegistryValue $key $name | Where-Object { $null -ne $_ }).Count / 2)
    }
    [int]$count
}

# Noise of virus scanners and printer drivers: reported, decides nothing.
function Get-SoftReasons([int]$PendingRenames) {
    $update = 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate'
    $reasons = @()
    if ($PendingRenames -gt 0) { $reasons += 'pending_file_rename' }
    if (Test-RegistryKey "$update\Auto Update\PostRebootReporting") { $reasons += 'post_reboot_reporting' }
    if (@(Get-RegistrySubkeys "$update\Services\Pending").Count -gt 0) { $reasons += 'services_pending' }
    if (Test-RegistryKey 'SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts') { $reasons += 'server_manager' }
    $dvd = Get-RegistryValue 'SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce' 'DVDRebootSignal'
    if ($null -ne $dvd) { $reasons += 'dvd_reboot_signal' }
    $reasons
}

function Get-RebootPending {
    $hard = @(Get-HardReasons)
    $renames = Get-PendingRenames
    $soft = @(Get-SoftReasons $renames)
    [ordered]@{
        pending = ($hard.Count + $soft.Count) -gt 0
        hard = $hard.Count -gt 0
        reasons = $hard
        soft_reasons = $soft
        servicing_in_progress = Test-Servicing
        pending_renames = $renames
        boot_id = Get-BootId
        last_boot = Format-Utc (Get-LastBoot)
    }
}

# Updates as component servicing knows them; its registry, because DISM takes half a minute.
function Get-CbsPackages {
    $states = @{
        0 = 'NotPresent'; 5 = 'UninstallPending'; 16 = 'Resolving'; 32 = 'Resolved'; 48 = 'Staging'
        64 = 'Staged'; 80 = 'Superseded'; 96 = 'InstallPending'; 101 = 'PartiallyInstalled'
        112 = 'Installed'; 128 = 'Permanent'
    }
    foreach ($name in (Get-RegistrySubkeys "$script:Cbs\Packages" | Sort-Object)) {
        if ($name -notlike 'Package_for_*') { continue }
        $key = "$script:Cbs\Packages\$name"
        $state = Get-RegistryValue $key 'CurrentState'
        $known = if ($null -ne $state) { $states[[int]$state] } else { 'Unknown' }
        [ordered]@{
            name = $name
            state = if ($null -ne $known) { $known } else { "$state" }
            release_type = ''
            installed = Get-CbsTime $key
        }
    }
}

function Get-CbsTime([string]$Key) {
    $high = Get-RegistryValue $Key 'InstallTimeHigh'
    $low = Get-RegistryValue $Key 'InstallTimeLow'
    if ($null -eq $high -or $null -eq $low -or $high -eq 0) { return '' }
    # The registry's 32 bits are signed here; of a time they are not.
    $time = (([long]$high -band 0xFFFFFFFFL) -shl 32) -bor ([long]$low -band 0xFFFFFFFFL)
    Format-Utc ([DateTime]::FromFileTimeUtc($time))
}

# Empty where Chocolatey is not installed.
function Get-ChocoPath {
    $home_folder = [Environment]::GetEnvironmentVariable('ChocolateyInstall', 'Machine')
    if (-not $home_folder) {
        $data = [Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData)
        $home_folder = [IO.Path]::Combine($data, 'chocolatey')
    }
    $path = [IO.Path]::Combine($home_folder, 'bin', 'choco.exe')
    if ([IO.File]::Exists($path)) { $path } else { '' }
}
