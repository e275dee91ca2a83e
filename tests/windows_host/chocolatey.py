"""Chocolatey on a played host: its worker, and its share of an install job."""

from collections.abc import Callable
from datetime import datetime

from tests.windows_host.machine import Machine
from tests.windows_host.parts import ChocoPackage
from tests.windows_host.state import Effect
from tests.windows_host.story import Document, Story

UPGRADE_SECONDS = 30
VERSION = "2.4.1"
_GOOD = frozenset({0, 1641, 3010})
_RESTART_FIRST = frozenset({350, 1604})
_RESTART = frozenset({1641, 3010}) | _RESTART_FIRST


def chocolatey(story: Story, params: Document) -> None:
    """Tell the course of the worker of that name."""
    listing, packages = params["action"] == "list", params["packages"]
    assert isinstance(packages, list)
    deadline = str(params["deadline_utc"])
    last = datetime.fromisoformat(deadline).timestamp() if deadline else None
    story.items = [new_item(package) for package in packages]
    upgrade_all(
        story,
        [] if listing else story.items,
        deadline=lambda: last is not None and story.now >= last,
        go_on=bool(params["continue_on_error"]),
    )
    story.tell("list")
    story.takes(5)
    there = story.machine.state.chocolatey
    installed = [{"name": item.name, "version": _after(story, item)} for item in there or []]
    outdated = [_outdated(item) for item in there or [] if item.available and listing]
    result: Document = {
        "present": there is not None,
        "version": "" if there is None else VERSION,
        "installed": installed,
        "outdated": outdated,
        "warnings": [],
        "packages": [dict(item) for item in story.items],
    }
    late = any(item["reason"] == "deadline" for item in story.items)
    story.end("succeeded" if listing else "deadline" if late else story.outcome(), result)


def new_item(package: Document) -> Document:
    """Return the row of one package, not tried yet."""
    return {
        "name": package["name"],
        "version": package["version"],
        "version_before": "",
        "version_after": "",
        "state": "pending",
        "exit_code": None,
        "reboot_required": False,
        "reason": "",
        "seconds": 0,
    }


def upgrade_all(
    story: Story, items: list[Document], *, deadline: Callable[[], bool], go_on: bool
) -> None:
    """Raise packages one after the other, to exactly the versions of their rows."""
    failed = False
    for item in items:
        stop = "deadline" if deadline() else "stopped" if failed and not go_on else ""
        if stop:
            item.update(state="skipped", reason=stop)
            continue
        story.tell("chocolatey", current=f"{item['name']} {item['version']}")
        effects = _upgrade(story, item)
        failed = failed or item["state"] == "failed"
        story.reboot_required = story.reboot_required or bool(item["reboot_required"])
        story.tell("chocolatey", current=str(item["name"]), effects=effects)


def _upgrade(story: Story, item: Document) -> list[Effect]:
    package = _package(story.machine, str(item["name"]))
    if story.machine.state.chocolatey is None:
        item.update(state="failed", reason="Chocolatey is not installed")
        return []
    if package is None:
        item.update(state="skipped", reason="not_installed")
        return []
    item["version_before"] = item["version_after"] = package.version
    story.takes(UPGRADE_SECONDS)
    wanted = str(item["version"])
    known = wanted in {package.available, package.version} and not package.pinned
    code = package.exit_code if known else 1
    good = code in _GOOD
    item.update(state="succeeded" if good else "failed", exit_code=code, seconds=UPGRADE_SECONDS)
    item["reboot_required"] = code in _RESTART
    restart = [Effect(do="restart")] if code in _RESTART else []
    if not good:
        item["reason"] = "reboot_first" if code in _RESTART_FIRST else f"choco ended with {code}: "
        return restart
    item["version_after"] = wanted
    return [Effect(do="chocolatey", subject=package.name, value=wanted), *restart]


def _package(machine: Machine, name: str) -> ChocoPackage | None:
    found = [item for item in machine.state.chocolatey or [] if item.name == name]
    return found[0] if found else None


def _after(story: Story, package: ChocoPackage) -> str:
    """Return the version a package has at the end of this job."""
    done = [row for row in story.items if row["name"] == package.name]
    return str(done[-1]["version_after"]) if done else package.version


def _outdated(item: ChocoPackage) -> Document:
    return {
        "name": item.name,
        "installed": item.version,
        "available": item.available,
        "pinned": item.pinned,
    }
