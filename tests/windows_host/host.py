"""A played Windows host as the runner of a test peer: what comes in is checked, then played.

It takes wavemend's constant bootstrap alone, knows scripts and workers by the digest of their
text, and holds parameters and answers against the contracts, both ways. What is none of these is
written to `state.strangers` and fails; so does an answer of its own that breaks a contract.
"""

import base64
import binascii
import gzip
import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from tests.windows_host import scheduler, servicing
from tests.windows_host.contracts import StrangerError, hold
from tests.windows_host.machine import Clock, Machine
from tests.windows_host.raw import PROBE, RAW
from tests.windows_host.refusing import refusal
from tests.windows_host.scheduler import HungUpError
from tests.windows_host.state import Fault, HostState, save
from tests.windows_host.story import Document
from tests.windows_host.sync_scripts import SYNC
from wavemend.windows.calling import BOOTSTRAP_ARGV, script_digests

BOOTSTRAP_LINE = subprocess.list2cmdline(BOOTSTRAP_ARGV)
SECONDS_OF = {"boot": 5.0}
"""Work that passes with a call; with all others one second does."""
DOWN_SECONDS = 60.0
NOISE_BYTES = 3_000_000
CLIXML = (
    b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
    b'<S S="Error">Preparing modules for first use._x000D__x000A_</S></Objs>'
)
STRANGE = 97
"""Exit code of what no part of wavemend sends."""


class StdinReader(Protocol):
    """What came in for a command."""

    def read(self, size: int = -1) -> bytes:
        """Block until there is as much, or the end."""
        ...


class Command(Protocol):
    """A command as the test peer hands it over."""

    line: str

    @property
    def stdin(self) -> StdinReader:
        """Its input."""
        ...

    def write_stdout(self, data: bytes) -> None:
        """Send output."""
        ...

    def write_stderr(self, data: bytes) -> None:
        """Send noise."""
        ...

    def exit(self, code: int = 0) -> None:
        """End it."""
        ...


class _RestartedError(Exception):
    """The host restarted under a call: nothing of it is played, and nobody waits for an answer."""


