"""Hosts like Arch Linux: pacman, one signed database that lists only the newest versions."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from tests.lab.families.family import MIRROR, Family, Kitchen, become, offers
from tests.lab.families.recipe import (
    REAL_PACKAGES,
    Recipe,
    Version,
    oldest,
    write_file,
)
from tests.lab.namespaces import inside

_OS_RELEASE = """\
NAME="Arch Linux"
PRETTY_NAME="Arch Linux"
ID=arch
BUILD_ID=rolling
HOME_URL="https://archlinux.org/"
"""
# As Arch ships it.
_CONFIGURATION = f"""\
[options]
HoldPkg = pacman glibc
Architecture = auto
IgnorePkg =
CheckSpace
ParallelDownloads = 5
SigLevel = Required DatabaseRequired
LocalFileSigLevel = Optional

[core]
Server = {MIRROR}/pacman/core
"""
_CACHE = "var/cache/pacman/pkg"
# The running kernel's modules are in the package that brought it; an update takes them away, and
# that is how Arch shows that a reboot is needed.
_KERNELS = (
    (Version("6.12.1.arch1"), platform.release()),
    (Version("6.12.4.arch1"), "6.12.4-arch1-1"),
)


def _build(kitchen: Kitchen, common: Sequence[Recipe]) -> None:
    root, folder = kitchen.root, kitchen.folder
    recipes = [*common, *(_kernel(folder, version, name) for version, name in _KERNELS)]
    (folder / "pool").mkdir()
    for recipe in recipes:
        _lay_out(recipe)
    words = [word for each in recipes for word in (str(each.tree.relative_to(folder)), _file(each))]
    inside(root, ["sh", "-c", _PACK, "-", *words], bind=folder)
    for name, offered in offers(recipes):
        _write_repository(root, folder, Path("repos") / name / "core", offered)
    become(root)
    write_file(root, "usr/lib/os-release", _OS_RELEASE)
    write_file(root, "etc/pacman.conf", _CONFIGURATION)
    _start_database(root, folder, [each for each in oldest(recipes) if each.name in REAL_PACKAGES])


# Each tree becomes a package with the list of its files, as makepkg makes it, and each package has
# the signature that pacman wants beside it.
_PACK = """
set -e
seen=type,uid,gid,mode,time,size,md5,sha256,link
while [ $# -gt 0 ]; do
    tree=/mnt/$1 file=/mnt/pool/$2
    shift 2
    cd "$tree"
    bsdtar --format=mtree --options="!all,use-set,$seen" --uid 0 --gid 0 -czf .MTREE .[A-Z]* $(ls)
    bsdtar --zstd --uid 0 --gid 0 -cf "$file" .[A-Z]* $(ls)
    gpg --batch --homedir /mnt/gnupg --pinentry-mode loopback --detach-sign "$file"
done
"""


def _number(version: Version) -> str:
    """Spell a version as pacman does: a security update is a new build of the same program."""
    build = int(version.build.split(".")[0]) + (1 if version.fix else 0)
    return f"{version.upstream}-{build}"


def _architecture(recipe: Recipe) -> str:
    return platform.machine() if recipe.native else "any"


def _file(recipe: Recipe) -> str:
    return f"{recipe.name}-{_number(recipe.version)}-{_architecture(recipe)}.pkg.tar.zst"


def _kernel(kitchen: Path, version: Version, running: str) -> Recipe:
    tree = kitchen / "trees" / f"linux-{version.upstream}"
    write_file(tree, f"usr/lib/modules/{running}/vmlinuz", f"kernel {running}\n")
    write_file(tree, f"usr/lib/modules/{running}/pkgbase", "linux\n")
    return Recipe(name="linux", version=version, tree=tree, native=True)


def _lay_out(recipe: Recipe) -> None:
    """Write what makes a folder of files a package."""
    size = sum(path.lstat().st_size for path in recipe.tree.rglob("*"))
    fields = [
        ("pkgname", recipe.name),
        ("pkgbase", recipe.name),
        ("pkgver", _number(recipe.version)),
        ("pkgdesc", f"Package {recipe.name} of the wavemend lab"),
        ("url", "https://example.org/"),
        ("builddate", "1762077600"),
        ("packager", "wavemend lab <lab@example.org>"),
        ("size", str(size)),
        ("arch", _architecture(recipe)),
        ("license", "Apache-2.0"),
        ("conflict", recipe.conflicts),
        ("depend", recipe.depends),
        *(("backup", path.lstrip("/")) for path in recipe.config),
    ]
    lines = [f"{key} = {value}\n" for key, value in fields if value]
    write_file(recipe.tree, ".PKGINFO", "".join(lines))
    scripts = [("pre_install", recipe.unpack), ("post_install", recipe.script)]
    named = [(name, body) for name, body in scripts if body]
    # An update calls functions of other names for the same.
    named += [(name.replace("install", "upgrade"), name) for name, _ in named]
    if named:
        text = "".join(f"{name}() {{\n{body}\n}}\n" for name, body in named)
        write_file(recipe.tree, ".INSTALL", text)


def _write_repository(root: Path, kitchen: Path, place: Path, recipes: Sequence[Recipe]) -> None:
    """Make a signed repository: all files lie in it, its database lists the newest of each."""
    (kitchen / place).mkdir(parents=True)
    for file in map(_file, recipes):
        for name in (file, f"{file}.sig"):
            os.link(kitchen / "pool" / name, kitchen / place / name)
    newest = {recipe.name: _file(recipe) for recipe in recipes}
    script = """
        set -e
        cd "$1"
        shift
        export GNUPGHOME=/mnt/gnupg
        repo-add --quiet --sign core.db.tar.gz "$@"
    """
    inside(root, ["sh", "-c", script, "-", f"/mnt/{place}", *newest.values()], bind=kitchen)


def _start_database(root: Path, kitchen: Path, recipes: Sequence[Recipe]) -> None:
    """Make pacman's keys and database, and install the older of the packages every host has."""
    script = """
        set -e
        pacman-key --init
        pacman-key --add /mnt/key.asc
        keys=$(gpg --batch --homedir /mnt/gnupg --list-keys --with-colons)
        pacman-key --lsign-key "$(echo "$keys" | awk -F: '/^fpr/ {print $10; exit}')"
        gpgconf --homedir /etc/pacman.d/gnupg --kill all
        cd /mnt/pool
        pacman -U --noconfirm --overwrite '*' "$@"
    """
    inside(root, ["bash", "-c", script, "-", *map(_file, recipes)], bind=kitchen)
    _keep(root, kitchen / "pool", [_file(recipe) for recipe in recipes])


def _keep(root: Path, pool: Path, files: Sequence[str]) -> None:
    """Put packages into pacman's cache, as if it had fetched them: there is no other way back."""
    for file in files:
        for name in (file, f"{file}.sig"):
            target = root / _CACHE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((pool / name).read_bytes())


def _install(root: Path, pool: Path, names: Sequence[str]) -> None:
    files = [min(path.name for path in pool.glob(f"{name}-[0-9]*.zst")) for name in names]
    inside(root, ["pacman", "-U", "--noconfirm", *(f"/mnt/{file}" for file in files)], bind=pool)
    _keep(root, pool, files)


def _hold(root: Path, names: Sequence[str]) -> None:
    path = root / "etc/pacman.conf"
    path.write_text(path.read_text().replace("IgnorePkg =", f"IgnorePkg = {' '.join(names)}"))


PACMAN = Family(
    name="pacman",
    programs=("pacman-package-manager", "makepkg", "libarchive-tools", "zstd"),
    kernel="linux",
    build=_build,
    install=_install,
    hold=_hold,
)
