param()
# include: common.ps1
# include: common_boot.ps1

# Whether the host is up for good: asked again and again after a restart, so it reads little.
[ordered]@{
    boot_id = Get-BootId
    last_boot = Format-Utc (Get-LastBoot)
    uptime_seconds = Get-UptimeSeconds
    servicing_in_progress = Test-Servicing
    logon_ui_ready = Test-LogonUi
    scheduled_shutdown = Get-ScheduledShutdown
}
