# One update at a time: progress, and a stop point after each, for free. What is under way is never
# killed.

function New-InstallItem([string]$UpdateId) {
    [ordered]@{
        update_id = $UpdateId; title = ''; kb = ''; state = 'pending'; result_code = $null; hresult = ''
        reboot_required = $false; reason = ''; seconds = 0
    }
}

function Set-Skipped($Item, [string]$Reason) {
    $Item.state = 'skipped'
    $Item.reason = $Reason
}

# Result 3, succeeded with errors, is a warning: the second look decides what is installed.
function Set-Result($Item, [int]$Code, [int]$Hresult, [string]$Step) {
    $Item.result_code = $Code
    $Item.hresult = '0x{0:X8}' -f $Hresult
    $Item.state = switch ($Code) {
        2 { 'succeeded' }
        3 { 'succeeded_with_errors' }
        5 { 'aborted' }
        default { 'failed' }
    }
    if (@('failed', 'aborted') -contains $Item.state) { $Item.reason = $Step }
}

function Set-Failed($Item, [Exception]$Cause, [string]$Step) {
    $Item.state = 'failed'
    $Item.hresult = Get-Hresult $Cause
    $Item.reason = if ($Step -eq 'download') { $Step } else { Limit-Text "${Step}: $($Cause.Message)" 1000 }
}

function New-Collection($Update) {
    $updates = New-Object -ComObject Microsoft.Update.UpdateColl
    [void]$updates.Add($Update)
    # The comma keeps PowerShell from unrolling the collection.
    , $updates
}

# Another installer of the host: 10 minutes are waited for it.
function Wait-Installer($Installer) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($Installer.IsBusy) {
        if ($watch.Elapsed.TotalSeconds -ge 600) { return $false }
        Start-Sleep -Seconds 10
    }
    $true
}

function Save-Update($Session, $Update, $Item) {
    if ($Update.IsDownloaded) { return $true }
    $Item.state = 'downloading'
    Write-Status
    try {
        $downloader = $Session.CreateUpdateDownloader()
        $downloader.Updates = New-Collection $Update
        $done = $downloader.Download()
        $result = $done.GetUpdateResult(0)
        Set-Result $Item ([int]$result.ResultCode) ([int]$result.HResult) 'download'
    } catch {
        Set-Failed $Item $_.Exception 'download'
    }
    if (@('succeeded', 'succeeded_with_errors') -notcontains $Item.state) { return $false }
    $Item.state = 'downloaded'
    Write-Status
    $true
}

function Install-Update($Session, $Update, $Item) {
    $Item.state = 'installing'
    Write-Status
    try {
        $installer = $Session.CreateUpdateInstaller()
        $installer.AllowSourcePrompts = $false
        $installer.ForceQuiet = $true
        $installer.Updates = New-Collection $Update
        if (-not (Wait-Installer $installer)) { throw 'another installer was at work for 10 minutes' }
        $done = $installer.Install()
        $result = $done.GetUpdateResult(0)
        Set-Result $Item ([int]$result.ResultCode) ([int]$result.HResult) 'install'
        $Item.reboot_required = [bool]$result.RebootRequired -or [bool]$done.RebootRequired
    } catch {
        Set-Failed $Item $_.Exception 'install'
    }
}

# Definitions of Defender, by its own program: the version it then has decides.
function Update-Definitions($Update, $Item) {
    $Item.state = 'installing'
    Write-Status
    try {
        $folder = Get-RegistryValue 'SOFTWARE\Microsoft\Windows Defender' 'InstallLocation'
        $run = Invoke-Program ([IO.Path]::Combine($folder, 'MpCmdRun.exe')) '-SignatureUpdate' 0
        $signatures = 'SOFTWARE\Microsoft\Windows Defender\Signature Updates'
        $have = Get-RegistryValue $signatures 'AVSignatureVersion'
        $offered = [regex]::Match($Update.Title, '[0-9]+(\.[0-9]+){3}').Value
        $reached = $offered -eq '' -or ($null -ne $have -and [version]$have -ge [version]$offered)
        $code = if ($run.exit_code -eq 0 -and $reached) { 2 } else { 4 }
        Set-Result $Item $code 0 "MpCmdRun ended with $($run.exit_code), signatures are at $have"
        $Item.hresult = ''
    } catch {
        Set-Failed $Item $_.Exception 'definitions'
    }
}

# Why an offered update is not taken; empty when it is. Accepting a licence is the profile's word.
function Get-Unfit($Update, [bool]$AcceptEula) {
    $behavior = Get-Property $Update 'InstallationBehavior' $null
    if (Get-Property $behavior 'CanRequestUserInput' $false) { return 'needs_user_input' }
    if ($Update.EulaAccepted) { return '' }
    if (-not $AcceptEula) { return 'eula' }
    try {
        [void]$Update.AcceptEula()
    } catch {
        Write-JobLog "the licence was not accepted: $($_.Exception.Message)"
        return 'eula'
    }
    ''
}
