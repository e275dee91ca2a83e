param([string]$label)
# include: common.ps1
# include: common_files.ps1
# include: common_points.ps1

# Removes the ways back of one label. A record goes only when what it names is gone.

$script:SystemRestore = @'
[DllImport("srclient.dll")] public static extern int SRRemoveRestorePoint(int number);
'@

function Remove-Point($Point) {
    if ($Point.kind -eq 'shadow_copy') {
        Get-CimInstance -ClassName Win32_ShadowCopy -Filter "ID = '$($Point.reference)'" | Remove-CimInstance
        return
    }
    $type = Add-Type -MemberDefinition $script:SystemRestore -Name 'SystemRestoreApi' -Namespace 'Wavemend' -PassThru
    $code = $type::SRRemoveRestorePoint([int]$Point.reference)
    if ($code -ne 0) { throw "SRRemoveRestorePoint ended with $code" }
}

$root = Get-Root
$removed = @()
$failed = @()
$found = @(Get-RestorePoints) + (Get-ShadowPoints $root).points
foreach ($point in ($found | Where-Object { $_.label -ceq $label })) {
    $taken = [ordered]@{ kind = $point.kind; reference = $point.reference }
    try {
        Remove-Point $point
        $removed += $taken
    } catch {
        $taken.reason = Limit-Text $_.Exception.Message 1000
        $failed += $taken
    }
}
$record = Get-PointPath $root $label
if ($failed.Count -eq 0 -and [IO.File]::Exists($record)) { [IO.File]::Delete($record) }
[ordered]@{ removed = $removed; failed = $failed }
