"""What the scripts and workers of a Windows host answer, as values. Pure.

The answers are checked against their contracts before they come here; see `windows/contracts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Told: TypeAlias = Mapping[str, Any]
"""An answer in the form of its contract."""

SUCCEEDED, SUCCEEDED_WITH_ERRORS = 2, 3
"""Of OperationResultCode; with every other code a search carries no updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that went wrong beside, or instead of, the answer."""

    hresult: str
    context: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Which Windows it is. `build` has four parts: `10.0.20348.4171`."""

    build: str
    product_type: int
    display_version: str
    architecture: str
    computer: str
    machine_id: str
    boot_id: str
    takes_hotpatches: bool
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who decides about the host's updates; obeyed, never edited."""

    wsus_server: str
    au_options: int | None
    no_auto_update: bool
    configmgr: bool
    """The ConfigMgr client is there: it may install, too."""

    @property
    def installs_by_itself(self) -> bool:
        """Automatic Updates downloads and installs on its own schedule."""
        return self.au_options == 4 and not self.no_auto_update


@dataclass(frozen=True, slots=True, kw_only=True)
class CbsPackage:
    """One package of component based servicing."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NameVersion:
    """A product or a package."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """What the script `facts` says: everything that needs no search for updates."""

    system: System
    policy: Policy
    reboot_reasons: tuple[str, ...]
    """The hard ones alone."""
    uptime_seconds: float
    utc_now: str
    disks: tuple[tuple[str, int], ...]
    """Path and free bytes; the system drive comes first."""
    users: tuple[str, ...]
    installer: str
    """Who installs something now; empty: nobody."""
    scheduled_shutdown: str
    hotfixes: tuple[str, ...]
    packages: tuple[CbsPackage, ...]
    products: tuple[NameVersion, ...]
    journal: tuple[str, ...]
    definitions: str
    """Version of Defender's definitions; empty: no Defender."""
    has_chocolatey: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """One update that the search found."""

    update_id: str
    revision: int
    title: str
    kbs: tuple[str, ...]
    cves: tuple[str, ...]
    severity: str
    """Microsoft's own word; empty: it is no security update, or nobody rated it."""
    categories: frozenset[str]
    """Ids; their names are in the host's language."""
    is_driver: bool
    optional: bool
    can_request_input: bool
    reboot_behavior: str
    supersedes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One entry of the agent's own history."""

    date: str
    """UTC, `2026-02-10T02:11:09Z`: as text it sorts by time."""
    title: str
    kb: str
    update_id: str
    revision: int
    removes: bool
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What one search for updates found; `trouble` says why it is not to be relied on."""

    offered: tuple[Offered, ...] = ()
    past: tuple[Past, ...] = ()
    warnings: tuple[Fault, ...] = ()
    fault: Fault | None = None
    """Why the agent did not search to the end."""
    trouble: str = ""
    """Why the host gave no answer at all."""
    restart_required: bool = False
    """The agent itself waits for a restart."""
    partial: bool = False
    """It ended "with errors", of which Microsoft says: results might be incomplete."""

    @property
    def is_whole(self) -> bool:
        """True when what is not among the offered is not offered."""
        return self.fault is None and not self.trouble and not self.partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """A Chocolatey package with a newer version."""

    name: str
    installed: str
    available: str
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChocolateyList:
    """What Chocolatey has installed, and what is newer."""

    installed: tuple[NameVersion, ...] = ()
    outdated: tuple[Outdated, ...] = ()
    troubles: tuple[str, ...] = ()


def host_answer(told: Told) -> HostAnswer:
    """Return the answer of the script `facts`."""
    busy = told["installer_busy"]
    defender = told["defender"]
    return HostAnswer(
        system=_system(told["os"]),
        policy=_policy(told["policy"]),
        reboot_reasons=tuple(told["reboot"]["reasons"]),
        uptime_seconds=float(told["uptime_seconds"]),
        utc_now=told["utc_now"],
        disks=tuple((disk["path"], disk["free_bytes"]) for disk in told["disks"]),
        users=tuple(sorted(set(told["logged_on"]))),
        installer=(busy["holder"] or "an installer") if busy["busy"] else "",
        scheduled_shutdown=told["scheduled_shutdown"],
        hotfixes=tuple(hotfix["kb"] for hotfix in told["hotfixes"]),
        packages=tuple(CbsPackage(name=p["name"], state=p["state"]) for p in told["packages"]),
        products=_named(told["products"]),
        journal=tuple(told["journal_tail"]),
        definitions=defender["signature_version"] if defender else "",
        has_chocolatey=told["chocolatey"],
    )


def _system(told: Told) -> System:
    return System(
        build=told["build"],
        product_type=told["product_type"],
        display_version=told["display_version"],
        architecture=told["architecture"],
        computer=told["computer"],
        machine_id=told["machine_id"],
        boot_id=told["boot_id"],
        takes_hotpatches=told["hotpatch_enrolled"],
        simulated=bool(told.get("simulated")),
    )


def _policy(told: Told) -> Policy:
    return Policy(
        wsus_server=told["wsus_server"] if told["use_wsus"] else "",
        au_options=told["au_options"],
        no_auto_update=told["no_auto_update"],
        configmgr=told["configmgr"],
    )


def search_answer(told: Told) -> Search:
    """Return the result of the worker `scan`."""
    fault = told["search_error"]
    code = told["search_result_code"]
    if fault is None and code not in {SUCCEEDED, SUCCEEDED_WITH_ERRORS}:
        fault = {"hresult": "", "context": "search", "message": f"it ended with the code {code}"}
    return Search(
        offered=tuple(_offered(update) for update in told["updates"]),
        past=tuple(_past(entry) for entry in told["history"]),
        warnings=tuple(_fault(warning) for warning in told["warnings"]),
        fault=_fault(fault) if fault else None,
        restart_required=told["system_reboot_required"],
        partial=code == SUCCEEDED_WITH_ERRORS,
    )


def _fault(told: Told) -> Fault:
    return Fault(hresult=told["hresult"], context=told["context"], message=told["message"])


def _offered(told: Told) -> Offered:
    return Offered(
        update_id=told["update_id"],
        revision=told["revision"],
        title=told["title"],
        kbs=tuple(sorted(set(told["kb"]))),
        cves=tuple(sorted({cve.strip().upper() for cve in told["cve"]})),
        severity=told["msrc_severity"],
        categories=frozenset(category["id"] for category in told["categories"]),
        is_driver=told["type"] == "driver",
        optional=told["optional"],
        can_request_input=told["can_request_input"],
        reboot_behavior=told["reboot_behavior"],
        supersedes=tuple(sorted(told["supersedes"])),
    )


def _past(told: Told) -> Past:
    return Past(
        date=told["date"],
        title=told["title"],
        kb=told["kb"],
        update_id=told["update_id"],
        revision=told["revision"],
        removes=told["operation"] == "uninstallation",
        succeeded=told["operation"] != "other" and told["result_code"] == SUCCEEDED,
    )


def chocolatey_answer(told: Told) -> ChocolateyList:
    """Return the result of the worker `chocolatey`, asked for its list."""
    troubles = [f"Chocolatey: {w['context']}: {w['message']}" for w in told["warnings"]]
    return ChocolateyList(
        installed=_named(told["installed"]),
        outdated=tuple(
            Outdated(
                name=row["name"],
                installed=row["installed"],
                available=row["available"],
                pinned=row["pinned"],
            )
            for row in told["outdated"]
        ),
        troubles=tuple(troubles),
    )


def _named(told: Sequence[Told]) -> tuple[NameVersion, ...]:
    return tuple(NameVersion(name=row["name"], version=row["version"]) for row in told)
