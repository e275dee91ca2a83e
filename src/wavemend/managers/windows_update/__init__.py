"""Windows: updates through the host's own Windows Update Agent, whoever its policy lets it ask.

Where to look: `looking.py` asks; `answers.py` holds what is answered; `naming.py`, `history.py`,
`pending.py` and `facts.py` say what that means; `targets.py` is what workers are told, `report.py`
what they tell; `judge.py` and `rounds.py` decide. The scripts are in `wavemend/windows`.

An update is named by its KB, its architecture is the update's id, its version the revision that
was approved. Never proven on a real Windows host: by a simulated one, and by documents.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.hosts import DEFAULT_OPTIONS, Facts, Host, ManagerOptions
from wavemend.managers import BootSeen, Manager, NextRound
from wavemend.managers.reading.asking import Nonce, fresh_nonce
from wavemend.managers.windows_update.answers import ChocolateyList, Search
from wavemend.managers.windows_update.facts import build_facts
from wavemend.managers.windows_update.judge import EXIT_MEANING, end_trouble, explain_exit, judge
from wavemend.managers.windows_update.looking import (
    LOOK_SECONDS,
    Asking,
    list_packages,
    look,
    search,
)
from wavemend.managers.windows_update.rehearsal import transaction_of
from wavemend.managers.windows_update.rounds import next_round
from wavemend.managers.windows_update.targets import (
    before_update,
    install_params,
    rollback_params,
    sort_out,
)
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.plans import PlannedPackage
from wavemend.transport import Transport
from wavemend.windows.calling import call, worker_text

_REBOOT_DELAY = 15
"""Seconds: the answer leaves the host before it goes down."""
_REBOOT_MESSAGE = "Restart for updates"
_BOOTING = 21
"""What the script says in place of shutdown.exe while Windows services after a boot."""

_NOT_OBEYED = {
    "refused_late": "the word came too late by its own clock",
    "refused_fence": "it has seen a newer controller",
}
"""A word that no host obeys any more. One for another boot is not among them: that restart came."""


@dataclass(frozen=True, slots=True)
class WindowsUpdateManager:
    """Windows Update; see `wavemend.managers.Manager` for what each part promises."""

    options: ManagerOptions = DEFAULT_OPTIONS
    nonce: Nonce = fresh_nonce
    clock: Callable[[], float] = time.monotonic

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The plain command; `tell_reboot` is what is used."""
        return ("shutdown.exe", "/r", "/t", str(_REBOOT_DELAY), "/d", "p:2:17")

    @property
    def look_seconds(self) -> float:
        """The longest that a look, or a rehearsal, may take."""
        return LOOK_SECONDS

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host; the search for updates is always a new one, whatever `refresh` says.

        What the agent remembers of its last search is as old as that.
        """
        del refresh
        kinds = self.options.update_kinds
        seen = look(self._asking(transport, deadline), now, kinds, self.options.sources)
        return build_facts(host, seen, kinds)

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Search for what is offered now, and compare it with these targets. Changes nothing."""
        wanted = sort_out(targets, self.options.sources)
        asking, kinds = self._asking(transport, deadline), self.options.update_kinds
        packages = list_packages(asking) if wanted.packages else ChocolateyList()
        found = search(asking, kinds) if wanted.updates else Search()
        return transaction_of(wanted, found, packages, kinds)

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that installs exactly these updates, then Chocolatey's packages. Pure.

        Options for configuration files and for services say nothing here: Windows keeps the first
        in its own way, and replaces files in use at its next restart.
        """
        params = install_params(sort_out(targets, self.options.sources), self.options.update_kinds)
        return _script("install", params)

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return the job that removes these updates, see `before_update`. Pure."""
        return _script("rollback", rollback_params(targets))

    def before_update(self, package: PlannedPackage) -> Target:
        """Return what a planned update goes back to. Pure."""
        return before_update(package)

    def repair_script(self) -> JobScript:
        """Raise PlanError: what mends a component store is a person's decision."""
        raise PlanError(
            "wavemend does not repair the component store of Windows",
            hint="run DISM /Online /Cleanup-Image /RestoreHealth on the host; it takes up to an "
            "hour, fetches from Windows Update, and its log says what it could not mend",
        )

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure."""
        return end_trouble(status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per update what the second look shows. Pure."""
        return judge(targets, before, after, end)

    def next_round(
        self,
        targets: Sequence[Target],
        before: Facts,
        after: Facts,
        end: JobEnd,
        *,
        rounds: int,
        restarted: bool,
    ) -> NextRound:
        """Say what another round would bring in. Pure."""
        del before
        return next_round(targets, after, end, rounds=rounds, restarted=restarted)

    def boot_seen(self, transport: Transport, *, deadline: float) -> BootSeen:
        """Return the boot of a host: up when its servicing is done and its logon screen there."""
        told = cast("dict[str, Any]", call(transport, "boot", {}, deadline=deadline))
        is_up = told["logon_ui_ready"] and not told["servicing_in_progress"]
        return BootSeen(boot_id=told["boot_id"], is_up=is_up)

    def tell_reboot(
        self, transport: Transport, *, boot_id: str, fence: int, not_after: int, deadline: float
    ) -> str:
        """Have the host restart within seconds; one that is scheduled already is one, too.

        Returns why the host takes the word for nobody's any more; empty when it does not.
        """
        asked = {
            "delay_seconds": _REBOOT_DELAY,
            "message": _REBOOT_MESSAGE,
            "boot_id": boot_id,
            "fence": fence,
            "not_after": not_after,
        }
        told = cast("dict[str, Any]", call(transport, "reboot", asked, deadline=deadline))
        if told["refusal"] in _NOT_OBEYED:
            return _NOT_OBEYED[told["refusal"]]
        if not told["scheduled"]:
            raise HostAnswerInvalid(f"the host schedules no restart: {_why_none(told)}")
        return ""

    def _asking(self, transport: Transport, deadline: float) -> Asking:
        return Asking(transport, self.nonce, self.clock, self.clock() + deadline)


def _why_none(told: Mapping[str, Any]) -> str:
    if told["refusal"]:
        return "it runs in another boot by now"
    code = told["exit_code"]
    return "it goes on with its last one" if code == _BOOTING else f"shutdown.exe: {code}"


def _script(worker: str, params: str) -> JobScript:
    return JobScript(text=worker_text(worker), args=(params,), kind=worker)


WINDOWS_UPDATE: Manager = WindowsUpdateManager()

__all__ = ["EXIT_MEANING", "WINDOWS_UPDATE", "WindowsUpdateManager", "explain_exit"]
