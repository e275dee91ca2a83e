"""What a played Windows host is: the schema of `scenarios/*.json`, one dataclass per object.

A scenario names only what differs from the defaults here; a key that is not here is refused. The
same form is a host's memory between two processes (`save`, `load`). Sizes in bytes, durations in
seconds of the host's own work, moments in Unix seconds of the host's clock.
"""

from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from tests.windows_host.parts import (
    MIB,
    STRICT,
    Category,
    ChocoPackage,
    HistoryEntry,
    Os,
    Package,
    Point,
    Points,
    Policy,
    Service,
    Update,
    Winrm,
    Wua,
)

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(config=STRICT, slots=True, kw_only=True)
class Fault:
    """A call of a script that does not go as it should, so many times."""

    script: str
    """Name of a script, or `powershell`: a command of its own without one; `*`: any."""
    how: Literal["no_result", "truncated", "noise", "error", "hang_up"]
    """No result line; half of one; megabytes and CLIXML around it; `ok: false`; the host goes down
    with the answer unsent."""
    times: int = 1
    hresult: str = "0x80004005"
    message: str = "Unspecified error"


@dataclass(config=STRICT, slots=True, kw_only=True)
class Lies:
    """What real hosts get wrong, or say wrongly."""

    boot_id_stays: bool = False
    """A restart that happens leaves the boot id as it was."""
    reboot_never: bool = False
    """The restart is scheduled, and does not happen."""
    restarts_called_off: int = 0
    """So many restarts that are scheduled are called off again by somebody on the host."""
    lasting_reasons: list[str] = field(default_factory=list)
    """Why a restart is pending, after every boot again."""
    searches_fail_after_change: int = 0
    """So many searches throw once a change has begun: their server is asked by everybody."""
    never_returns: bool = False
    servicing_seconds: float = 0
    """For so long after a boot the port answers, and Windows is still servicing."""
    folder_without_task: int = 0
    """So many starts make the job's folder and die before the task is registered."""
    truncated_status: int = 0
    """So many answers carry half of a status file."""
    queued_seconds: float = 0
    """For so long a task waits before it begins."""
    workers_stopped: bool = False
    """A policy stops every worker before its first word: its task ends at once, nothing is said."""
    task_vanishes: int = 0
    """So many jobs lose their task, and process, half way."""
    history_padding: int = 0
    """So many more history entries in a scan: 10,000 are about 3 MB."""
    log_bytes: int = 0
    """So many bytes of output a job writes before anything else."""
    loose_folder: bool = False
    """Job folders give every user rights."""


@dataclass(config=STRICT, slots=True, kw_only=True)
class Effect:
    """One change of the host that a job makes."""

    do: Literal["installed", "failed", "package", "chocolatey", "point", "restart"]
    subject: str = ""
    value: str = ""
    point: Point | None = None


@dataclass(config=STRICT, slots=True, kw_only=True)
class Moment:
    """What is true from a point of a job on: its status file, its log, what it changed."""

    after: float
    """Seconds of work since the job began."""
    status: str
    """Text of status.json."""
    log: str = ""
    effects: list[Effect] = field(default_factory=list)
    exit_status: int | None = None
    """Not None: the job ends here."""
    killed: bool = False
    """The process is gone from here on, and leaves no end record."""


@dataclass(config=STRICT, slots=True, kw_only=True)
class Job:
    """A job's folder, and its task while there is one."""

    job_id: str
    kind: str = ""
    nonce: str = ""
    fence: int = -1
    mutating: bool = False
    forbidden: bool = False
    not_after: int | None = None
    params_json: str = "{}"
    minutes: int = 1440
    task: Literal["missing", "queued", "ready", "running"] = "missing"
    registered_at: int | None = None
    """When it was prepared the last time."""
    begun_at: int | None = None
    begun_work: float = 0
    """When it began, or will, in seconds of work."""
    boot_id: str = ""
    timeline: list[Moment] = field(default_factory=list)
    """What is still to come."""
    status: str = ""
    log: str = ""
    end_nonce: str = ""
    exit_status: int | None = None
    ended_at: int | None = None


@dataclass(config=STRICT, slots=True, kw_only=True)
class HostState:
    """A whole host. Everything that outlives a process is here; nothing else does."""

    about: str = ""
    """What the scenario shows."""
    os: Os = field(default_factory=Os)
    policy: Policy = field(default_factory=Policy)
    wua: Wua = field(default_factory=Wua)
    packages: list[Package] = field(default_factory=list)
    products: dict[str, str] = field(default_factory=dict)
    signature_version: str = "1.421.112.0"
    """Of Defender; empty: there is none."""
    services: list[Service] = field(
        default_factory=lambda: [Service(name="W32Time"), Service(name="wuauserv")]
    )
    open_ports: list[int] = field(default_factory=lambda: [5986])
    processes: list[str] = field(default_factory=list)
    points: Points = field(default_factory=Points)
    chocolatey: list[ChocoPackage] | None = None
    """None: Chocolatey is not installed."""
    free_bytes: int = 40_000 * MIB
    users: list[str] = field(default_factory=list)
    hard_reasons: list[str] = field(default_factory=list)
    """Why a restart is pending; a boot clears them."""
    soft_reasons: list[str] = field(default_factory=list)
    winrm: Winrm = field(default_factory=Winrm)
    scheduler_running: bool = True
    """False: the service of the task scheduler is stopped."""
    lies: Lies = field(default_factory=Lies)
    faults: list[Fault] = field(default_factory=list)

    clock: int | None = 1_770_926_400
    """The host's clock at the beginning: 2026-02-12 20:00 UTC, two days after that month's updates
    came out. None: it shows this machine's time, and only work is virtual."""
    boots: int = 1
    boot_id: str = "1"
    booted_at: float | None = None
    """None: three days before the clock's beginning."""
    logon_screen: bool = True
    servicing_until: float = 0
    """In seconds of work."""
    work: float = 0
    """Seconds of work that have passed."""
    shutdown_at: float | None = None
    """When the scheduled restart comes, in seconds of work."""
    jobs: list[Job] = field(default_factory=list)
    begun: dict[str, int] = field(default_factory=dict)
    """Jobs that began, by kind; folders that were removed count too."""
    journal: list[str] = field(default_factory=list)
    fence: int = 0
    disturbed: list[str] = field(default_factory=list)
    """What was begun while it was servicing after a boot; a real one's updates may be undone."""
    strangers: list[str] = field(default_factory=list)
    """What came in that no part of wavemend sends: must be empty at the end of a test."""


_FORM = TypeAdapter(HostState)


def scenario(name: str) -> HostState:
    """Read a scenario by its name."""
    return load(SCENARIOS / f"{name}.json")


def load(path: Path) -> HostState:
    """Read a host; what is not in the schema raises ValueError with its place."""
    return _FORM.validate_json(path.read_bytes())


def save(state: HostState, path: Path) -> None:
    """Write a host, whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_bytes(_FORM.dump_json(state, indent=1))
    beside.replace(path)


__all__ = [
    "Category",
    "ChocoPackage",
    "Effect",
    "Fault",
    "HistoryEntry",
    "HostState",
    "Job",
    "Lies",
    "Moment",
    "Os",
    "Package",
    "Point",
    "Points",
    "Policy",
    "Service",
    "Update",
    "Winrm",
    "Wua",
    "load",
    "save",
    "scenario",
]
