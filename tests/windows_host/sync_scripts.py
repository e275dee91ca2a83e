"""Scripts a played host answers at once: facts, boot, reboot, health, jobs, points, settings."""

import hashlib
from collections.abc import Callable
from typing import Any

from tests.windows_host import scheduler
from tests.windows_host.going_back import point_document
from tests.windows_host.machine import Machine, iso
from tests.windows_host.story import Document

JOURNAL_TAIL = 60
NOT_READY = 21
SCHEDULED_BEFORE = 1190
"""What shutdown.exe ends with when a restart is scheduled already."""


def facts(machine: Machine, _: Document) -> Document:
    """Everything that needs no Windows Update agent."""
    state, policy = machine.state, machine.state.policy
    defender = {"signature_version": state.signature_version, "signature_age_days": 1}
    return {
        "os": machine.os(),
        "policy": {
            "wsus_server": policy.wsus_server,
            "use_wsus": policy.use_wsus,
            "no_internet": policy.no_internet,
            "dual_scan_disabled": policy.dual_scan_disabled,
            "au_options": policy.au_options,
            "no_auto_update": policy.no_auto_update,
            "configmgr": policy.configmgr,
        },
        "reboot": machine.reboot(),
        "uptime_seconds": machine.uptime,
        "utc_now": iso(machine.unix),
        "disks": [{"path": "C:\\", "free_bytes": state.free_bytes}],
        "logged_on": sorted(state.users),
        "installer_busy": {"busy": state.wua.busy, "holder": state.wua.holder},
        "wuauserv_start": state.wua.service_start,
        "scheduled_shutdown": machine.shutdown_words,
        "hotfixes": [
            {"kb": item.kb, "installed_on": item.installed} for item in state.packages if item.kb
        ],
        "packages": [
            {
                "name": item.name,
                "state": item.state,
                "release_type": item.release_type,
                "installed": item.installed,
            }
            for item in sorted(state.packages, key=lambda item: item.name)
        ],
        "products": [
            {"name": name, "version": version} for name, version in sorted(state.products.items())
        ],
        "journal_tail": state.journal[-JOURNAL_TAIL:],
        "defender": defender if state.signature_version else None,
        "chocolatey": state.chocolatey is not None,
    }


def boot(machine: Machine, _: Document) -> Document:
    """Which boot it is, and whether Windows is through with it."""
    return {
        "boot_id": machine.state.boot_id,
        "last_boot": iso(machine.booted_at),
        "uptime_seconds": machine.uptime,
        "servicing_in_progress": machine.is_servicing,
        "logon_ui_ready": machine.has_logon_screen,
        "scheduled_shutdown": machine.shutdown_words,
    }


def reboot(machine: Machine, params: Document) -> Document:
    """Schedule a restart; it comes when the time has passed. None for a word that is void here."""
    state = machine.state
    refusal, already = _void(machine, params), state.shutdown_at is not None
    refuses = bool(refusal) or machine.is_servicing
    code = NOT_READY if refuses else SCHEDULED_BEFORE if already else 0
    if not refuses:
        state.logon_screen = False
        if state.lies.restarts_called_off:
            state.lies.restarts_called_off -= 1
        elif not already and not state.lies.reboot_never:
            state.shutdown_at = machine.clock.work() + int(str(params["delay_seconds"]))
    return {
        "scheduled": not refuses,
        "refusal": refusal,
        "boot_id": state.boot_id,
        "last_boot": iso(machine.booted_at),
        "exit_code": code,
        "logged_on": sorted(state.users),
        "already_scheduled": already and not refuses,
    }


def _void(machine: Machine, params: Document) -> str:
    """Say why a word to restart is not obeyed; empty when it is."""
    if params["boot_id"] != machine.state.boot_id:
        return "refused_boot"
    if machine.unix > int(str(params["not_after"])):
        return "refused_late"
    return "refused_fence" if machine.state.fence > int(str(params["fence"])) else ""


