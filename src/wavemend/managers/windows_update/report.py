"""What a job of ours said of each update, in its log's last words. Pure; it explains, no more.

The last line of a Windows job's log is `WMS1:` and the worker's status as JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from wavemend.packages import Target
from wavemend.windows.calling import contract_fault, parse_json
from wavemend.windows.hresults import explain

_MARK = b"WMS1:"
_WORDS = 300


class ItemState(StrEnum):
    """How far the worker came with one update."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was not begun."""
    OTHER = "other"
    """Under way, or aborted, when the worker wrote last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What the worker said of one update or package."""

    state: ItemState
    reason: str
    hresult: str
    """Empty: none was given."""
    restart: bool = False

    @property
    def words(self) -> str:
        """Why it is not in place, as far as the worker knows."""
        code = str(explain(self.hresult)) if self.hresult else ""
        return ": ".join(text for text in (_REASONS.get(self.reason, self.reason), code) if text)


_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "not_offered": "it was not offered any more",
        "revision_changed": "its publisher changed it since the plan: another revision is offered",
        "needs_user_input": "it may ask somebody something: install it by hand",
        "eula": "its licence terms could not be accepted",
        "download": "its download failed",
        "install": "its installation failed",
        "reboot_first": "the host must restart before it",
        "deadline": "the time for new installations was over",
        "no_space": "there was not enough room on the system drive",
        "cancelled": "the job was told to begin nothing new",
        "stopped": "an earlier update failed",
    }
)

_STATES: Mapping[str, ItemState] = MappingProxyType(
    {
        "succeeded": ItemState.SUCCEEDED,
        "removed": ItemState.SUCCEEDED,
        "pending_reboot": ItemState.SUCCEEDED,
        "not_installed": ItemState.SUCCEEDED,
        "succeeded_with_errors": ItemState.FAILED,
        "failed": ItemState.FAILED,
        "not_removable": ItemState.FAILED,
        "skipped": ItemState.SKIPPED,
        "pending": ItemState.SKIPPED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one job said last."""

    items: Mapping[str, Item]
    """By id of an update, KB of one that is removed, `name/` of a package."""
    trouble: str = ""
    """What the whole job died of."""

    @property
    def began_nothing(self) -> bool:
        """Every update was left for later."""
        return all(item.state is ItemState.SKIPPED for item in self.items.values())

    def of(self, target: Target) -> Item | None:
        """Return what was said of a target; None: nothing."""
        keys = (target.arch, target.name, f"{target.name.lower()}/")
        return next((self.items[key] for key in keys if key in self.items), None)


NO_REPORT = Report(items=MappingProxyType({}))


def read_report(log: bytes) -> Report:
    """Return the last status of a log; one that is not in form says nothing."""
    line = log[log.rfind(_MARK) :] if _MARK in log else b""
    try:
        status = parse_json(line.removeprefix(_MARK).partition(b"\n")[0])
    except ValueError:
        return NO_REPORT
    if contract_fault("status", status) or not isinstance(status, dict):
        return NO_REPORT
    error = status["error"] or {}
    said = f"{error.get('hresult', '')} {error.get('message', '')}".strip()
    return Report(items=dict(_items(status["items"])), trouble=said[:_WORDS])


def _items(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Item]]:
    for row in rows:
        number = row.get("exit_code")
        code = row.get("hresult") or (explain(number).code if number else "")
        item = Item(
            state=_STATES.get(row["state"], ItemState.OTHER),
            reason=row["reason"][:_WORDS].strip(" :"),
            hresult=code,
            restart=row.get("reboot_required", row["state"] == "pending_reboot"),
        )
        yield row.get("update_id") or row.get("kb") or f"{row['name'].lower()}/", item
