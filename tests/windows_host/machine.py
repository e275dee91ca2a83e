"""A played host's state together with its clock, and the JSON that several scripts share."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.windows_host.parts import Update
from tests.windows_host.state import HostState

DAY = 86_400


class Clock:
    """Time of one or of many played hosts.

    It passes when somebody waits, and never by itself, unless `pace` says so. `now` is what a host
    shows, in Unix seconds; `work` is by what its jobs and restarts go on. Both are one clock, but
    for hosts with `start` None: those show this machine's time, and work as fast as one waits.
    """

    def __init__(self, start: float | None, *, work: float = 0, pace: float = 0) -> None:
        self._start = start
        self._work = work
        self._pace = pace
        self._real = time.monotonic()
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return what the host's clock shows."""
        return time.time() if self._start is None else self._start + self.work()

    def work(self) -> float:
        """Return the seconds of work that have passed."""
        with self._lock:
            return self._work + self._pace * (time.monotonic() - self._real)

    def shown(self, work: float) -> float:
        """Return by how much the shown time rises while so much work is done."""
        if self._start is not None:
            return work
        return work / self._pace if self._pace else 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._work += max(0.0, seconds)


def iso(unix: float) -> str:
    """Return a time as the scripts write it."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Machine:
    """What every part of a played host works on."""

    state: HostState
    clock: Clock
    shells: Callable[[], int] = lambda: 1
    """How many shells of WinRM are open."""

    @property
    def unix(self) -> int:
        """The host's time in whole seconds."""
        return int(self.clock.now())

    @property
    def booted_at(self) -> float:
        """When it came up, by its own clock."""
        if self.state.booted_at is None:
            self.state.booted_at = self.clock.now() - 3 * DAY
        return self.state.booted_at

    @property
    def uptime(self) -> int:
        """Whole seconds since it came up."""
        return max(0, int(self.clock.now() - self.booted_at))

    @property
    def is_servicing(self) -> bool:
        """True while Windows works on after a boot, though its port answers."""
        return self.clock.work() < self.state.servicing_until

    @property
    def has_logon_screen(self) -> bool:
        """True when it is up for good: `reboot` takes this mark away, the next boot sets it."""
        return self.state.logon_screen and not self.is_servicing

    @property
    def shutdown_words(self) -> str:
        """What is scheduled, as `facts` and `boot` say it."""
        at = self.state.shutdown_at
        return "" if at is None else f"a restart in {max(0, at - self.clock.work()):.0f} s"

    def update(self, update_id: str) -> Update | None:
        """Return an update by its id, whatever became of it."""
        found = [item for item in self.state.wua.updates if item.update_id == update_id]
        return found[0] if found else None

    def disturb(self, what: str) -> None:
        """Note what is begun while Windows works on after a boot."""
        if self.is_servicing:
            self.state.disturbed.append(what)

    def require_restart(self) -> None:
        """Mark what Windows marks when an update wants a restart."""
        for reason in ("cbs_reboot_pending", "wu_reboot_required"):
            if reason not in self.state.hard_reasons:
                self.state.hard_reasons.append(reason)

    def os(self) -> dict[str, object]:
        """Return the `os` object of facts, install and the like."""
        os = self.state.os
        return {
            "caption": f"{os.caption} (simulated)",
            "build": os.build,
            "edition": os.edition,
            "installation_type": os.installation_type,
            "architecture": os.architecture,
            "product_type": os.product_type,
            "boot_id": self.state.boot_id,
            "last_boot": iso(self.booted_at),
            "free_system_drive_mb": self.state.free_bytes // 1024**2,
            "computer": os.computer,
            "machine_id": os.machine_id,
            "ubr": int(os.build.rpartition(".")[2]),
            "product_name": os.product_name,
            "display_version": os.display_version,
            "hotpatch_enrolled": os.hotpatch_enrolled,
            "simulated": True,
        }

    def reboot(self) -> dict[str, object]:
        """Return the `reboot` object: what waits for a restart."""
        state = self.state
        return {
            "pending": bool(state.hard_reasons or state.soft_reasons),
            "hard": bool(state.hard_reasons),
            "reasons": sorted(state.hard_reasons),
            "soft_reasons": sorted(state.soft_reasons),
            "servicing_in_progress": self.is_servicing,
            "pending_renames": state.soft_reasons.count("pending_file_rename"),
            "boot_id": state.boot_id,
            "last_boot": iso(self.booted_at),
        }