def health(machine: Machine, params: Document) -> Document:
    """Services, ports and room, as they are now; nothing on this host serves HTTP."""
    state = machine.state
    free = state.free_bytes // 1024**2
    checks = [
        *(_service(machine, str(name)) for name in _list(params["services"])),
        *(
            _check(f"port {port}", ok=port in state.open_ports)
            for port in _list(params["tcp_ports"])
        ),
        *(_check(f"http {entry['url']}", ok=False) for entry in _list(params["http"])),
        *(
            _check(f"process {name}", ok=name in state.processes)
            for name in _list(params["processes"])
        ),
        _check("free space", ok=free >= int(str(params["min_free_mb"])), detail=f"{free} MB"),
    ]
    failed = [str(check["name"]) for check in checks if not check["ok"]]
    return {
        "healthy": not failed,
        "failed": failed,
        "checks": checks,
        "os": {
            "caption": f"{state.os.caption} (simulated)",
            "build": state.os.build,
            "last_boot": iso(machine.booted_at),
            "uptime_seconds": machine.uptime,
        },
        "free_system_drive_mb": free,
        "auto_services_stopped": [
            {"name": item.name, "exit_code": item.exit_code}
            for item in state.services
            if item.automatic and not item.running and item.exit_code
        ],
        "critical_events": [],
        "servicing_in_progress": machine.is_servicing,
        "logon_ui_ready": machine.has_logon_screen,
    }


def job_status(machine: Machine, params: Document) -> Document:
    """The job as it is; the waiting was done before by the clock."""
    return scheduler.view(machine, str(params["job_id"]), int(str(params["log_bytes"])))


def forbid_job(machine: Machine, params: Document) -> Document:
    """Make "not begun" final, and say what is true then."""
    scheduler.forbid(machine, str(params["job_id"]))
    return job_status(machine, params)


def journal(machine: Machine, params: Document) -> Document:
    """The end of the host's own record."""
    return scheduler.journal(machine, int(str(params["bytes"])))


def list_points(machine: Machine, _: Document) -> Document:
    """The points Windows lists now."""
    there = [item for item in machine.state.points.made if not item.forgotten]
    return {"points": [point_document(item) for item in there], "damaged": []}


def remove_points(machine: Machine, params: Document) -> Document:
    """Remove what carries a label."""
    points = machine.state.points
    named = [item for item in points.made if item.label == params["label"] and not item.forgotten]
    rows = [{"kind": item.kind, "reference": item.reference} for item in named]
    if points.removal_fails:
        return {"removed": [], "failed": [{**row, "reason": "access denied"} for row in rows]}
    points.made = [item for item in points.made if item not in named]
    return {"removed": rows, "failed": []}


def echo(_: Machine, params: Document) -> Document:
    """Give back what came."""
    text = str(params["text"])
    digest = hashlib.sha256(text.encode()).hexdigest()
    filler = "0123456789abcdef" * int(str(params["repeat"]))
    return {"text": text, "sha256": digest, "filler": filler}


def selftest(machine: Machine, params: Document) -> Document:
    """Settings of the service, ways back, and the folder and task of a job."""
    state = machine.state
    found = [job for job in state.jobs if job.job_id == params["job_id"]]
    loose = "(A;OICI;0x1301bf;;;BU)" if state.lies.loose_folder else ""
    sddl = f"O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){loose}"
    client = state.os.product_type == 1
    off = "System Restore is switched off" if state.points.restore_off else ""
    obstacle = off if client else "servers have no System Restore"
    return {
        "utc_now": iso(machine.unix),
        "cbt_level": state.winrm.cbt_level,
        "max_shells": str(state.winrm.max_shells),
        "shells_open": machine.shells(),
        "folder_sddl": sddl if found else "",
        "task_user": "S-1-5-18" if found and found[0].task != "missing" else "",
        "ways_back": [
            {"kind": "restore_point", "possible": not obstacle, "reason": obstacle},
            {"kind": "shadow_copy", "possible": True, "reason": ""},
        ],
        "faults": [],
    }


def _list(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


def _service(machine: Machine, name: str) -> Document:
    found = [item for item in machine.state.services if item.name == name]
    if not found:
        return _check(f"service {name}", ok=False, detail="no such service")
    return _check(
        f"service {name}", ok=found[0].running, detail="Running" if found[0].running else "Stopped"
    )


def _check(name: str, *, ok: bool, detail: str = "") -> Document:
    return {"name": name, "ok": ok, "detail": detail}


SYNC: dict[str, Callable[[Machine, Document], Document]] = {
    "boot": boot,
    "clean_jobs": scheduler.clean,
    "echo": echo,
    "facts": facts,
    "forbid_job": forbid_job,
    "health": health,
    "job_status": job_status,
    "journal": journal,
    "list_points": list_points,
    "reboot": reboot,
    "remove_points": remove_points,
    "selftest": selftest,
    "start_job": scheduler.start,
}
