"""The contract checks for the first real host."""

WHOAMI_ARGV = ("whoami.exe", "/groups", "/fo", "csv", "/nh")
PROBE_ARGV = (
    *("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command"),
    "$PSVersionTable.PSVersion.Major; $PSVersionTable.PSVersion.Minor; "
    "$ExecutionContext.SessionState.LanguageMode",
)
DISM_ARGV = ("dism.exe", "/Online", "/English", "/Get-Packages", "/Format:Table")
