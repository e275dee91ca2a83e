"""What a played host can go back to: the rollback worker (DISM) and the snapshot worker."""

from tests.windows_host.machine import Machine
from tests.windows_host.parts import Package, Point
from tests.windows_host.state import Effect
from tests.windows_host.story import Document, Story

DISM_SECONDS = 180
PERMANENT = -2146498523
"""0x800F0825 as DISM exits with it."""
RESTART = 3010
_SHADOW_ID = "{5c0f22b1-93d1-4c4e-8a31-%012d}"
_THERE = frozenset({"Installed", "InstallPending", "Permanent"})
_SHADOW_CODES = (
    *("made", "access denied", "invalid argument", "volume not found", "volume not supported"),
    *("unsupported context", "insufficient storage", "volume in use", "too many shadow copies"),
    *("another operation in progress", "provider vetoed", "provider not registered"),
    *("provider failed", "unknown error"),
)
"""By the return code of `Win32_ShadowCopy.Create`."""


def rollback(story: Story, params: Document) -> None:
    """Tell the course of taking updates back with DISM; the host is not restarted."""
    machine = story.machine
    before = machine.os()
    targets = params["targets"]
    assert isinstance(targets, list)
    for target in targets:
        _take_back(story, target, dry=bool(params["dry_run"]))
    items = [dict(item) for item in story.items]
    story.reboot_required = any(item["state"] == "pending_reboot" for item in items)
    story.end(story.outcome(), {"os_before": before, "os_after": machine.os(), "items": items})


def _take_back(story: Story, target: Document, *, dry: bool) -> None:
    kb = str(target["kb"])
    package = _package_of(story.machine, kb, str(target["fixed_build"]))
    item: Document = {"kb": kb, "package": "", "state": "pending", "exit_code": None, "reason": ""}
    story.items.append(item)
    story.tell("remove", current=kb)
    if package is None:
        item.update(state="not_installed", reason="no installed package of this update or build")
        return
    item["package"] = package.name
    if "ServicingStack" in package.name:
        item.update(state="not_removable", reason="a servicing stack update")
    elif package.state == "Permanent":
        item.update(state="not_removable", reason="the package is permanent")
    elif not dry:
        _remove(story, item, package)


def _remove(story: Story, item: Document, package: Package) -> None:
    story.takes(DISM_SECONDS)
    effects = []
    if package.permanent:
        item.update(state="not_removable", exit_code=PERMANENT)
        item["reason"] = "the package is permanent (0x800F0825)"
    else:
        item.update(state="pending_reboot", exit_code=RESTART)
        effects = [Effect(do="package", subject=package.name, value="UninstallPending")]
    story.tell("remove", current=str(item["kb"]), effects=effects)


def _package_of(machine: Machine, kb: str, build: str) -> Package | None:
    there = [
        item for item in machine.state.packages if item.state in {"Installed", "InstallPending"}
    ]
    named = [item for item in there if f"_for_{kb}~" in item.name]
    part = f"~~{'.'.join(build.split('.')[2:])}."
    rollups = [item for item in there if build and "RollupFix~" in item.name and part in item.name]
    return next(iter([*named, *rollups]), None)


def snapshot(story: Story, params: Document) -> None:
    """Tell the course of making a restore point (client) or a shadow copy (server)."""
    machine = story.machine
    label, volume = str(params["label"]), str(params["volume"]) or "C:"
    points = machine.state.points
    there = [item for item in points.made if item.label == label and not item.forgotten]
    failed: list[Document] = []
    made: list[Point] = []
    story.tell("snapshot", current=label)
    if not there:
        story.takes(20)
        if machine.state.os.product_type == 1:
            reason = _no_restore_point(machine)
            made = [] if reason else [_point(machine, label, "")]
            failed = [_failure("restore_point", "", None, reason)] if reason else []
        if not made and points.shadow_code == 0:
            made = [_point(machine, label, volume)]
        elif not made:
            code = points.shadow_code
            failed.append(_failure("shadow_copy", volume, code, _SHADOW_CODES[code]))
    effects = [Effect(do="point", point=item) for item in made]
    story.tell("snapshot", current=label, effects=effects)
    there += made
    result: Document = {"points": [point_document(item) for item in there], "failed": failed}
    full = any(item["return_code"] == 6 for item in failed)
    words = "; ".join(
        f"no {item['kind']} was made: {item['reason']}".replace("_", " ") for item in failed
    )
    story.end("succeeded" if there else "no_space" if full else "failed", result, words=words)


def point_document(point: Point) -> Document:
    """Return a point as the scripts list it."""
    return {
        "label": point.label,
        "kind": point.kind,
        "reference": point.reference,
        "volume": point.volume,
        "created_unix": point.created,
    }


def _no_restore_point(machine: Machine) -> str:
    points = machine.state.points
    if points.restore_off:
        return "System Restore is switched off"
    return "Windows said it made one and lists none" if points.restore_silent else ""


def _point(machine: Machine, label: str, volume: str) -> Point:
    """Return a new point: a shadow copy where a volume is named."""
    number = len(machine.state.points.made) + 1
    return Point(
        label=label,
        kind="shadow_copy" if volume else "restore_point",
        reference=_SHADOW_ID % number if volume else str(100 + number),
        volume=volume,
        created=machine.unix,
    )


def _failure(kind: str, volume: str, code: int | None, reason: str) -> Document:
    return {"kind": kind, "volume": volume, "return_code": code, "reason": reason}
