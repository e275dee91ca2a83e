param([string]$job_dir)
# include: common.ps1
# include: common_files.ps1
# include: common_boot.ps1
# include: common_jobs.ps1
# include: common_worker.ps1
# include: common_points.ps1

# Makes a way back: a restore point on clients, a shadow copy where there is none. Neither restores
# the state of servicing. Done is what Windows lists afterwards.

$script:ShadowCodes = @(
    'made', 'access denied', 'invalid argument', 'volume not found', 'volume not supported', 'unsupported context'
    'insufficient storage', 'volume in use', 'too many shadow copies', 'another operation in progress'
    'provider vetoed', 'provider not registered', 'provider failed', 'unknown error'
)

function New-Failure([string]$Kind, [string]$Volume, $Code, [string]$Reason) {
    Write-JobLog "no $($Kind -replace '_', ' ') was made: $Reason"
    [ordered]@{ kind = $Kind; volume = $Volume; return_code = $Code; reason = Limit-Text $Reason 1000 }
}

# At most one a day, says Windows; for this call it may be more.
function New-RestorePoint([string]$Label) {
    $path = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\SystemRestore'
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($path)
    $name = 'SystemRestorePointCreationFrequency'
    $before = $key.GetValue($name)
    try {
        $key.SetValue($name, 0, [Microsoft.Win32.RegistryValueKind]::DWord)
        # 12: settings are changed. 100: a change begins.
        $point = @{ Description = $Label; RestorePointType = [uint32]12; EventType = [uint32]100 }
        $class = @{ Namespace = 'root/default'; ClassName = 'SystemRestore' }
        $said = Invoke-CimMethod @class -MethodName CreateRestorePoint -Arguments $point
        [int]$said.ReturnValue
    } finally {
        if ($null -eq $before) { $key.DeleteValue($name, $false) } else { $key.SetValue($name, $before) }
        $key.Dispose()
    }
}

function Invoke-RestorePoint([string]$Label) {
    try {
        $code = New-RestorePoint $Label
        $seen = @(Get-RestorePoints | Where-Object { $_.label -ceq $Label })
    } catch {
        return New-Failure 'restore_point' '' $null $_.Exception.Message
    }
    # 1058: the service, and with it System Restore, is switched off.
    if ($code -eq 1058) { return New-Failure 'restore_point' '' $null 'System Restore is switched off' }
    if ($code -ne 0) { return New-Failure 'restore_point' '' $null "CreateRestorePoint ended with $code" }
    if ($seen.Count -eq 0) { return New-Failure 'restore_point' '' $null 'Windows said it made one and lists none' }
}

function Invoke-ShadowCopy([string]$Label, [string]$Volume, [string]$Root) {
    try {
        $arguments = @{ Volume = "$Volume\"; Context = 'ClientAccessible' }
        $said = Invoke-CimMethod -ClassName Win32_ShadowCopy -MethodName Create -Arguments $arguments
    } catch {
        return New-Failure 'shadow_copy' $Volume $null $_.Exception.Message
    }
    $code = [int]$said.ReturnValue
    if ($code -ne 0) {
        $reason = if ($code -lt $script:ShadowCodes.Count) { $script:ShadowCodes[$code] } else { "return code $code" }
        return New-Failure 'shadow_copy' $Volume $code $reason
    }
    $record = [ordered]@{
        label = $Label; kind = 'shadow_copy'; reference = $said.ShadowID; volume = $Volume; created_unix = Get-UnixNow
    }
    $json = ConvertTo-Json -InputObject $record -Depth 3
    Write-WholeText (Get-PointPath $Root $Label) $json
}

function Get-Points([string]$Label, [string]$Root) {
    $restore = @()
    try {
        $restore = @(Get-RestorePoints)
    } catch {
        # A client whose System Restore is damaged can still make a shadow copy.
        Write-JobLog "restore points cannot be listed: $($_.Exception.Message)"
    }
    $all = $restore + (Get-ShadowPoints $Root).points
    @($all | Where-Object { $_.label -ceq $Label })
}

function Invoke-Worker($Parameters) {
    $root = Get-Root
    $label = $Parameters.label
    $volume = $Parameters.volume
    if ($volume -eq '') { $volume = [Environment]::SystemDirectory.Substring(0, 2).ToUpperInvariant() }
    $client = [int](Get-CimInstance -ClassName Win32_OperatingSystem).ProductType -eq 1
    $failed = @()
    Set-Phase 'snapshot' $label 10
    $points = @(Get-Points $label $root)
    if ($points.Count -eq 0 -and $client) { $failed += @(Invoke-RestorePoint $label) }
    if (@(Get-Points $label $root).Count -eq 0) { $failed += @(Invoke-ShadowCopy $label $volume $root) }
    $points = @(Get-Points $label $root)
    $script:Status.result = [ordered]@{ points = $points; failed = $failed }
    $full = @($failed | Where-Object { $_.return_code -eq 6 }).Count -gt 0
    $script:Status.state = if ($points.Count -gt 0) { 'succeeded' } elseif ($full) { 'no_space' } else { 'failed' }
}

Invoke-Job $job_dir
