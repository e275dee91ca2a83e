"""What Windows' result codes mean and what is to be done. Pure; a code explains, it never proves.

The codes are those of the SDK's wuerror.h (Windows Update), of component based servicing, and of
Win32 where updates end with them; the words are our own. A code that is not in `hresults.csv` is
*unknown*: never a success, and never a reason to try again by itself.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType


class Kind(StrEnum):
    """What sort of result a code is; the way out is that of its sort."""

    DONE = "done"
    RESTART = "restart"
    """Done, and takes effect with a restart."""
    PENDING = "pending"
    """It cannot be told, or goes on, before the host has restarted."""
    GONE = "gone"
    """It is not offered, not applicable or withdrawn: nothing failed."""
    BUSY = "busy"
    STOPPED = "stopped"
    TIME = "time"
    NETWORK = "network"
    SERVER = "server"
    """WSUS or Microsoft's service answered, and not well."""
    DOWNLOAD = "download"
    POLICY = "policy"
    RIGHTS = "rights"
    INPUT = "input"
    POWER = "power"
    SPACE = "space"
    ORDER = "order"
    INSTALLER = "installer"
    SERVICING = "servicing"
    """Windows' own component store."""
    SOURCE = "source"
    METADATA = "metadata"
    DATABASE = "database"
    AGENT = "agent"
    PERMANENT = "permanent"
    """It cannot be removed."""
    ABSENT = "absent"
    BUG = "bug"
    """Wavemend asked for something that there is not."""
    UNCLEAR = "unclear"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What may be done about a result without a person."""

    NOTHING = "nothing"
    RESTART = "restart"
    RESCAN = "rescan"
    WAIT = "wait"
    RETRY = "retry"
    """Once, as it is."""
    RESTART_AND_RETRY = "restart_and_retry"
    """Once."""
    PERSON = "person"


_DONE = frozenset({Kind.DONE, Kind.RESTART})
_ACTIONS: Mapping[Kind, Action] = MappingProxyType(
    {
        Kind.DONE: Action.NOTHING,
        Kind.RESTART: Action.RESTART,
        Kind.PENDING: Action.RESTART_AND_RETRY,
        Kind.GONE: Action.RESCAN,
        Kind.BUSY: Action.WAIT,
        Kind.STOPPED: Action.RESTART_AND_RETRY,
        Kind.TIME: Action.RETRY,
        Kind.NETWORK: Action.RETRY,
        Kind.SERVER: Action.RETRY,
        Kind.DOWNLOAD: Action.RETRY,
        Kind.INSTALLER: Action.RESTART_AND_RETRY,
        Kind.SERVICING: Action.RESTART_AND_RETRY,
        Kind.ABSENT: Action.NOTHING,
    }
)
"""Every other kind needs a person: trying again changes nothing."""

_RESTORE_HEALTH = "run DISM /Online /Cleanup-Image /RestoreHealth, then look at CBS.log"
_WAYS_OUT: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.PENDING: "restart the host and look again",
        Kind.BUSY: "wait until the other installer has ended, or restart the host",
        Kind.STOPPED: "look again once the host is up",
        Kind.TIME: "try again; when it stays, look at WindowsUpdate.log on the host",
        Kind.NETWORK: "look at the host's name resolution, proxy, firewall, certificates and clock",
        Kind.SERVER: "look at the WSUS, its pool, synchronisation and approvals, or at the proxy",
        Kind.DOWNLOAD: "look at the BITS service, the proxy, and that the server has the files",
        Kind.POLICY: "look at the host's Windows Update policy: wavemend obeys it and edits none",
        Kind.RIGHTS: "the login must be a local administrator with an unfiltered token",
        Kind.INPUT: "install it by hand: it asks somebody something",
        Kind.POWER: "connect the host to mains power",
        Kind.SPACE: "make room on the system drive",
        Kind.ORDER: "install the newest servicing stack update first",
        Kind.INSTALLER: "look at the installer's own log on the host",
        Kind.SERVICING: _RESTORE_HEALTH,
        Kind.SOURCE: _RESTORE_HEALTH,
        Kind.METADATA: "synchronise the update server, then look again",
        Kind.DATABASE: "make the agent's SoftwareDistribution folder anew",
        Kind.AGENT: "restart the Windows Update service, then look again",
        Kind.PERMANENT: "only a snapshot of the whole machine takes it back",
        Kind.BUG: "report this to the authors of wavemend",
        Kind.UNCLEAR: "look at the code of each update, and at WindowsUpdate.log on the host",
        Kind.UNKNOWN: "look it up, and at WindowsUpdate.log and CBS.log on the host",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One result code and what it means."""

    code: str
    """`0x800F0922`."""
    name: str
    """Its constant; empty for an unknown code."""
    kind: Kind
    meaning: str

    @property
    def is_done(self) -> bool:
        """True for codes that say success, and for no others."""
        return self.kind in _DONE

    @property
    def action(self) -> Action:
        """What may be done without a person."""
        return _ACTIONS.get(self.kind, Action.PERSON)

    @property
    def way_out(self) -> str:
        """What a person can do; empty where there is nothing to do."""
        return _WAYS_OUT.get(self.kind, "")

    def __str__(self) -> str:
        name = f"{self.code} {self.name}" if self.name else self.code
        return f"{name}: {self.meaning}{f' ({self.way_out})' if self.way_out else ''}"


_CODE = re.compile(r"0x[0-9A-Fa-f]{8}")


def explain(code: str | int) -> Result:
    """Return what a code means: `0x80240017`, a signed or unsigned HRESULT, or a Win32 number.

    What is in no form at all is unknown, too.
    """
    told = _from_number(code) if isinstance(code, int) else code
    if not _CODE.fullmatch(told):
        return Result(code=told[:40] or "no code", name="", kind=Kind.UNKNOWN, meaning=_UNKNOWN)
    text = f"0x{told[2:].upper()}"
    found = _table().get(text)
    return found or Result(code=text, name="", kind=Kind.UNKNOWN, meaning=_UNKNOWN)


_UNKNOWN = "a code that wavemend does not know"
_WIN32 = 0x80070000


def _from_number(number: int) -> str:
    """Return a number as HRESULT; installers and DISM end with Win32 numbers or signed HRESULTs."""
    unsigned = number & 0xFFFFFFFF
    return f"0x{_WIN32 | unsigned if 0 < unsigned <= 0xFFFF else unsigned:08X}"


@cache
def _table() -> Mapping[str, Result]:
    text = files("wavemend").joinpath("windows", "hresults.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["code"]: Result(
            code=row["code"], name=row["name"], kind=Kind(row["kind"]), meaning=row["meaning"]
        )
        for row in rows
    }


def known_codes() -> tuple[str, ...]:
    """Return every code of the table, sorted."""
    return tuple(sorted(_table()))
