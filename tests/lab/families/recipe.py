"""A package before any family gave it its form, and Debian's own packages taken apart for it."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError, run
from tests.lab.image import Image
from tests.lab.packages import LabPackage, write_tree

# Small programs whose security updates are real: the name in other families, and the Debian
# packages whose files it gets.
_REAL = {
    "jq": ("jq", "libjq1"),
    "openssl": ("openssl",),
    "rsync": ("rsync",),
    "unzip": ("unzip",),
    "xz": ("xz-utils",),
    "zip": ("zip",),
}
REAL_PACKAGES = frozenset(_REAL)
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
# What no host needs to behave as it should.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that each family spells in its own way.

    Attributes:
        upstream: The program's own version.
        build: Number of the packaging.
        fix: Whether it is a security update on top of that packaging.
    """

    upstream: str
    build: str = "1"
    fix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One version of one package, for any family.

    Attributes:
        tree: Its files, laid out as on the host.
        native: Whether it is made for this machine's processor.
        config: Files in it that an administrator may edit, as absolute paths.
        unpack: Shell lines before the unpacking; their failure refuses the package.
        script: Shell lines after the unpacking.
        cves: What this version mends.
        late: Offered only once it is published.
    """

    name: str
    version: Version
    tree: Path
    native: bool = False
    epoch: int = 0
    config: tuple[str, ...] = ()
    depends: str = ""
    conflicts: str = ""
    provides: tuple[str, ...] = ()
    unpack: str = ""
    script: str = ""
    cves: tuple[str, ...] = ()
    late: bool = False

    def files(self) -> list[str]:
        """Return the absolute paths of everything in it that is not a folder."""
        paths = (path for path in self.tree.rglob("*") if path.is_symlink() or not path.is_dir())
        return sorted(f"/{path.relative_to(self.tree)}" for path in paths)


def of_lab_package(package: LabPackage, work: Path) -> Recipe:
    """Return one of the lab's own packages."""
    tree = work / f"{package.name}-{package.version}"
    write_tree(package, tree)
    return Recipe(
        name=package.name,
        version=Version(package.version),
        tree=tree,
        config=package.conffiles,
        depends=package.depends,
        conflicts=package.conflicts,
        unpack=package.unpack,
        script=package.script(),
        late=package.late,
    )


def oldest(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return the first version of each package; recipes are ordered old before new."""
    first: dict[str, Recipe] = {}
    for recipe in recipes:
        first.setdefault(recipe.name, recipe)
    return list(first.values())


def write_file(root: Path, path: str, text: str) -> None:
    """Write a text file below a root, and the folders that lead to it."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def real_packages(image: Image, work: Path) -> Iterator[Recipe]:
    """Take Debian's own packages apart: for each of them as released, then its security update."""
    updates = set(image.updates())
    for name, parts in _REAL.items():
        found = [sorted((image.folder / "pool").glob(f"{part}_*.deb")) for part in parts]
        old = [deb for debs in found for deb in debs if deb.name not in updates]
        new = [deb for debs in found for deb in debs if deb.name in updates]
        if len(old) != len(parts):
            raise LabError(f"the image's pool lacks {name} as released: delete {image.folder}")
        yield _of_debs(name, old, work / f"{name}-old", before=[], fix=False)
        if len(new) == len(parts):
            yield _of_debs(name, new, work / f"{name}-new", before=old, fix=True)


def _of_debs(name: str, debs: list[Path], tree: Path, *, before: list[Path], fix: bool) -> Recipe:
    cves = _cves(debs[0])  # the changelog is read before it is left out
    if before:
        # A new upstream version names again what the old package mended on its own.
        cves -= _cves(before[0])
    for deb in debs:
        run(["dpkg-deb", "--extract", deb, tree])
    for folder in _LEFT_OUT:
        shutil.rmtree(tree / folder, ignore_errors=True)
    _merge_usr(tree)
    config = [f"/{path.relative_to(tree)}" for path in (tree / "etc").rglob("*") if path.is_file()]
    version = run(["dpkg-deb", "--field", debs[0], "Version"]).strip()
    return Recipe(
        name=name,
        version=_version(version, fix=fix),
        tree=tree,
        native=True,
        config=tuple(sorted(config)),
        cves=tuple(sorted(cves)) if fix else (),
    )


def _merge_usr(tree: Path) -> None:
    """Move what older packages put below /lib to where that link leads on the host."""
    if (tree / "lib").is_dir():
        shutil.copytree(tree / "lib", tree / "usr/lib", dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(tree / "lib")


def _version(debian: str, *, fix: bool) -> Version:
    upstream, _, revision = debian.rpartition("-")
    upstream = re.split(r"\+(?:ds|dfsg)", upstream)[0].rpartition(":")[2]
    build = re.match(r"[0-9.]+", revision)
    return Version(upstream, build.group() if build else "1", fix)


def _cves(deb: Path) -> set[str]:
    """Return every CVE that the package's changelog names."""
    name = run(["dpkg-deb", "--field", deb, "Package"]).strip()
    member = f"./usr/share/doc/{name}/changelog.Debian.gz"
    script = 'dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" | gzip -dc'
    return set(_CVE.findall(run(["sh", "-c", script, "-", deb, member])))
