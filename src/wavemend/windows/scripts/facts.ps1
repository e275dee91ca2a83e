param()
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_host.ps1

# All that can be read of a host without the Windows Update Agent. Changes nothing.

function Get-Policy {
    $key = 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
    $options = Get-RegistryValue "$key\AU" 'AUOptions'
    [ordered]@{
        wsus_server = "$(Get-RegistryValue $key 'WUServer')"
        use_wsus = (Get-RegistryValue "$key\AU" 'UseWUServer') -eq 1
        no_internet = (Get-RegistryValue $key 'DoNotConnectToWindowsUpdateInternetLocations') -eq 1
        dual_scan_disabled = (Get-RegistryValue $key 'DisableDualScan') -eq 1
        au_options = if ($null -ne $options) { [int]$options } else { $null }
        no_auto_update = (Get-RegistryValue "$key\AU" 'NoAutoUpdate') -eq 1
        configmgr = Test-RegistryKey 'SYSTEM\CurrentControlSet\Services\CcmExec'
    }
}

# The system drive first.
function Get-Disks {
    $system = [IO.Path]::GetPathRoot([Environment]::SystemDirectory)
    $drives = [IO.DriveInfo]::GetDrives()
    $first = @($drives | Where-Object { $_.Name -eq $system })
    foreach ($drive in $first + @($drives | Where-Object { $_.Name -ne $system })) {
        if ($drive.IsReady -and $drive.DriveType -eq [IO.DriveType]::Fixed) {
            [ordered]@{ path = $drive.Name; free_bytes = $drive.AvailableFreeSpace }
        }
    }
}

# Whoever holds Windows Installer's mutex installs. Servicing's own keys say no more than that
# something waits for its restart: whether it works now, the install worker asks the agent.
function Get-InstallerBusy {
    $holder = ''
    foreach ($name in 'wusa', 'dism', 'msiexec') {
        $processes = @([Diagnostics.Process]::GetProcessesByName($name))
        if ($processes.Count -gt 0 -and ($name -ne 'msiexec' -or (Test-MsiMutex))) {
            $holder = "$name ($($processes[0].Id))"
        }
    }
    [ordered]@{ busy = $holder -ne ''; holder = $holder }
}

function Test-MsiMutex {
    $mutex = $null
    try {
        if (-not [Threading.Mutex]::TryOpenExisting('Global\_MSIExecute', [ref]$mutex)) { return $false }
        if (-not $mutex.WaitOne(0)) { return $true }
        $mutex.ReleaseMutex()
        $false
    } catch {
        # It is there and may not be looked at, or its last holder died in it.
        $true
    } finally {
        if ($null -ne $mutex) { $mutex.Dispose() }
    }
}

function Get-UpdateServiceStart {
    $start = Get-RegistryValue 'SYSTEM\CurrentControlSet\Services\wuauserv' 'Start'
    if ($null -eq $start) { return 'missing' }
    $names = @{ 2 = 'auto'; 3 = 'manual'; 4 = 'disabled' }
    if ($names.ContainsKey($start)) { $names[$start] } else { 'unknown' }
}

# A date, or the text of one in the form of the United States; hosts write other things as well.
function Get-Day($On) {
    if ($On -is [DateTime]) { return Format-Unmarked $On }
    $day = [DateTime]::MinValue
    $english = [Globalization.CultureInfo]::InvariantCulture
    $styles = [Globalization.DateTimeStyles]::None
    if (-not [DateTime]::TryParseExact("$On", 'M/d/yyyy', $english, $styles, [ref]$day)) { return '' }
    Format-Unmarked $day
}

function Get-Hotfixes {
    foreach ($fix in Get-CimInstance -ClassName Win32_QuickFixEngineering) {
        [ordered]@{ kb = "$($fix.HotFixID)"; installed_on = Get-Day $fix.InstalledOn }
    }
}

function Get-Products {
    $framework = Get-RegistryValue 'SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full' 'Version'
    if ($framework) { [ordered]@{ name = 'dotnet-framework'; version = "$framework" } }
    foreach ($part in 'Microsoft.NETCore.App', 'Microsoft.AspNetCore.App', 'Microsoft.WindowsDesktop.App') {
        $path = "SOFTWARE\WOW6432Node\dotnet\Setup\InstalledVersions\x64\sharedfx\$part"
        $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($path)
        if ($null -eq $key) { continue }
        foreach ($version in ($key.GetValueNames() | Sort-Object)) { [ordered]@{ name = $part; version = $version } }
        $key.Dispose()
    }
}

# $null where Defender is not there or another product took its place.
function Get-Defender {
    try {
        $status = Get-CimInstance -Namespace root/Microsoft/Windows/Defender -ClassName MSFT_MpComputerStatus
    } catch {
        return $null
    }
    if (-not $status.AMServiceEnabled) { return $null }
    $age = [long]$status.AntivirusSignatureAge
    [ordered]@{ signature_version = "$($status.AntivirusSignatureVersion)"; signature_age_days = $age }
}

function Get-JournalTail {
    $text = Read-Text ([IO.Path]::Combine((Get-Root), 'journal'))
    $lines = $text.Split([char[]]"`n", [StringSplitOptions]::RemoveEmptyEntries)
    @($lines | Select-Object -Last 60 | ForEach-Object { Limit-Text $_ 500 })
}

[ordered]@{
    os = Get-Os
    policy = Get-Policy
    reboot = Get-RebootPending
    uptime_seconds = Get-UptimeSeconds
    utc_now = Format-Utc ([DateTime]::UtcNow)
    disks = @(Get-Disks)
    logged_on = @(Get-LoggedOn)
    installer_busy = Get-InstallerBusy
    wuauserv_start = Get-UpdateServiceStart
    scheduled_shutdown = Get-ScheduledShutdown
    hotfixes = @(Get-Hotfixes)
    packages = @(Get-CbsPackages)
    products = @(Get-Products)
    journal_tail = @(Get-JournalTail)
    defender = Get-Defender
    chocolatey = (Get-ChocoPath) -ne ''
}
