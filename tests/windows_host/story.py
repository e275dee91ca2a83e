"""The course of one job, told ahead: its status file, its log, and how the host changes."""

import json
from collections.abc import Sequence

from tests.windows_host.contracts import hold
from tests.windows_host.machine import Machine, iso
from tests.windows_host.state import Effect, Moment

EXIT_STATUS = {
    "succeeded": 0,
    "failed": 1,
    "partial": 2,
    "nothing_installed": 3,
    "blocked_reboot": 4,
    "deadline": 5,
    "no_space": 6,
}
THREW = 9
_GOOD = frozenset({"succeeded", "succeeded_with_errors", "removed", "pending_reboot"})
_BAD = frozenset({"failed", "aborted", "not_removable"})
Document = dict[str, object]


class Story:
    """Writes the moments of one job, in order. Time goes on by `takes` alone."""

    def __init__(self, machine: Machine, job_id: str, kind: str) -> None:
        self.machine = machine
        self.items: list[Document] = []
        self.moments: list[Moment] = []
        self.after = 1.0
        self.reboot_required = False
        self._head = {"job_id": job_id, "kind": kind}
        self._began = machine.clock.now()

    def takes(self, seconds: float) -> None:
        """Let the job's work go on for so long."""
        self.after += seconds

    @property
    def now(self) -> float:
        """What the host will show at this point of the job."""
        return self._began + self.machine.clock.shown(self.after)

    def tell(self, phase: str, *, current: str = "", effects: Sequence[Effect] = ()) -> None:
        """The worker writes its status file, and the host changes."""
        status = self._status("running", phase, current, None, None)
        self._add(status, f"{phase} {current}".strip(), effects)

    def end(self, state: str, result: Document | None, *, words: str = "") -> None:
        """The worker ends in one of the agreed states; `words`: its last line of log."""
        status = self._status(state, "done", "", result, None)
        self._add(status, words or f"ended: {state}", (), EXIT_STATUS[state])

    def throw(self, message: str, result: Document | None) -> None:
        """The worker dies of an exception."""
        error: Document = {
            "message": message,
            "type": "System.Management.Automation.RuntimeException",
            "hresult": "0x80131501",
            "where": "at Invoke-Worker, worker.ps1",
        }
        status = self._status("failed", "done", "", result, error)
        self._add(status, f"failed: {message}", (), THREW)

    def outcome(self) -> str:
        """Return what the items add up to: done, failed, neither or both."""
        states = [item["state"] for item in self.items]
        good = sum(state in _GOOD for state in states)
        bad = sum(state in _BAD for state in states)
        if bad:
            return "partial" if good else "failed"
        return "succeeded" if good else "nothing_installed"

    def _add(
        self, status: Document, log: str, effects: Sequence[Effect], exit_status: int | None = None
    ) -> None:
        hold("status", status)
        if status["result"] is not None:
            hold(f"{status['kind']}.out", status["result"])
        self.moments.append(
            Moment(
                after=self.after,
                status=json.dumps(status, separators=(",", ":")),
                log=f"{iso(self.now)} {log}\n",
                effects=list(effects),
                exit_status=exit_status,
            )
        )

    def _status(
        self, state: str, phase: str, current: str, result: Document | None, error: Document | None
    ) -> Document:
        seq = len(self.moments) + 1
        done = 100 if state != "running" else min(95, 5 * seq)
        return {
            "schema": 1,
            **self._head,
            "state": state,
            "phase": phase,
            "seq": seq,
            "pid": 4242,
            "started": iso(self._began),
            "updated": iso(self.now),
            "percent": done,
            "current": current,
            "items": [dict(item) for item in self.items],
            "result": result,
            "error": error,
            "reboot_required": self.reboot_required,
        }
