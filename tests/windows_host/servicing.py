"""What jobs and boots change on a played host: updates, servicing packages, builds, history."""

from tests.windows_host.machine import Machine, iso
from tests.windows_host.parts import HistoryEntry, Package, Update
from tests.windows_host.state import Effect

SUCCEEDED, FAILED = 2, 4
"""OperationResultCode."""


def first_packages(machine: Machine) -> None:
    """Give a host that names none the cumulative package of its own build."""
    state = machine.state
    if not any(package.build for package in state.packages):
        state.packages.append(Package(name=rollup(state.os.build), build=state.os.build))


def rollup(build: str) -> str:
    """Return the name of the cumulative package of a build, as servicing has it."""
    short = build.removeprefix("10.0.")
    return f"Package_for_RollupFix~31bf3856ad364e35~amd64~~{short}.1.10"


def apply(machine: Machine, effect: Effect) -> None:
    """Make one change of a running job true."""
    match effect.do:
        case "installed":
            _installed(machine, _known(machine, effect.subject))
        case "failed":
            _failed(machine, _known(machine, effect.subject), effect.value)
        case "package":
            _set_package(machine, effect.subject, effect.value)
        case "chocolatey":
            _upgraded(machine, effect.subject, effect.value)
        case "restart":
            machine.require_restart()
        case "point":
            assert effect.point is not None
            machine.state.points.made.append(effect.point)


def boot(machine: Machine) -> None:
    """Finish or undo, at a boot, what waited for it."""
    state = machine.state
    state.hard_reasons[:] = state.lies.lasting_reasons
    state.soft_reasons.clear()
    for update in state.wua.updates:
        if update.phase != "pending":
            continue
        if update.rolls_back == 0:
            _complete(machine, update)
            continue
        update.rolls_back = max(-1, update.rolls_back - 1) if update.rolls_back > 0 else -1
        update.phase = "offered"
        state.packages = [item for item in state.packages if item.name != update.package]
    gone = {item.name for item in state.packages if item.state == "UninstallPending"}
    if gone:
        _remove(machine, gone)


def supersede(machine: Machine, update: Update) -> None:
    """Take an update away, and offer what replaces it where that is known."""
    update.phase = "superseded"
    successor = machine.update(update.superseded_by)
    if successor is not None and successor.phase == "hidden":
        successor.phase = "offered"


def _known(machine: Machine, update_id: str) -> Update:
    update = machine.update(update_id)
    if update is None:
        raise ValueError(f"no update has the id {update_id!r}")
    return update


def _installed(machine: Machine, update: Update) -> None:
    update.tries += 1
    update.installs += 1
    _remember(machine, update, SUCCEEDED, "0x00000000")
    if update.reboot:
        update.phase = "pending"
        machine.require_restart()
        _bring_package(machine, update, "InstallPending")
    else:
        _complete(machine, update)


def _failed(machine: Machine, update: Update, hresult: str) -> None:
    update.tries += 1
    _remember(machine, update, FAILED, hresult)


def _remember(machine: Machine, update: Update, code: int, hresult: str) -> None:
    machine.state.wua.history.insert(
        0,
        HistoryEntry(
            date=iso(machine.unix),
            title=update.title,
            kb=update.kb[0] if update.kb else "",
            result_code=code,
            hresult=hresult,
            update_id=update.update_id,
            revision=update.revision,
        ),
    )


def _bring_package(machine: Machine, update: Update, state: str) -> None:
    name = update.package
    if not name:
        return
    packages = [item for item in machine.state.packages if item.name != name]
    brought = Package(
        name=name,
        state=state,
        installed=iso(machine.unix),
        kb=update.kb[0] if update.kb else "",
        build=update.build,
        permanent=update.permanent,
    )
    machine.state.packages = [*packages, brought]


def _complete(machine: Machine, update: Update) -> None:
    state = machine.state
    update.phase = "installed"
    if update.build and "RollupFix" in update.package:
        for package in state.packages:
            if package.build and package.state == "Installed":
                package.state = "Superseded"
    _bring_package(machine, update, "Installed")
    if update.build:
        state.os.build = update.build
    state.products.update(update.products)
    state.signature_version = update.signature_version or state.signature_version


def _set_package(machine: Machine, name: str, state: str) -> None:
    for package in machine.state.packages:
        if package.name == name:
            package.state = state
    if state == "UninstallPending":
        machine.require_restart()
    elif state == "Absent":
        _remove(machine, {name})


def _remove(machine: Machine, names: set[str]) -> None:
    """Take packages out: the build falls back to the newest that is left, its update comes back."""
    state = machine.state
    state.packages = [item for item in state.packages if item.name not in names]
    for update in state.wua.updates:
        if update.package in names and update.phase in {"installed", "pending"}:
            update.phase = "offered"
    left = [item for item in state.packages if item.build]
    if left:
        newest = max(left, key=lambda item: [int(part) for part in item.build.split(".")])
        newest.state = "Installed"
        state.os.build = newest.build


def _upgraded(machine: Machine, name: str, version: str) -> None:
    for package in machine.state.chocolatey or []:
        if package.name == name:
            package.version = version
            package.available = "" if package.available == version else package.available