class WindowsHost:
    """One played host. Thread-safe: one call at a time."""

    def __init__(
        self,
        state: HostState,
        *,
        clock: Clock | None = None,
        pace: float = 0,
        folder: Path | None = None,
    ) -> None:
        """`clock`: shared with other hosts or the test. `folder`: `state.json` is kept there."""
        self.state = state
        self.clock = clock or Clock(state.clock, work=state.work, pace=pace)
        self.machine = Machine(state, self.clock)
        self.on_reboot: Callable[[bool], None] = lambda _: None
        """Called when it goes down; the peer drops and refuses connections, for ever if False."""
        self.on_hang_up: Callable[[], None] = lambda: None
        """Called when it goes away in the middle of a call."""
        self._folder = folder
        self._lock = threading.RLock()
        _ = self.machine.booted_at
        servicing.first_packages(self.machine)

    def run(self, command: Command) -> None:
        """Play one command; the Runner of the test peer."""
        sent = command.stdin.read()
        try:
            with self._lock:
                self._pass(0)
                out, err, code = self._answer(command.line, sent)
                self._keep()
        except StrangerError as stranger:
            self.state.strangers.append(str(stranger))
            out, err, code = b"", f"simulated host: {stranger}".encode(), STRANGE
        except _RestartedError:
            return
        except HungUpError:
            self._keep()
            self.on_hang_up()
            return
        command.write_stderr(err)
        command.write_stdout(out)
        command.exit(code)

    def settle(self) -> None:
        """Let everything happen whose time has come: moments of jobs, a scheduled restart."""
        with self._lock:
            while True:
                moment = scheduler.next_moment(self.machine)
                shutdown = self.state.shutdown_at
                now = self.clock.work()
                if shutdown is not None and shutdown <= min(now, moment[0] if moment else now):
                    self._restart()
                elif moment is not None and moment[0] <= now:
                    scheduler.play_moment(self.machine, moment[1])
                else:
                    return

    def advance(self, seconds: float) -> None:
        """Let time pass on the host."""
        self.clock.advance(seconds)
        self.settle()

    def boot(self) -> None:
        """Restart it now: power cut or not, jobs that run are gone, what waited is done."""
        with self._lock:
            self.state.shutdown_at = self.clock.work()
            self._restart()

    def supersede(self, update_id: str) -> None:
        """Take an update away, as Microsoft does when a newer one replaces it."""
        update = self.machine.update(update_id)
        if update is None:
            raise KeyError(update_id)
        with self._lock:
            servicing.supersede(self.machine, update)

    def installs(self, update_id: str) -> int:
        """Return how often Windows Update called the installation of an update succeeded."""
        update = self.machine.update(update_id)
        return update.installs if update else 0

    def jobs(self, kind: str) -> int:
        """Return how many jobs of a kind have begun."""
        return self.state.begun.get(kind, 0)

    def _restart(self) -> None:
        state = self.state
        state.shutdown_at = None
        scheduler.power_cut(self.machine)
        self.clock.advance(DOWN_SECONDS)
        servicing.boot(self.machine)
        state.boots += 1
        state.boot_id = state.boot_id if state.lies.boot_id_stays else str(state.boots)
        state.booted_at = self.clock.now()
        state.logon_screen = True
        state.servicing_until = self.clock.work() + state.lies.servicing_seconds
        self._keep()
        self.on_reboot(not state.lies.never_returns)

    def _answer(self, line: str, sent: bytes) -> tuple[bytes, bytes, int]:
        if line in RAW:
            noisy = line == PROBE and self._fault("powershell") is not None
            return RAW[line](self.machine), CLIXML if noisy else b"", 0
        name, params = self._call(line, sent)
        self._spend(name, params)
        fault = self._fault(name)
        if fault is not None and fault.how == "hang_up":
            raise HungUpError
        return self._result(name, params, fault)

    def _call(self, line: str, sent: bytes) -> tuple[str, Document]:
        """Return which script was sent, and its parameters."""
        if line != BOOTSTRAP_LINE:
            raise StrangerError(f"the command {line[:200]!r} is not the bootstrap")
        try:
            payload = json.loads(gzip.decompress(base64.b64decode(sent, validate=True)))
            text, params = payload["script"], payload["params"]
        except (binascii.Error, OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise StrangerError(f"stdin is no payload: {error!r}") from None
        name = _name_of(text)
        if name not in SYNC:
            raise StrangerError(f"a script with the digest {_digest(text)} is none of wavemend's")
        hold(f"{name}.in", params)
        if name == "start_job":
            self._check_worker(params)
        return name, params

    def _check_worker(self, params: Document) -> None:
        kind = str(params["kind"])
        if _name_of(str(params["worker"])) != kind:
            raise StrangerError(f"the worker of a job of kind {kind} has another text")
        try:
            worker_params = json.loads(str(params["params_json"]))
        except ValueError:
            raise StrangerError(f"the parameters of a job of kind {kind} are no JSON") from None
        hold(f"{kind}.in", worker_params)

    def _spend(self, name: str, params: Document) -> None:
        """Let the time of a call pass; `job_status` waits for the job's end, at most."""
        seconds = SECONDS_OF.get(name, 1.0)
        if name == "job_status":
            end = scheduler.next_end(self.machine, str(params["job_id"]))
            wait = float(str(params["wait_seconds"]))
            seconds = min(wait, end + 0.1) if end is not None else 0.0
        self._pass(max(seconds, 0.1))

    def _pass(self, seconds: float) -> None:
        boots = self.state.boots
        self.advance(seconds)
        if self.state.boots != boots:
            raise _RestartedError

    def _fault(self, name: str) -> Fault | None:
        for fault in self.state.faults:
            if fault.times > 0 and fault.script in {name, "*"}:
                fault.times -= 1
                return fault
        return None if name == "powershell" else refusal(self.state, name)

    def _result(self, name: str, params: Document, fault: Fault | None) -> tuple[bytes, bytes, int]:
        how = fault.how if fault else ""
        if fault is not None and how == "error":
            answer: Document = {"schema": 1, "ok": False, "data": None, "error": _error(fault)}
        else:
            data = SYNC[name](self.machine, params)
            hold(f"{name}.out", data)
            answer = {"schema": 1, "ok": True, "data": data, "error": None}
        code = 0 if answer["ok"] else 1
        line = b"WM1:" + base64.b64encode(json.dumps(answer).encode()) + b"\r\n"
        if how == "no_result":
            return b"", CLIXML, 1
        if how == "truncated":
            return line[: len(line) // 2], b"", code
        if how == "noise":
            return b"WM1:bm90IHRoaXM=\r\n" + b"noise \r\n" * (NOISE_BYTES // 8) + line, CLIXML, code
        return line, b"", code

    def _keep(self) -> None:
        self.state.work = self.clock.work()
        if self._folder is not None:
            save(self.state, self._folder / "state.json")


def _error(fault: Fault) -> Document:
    kind = "System.Runtime.InteropServices.COMException"
    where = f"{fault.script}.ps1"
    return {"message": fault.message, "type": kind, "hresult": fault.hresult, "where": where}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _names() -> Mapping[str, str]:
    return script_digests()


def _name_of(text: str) -> str:
    return _names().get(_digest(text), "")
