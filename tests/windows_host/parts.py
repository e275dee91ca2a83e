"""The parts of a played host that a scenario describes: Windows, updates, packages, points."""

from dataclasses import field
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid")
MIB = 1024**2


@dataclass(config=STRICT, slots=True, kw_only=True)
class Os:
    """Which Windows it plays; a Server 2022 of September 2025 where nobody says."""

    caption: str = "Microsoft Windows Server 2022 Datacenter"
    build: str = "10.0.20348.4171"
    product_name: str = "Windows Server 2022 Datacenter"
    display_version: str = "21H2"
    edition: str = "ServerDatacenter"
    installation_type: str = "Server"
    architecture: str = "x64"
    product_type: int = 3
    """1 client, 2 domain controller, 3 server."""
    computer: str = "WIN2022"
    machine_id: str = "8f3c1d52-6a07-4e0b-9c55-20348417100a"
    hotpatch_enrolled: bool = False


@dataclass(config=STRICT, slots=True, kw_only=True)
class Policy:
    """Windows Update policy as the registry holds it; nothing set: Microsoft Update, by hand."""

    wsus_server: str = ""
    use_wsus: bool = False
    no_internet: bool = False
    dual_scan_disabled: bool = False
    au_options: int | None = None
    no_auto_update: bool = False
    configmgr: bool = False


@dataclass(config=STRICT, slots=True, kw_only=True)
class Package:
    """One servicing package, as DISM lists it."""

    name: str
    state: str = "Installed"
    release_type: str = "SecurityUpdate"
    installed: str = "2025-09-09T03:12:00Z"
    kb: str = ""
    build: str = ""
    """The full build the host has while this is the newest installed; empty: it changes none."""
    permanent: bool = False
    """DISM refuses to remove it with 0x800F0825."""


@dataclass(config=STRICT, slots=True, kw_only=True)
class Category:
    """A category of an update."""

    id: str = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
    name: str = "Security Updates"
    type: str = "UpdateClassification"


@dataclass(config=STRICT, slots=True, kw_only=True)
class Update:
    """One update, how it goes when it is installed, and how far it is."""

    update_id: str
    title: str
    revision: int = 200
    kb: list[str] = field(default_factory=list)
    cve: list[str] = field(default_factory=list)
    msrc_severity: str = ""
    categories: list[Category] = field(default_factory=lambda: [Category()])
    type: Literal["software", "driver"] = "software"
    optional: bool = False
    exclusive: bool = False
    is_mandatory: bool = False
    is_uninstallable: bool = False
    eula_accepted: bool = True
    can_request_input: bool = False
    reboot_behavior: Literal["never", "always", "can_request"] = "can_request"
    supersedes: list[str] = field(default_factory=list)
    max_download_bytes: int = 30_000 * MIB
    """What WUA claims: tens of GB for an express update."""

    phase: Literal["offered", "hidden", "pending", "installed", "superseded"] = "offered"
    needs: list[str] = field(default_factory=list)
    """Update ids that must be installed before this one is offered: another round."""
    superseded_by: str = ""
    """Id of the hidden update that takes its place, when `supersede` or the next line says so."""
    vanishes_at_install: bool = False
    """It was scanned, and is gone (superseded) when the install job looks for it."""

    download_seconds: float = 40
    install_seconds: float = 300
    reboot: bool = True
    """Done only after a restart."""
    build: str = ""
    """Full build it raises Windows to."""
    package: str = ""
    """Servicing package it brings; empty: none."""
    permanent: bool = False
    """Its package cannot be removed again."""
    products: dict[str, str] = field(default_factory=dict)
    """Versions of other products it raises, e.g. the .NET runtime."""
    signature_version: str = ""
    """Defender's definitions it brings."""
    fails_at: Literal["", "download", "install"] = ""
    hresult: str = "0x00000000"
    failures: int = -1
    """So many tries fail; -1: all of them. Only with `fails_at`."""
    rolls_back: int = 0
    """So many restarts undo it after WUA called it succeeded; -1: every one, an update loop."""
    tries: int = 0
    installs: int = 0
    """Tries that WUA called succeeded."""


@dataclass(config=STRICT, slots=True, kw_only=True)
class HistoryEntry:
    """One line of WUA's history."""

    date: str
    title: str
    kb: str
    result_code: int
    hresult: str
    update_id: str
    revision: int
    operation: str = "installation"


@dataclass(config=STRICT, slots=True, kw_only=True)
class Wua:
    """The Windows Update agent and the service behind it."""

    updates: list[Update] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    search_seconds: float = 45
    search_result_code: int = 2
    search_hresult: str = "0x00000000"
    """Not zero: every search throws it, after its retries."""
    warnings: list[str] = field(default_factory=list)
    """HRESULTs of warnings of a search."""
    service_start: Literal["auto", "manual", "disabled"] = "manual"
    busy: bool = False
    holder: str = ""


@dataclass(config=STRICT, slots=True, kw_only=True)
class Winrm:
    """How the host lets others in, and what they find there."""

    token: Literal["full", "filtered", "user"] = "full"
    """What a login's rights are: an administrator's, the same cut off, or none."""
    powershell: str = "5.1"
    language_mode: str = "FullLanguage"
    cbt_level: str = "Strict"
    max_shells: int = 30


@dataclass(config=STRICT, slots=True, kw_only=True)
class Service:
    """One service, for health."""

    name: str
    running: bool = True
    automatic: bool = True
    exit_code: int = 0


@dataclass(config=STRICT, slots=True, kw_only=True)
class Point:
    """A restore point of a client or a shadow copy of a server."""

    label: str
    kind: Literal["restore_point", "shadow_copy"]
    reference: str
    """Sequence number, or shadow id in braces."""
    volume: str
    created: int
    forgotten: bool = False
    """Windows threw it away, as it does when room is needed: it is listed no more."""


@dataclass(config=STRICT, slots=True, kw_only=True)
class Points:
    """What can be snapshotted, and what was."""

    made: list[Point] = field(default_factory=list)
    shadow_code: int = 0
    """Return code of `Win32_ShadowCopy.Create`; 6 is: no room."""
    restore_off: bool = False
    """System Restore is switched off: a client makes no point."""
    restore_silent: bool = False
    """The call succeeds and no point appears: the second one within a day."""
    removal_fails: bool = False


@dataclass(config=STRICT, slots=True, kw_only=True)
class ChocoPackage:
    """One Chocolatey package, and what `choco upgrade` would do with it."""

    name: str
    version: str
    available: str = ""
    exit_code: int = 0
    pinned: bool = False
