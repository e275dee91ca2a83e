param([string]$text, [int]$repeat)
# include: common.ps1

# Gives back what it got, and as much more as is asked for: proof that parameters and answers come
# through whole. The digest is of what arrived, so two wrong codings cannot cancel each other out.

function Get-TextDigest([string]$Text) {
    $sha = [Security.Cryptography.SHA256]::Create()
    $digest = $sha.ComputeHash((New-Object Text.UTF8Encoding $false).GetBytes($Text))
    [BitConverter]::ToString($digest).Replace('-', '').ToLowerInvariant()
}

[ordered]@{ text = $text; sha256 = Get-TextDigest $text; filler = '0123456789abcdef' * $repeat }
