"""Hosts like openSUSE Leap 15.5: zypper, a repository as released and one of updates."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.lab.families import rpm
from tests.lab.families.family import MIRROR, Family, Kitchen, become, offers
from tests.lab.families.notices import Notice
from tests.lab.families.recipe import Recipe, Version, oldest, write_file
from tests.lab.namespaces import inside

_OS_RELEASE = """\
NAME="openSUSE Leap"
VERSION="15.5"
ID="opensuse-leap"
ID_LIKE="suse opensuse"
VERSION_ID="15.5"
PRETTY_NAME="openSUSE Leap 15.5"
CPE_NAME="cpe:/o:opensuse:leap:15.5"
"""
_REPOSITORY = """\
[{name}]
name={title}
enabled=1
autorefresh=1
baseurl={mirror}/zypper/{folder}
type=rpm-md
gpgcheck=1
repo_gpgcheck=1
pkg_gpgcheck=1
gpgkey=file:///{key}
"""
# As SUSE ships them; Debian's package has neither.
_CONFIGURATION = """\
[main]
solver.onlyRequires = false
multiversion = provides:multiversion(kernel)
multiversion.kernels = latest,latest-1,running
"""
_NEED_REBOOT = "provides:installhint(reboot-needed)\n"
# SUSE's words for kinds of patches.
_KINDS = {"security": "security", "bugfix": "recommended", "enhancement": "feature"}
_TITLES = {"security": "Security", "bugfix": "Recommended", "enhancement": "Feature"}
_KERNELS = (Version("5.14.21", "55.59"), Version("5.14.21", "55.62"))


def _release(version: Version) -> str:
    return f"150500.{version.build}.{'3.1' if version.fix else '1'}"


def _advisory(number: int, package: str, notice: Notice) -> tuple[str, str, str]:
    title = f"{_TITLES[notice.kind]} update for {package}"
    return f"openSUSE-SLE-15.5-2026-{number}", title, notice.severity.lower() or "moderate"


_DIALECT = rpm.Dialect(
    vendor="SUSE LLC <https://www.suse.com/>",
    release=_release,
    advisory=_advisory,
    kinds=_KINDS,
)


def _build(kitchen: Kitchen, common: Sequence[Recipe]) -> None:
    root = kitchen.root
    recipes = [_adapted(recipe) for recipe in common]
    recipes += [rpm.kernel(kitchen.folder, "kernel-default", each, _DIALECT) for each in _KERNELS]
    system = rpm.release_package(kitchen.folder, "openSUSE-release", Version("15.5"), _OS_RELEASE)
    rpm.build(root, kitchen.folder, [*recipes, system], _DIALECT)
    released = oldest(recipes)
    for name, offered in offers(recipes):
        for folder, packages in (("oss", released), ("sle-update", offered)):
            place = Path("repos") / name / folder
            rpm.write_repository(root, kitchen.folder, place, packages, _DIALECT)
    become(root)
    for name, folder, title in (
        ("repo-oss", "oss", "Main Repository"),
        ("repo-sle-update", "sle-update", "Update repository with updates from SUSE Linux"),
    ):
        words = {"name": name, "folder": folder, "title": title}
        text = _REPOSITORY.format(**words, mirror=MIRROR, key=rpm.KEY_FILE)
        write_file(root, f"etc/zypp/repos.d/{name}.repo", text)
    write_file(root, "etc/zypp/zypp.conf", _CONFIGURATION)
    write_file(root, "etc/zypp/needreboot", _NEED_REBOOT)
    rpm.start_database(root, kitchen.folder, [*recipes, system], _DIALECT)


def _adapted(recipe: Recipe) -> Recipe:
    if recipe.name == "wm-reboot":
        return replace(recipe, provides=("installhint(reboot-needed)",))
    return recipe


def _hold(root: Path, names: Sequence[str]) -> None:
    inside(root, ["zypper", "--quiet", "--no-refresh", "addlock", *names])


ZYPPER = Family(
    name="zypper",
    programs=("zypper", "lsof", "rpm", "createrepo-c"),
    kernel="kernel-default",
    build=_build,
    install=rpm.install,
    hold=_hold,
)
