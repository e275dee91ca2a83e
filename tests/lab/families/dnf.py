"""Hosts like AlmaLinux 9: dnf 4, and one signed repository that keeps old versions."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.lab.families import rpm
from tests.lab.families.family import MIRROR, Family, Kitchen, become, offers
from tests.lab.families.notices import Notice
from tests.lab.families.recipe import Recipe, Version, write_file
from tests.lab.namespaces import inside

_OS_RELEASE = """\
NAME="AlmaLinux"
VERSION="9.5 (Teal Serval)"
ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.5"
PLATFORM_ID="platform:el9"
PRETTY_NAME="AlmaLinux 9.5 (Teal Serval)"
CPE_NAME="cpe:/o:almalinux:almalinux:9::baseos"
REDHAT_SUPPORT_PRODUCT="AlmaLinux"
REDHAT_SUPPORT_PRODUCT_VERSION="9.5"
"""
_REPOSITORY_URL = f"{MIRROR}/dnf/baseos"
_REPOSITORY = f"""\
[baseos]
name=AlmaLinux 9 - BaseOS
baseurl={_REPOSITORY_URL}
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///{rpm.KEY_FILE}
"""
# As RHEL 9 ships it; Debian's own file would skip what cannot be had, and say nothing.
_CONFIGURATION = """\
[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
"""
_REBOOT_LIST = "etc/dnf/plugins/needs-restarting.d"
_IDS = {"security": "ALSA", "bugfix": "ALBA", "enhancement": "ALEA"}
_TITLES = {"security": "security", "bugfix": "bug fix", "enhancement": "enhancement"}
# RHEL's openssl has an epoch, too.
_EPOCHS = {"openssl": 1}
_KERNELS = (Version("5.14.0", "503.11.1"), Version("5.14.0", "503.14.1"))


def _release(version: Version) -> str:
    return f"{version.build}.el9{'_1.1' if version.fix else ''}"


def _advisory(number: int, package: str, notice: Notice) -> tuple[str, str, str]:
    title = f"{package} {_TITLES[notice.kind]} update"
    title = f"{notice.severity}: {title}" if notice.severity else title
    return f"{_IDS[notice.kind]}-2026:{number}", title, notice.severity or "None"


_DIALECT = rpm.Dialect(
    vendor="AlmaLinux",
    release=_release,
    advisory=_advisory,
    kinds={kind: kind for kind in _IDS},
)


def _build(kitchen: Kitchen, common: Sequence[Recipe]) -> None:
    root = kitchen.root
    recipes = [_adapted(recipe) for recipe in common]
    recipes += [rpm.kernel(kitchen.folder, "kernel", each, _DIALECT) for each in _KERNELS]
    system = rpm.release_package(kitchen.folder, "almalinux-release", Version("9.5"), _OS_RELEASE)
    rpm.build(root, kitchen.folder, [*recipes, system], _DIALECT)
    for name, offered in offers(recipes):
        folder = Path("repos") / name / "baseos"
        rpm.write_repository(root, kitchen.folder, folder, offered, _DIALECT)
    become(root)
    write_file(root, "etc/yum.repos.d/almalinux-baseos.repo", _REPOSITORY)
    write_file(root, "etc/dnf/dnf.conf", _CONFIGURATION)
    # It keeps what was downloaded as a repository of its own, which no server has.
    write_file(root, "etc/dnf/plugins/local.conf", "[main]\nenabled = false\n")
    rpm.start_database(root, kitchen.folder, [*recipes, system], _DIALECT)
    _trust_repository(kitchen)


def _trust_repository(kitchen: Kitchen) -> None:
    """Make the hosts know who signs the repository's lists, as if an administrator had agreed.

    dnf keeps these keys apart from rpm's: in its cache, by the name it gives a repository there.
    """
    place = f"/var/cache/dnf/baseos-{hashlib.sha256(_REPOSITORY_URL.encode()).hexdigest()[:16]}"
    script = 'mkdir -p -m 700 "$1" && exec gpg --batch --quiet --homedir "$1" --import /mnt/key.asc'
    inside(kitchen.root, ["sh", "-c", script, "-", f"{place}/pubring"], bind=kitchen.folder)


def _adapted(recipe: Recipe) -> Recipe:
    if recipe.name == "wm-reboot":
        write_file(recipe.tree, f"{_REBOOT_LIST}/wm-reboot.conf", "wm-reboot\n")
    return replace(recipe, epoch=_EPOCHS.get(recipe.name, 0))


def _hold(root: Path, names: Sequence[str]) -> None:
    inside(root, ["dnf", "-q", "--disablerepo=*", "versionlock", "add", *names])


DNF = Family(
    name="dnf",
    programs=("dnf", "dnf-plugins-core", "rpm", "createrepo-c"),
    kernel="kernel",
    build=_build,
    install=rpm.install,
    hold=_hold,
)
