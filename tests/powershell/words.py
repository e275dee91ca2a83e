"""Words the rules know: what Windows PowerShell 5.1 has, and what it does not have."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CMDLETS = words(
    "Add-Type ConvertFrom-Json ConvertTo-Json ForEach-Object Get-CimInstance Get-Item Get-WinEvent "
    "Invoke-CimMethod New-Object Remove-CimInstance Remove-TypeData Select-Object "
    "Set-StrictMode Sort-Object Start-Sleep Where-Object "
)
"""Of Windows PowerShell 5.1, each looked up; a new one is added here by hand."""

NEWER_PARAMETERS = words(
    "-asarray -asbytestream -ashashtable -asutc -enumsasstrings -escapehandling -noenumerate "
    "-parallel -skipcertificatecheck -stable -throttlelimit "
)
"""Of PowerShell 6 and 7, in lower case."""

VOID_METHODS = words(
    "Close Delete DeleteSubKeyTree DeleteValue Dispose Flush Kill Move ReleaseMutex Replace "
    "Resize SetSecurityDescriptorSddlForm SetValue WaitForExit Write "
)
"""Calls of these leave nothing behind."""

AUTOMATIC = words(
    "_ args error executioncontext false home host input matches null pid psscriptroot true "
)
"""Variables that PowerShell sets, in lower case."""
