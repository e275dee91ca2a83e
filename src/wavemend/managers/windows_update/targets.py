"""Updates and packages as data: checked, then handed to the workers as JSON and never as text."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wavemend.errors import PlanError
from wavemend.managers.windows_update.naming import CHOCOLATEY, REPLACED
from wavemend.packages import Target
from wavemend.plans import PlannedPackage
from wavemend.windows.products import DEFINITIONS, servicing_build

MIN_FREE_MB = 2_048
"""What the worker itself asks for; preflight asks for more before a cumulative update. The sizes
that the agent gives are of no use: of an express update it is the sum of all its parts."""

_BEFORE = "before "
_NAME = re.compile(r"[A-Za-z0-9.+-]{1,80}")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REVISION = re.compile(r"r(?P<number>[0-9]{1,9})")
_KB = re.compile(r"KB[0-9]{5,8}")
_BUILD = re.compile(r"(?:6|10)\.[0-9]{1,2}\.[0-9]{4,6}\.[0-9]{1,7}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Targets of both kinds, each sorted."""

    updates: tuple[Target, ...]
    packages: tuple[Target, ...]


def sort_out(targets: Sequence[Target], sources: Sequence[str]) -> Sorted:
    """Part updates from Chocolatey's packages; PlanError for what is neither."""
    _check_list(targets)
    updates = tuple(sorted(t for t in targets if t.arch != CHOCOLATEY))
    packages = tuple(sorted(t for t in targets if t.arch == CHOCOLATEY))
    if packages and CHOCOLATEY not in sources:
        raise PlanError(
            f"{packages[0].name} is a Chocolatey package, and the profile does not take those",
            hint="name `chocolatey` in the profile's `sources`",
        )
    for target in updates:
        _check_update(target)
        if not _REVISION.fullmatch(target.version):
            raise PlanError(f"{target.name}: {target.version!r} is no revision of an update")
    for target in packages:
        if not (_PACKAGE.fullmatch(target.name) and _VERSION.fullmatch(target.version)):
            raise PlanError(f"{target.name} {target.version!r} is no Chocolatey package")
    return Sorted(updates=updates, packages=packages)


def _check_list(targets: Sequence[Target]) -> None:
    if not targets:
        raise PlanError("no update is named", hint="an empty list of targets changes nothing")
    if len({(target.name, target.arch) for target in targets}) != len(targets):
        raise PlanError("an update is named twice in one transaction")


def _check_update(target: Target) -> None:
    if not _NAME.fullmatch(target.name):
        raise PlanError(f"{target.name!r} is no name of an update")
    if not _ID.fullmatch(target.arch):
        raise PlanError(f"{target.name}: {target.arch!r} is no id of an update")


def search_params(kinds: Sequence[str], *, history: int) -> str:
    """Return the parameters of a search: the host's own policy says which server is asked."""
    return _text({**_search(kinds), "history": history})


def install_params(wanted: Sorted, kinds: Sequence[str]) -> str:
    """Return the parameters of an installation of exactly these revisions and versions.

    Whoever starts the job puts the time in after which no further update is begun.
    """
    approved = [
        {"update_id": target.arch, "revision": _revision(target)} for target in wanted.updates
    ]
    packages = [{"name": target.name, "version": target.version} for target in wanted.packages]
    return _text(
        {
            **_search(kinds),
            "approved": approved,
            "deadline_utc": "",
            "min_free_mb": MIN_FREE_MB,
            "accept_eula": True,
            "continue_on_error": True,
            "packages": packages,
        }
    )


def _revision(target: Target) -> int:
    found = _REVISION.fullmatch(target.version)
    if found is None:
        raise PlanError(f"{target.name}: {target.version!r} is no revision of an update")
    return int(found["number"])


def _search(kinds: Sequence[str]) -> Mapping[str, object]:
    criteria = "IsInstalled=0 and IsHidden=0"
    if "previews" in kinds:
        # Optional updates are not among those that are deployed for installation.
        criteria += f" or {criteria} and DeploymentAction='OptionalInstallation'"
    return {"criteria": criteria, "server_selection": 0, "service_id": ""}


def list_params() -> str:
    """Return the parameters of a question to Chocolatey."""
    return _text({"action": "list", "packages": [], "deadline_utc": "", "continue_on_error": True})


def before_update(package: PlannedPackage) -> Target:
    """Return what a planned update goes back to: `before 10.0.20348.4773`, or no version."""
    builds = [build for product, build in package.builds if product != DEFINITIONS]
    version = f"{_BEFORE}{builds[0]}" if builds else ""
    return Target(name=package.name, arch=package.arch, version=version)


def goes_back(target: Target) -> bool:
    """True for a target that is to be taken away, and not brought in."""
    return not target.version or target.version.startswith(_BEFORE)


def build_before(target: Target) -> str:
    """Return the build an update that is taken away had raised its host to; empty: unknown."""
    return target.version.removeprefix(_BEFORE)


def rollback_params(targets: Sequence[Target]) -> str:
    """Return the parameters that remove these updates; PlanError for what cannot be removed.

    Whether DISM can remove the others, only the host knows: its worker says it for each.
    """
    _check_list(targets)
    rows = []
    for target in sorted(targets):
        _check_removal(target)
        rows.append({"kb": target.name, "fixed_build": _package_build(build_before(target))})
    return _text({"targets": rows, "dry_run": False})


def _package_build(build: str) -> str:
    """Return the build in the name of the package that raised a host to a build."""
    if not build:
        return ""
    major, minor, number, revision = build.split(".")
    return f"{major}.{minor}.{servicing_build(number)}.{revision}"


def _check_removal(target: Target) -> None:
    if target.arch == CHOCOLATEY:
        raise PlanError(
            f"{target.name}: Chocolatey packages are not taken back: their uninstallers and "
            "installers do not keep what lies between",
            hint="only a snapshot of the whole machine takes it back",
        )
    _check_update(target)
    if not goes_back(target):
        raise PlanError(f"{target.name}: {target.version!r} is nothing an update goes back to")
    if target.name in REPLACED:
        raise PlanError(f"{target.name}: Defender's own updates replace each other and stay")
    if not _KB.fullmatch(target.name):
        raise PlanError(
            f"{target.name} has no KB number: drivers, feature updates and others without one are "
            "not removed by DISM",
            hint="only a snapshot of the whole machine takes it back",
        )
    build = build_before(target)
    if build and not _BUILD.fullmatch(build):
        raise PlanError(f"{target.name}: {build!r} is no build of Windows")


def _text(params: Mapping[str, object]) -> str:
    return json.dumps(params, sort_keys=True, separators=(",", ":"))
