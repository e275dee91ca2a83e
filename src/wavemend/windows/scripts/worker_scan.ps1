param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_worker.ps1
# include: common_wua.ps1

# What Windows Update offers this host and what it did before. Changes nothing.

function Get-History($Searcher, [int]$Count) {
    $total = [Math]::Min($Count, $Searcher.GetTotalHistoryCount())
    if ($total -eq 0) { return }
    $operations = @{ 1 = 'installation'; 2 = 'uninstallation' }
    foreach ($entry in $Searcher.QueryHistory(0, $total)) {
        $operation = $operations[[int]$entry.Operation]
        [ordered]@{
            date = Format-Unmarked $entry.Date
            title = Limit-Text "$($entry.Title)" 1024
            kb = Get-TitleKb "$($entry.Title)"
            operation = if ($null -ne $operation) { $operation } else { 'other' }
            result_code = [int]$entry.ResultCode
            hresult = '0x{0:X8}' -f [int]$entry.HResult
            update_id = Get-Guid (Get-Property (Get-Property $entry 'UpdateIdentity' $null) 'UpdateID' '')
            revision = [int](Get-Property (Get-Property $entry 'UpdateIdentity' $null) 'RevisionNumber' 0)
        }
    }
}

function Get-Warnings($Result) {
    if ($null -eq $Result) { return }
    foreach ($warning in (Get-Property $Result 'Warnings' @())) {
        [ordered]@{
            hresult = '0x{0:X8}' -f [int]$warning.HResult; context = "search $($warning.Context)"
            message = Limit-Text "$($warning.Message)" 2000
        }
    }
}

function Get-Offered($Result) {
    if ($null -eq $Result) { return }
    foreach ($update in $Result.Updates) { ConvertTo-Update $update }
}

# What names nothing that could be approved is not dropped in silence.
function Select-Named($Rows, [string]$Context) {
    $named = @($Rows | Where-Object { $_.update_id -ne '' })
    $nameless = @($Rows).Count - $named.Count
    $fault = [ordered]@{ hresult = ''; context = $Context; message = "$nameless entries without an update id" }
    @{ rows = $named; faults = @(if ($nameless -gt 0) { $fault }) }
}

function Invoke-Worker($Parameters) {
    Set-Phase 'search' $Parameters.criteria 10
    $searcher = New-UpdateSearcher (New-UpdateSession) $Parameters
    $search = Invoke-Search $searcher $Parameters.criteria
    Set-Phase 'inventory' '' 70
    $offered = Select-Named @(Get-Offered $search.result) 'search'
    Set-Phase 'history' '' 80
    $history = Select-Named @(Get-History $searcher ([int]$Parameters.history)) 'history'
    $system = New-Object -ComObject Microsoft.Update.SystemInfo
    $script:Status.result = [ordered]@{
        search_result_code = $search.code
        search_error = $search.error
        warnings = @(Get-Warnings $search.result) + $offered.faults + $history.faults
        updates = $offered.rows
        history = $history.rows
        system_reboot_required = [bool]$system.RebootRequired
    }
    $script:Status.reboot_required = [bool]$system.RebootRequired
    $script:Status.state = if ($null -eq $search.error) { 'succeeded' } else { 'failed' }
}

Invoke-Job $job_dir
