"""The scan worker of a played host: what Windows Update offers, and how a search fails."""

import re

from tests.windows_host.machine import Machine, iso
from tests.windows_host.parts import HistoryEntry, Update
from tests.windows_host.story import Document, Story

INVALID_CRITERIA = "0x80240032"
BUSY_SERVER = "0x80244022"
NO_UNMANAGED = "0x8024002E"
ZERO = "0x00000000"
_CLAUSE = re.compile(r"(\w+) *= *(?:'([^']*)'|(\d+))")
_PADDED = "ffffffff-0000-4000-8000-%012d"


def scan(story: Story, params: Document) -> None:
    """Tell the course of a scan."""
    machine = story.machine
    wua = machine.state.wua
    story.tell("search")
    story.takes(wua.search_seconds)
    error = search_error(machine, params) or _overrun(machine)
    if error:
        story.takes(120)  # two more tries, after 30 s and 90 s
    story.tell("history")
    fault = {"hresult": error, "context": "search", "message": "the search failed"}
    result: Document = {
        "search_result_code": 4 if error else wua.search_result_code,
        "search_error": fault if error else None,
        "warnings": [
            {"hresult": code, "context": "search", "message": "a warning of the search"}
            for code in wua.warnings
        ],
        "updates": []
        if error
        else [document(item) for item in offered(machine, str(params["criteria"]))],
        "history": _history(machine, params),
        "system_reboot_required": bool(machine.state.hard_reasons),
    }
    story.end("failed" if error else "succeeded", result)


def _overrun(machine: Machine) -> str:
    lies = machine.state.lies
    if not (machine.state.begun.get("install") and lies.searches_fail_after_change):
        return ""
    lies.searches_fail_after_change -= 1
    return BUSY_SERVER


def search_error(machine: Machine, params: Document) -> str:
    """Return the HRESULT a search with these parameters throws; empty when it throws none."""
    state = machine.state
    if state.wua.service_start == "disabled":
        return "0x80070422"
    if params["server_selection"] == 2 and state.policy.no_internet:
        return NO_UNMANAGED
    if _clauses(str(params["criteria"])) is None:
        return INVALID_CRITERIA
    return "" if state.wua.search_hresult == ZERO else state.wua.search_hresult


def offered(machine: Machine, criteria: str) -> list[Update]:
    """Return what a search with these criteria finds."""
    wanted = _clauses(criteria) or []
    return [
        update
        for update in machine.state.wua.updates
        if update.phase == "offered"
        and all(_is_done(machine, needed) for needed in update.needs)
        and any(_fits(update, clauses) for clauses in wanted)
    ]


def document(update: Update) -> Document:
    """Return an update as the scan writes it."""
    kb = update.kb[0].removeprefix("KB") if update.kb else ""
    return {
        "update_id": update.update_id,
        "revision": update.revision,
        "title": update.title,
        "kb": list(update.kb),
        "cve": list(update.cve),
        "msrc_severity": update.msrc_severity,
        "categories": [
            {"id": item.id, "name": item.name, "type": item.type} for item in update.categories
        ],
        "type": update.type,
        "max_download_bytes": str(update.max_download_bytes),
        "is_downloaded": False,
        "is_mandatory": update.is_mandatory,
        "is_uninstallable": update.is_uninstallable,
        "optional": update.optional,
        "eula_accepted": update.eula_accepted,
        "can_request_input": update.can_request_input,
        "exclusive": update.exclusive,
        "reboot_behavior": update.reboot_behavior,
        "supersedes": list(update.supersedes),
        "support_url": f"https://support.microsoft.com/help/{kb}",
        "published": "2026-02-10T18:00:00Z",
    }


def _is_done(machine: Machine, update_id: str) -> bool:
    needed = machine.update(update_id)
    return needed is not None and needed.phase in {"installed", "superseded"}


def _clauses(criteria: str) -> list[dict[str, str]] | None:
    """Read WUA's criteria: `and` of equalities, alternatives by `or`; None: not in form."""
    read: list[dict[str, str]] = []
    for alternative in re.split(r"\)? +or +\(?", criteria.strip(), flags=re.IGNORECASE):
        parts = re.split(r" +and +", alternative.strip(" ()"), flags=re.IGNORECASE)
        found = [_CLAUSE.fullmatch(part.strip()) for part in parts]
        if any(match is None for match in found):
            return None
        read.append({match[1].lower(): match[2] or match[3] for match in found if match})
    return read


def _fits(update: Update, clauses: dict[str, str]) -> bool:
    known = {
        "isinstalled": "0",
        "ishidden": "0",
        "type": update.type,
        "browseonly": str(int(update.optional)),
        "updateid": update.update_id,
    }
    return all(known.get(key) == value.lower() for key, value in clauses.items())


def _history(machine: Machine, params: Document) -> list[Document]:
    entries = machine.state.wua.history[: int(str(params["history"]))]
    padding = machine.state.lies.history_padding
    return [_entry(entry) for entry in entries] + [_padding(machine, n) for n in range(padding)]


def _entry(entry: HistoryEntry) -> Document:
    return {
        "date": entry.date,
        "title": entry.title,
        "kb": entry.kb,
        "operation": entry.operation,
        "result_code": entry.result_code,
        "hresult": entry.hresult,
        "update_id": entry.update_id,
        "revision": entry.revision,
    }


def _padding(machine: Machine, number: int) -> Document:
    title = f"Security Intelligence Update for Microsoft Defender Antivirus (number {number})"
    return _entry(
        HistoryEntry(
            date=iso(machine.unix - 3600 * (number + 1)),
            title=title,
            kb="KB2267602",
            result_code=2,
            hresult=ZERO,
            update_id=_PADDED % number,
            revision=200,
        )
    )
