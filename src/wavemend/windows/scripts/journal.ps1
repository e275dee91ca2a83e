param([long]$bytes)
# include: common.ps1
# include: common_files.ps1

# The end of the host's journal of what was done to it.
$root = Get-Root
$end = Read-End ([IO.Path]::Combine($root, 'journal')) $bytes
[ordered]@{ text = [Convert]::ToBase64String($end.bytes); size = $end.size }
