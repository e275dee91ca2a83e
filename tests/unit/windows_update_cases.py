"""Cases of tests/cases/windows_update as values: whole documents from what each says otherwise."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.managers.reading.system import Asked
from wavemend.managers.windows_update.answers import (
    ChocolateyList,
    chocolatey_answer,
    host_answer,
    search_answer,
)
from wavemend.managers.windows_update.facts import Seen, build_facts
from wavemend.windows.calling import contract_fault

CASES = Path(__file__).parents[1] / "cases" / "windows_update"
NOON = datetime(2026, 2, 12, 20, 0, tzinfo=UTC)
WIN1 = Host(name="win1", tenant="acme", address="win1.example", manager="windows_update")

Document = dict[str, Any]


def read(path: Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


BASE = read(CASES / "base.json")


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (CASES / folder).glob("*.json"))


def over(base: Mapping[str, Any], said: Mapping[str, Any]) -> Document:
    """Return a document with what a case says otherwise laid over it."""
    merged = dict(base)
    for key, value in said.items():
        inner = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = over(merged[key], value) if inner else value
    return merged


def in_form(contract: str, document: Document) -> Document:
    assert contract_fault(contract, document) == ""
    return document


def search_of(said: Mapping[str, Any]) -> Document:
    search = over(BASE["search"], said)
    search["updates"] = [over(BASE["update"], update) for update in search["updates"]]
    search["history"] = [over(BASE["entry"], entry) for entry in search["history"]]
    return in_form("scan.out", search)


def facts_of(said: Mapping[str, Any], *, seconds: float = 2.0) -> Facts:
    """Return the facts of a look: what a case says of `host`, `search`, `chocolatey`, `kinds`."""
    packages = ChocolateyList()
    if "chocolatey" in said:
        told = in_form("chocolatey.out", over(BASE["chocolatey"], said["chocolatey"]))
        packages = chocolatey_answer(told)
    seen = Seen(
        asked=Asked(now=NOON, seconds=seconds),
        host=host_answer(in_form("facts.out", over(BASE["host"], said.get("host", {})))),
        search=search_answer(search_of(said.get("search", {}))),
        chocolatey=packages,
    )
    return build_facts(WIN1, seen, said.get("kinds", ()))


def log_of(said: Mapping[str, Any]) -> bytes:
    """Return a job's log with the worker's last status as its last line."""
    status = over(BASE["status"], said)
    if status["kind"] == "install":
        status["items"] = [
            item if "version" in item else over(BASE["item"], item) for item in status["items"]
        ]
    line = json.dumps(in_form("status", status), separators=(",", ":"))
    return f"what the worker wrote\nWMS1:{line}".encode()


def shown_update(update: PendingUpdate) -> Document:
    """Return what says something of a pending update: fields at their default are left out."""
    told = {
        "name": update.name,
        "id": update.arch,
        "from": update.installed,
        "to": update.candidate,
        "origin": update.origin,
        "security": update.security,
        "held": update.held,
        "withheld": update.withheld,
        "cves": list(update.cves),
        "advisories": list(update.advisories),
        "builds": [" ".join(pair) for pair in update.builds],
        "restart": update.restart,
    }
    return {
        key: value for key, value in told.items() if value or (value is False and key == "restart")
    }


def shown_package(package: InstalledPackage) -> str:
    words = (package.name, package.version, package.arch, package.module)
    state = "" if package.status == "ii" else f"({package.status})"
    return " ".join(word for word in (*words, state) if word)


def shown(facts: Facts) -> Document:
    """Return facts as a case writes them."""
    return {
        "codename": facts.codename,
        "build": facts.os_version,
        "newest": facts.newest_kernel,
        "installed": [shown_package(package) for package in facts.installed],
        "pending": [shown_update(update) for update in facts.pending],
        "held": list(facts.held),
        "broken": [shown_package(package) for package in facts.broken],
        "reboot_reasons": list(facts.reboot_reasons),
        "lock_holder": facts.lock_holder,
        "index_errors": list(facts.index_errors),
        "rivals": list(facts.rivals),
        "repositories": [
            f"{r.name}{'' if r.reachable else ', not reachable'}{'' if r.signed else ', unsigned'}"
            f"{r.detail and ': '}{r.detail}"
            for r in facts.repositories
        ],
    }
