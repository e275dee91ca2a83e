# Our folder below ProgramData, its files and its locks.

$script:Trusted = @('S-1-5-18', 'S-1-5-32-544')  # SYSTEM, Administrators

# With its access list in one step: between two, somebody else could put a file into it.
function New-ProtectedFolder([string]$Path) {
    $security = New-Object Security.AccessControl.DirectorySecurity
    $security.SetSecurityDescriptorSddlForm('O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)')
    [void][IO.Directory]::CreateDirectory($Path, $security)
}

# Whatever is there and is not ours is refused: any user may make folders below ProgramData, and
# what SYSTEM runs from a folder of theirs would make them SYSTEM.
function Assert-Protected([string]$Path) {
    $folder = New-Object IO.DirectoryInfo $Path
    $way_out = 'look at it, remove it, and try again'
    if (($folder.Attributes -band [IO.FileAttributes]::ReparsePoint) -ne 0) {
        throw "$Path is a link to another place: $way_out"
    }
    $security = $folder.GetAccessControl([Security.AccessControl.AccessControlSections]'Access, Owner')
    $owner = $security.GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ($script:Trusted -notcontains $owner) { throw "$Path belongs to $owner, not to Administrators: $way_out" }
    if (-not $security.AreAccessRulesProtected) { throw "$Path inherits access rights: $way_out" }
    foreach ($rule in $security.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        if ($script:Trusted -notcontains $rule.IdentityReference.Value) {
            throw "$Path gives rights to $($rule.IdentityReference.Value): $way_out"
        }
    }
}

# Returns our folder's path, proven ours where it is there.
function Get-Root([switch]$Create) {
    $data = [Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData)
    $path = [IO.Path]::Combine($data, 'Wavemend')
    if (-not [IO.Directory]::Exists($path)) {
        if (-not $Create) { return $path }
        New-ProtectedFolder $path
    }
    Assert-Protected $path
    foreach ($name in 'jobs', 'points') {
        $folder = [IO.Path]::Combine($path, $name)
        if (-not [IO.Directory]::Exists($folder)) {
            if (-not $Create) { continue }
            New-ProtectedFolder $folder
        }
        Assert-Protected $folder
    }
    $path
}

# Readers see the old file or the new one, whole, also after a power cut.
function Write-Whole([string]$Path, [byte[]]$Bytes) {
    $fresh = "$Path.new"
    $to = [IO.FileAccess]::Write
    $through = [IO.FileOptions]::WriteThrough
    $stream = New-Object IO.FileStream ($fresh, [IO.FileMode]::Create, $to, [IO.FileShare]::None, 4096, $through)
    try {
        $stream.Write($Bytes, 0, $Bytes.Length)
        $stream.Flush($true)
    } finally {
        $stream.Dispose()
    }
    Move-Over $fresh $Path
}

# Scanners and readers hold files for moments: for 5 s it is tried again.
function Move-Over([string]$From, [string]$To) {
    for ($try = 1; ; $try++) {
        try {
            # [NullString]: a $null would reach .NET as "", the name of no backup file.
            if ([IO.File]::Exists($To)) {
                [IO.File]::Replace($From, $To, [NullString]::Value)
            } else {
                [IO.File]::Move($From, $To)
            }
            return
        } catch {
            if ($try -ge 20) { throw }
            Start-Sleep -Milliseconds 250
        }
    }
}

function Write-WholeText([string]$Path, [string]$Text) {
    $unmarked = New-Object Text.UTF8Encoding $false
    Write-Whole $Path ($unmarked.GetBytes($Text))
}

# Returns @{bytes; size}: the last bytes of a file, also while it is being written or replaced.
function Read-End([string]$Path, [long]$Bound) {
    for ($try = 1; ; $try++) {
        if (-not [IO.File]::Exists($Path)) { return @{ bytes = [byte[]]@(); size = [long]0 } }
        try {
            $share = [IO.FileShare]'ReadWrite, Delete'
            $stream = New-Object IO.FileStream ($Path, [IO.FileMode]::Open, [IO.FileAccess]::Read, $share)
            break
        } catch {
            if ($try -ge 10) { throw }
            Start-Sleep -Milliseconds 200
        }
    }
    try {
        $size = $stream.Length
        $bytes = New-Object byte[] ([Math]::Min($size, $Bound))
        [void]$stream.Seek(-$bytes.Length, [IO.SeekOrigin]::End)
        $read = 0
        while ($read -lt $bytes.Length) {
            $more = $stream.Read($bytes, $read, $bytes.Length - $read)
            if ($more -eq 0) { break }
            $read += $more
        }
        if ($read -lt $bytes.Length) { [Array]::Resize([ref]$bytes, $read) }
        @{ bytes = $bytes; size = $size }
    } finally {
        $stream.Dispose()
    }
}

function Read-Text([string]$Path) {
    $end = Read-End $Path 4000000
    (New-Object Text.UTF8Encoding $false).GetString($end.bytes)
}

# Windows drops such a lock when its holder dies, however it dies: it cannot be left stale.
# Returns the open file, or $null when another process held it for so many seconds.
function Open-Lock([string]$Path, [int]$Seconds, [IO.FileMode]$Mode = [IO.FileMode]::OpenOrCreate) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        try {
            return New-Object IO.FileStream ($Path, $Mode, [IO.FileAccess]::ReadWrite, [IO.FileShare]::None)
        } catch {
            # 32 and 33: another process has it open. All else is no lock, and is said.
            if (@('0x80070020', '0x80070021') -notcontains (Get-Hresult $_.Exception)) { throw }
        }
        if ($watch.Elapsed.TotalSeconds -ge $Seconds) { return $null }
        Start-Sleep -Milliseconds 100
    }
}

# A second of patience: a virus scanner's look at the file is no job.
function Test-Held([string]$Path) {
    try {
        $lock = Open-Lock $Path 1 ([IO.FileMode]::Open)
    } catch {
        if (@('0x80070002', '0x80070003') -contains (Get-Hresult $_.Exception)) { return $false }
        throw
    }
    if ($null -eq $lock) { return $true }
    $lock.Dispose()
    $false
}
