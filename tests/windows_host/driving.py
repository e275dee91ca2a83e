"""What tests do to a played host: ask scripts, start jobs and wait for them, restart it."""

import json
import time
from typing import Any

from tests.windows_host.host import WindowsHost
from tests.windows_host.state import scenario
from tests.windows_host.wire import Wire
from wavemend.errors import TransportError
from wavemend.transport import Transport
from wavemend.windows import calling
from wavemend.windows.jobs import Started, WindowsJob, start_windows_job, wait_for

NONCE = "n" * 32
FAR = 99_999_999_999
"""Unix seconds that no host's clock comes to."""

LCU = "b6f52c8e-5a7d-4c0b-9a36-507590600001"
DOTNET = "3d1f0a77-2c4e-4b58-8d19-507786300001"
MSRT = "9e7a4b12-6f0d-4d2a-b1c3-890830000001"
CRITERIA = "IsInstalled=0 and IsHidden=0 and Type='Software'"
SCAN: dict[str, object] = {
    "criteria": CRITERIA,
    "server_selection": 0,
    "service_id": "",
    "history": 50,
}


def played(name: str) -> tuple[WindowsHost, Wire]:
    """Return a scenario's host and a connection to it, in memory."""
    windows = WindowsHost(scenario(name))
    return windows, Wire(windows)


def ask(transport: Transport, script: str, **params: object) -> Any:
    """Call a script; the answer fits its contract."""
    return calling.call(transport, script, params, deadline=30)


def start(
    transport: Transport, job_id: str, kind: str, params: dict[str, object], *, fence: int = 1
) -> Started:
    """Start a job; of the kinds that change the host with a fence."""
    mutating = kind in {"install", "rollback", "chocolatey"}
    return start_windows_job(
        transport,
        job_id,
        kind=kind,
        worker=calling.worker_text(kind),
        params=json.dumps(params),
        nonce=NONCE,
        fence=fence if mutating else -1,
        mutating=mutating,
        deadline=30,
    )


def done(
    transport: Transport, job_id: str, kind: str, params: dict[str, object]
) -> tuple[WindowsJob, Any]:
    """Start a job and wait for its end; return it with its last status."""
    start(transport, job_id, kind, params)
    job = wait_for(transport, job_id, nonce=NONCE, deadline=20_000)
    return job, json.loads(job.status_json)


def install(*update_ids: str, **more: object) -> dict[str, object]:
    """Return parameters of the install worker."""
    approved = [{"update_id": update_id, "revision": 200} for update_id in update_ids]
    rest = {key: value for key, value in SCAN.items() if key != "history"}
    return {
        **rest,
        "approved": approved,
        "deadline_utc": "",
        "min_free_mb": 10_240,
        "accept_eula": True,
        "continue_on_error": True,
        "packages": [],
        **more,
    }


def scanned(transport: Transport, job_id: str = "scan-0001") -> tuple[str, ...]:
    """Return the KBs that a scan finds offered, in the host's order."""
    _, status = done(transport, job_id, "scan", SCAN)
    return tuple(kb for update in status["result"]["updates"] for kb in update["kb"])


def rows(status: Any) -> dict[str, tuple[str, str]]:
    """Return state and reason of every update of a job, by its id."""
    return {item["update_id"]: (item["state"], item["reason"]) for item in status["items"]}


def tell_restart(transport: Transport, **changes: object) -> Any:
    """Tell it to restart, with a word that holds but for these changes; return its answer."""
    word = {"boot_id": ask(transport, "boot")["boot_id"], "fence": 10**6, "not_after": FAR}
    plain = {"delay_seconds": 15, "message": "wavemend"}
    return ask(transport, "reboot", **{**plain, **word, **changes})


def reboot(transport: Transport) -> None:
    """Tell it to restart, and ask until it has."""
    before = ask(transport, "boot")["boot_id"]
    assert tell_restart(transport)["scheduled"]
    for _ in range(100):
        try:
            if ask(transport, "boot")["boot_id"] != before:
                return
        except TransportError:
            time.sleep(0.05)
    raise AssertionError("it did not restart")
