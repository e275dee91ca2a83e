"""Decide what an apt command would change: upgrades, new packages, what is kept back, and why."""

from collections.abc import Iterable
from typing import NamedTuple

from wavemend.testing.guest.store import Package, Store
from wavemend.testing.guest.versions import compare


class Step(NamedTuple):
    """One package to bring in; `old` is empty for a new one."""

    name: str
    old: str
    package: Package

    @property
    def is_downgrade(self) -> bool:
        return bool(self.old) and compare(self.package["version"], self.old) < 0


class Solution(NamedTuple):
    """What would be done, in order, and what would not."""

    steps: tuple[Step, ...] = ()
    removals: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    """Kept back by phasing alone."""
    held: tuple[str, ...] = ()
    """Held packages that would change nevertheless."""
    newest: tuple[str, ...] = ()
    """Asked for, and there already."""
    error: str = ""


class Wish(NamedTuple):
    """How the solver may go about it."""

    new_packages: bool = False
    ignore_hold: bool = False
    ignore_phasing: bool = False


def solve_upgrade(store: Store, wish: Wish) -> Solution:
    """Upgrade all that can be; what cannot be without a hold, a phase or a new package is kept."""
    candidates = {name: best for name in sorted(store.installed) if (best := _better(store, name))}
    held = {name for name in candidates if name in store.held and not wish.ignore_hold}
    deferred = {
        name
        for name, package in candidates.items()
        if package.get("phased") and not wish.ignore_phasing and name not in held
    }
    chosen = {n: p for n, p in candidates.items() if n not in held | deferred}
    kept = set(held)
    while blocked := [n for n in chosen if not _fits(store, n, chosen, new=wish.new_packages)]:
        for name in blocked:
            del chosen[name]
            kept.add(name)
    wanted = _with_new(store, chosen) if wish.new_packages else chosen
    return Solution(
        steps=_ordered(store, wanted), kept=tuple(sorted(kept)), deferred=tuple(sorted(deferred))
    )


def solve_install(
    store: Store, targets: Iterable[str], *, only_upgrade: bool, reinstall: bool = False
) -> Solution:
    """Bring in exactly what is named, and what that needs."""
    chosen: dict[str, Package] = {}
    newest = []
    for target in targets:
        name, _, version = target.partition("=")
        name = name.partition(":")[0]
        package, error = _pick(store, name, version)
        if error or package is None:
            return Solution(error=error)
        there = store.installed.get(name)
        if there is None and only_upgrade:
            newest.append(f"Skipping {name}, it is not installed and only upgrades are requested.")
        elif there and there["version"] == package["version"] and reinstall:
            if package["version"] in {each["version"] for each in store.versions_of(name)}:
                chosen[name] = package
            else:
                newest.append(f"Reinstallation of {name} is not possible, it cannot be downloaded.")
        elif there and there["version"] == package["version"]:
            newest.append(f"{name} is already the newest version ({package['version']}).")
        else:
            chosen[name] = package
    wanted, error = _with_needs(store, chosen)
    if error:
        return Solution(error=error)
    changed_holds = tuple(sorted(name for name in wanted if name in store.held))
    later = [name for name in store.installed if name not in wanted and _better(store, name)]
    return Solution(
        steps=_ordered(store, wanted),
        kept=tuple(sorted(later)),
        held=changed_holds,
        newest=tuple(newest),
    )


def _pick(store: Store, name: str, version: str) -> tuple[Package | None, str]:
    offered = store.versions_of(name)
    there = store.installed.get(name)
    if there and version in {"", there["version"]}:
        better = _better(store, name)
        return (better if better and not version else there), ""
    if not offered and there is None:
        return None, f"Unable to locate package {name}"
    if not version:
        return offered[0], ""
    for package in offered:
        if package["version"] == version:
            return package, ""
    return None, f"Version '{version}' for '{name}' was not found"


def _better(store: Store, name: str) -> Package | None:
    offered = store.versions_of(name)
    if offered and compare(offered[0]["version"], store.installed[name]["version"]) > 0:
        return offered[0]
    return None


def _needs(package: Package) -> list[tuple[str, str]]:
    return [(name, least) for name, least in package.get("depends", [])]


def _is_met(store: Store, name: str, least: str, chosen: dict[str, Package]) -> bool:
    package = chosen.get(name) or store.installed.get(name)
    return package is not None and (not least or compare(package["version"], least) >= 0)


def _fits(store: Store, name: str, chosen: dict[str, Package], *, new: bool) -> bool:
    for need, least in _needs(chosen[name]):
        if _is_met(store, need, least, chosen):
            continue
        if not (new and need not in store.installed and store.versions_of(need)):
            return False
    return True


def _with_new(store: Store, chosen: dict[str, Package]) -> dict[str, Package]:
    wanted, _ = _with_needs(store, chosen)
    return wanted


def _with_needs(store: Store, chosen: dict[str, Package]) -> tuple[dict[str, Package], str]:
    wanted = dict(chosen)
    queue = list(chosen)
    while queue:
        name = queue.pop(0)
        for need, least in _needs(wanted[name]):
            if _is_met(store, need, least, wanted):
                continue
            offered = store.versions_of(need)
            if not offered or (least and compare(offered[0]["version"], least) < 0):
                wish = f"{need} (>= {least})" if least else need
                return wanted, (
                    "Unable to correct problems, you have held broken packages."
                    f"\n {name} : Depends: {wish} but it is not installable"
                )
            wanted[need] = offered[0]
            queue.append(need)
    return wanted, ""


def _ordered(store: Store, wanted: dict[str, Package]) -> tuple[Step, ...]:
    """Needs come before what needs them; otherwise the alphabet."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name in done or name not in wanted:
            return
        for need, _ in _needs(wanted[name]):
            if need != name:
                visit(need)
        done.append(name)

    for name in sorted(wanted):
        visit(name)
    old = {name: package["version"] for name, package in store.installed.items()}
    return tuple(Step(name, old.get(name, ""), wanted[name]) for name in done)
