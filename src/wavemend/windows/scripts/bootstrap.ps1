# The one program every call starts: reads a request from stdin, runs its script, prints one line.
#
# Constant, so that no host's process log ever holds a script or a parameter. Request: base64 of
# gzip of {"script", "params"}. Answer: `WM1:` and base64 of {"schema", "ok", "data", "error"}.
# The only file that may make a script of text or end with `exit`: the text is ours, the status
# follows `ok`.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Set-StrictMode -Version 2
$answer = @{ schema = 1; ok = $false; data = $null; error = $null }
try {
    # Where PowerShell has taken stdin for $input, the console has none of it left, and vice versa.
    $text = @($input) -join ''
    if ($text -eq '') { $text = [Console]::In.ReadToEnd() }
    $packed = [Convert]::FromBase64String(($text -replace '[^A-Za-z0-9+/=]', ''))
    $memory = New-Object IO.MemoryStream (, $packed)
    $gzip = New-Object IO.Compression.GZipStream ($memory, [IO.Compression.CompressionMode]::Decompress)
    $reader = New-Object IO.StreamReader ($gzip, [Text.Encoding]::UTF8)
    $request = $reader.ReadToEnd() | ConvertFrom-Json
    $named = @{}
    foreach ($property in $request.params.PSObject.Properties) { $named[$property.Name] = $property.Value }
    # Without this, 5.1 may write an array as {"value": [], "Count": 0}.
    Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue
    $script = [ScriptBlock]::Create($request.script)
    $put = @(& $script @named)
    if ($put.Count -ne 1) { throw "the script put out $($put.Count) values instead of one" }
    $answer.data = $put[0]
    $answer.ok = $true
} catch {
    $cause = $_.Exception
    $hresult = ''
    while ($null -ne $cause) {
        # 0x8013 is .NET's own facility: it says nothing that the type does not say.
        $code = '0x{0:X8}' -f $cause.HResult
        if ($cause.HResult -lt 0 -and -not $code.StartsWith('0x8013')) { $hresult = $code }
        $cause = $cause.InnerException
    }
    $answer.error = @{
        message = "$($_.Exception.Message)"; type = $_.Exception.GetType().FullName
        hresult = $hresult; where = "$($_.ScriptStackTrace)"
    }
    foreach ($key in 'message', 'where') {
        $said = $answer.error[$key]
        $answer.error[$key] = $said.Substring(0, [Math]::Min(1000, $said.Length))
    }
}
try {
    $json = ConvertTo-Json -InputObject $answer -Depth 12 -Compress
} catch {
    $answer = @{
        schema = 1; ok = $false; data = $null
        error = @{ message = 'the answer cannot be written as JSON'; type = 'bootstrap'; hresult = ''; where = '' }
    }
    $json = ConvertTo-Json -InputObject $answer -Depth 12 -Compress
}
$line = "`nWM1:" + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)) + "`n"
$bytes = [Text.Encoding]::ASCII.GetBytes($line)
$stdout = [Console]::OpenStandardOutput()
$stdout.Write($bytes, 0, $bytes.Length)
$stdout.Flush()
if ($answer.ok) { exit 0 } else { exit 1 }
