# What every script begins with. Windows PowerShell 5.1; text is ASCII, times are UTC, nothing here
# depends on the display language.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
# Without this, 5.1 may write an array as {"value": [], "Count": 0}.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

function Format-Utc([DateTime]$When) {
    $When.ToUniversalTime().ToString('yyyy-MM-dd\THH:mm:ss\Z', [Globalization.CultureInfo]::InvariantCulture)
}

# Dates of Windows Update are UTC and do not say so.
function Format-Unmarked([DateTime]$When) { Format-Utc ([DateTime]::SpecifyKind($When, [DateTimeKind]::Utc)) }

function ConvertTo-Unix([DateTime]$When) {
    $epoch = New-Object DateTime (1970, 1, 1, 0, 0, 0, [DateTimeKind]::Utc)
    [long][Math]::Floor(($When.ToUniversalTime() - $epoch).TotalSeconds)
}

function Get-UnixNow { ConvertTo-Unix ([DateTime]::UtcNow) }

function Limit-Text([string]$Text, [int]$Length) {
    if ($Text.Length -gt $Length) { $Text.Substring(0, $Length) } else { $Text }
}

# The innermost HRESULT that is not .NET's own (facility 0x13); empty where there is none.
function Get-Hresult([Exception]$Cause) {
    $found = ''
    while ($null -ne $Cause) {
        $code = '0x{0:X8}' -f $Cause.HResult
        if ($Cause.HResult -lt 0 -and -not $code.StartsWith('0x8013')) { $found = $code }
        $Cause = $Cause.InnerException
    }
    $found
}

function New-Fault([string]$Context, [Exception]$Cause) {
    [ordered]@{
        hresult = Get-Hresult $Cause; context = Limit-Text $Context 200
        message = Limit-Text $Cause.Message 2000
    }
}

# Below HKEY_LOCAL_MACHINE; $null where the key or the value is not there.
function Get-RegistryValue([string]$Key, [string]$Name) {
    [Microsoft.Win32.Registry]::GetValue("HKEY_LOCAL_MACHINE\$Key", $Name, $null)
}

function Test-RegistryKey([string]$Key) {
    $found = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $found) { return $false }
    $found.Dispose()
    $true
}

function Get-RegistrySubkeys([string]$Key) {
    $found = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $found) { return }
    try { $found.GetSubKeyNames() } finally { $found.Dispose() }
}

# Runs a program; its output is for explanations. -Seconds 0: as long as it takes, because what
# changes the host is never killed. Exit code as a signed 32-bit number.
function Invoke-Program([string]$Path, [string]$Arguments, [int]$Seconds) {
    $start = New-Object Diagnostics.ProcessStartInfo ($Path, $Arguments)
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [Diagnostics.Process]::Start($start)
    try {
        # Both at once: a program that fills one pipe while the other is read would hang for ever.
        $said = $process.StandardOutput.ReadToEndAsync()
        $complained = $process.StandardError.ReadToEndAsync()
        if ($Seconds -eq 0) {
            $process.WaitForExit()
        } elseif (-not $process.WaitForExit($Seconds * 1000)) {
            $process.Kill()
            throw "$([IO.Path]::GetFileName($Path)) did not end within $Seconds s"
        }
        # A program may leave another one behind, which holds the pipes open for as long as it runs.
        $texts = [Threading.Tasks.Task[]]@($said, $complained)
        if ([Threading.Tasks.Task]::WaitAll($texts, 10000)) {
            return @{ exit_code = $process.ExitCode; text = $said.Result; complaint = $complained.Result }
        }
        if ($Seconds -ne 0) { throw "the output of $([IO.Path]::GetFileName($Path)) did not end with it" }
        @{ exit_code = $process.ExitCode; text = ''; complaint = 'what it left behind still holds its output' }
    } finally {
        $process.Dispose()
    }
}
