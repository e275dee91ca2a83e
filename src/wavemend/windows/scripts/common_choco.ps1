# Chocolatey, the source of third-party packages: winget does not work as SYSTEM.

# What any user could have put there, or may change, is not run as SYSTEM: every user may make folders
# below ProgramData, and whoever owns a file decides who may write to it.
function Assert-Trusted([string]$Path) {
    # SYSTEM, Administrators, TrustedInstaller; "creator owner" is whoever of these made a file.
    $installer = 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
    $trusted = @('S-1-5-18', 'S-1-5-32-544', 'S-1-3-0', $installer)
    $rights = 'WriteData, AppendData, Delete, DeleteSubdirectoriesAndFiles, ChangePermissions, TakeOwnership'
    $writing = [Security.AccessControl.FileSystemRights]$rights
    $is_folder = [IO.Directory]::Exists($Path)
    $item = if ($is_folder) { New-Object IO.DirectoryInfo $Path } else { New-Object IO.FileInfo $Path }
    $security = $item.GetAccessControl()
    $owner = $security.GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ($trusted -notcontains $owner) { throw "$Path belongs to ${owner}: it is not run as SYSTEM" }
    foreach ($rule in $security.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        $allows = $rule.AccessControlType -eq [Security.AccessControl.AccessControlType]::Allow
        $who = $rule.IdentityReference.Value
        if ($allows -and ($rule.FileSystemRights -band $writing) -ne 0 -and $trusted -notcontains $who) {
            throw "$Path may be changed by ${who}: it is not run as SYSTEM"
        }
    }
}

# Chocolatey's program, proven, with the folders of the scripts that it runs.
function Get-Choco {
    $path = Get-ChocoPath
    if ($path -eq '') { return '' }
    $bin = [IO.Path]::GetDirectoryName($path)
    $top = [IO.Path]::GetDirectoryName($bin)
    $names = 'choco.exe', 'lib', 'extensions', 'hooks', 'helpers', 'config'
    foreach ($part in @($top, $bin, $path) + @($names | ForEach-Object { [IO.Path]::Combine($top, $_) })) {
        if ([IO.File]::Exists($part) -or [IO.Directory]::Exists($part)) { Assert-Trusted $part }
    }
    $path
}

function Get-ChocoVersion([string]$Choco) {
    $found = [regex]::Match((Invoke-Program $Choco '--version' 120).text, '(?m)^[0-9]+(\.[0-9A-Za-z-]+)+')
    if (-not $found.Success) { throw 'choco --version says nothing in form' }
    $found.Value
}

# Lines of `a|b|c`; others are Chocolatey's own words.
function Split-ChocoLines([string]$Text, [int]$Fields) {
    foreach ($line in $Text.Split([char[]]"`r`n", [StringSplitOptions]::RemoveEmptyEntries)) {
        $parts = $line.Trim().Split('|')
        if ($parts.Count -eq $Fields) { @{ parts = $parts } }
    }
}

function Get-ChocoInstalled([string]$Choco, [string]$Version) {
    # Since version 2 a list is local by itself, and the old word for it an error.
    $local = if ($Version.StartsWith('0.') -or $Version.StartsWith('1.')) { ' --local-only' } else { '' }
    $run = Invoke-Program $Choco "list --limit-output --no-color$local" 300
    if ($run.exit_code -ne 0) { throw "choco list ended with $($run.exit_code): $(Limit-Text $run.text 300)" }
    foreach ($line in (Split-ChocoLines $run.text 2)) { [ordered]@{ name = $line.parts[0]; version = $line.parts[1] } }
}

function New-PackageItem($Package) {
    [ordered]@{
        name = $Package.name; version = $Package.version; version_before = ''; version_after = ''; state = 'pending'
        exit_code = $null; reboot_required = $false; reason = ''; seconds = 0
    }
}

function Get-ChocoOne([string]$Choco, [string]$Version, [string]$Name) {
    foreach ($package in (Get-ChocoInstalled $Choco $Version)) {
        if ($package.name -eq $Name) { return $package.version }
    }
    ''
}

# Raises one package to exactly the version that was approved; the list afterwards decides.
function Update-ChocoPackage([string]$Choco, [string]$Version, $Item) {
    # Both stand in a command line: nothing that could be read as an option or a second argument.
    $plain = '[A-Za-z0-9._+-]{0,127}\z'
    if ($Item.name -notmatch "\A[A-Za-z0-9]$plain" -or $Item.version -notmatch "\A[0-9]$plain") {
        $Item.state = 'failed'
        $Item.reason = 'the name or the version is not in form'
        return
    }
    $watch = [Diagnostics.Stopwatch]::StartNew()
    $Item.version_before = Get-ChocoOne $Choco $Version $Item.name
    if ($Item.version_before -eq '') {
        $Item.state = 'skipped'
        $Item.reason = 'not_installed'
        return
    }
    $wanted = "$($Item.name) --version $($Item.version)"
    $run = Invoke-Program $Choco "upgrade $wanted --yes --limit-output --no-color --no-progress" 0
    $Item.exit_code = $run.exit_code
    $Item.version_after = Get-ChocoOne $Choco $Version $Item.name
    $Item.reboot_required = @(1641, 3010, 350, 1604) -contains $run.exit_code
    $Item.seconds = [int]$watch.Elapsed.TotalSeconds
    # 350: Chocolatey did nothing before a restart; 1604: it stopped half way for one.
    $ended = @(0, 1641, 3010) -contains $run.exit_code
    $Item.state = if ($ended -and $Item.version_after -eq $Item.version) { 'succeeded' } else { 'failed' }
    if ($Item.state -eq 'failed') {
        $tail = $run.text.Substring([Math]::Max(0, $run.text.Length - 500))
        $Item.reason = "choco ended with $($run.exit_code): $tail"
        if (@(350, 1604) -contains $run.exit_code) { $Item.reason = 'reboot_first' }
    }
}

function Update-ChocoPackages($Items, [string]$DeadlineUtc, [bool]$ContinueOnError) {
    if (@($Items).Count -eq 0) { return }
    $choco = ''
    $unusable = 'Chocolatey is not installed'
    try {
        $choco = Get-Choco
        if ($choco -ne '') { $version = Get-ChocoVersion $choco }
    } catch {
        $choco = ''
        $unusable = Limit-Text $_.Exception.Message 1000
    }
    $failed = $false
    foreach ($item in $Items) {
        $stop = Get-StopReason $DeadlineUtc
        if ($stop -eq '' -and $failed -and -not $ContinueOnError) { $stop = 'stopped' }
        if ($stop -ne '') {
            $item.state = 'skipped'
            $item.reason = $stop
            continue
        }
        Set-Phase 'chocolatey' "$($item.name) $($item.version)" $script:Status.percent
        if ($choco -eq '') {
            $item.state = 'failed'
            $item.reason = $unusable
        } else {
            Update-ChocoPackage $choco $version $item
        }
        Write-JobLog "$($item.name) $($item.state) $($item.version_after) $($item.reason)"
        if ($item.reboot_required) { $script:Status.reboot_required = $true }
        if ($item.state -eq 'failed') { $failed = $true }
        Write-Status
    }
}
