param(
    [string[]]$services, [int[]]$tcp_ports, $http, [string[]]$processes, [long]$min_free_mb,
    [string]$events_since_utc
)
# include: common.ps1
# include: common_boot.ps1
# include: common_host.ps1

# Checks what a profile asks for, within about 10 s.
$script:Watch = [Diagnostics.Stopwatch]::StartNew()
# Hosts whose .NET is old ask with TLS 1.0 by themselves.
$protocols = [Net.ServicePointManager]::SecurityProtocol
[Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12

function New-Check([string]$Name, [bool]$Ok, [string]$Detail) {
    [ordered]@{ name = $Name; ok = $Ok; detail = Limit-Text $Detail 1000 }
}

function Test-Services {
    $all = @{}
    foreach ($service in Get-CimInstance -ClassName Win32_Service) { $all[$service.Name] = $service.State }
    foreach ($name in $services) {
        $state = if ($all.ContainsKey($name)) { $all[$name] } else { 'no such service' }
        New-Check "service $name" ($state -eq 'Running') $state
    }
}

function Test-Ports {
    $network = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    $open = @($network.GetActiveTcpListeners() | ForEach-Object { $_.Port })
    foreach ($port in $tcp_ports) {
        $listens = $open -contains $port
        New-Check "port $port" $listens $(if ($listens) { 'listening' } else { 'nobody listens' })
    }
}

function Get-HttpStatus([string]$Url) {
    $request = [Net.WebRequest]::Create($Url)
    $request.Timeout = 3000
    $request.Proxy = $null
    $request.AllowAutoRedirect = $false
    try {
        $response = $request.GetResponse()
    } catch {
        # An answer such as 404 is thrown, with the response in it.
        $cause = $_.Exception
        while ($null -ne $cause -and $cause -isnot [Net.WebException]) { $cause = $cause.InnerException }
        if ($null -eq $cause -or $null -eq $cause.Response) { throw }
        $response = $cause.Response
    }
    try { [int]$response.StatusCode } finally { $response.Close() }
}

function Test-Http {
    foreach ($wanted in $http) {
        if ($script:Watch.Elapsed.TotalSeconds -gt 7) {
            New-Check "http $($wanted.url)" $false 'not asked: the time for checks was over'
            continue
        }
        try {
            $status = Get-HttpStatus $wanted.url
            New-Check "http $($wanted.url)" ($status -eq $wanted.status) "status $status"
        } catch {
            New-Check "http $($wanted.url)" $false $_.Exception.Message
        }
    }
}

function Test-Processes {
    foreach ($name in $processes) {
        $count = @([Diagnostics.Process]::GetProcessesByName(($name -replace '\.exe\z', ''))).Count
        New-Check "process $name" ($count -gt 0) "$count running"
    }
}

# Those that failed, not those that wait for their trigger.
function Get-StoppedServices {
    $filter = "StartMode = 'Auto' AND State <> 'Running' AND ExitCode <> 0 AND DelayedAutoStart = FALSE"
    foreach ($service in Get-CimInstance -ClassName Win32_Service -Filter $filter) {
        [ordered]@{ name = $service.Name; exit_code = [long]$service.ExitCode }
    }
}

function Get-CriticalEvents {
    if ($events_since_utc -eq '') { return }
    $since = [DateTime]::Parse($events_since_utc, [Globalization.CultureInfo]::InvariantCulture)
    $asked = @{ LogName = 'System'; Level = 1, 2; StartTime = $since }
    foreach ($entry in Get-WinEvent -FilterHashtable $asked -MaxEvents 20 -ErrorAction SilentlyContinue) {
        [ordered]@{
            id = [int]$entry.Id; source = Limit-Text "$($entry.ProviderName)" 256
            time = Format-Utc $entry.TimeCreated; message = Limit-Text "$($entry.Message)" 1000
        }
    }
}

$os = Get-Os
$checks = @(Test-Services) + @(Test-Ports) + @(Test-Http) + @(Test-Processes)
$checks += New-Check 'free space' ($os.free_system_drive_mb -ge $min_free_mb) "$($os.free_system_drive_mb) MB"
$failed = @($checks | Where-Object { -not $_.ok } | ForEach-Object { Limit-Text $_.name 512 })
[ordered]@{
    healthy = $failed.Count -eq 0
    failed = $failed
    checks = $checks
    os = [ordered]@{
        caption = $os.caption; build = $os.build; last_boot = $os.last_boot; uptime_seconds = Get-UptimeSeconds
    }
    free_system_drive_mb = $os.free_system_drive_mb
    auto_services_stopped = @(Get-StoppedServices)
    critical_events = @(Get-CriticalEvents)
    servicing_in_progress = Test-Servicing
    logon_ui_ready = Test-LogonUi
}
