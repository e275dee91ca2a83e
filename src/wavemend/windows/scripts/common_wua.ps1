# The Windows Update Agent. Only a SYSTEM task may ask it: a WinRM session is refused.

function Get-Guid($Text) {
    $id = "$Text".ToLowerInvariant()
    if ($id -match '\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z') { $id } else { '' }
}

# What a WUA object may lack, by its age or its kind.
function Get-Property($From, [string]$Name, $Default) {
    if ($null -eq $From) { return $Default }
    try {
        $value = $From.$Name
    } catch {
        return $Default
    }
    if ($null -eq $value) { $Default } else { $value }
}

function New-UpdateSession {
    $session = New-Object -ComObject Microsoft.Update.Session
    $session.ClientApplicationID = 'wavemend'
    $session.UserLocale = 1033  # titles in one language, whatever the host shows
    $session
}

# server_selection: 0 obeys the host's policy (WSUS), 2 is Microsoft's own, 3 the service named.
function New-UpdateSearcher($Session, $Parameters) {
    $searcher = $Session.CreateUpdateSearcher()
    $searcher.ServerSelection = [int]$Parameters.server_selection
    if ([int]$Parameters.server_selection -eq 3) { $searcher.ServiceID = $Parameters.service_id }
    $searcher.Online = $true
    $searcher
}

# Returns @{result; error; code}: a result, or why there is none after three tries. One with errors
# (3) may lack updates: it is taken when a second search ends no better.
function Invoke-Search($Searcher, [string]$Criteria) {
    $fault = $null
    $code = 0
    $partial = $null
    foreach ($wait in 0, 30, 90) {
        Start-Sleep -Seconds $wait
        try {
            $result = $Searcher.Search($Criteria)
        } catch {
            $fault = New-Fault 'search' $_.Exception
            Write-JobLog "search failed: $($fault.hresult) $($fault.message)"
            continue
        }
        $code = [int]$result.ResultCode
        if ($code -eq 2) { return @{ result = $result; error = $null; code = 2 } }
        if ($code -eq 3) {
            if ($null -ne $partial) { break }
            $partial = $result
        }
        $fault = [ordered]@{ hresult = ''; context = 'search'; message = "the search ended with result code $code" }
        Write-JobLog $fault.message
    }
    if ($null -ne $partial) { return @{ result = $partial; error = $null; code = 3 } }
    # Of a search that threw there is no code: 4 is "failed".
    @{ result = $null; error = $fault; code = if ($code -eq 5) { 5 } else { 4 } }
}

function Get-Kbs($Update) {
    foreach ($number in (Get-Property $Update 'KBArticleIDs' @())) {
        if ("$number" -match '\A[0-9]{5,8}\z') { "KB$number" }
    }
}

function Get-TitleKb([string]$Title) { [regex]::Match($Title, 'KB[0-9]{5,8}').Value }

function Get-FirstKb($Update) {
    $kbs = @(Get-Kbs $Update)
    if ($kbs.Count -gt 0) { $kbs[0] } else { Get-TitleKb $Update.Title }
}

function Get-Categories($Update) {
    foreach ($category in (Get-Property $Update 'Categories' @())) {
        [ordered]@{
            id = "$($category.CategoryID)".ToLowerInvariant()
            name = Limit-Text "$($category.Name)" 256; type = Limit-Text "$($category.Type)" 64
        }
    }
}

function ConvertTo-Update($Update) {
    $behavior = Get-Property $Update 'InstallationBehavior' $null
    $reboots = @('never', 'always', 'can_request')
    $reboot = [int](Get-Property $behavior 'RebootBehavior' -1)
    $published = Get-Property $Update 'LastDeploymentChangeTime' $null
    $size = [decimal](Get-Property $Update 'MaxDownloadSize' 0)
    [ordered]@{
        update_id = Get-Guid $Update.Identity.UpdateID
        revision = [int]$Update.Identity.RevisionNumber
        title = Limit-Text "$($Update.Title)" 1024
        kb = @(Get-Kbs $Update)
        cve = @(foreach ($cve in (Get-Property $Update 'CveIDs' @())) { Limit-Text "$cve" 64 })
        msrc_severity = "$(Get-Property $Update 'MsrcSeverity' '')"
        categories = @(Get-Categories $Update)
        type = if ([int]$Update.Type -eq 2) { 'driver' } else { 'software' }
        max_download_bytes = $size.ToString('0', [Globalization.CultureInfo]::InvariantCulture)
        is_downloaded = [bool]$Update.IsDownloaded
        is_mandatory = [bool]$Update.IsMandatory
        is_uninstallable = [bool](Get-Property $Update 'IsUninstallable' $false)
        optional = [bool](Get-Property $Update 'BrowseOnly' $false)
        eula_accepted = [bool]$Update.EulaAccepted
        can_request_input = [bool](Get-Property $behavior 'CanRequestUserInput' $false)
        exclusive = [int](Get-Property $behavior 'Impact' 0) -eq 2
        reboot_behavior = if ($reboot -ge 0 -and $reboot -lt 3) { $reboots[$reboot] } else { 'unknown' }
        supersedes = @(foreach ($id in (Get-Property $Update 'SupersededUpdateIDs' @())) { Get-Guid $id })
        support_url = Limit-Text "$(Get-Property $Update 'SupportUrl' '')" 2048
        published = if ($null -ne $published) { Format-Unmarked $published } else { '' }
    }
}

# Definitions of Defender: never through WUA, which calls them installed when they are not.
function Test-DefenderDefinitions($Update) {
    $ids = @(Get-Categories $Update | ForEach-Object { $_.id })
    $definitions = $ids -contains 'e0789628-ce08-4437-be74-2495b842f43b'
    $definitions -and ((Get-FirstKb $Update) -eq 'KB2267602' -or $Update.Title -match 'Defender')
}
