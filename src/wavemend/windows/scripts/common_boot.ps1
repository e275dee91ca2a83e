# What tells one boot from the next, and whether the host is up for good.

# The kernel's boot counter. Where a host has none, the time of its last boot, which moves when the
# clock is set: such a host's jobs may read as interrupted, never as succeeded.
function Get-BootId {
    $key = 'SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters'
    $count = Get-RegistryValue $key 'BootId'
    if ($null -ne $count) { "boot-$count" } else { "time-$(Format-Utc (Get-LastBoot))" }
}

function Get-LastBoot { (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime }

function Get-UptimeSeconds {
    $boot = Get-LastBoot
    [long][Math]::Floor(([DateTime]::UtcNow - $boot.ToUniversalTime()).TotalSeconds)
}

# 2: component servicing still works, before the logon screen or behind it.
function Test-Servicing {
    $key = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Interface'
    (Get-RegistryValue $key 'ServicingInProgress') -eq 2
}

# The key goes with every restart and comes with the logon screen.
function Test-LogonUi { Test-RegistryKey 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\AutoLogonChecked' }

# Windows has no question for it: event 1074 says that somebody asked for a restart, 1075 that it
# was called off. The update orchestrator's own tasks are no such word: it plans them, days ahead,
# for what waits for a restart, and any restart serves that.
function Get-ScheduledShutdown {
    $asked = @{ LogName = 'System'; ProviderName = 'User32'; Id = 1074, 1075; StartTime = (Get-LastBoot) }
    # That there is none of them is an error, too.
    $last = Get-WinEvent -FilterHashtable $asked -MaxEvents 1 -ErrorAction SilentlyContinue
    if ($null -ne $last -and $last.Id -eq 1074) {
        return "a shutdown or restart, asked for at $(Format-Utc $last.TimeCreated)"
    }
    ''
}

# Owners of desktops; services and our own connection have none.
function Get-LoggedOn {
    $names = foreach ($shell in Get-CimInstance -ClassName Win32_Process -Filter "Name = 'explorer.exe'") {
        # One that has just ended has no owner any more.
        $owner = Invoke-CimMethod -InputObject $shell -MethodName GetOwner -ErrorAction SilentlyContinue
        if ($null -ne $owner -and $owner.ReturnValue -eq 0) { "$($owner.Domain)\$($owner.User)" }
    }
    @($names | Where-Object { $_ } | Sort-Object -Unique)
}
