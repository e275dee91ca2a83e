# Ways back that Windows holds: restore points of clients, shadow copies of volumes. A shadow copy
# has no name, so a record of ours ties it to its label.

function Get-RestorePoints {
    # Servers have no such class.
    if ([int](Get-CimInstance -ClassName Win32_OperatingSystem).ProductType -ne 1) { return }
    foreach ($point in Get-CimInstance -Namespace root/default -ClassName SystemRestore) {
        if ($point.Description -cnotmatch '\Awavemend-[A-Za-z0-9._-]{1,120}\z') { continue }
        [ordered]@{
            label = $point.Description; kind = 'restore_point'; reference = "$($point.SequenceNumber)"; volume = ''
            created_unix = ConvertTo-Unix ([Management.ManagementDateTimeConverter]::ToDateTime($point.CreationTime))
        }
    }
}

function Get-PointPath([string]$Root, [string]$Label) {
    if ($Label -cnotmatch '\Awavemend-[A-Za-z0-9._-]{1,120}\z') { throw "'$Label' is no label of ours" }
    [IO.Path]::Combine($Root, 'points', "$Label.json")
}

function Get-PointRecord([string]$Path) {
    try {
        $record = Read-Text $Path | ConvertFrom-Json
        [void]@($record.label, $record.volume, $record.created_unix)
        # Part of a question to WMI.
        if ($record.reference -match '\A\{[0-9A-Fa-f-]{36}\}\z') { $record } else { $null }
    } catch {
        $null
    }
}

# Returns @{points; damaged}: shadow copies that are there now and that a record names.
function Get-ShadowPoints([string]$Root) {
    $there = @(Get-CimInstance -ClassName Win32_ShadowCopy | ForEach-Object { $_.ID })
    $folder = [IO.Path]::Combine($Root, 'points')
    $points = @()
    $damaged = @()
    $paths = if ([IO.Directory]::Exists($folder)) { [IO.Directory]::GetFiles($folder, '*.json') } else { @() }
    foreach ($path in $paths) {
        $record = Get-PointRecord $path
        if ($null -eq $record) {
            $damaged += [IO.Path]::GetFileName($path)
        } elseif ($there -contains $record.reference) {
            $points += [ordered]@{
                label = $record.label; kind = 'shadow_copy'; reference = $record.reference; volume = $record.volume
                created_unix = $record.created_unix
            }
        }
    }
    @{ points = $points; damaged = $damaged }
}
