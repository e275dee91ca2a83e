"""What a family of distributions is to the lab, and what all of them have in common."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from tests.lab.families.recipe import Recipe, of_lab_package, real_packages
from tests.lab.image import Image
from tests.lab.packages import DAY_ZERO_PACKAGES, PACKAGES

MIRROR = "http://mirror.lab/repo"
DAY_ZERO = "day-zero"


@dataclass(frozen=True, slots=True)
class Kitchen:
    """Where a family's packages are made.

    Attributes:
        root: A root with the family's package manager and its tools, that becomes the hosts'.
        folder: Appears as /mnt to what runs in the root. Holds `gnupg`, the signing key, and
            `key.asc`, its public half.
    """

    root: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Family:
    """A package manager and how its hosts are made.

    Attributes:
        name: As in a host's spec.
        install: Installs lab packages in a root as they are on day zero, from a pool of built ones.
        hold: Keeps packages of a root at their version, by the manager's own way.
        programs: The Debian packages that bring the manager, and what makes its packages.
        kernel: Name of its package that is a kernel to the manager; nothing boots it.
        build: Makes `pool` and `repos` in the kitchen, and the root of all hosts; none for Debian.
    """

    name: str
    install: Callable[[Path, Path, Sequence[str]], None]
    hold: Callable[[Path, Sequence[str]], None]
    programs: tuple[str, ...] = ()
    kernel: str = ""
    build: Callable[[Kitchen, Sequence[Recipe]], None] | None = None

    @property
    def packages(self) -> frozenset[str]:
        """Return what a host can have installed from the first boot on."""
        return DAY_ZERO_PACKAGES | {self.kernel} if self.kernel else DAY_ZERO_PACKAGES


def common_recipes(image: Image, kitchen: Kitchen) -> list[Recipe]:
    """Return what every family has: real programs, then the lab's own packages, old before new."""
    work = kitchen.folder / "trees"
    work.mkdir()
    own = [of_lab_package(package, work) for package in PACKAGES]
    return [*real_packages(image, work), *own]


def offers(recipes: Sequence[Recipe]) -> Iterator[tuple[str, list[Recipe]]]:
    """Yield all a repository may offer in a lab's life: on day zero, and with more published.

    They are made at once and ahead, so that publishing needs no tools and takes no time.
    """
    late = [recipe for recipe in recipes if recipe.late]
    for count in range(len(late) + 1):
        for published in combinations(late, count):
            name = offer_name((each.name, each.version.upstream) for each in published)
            yield name, [each for each in recipes if not each.late or each in published]


def offer_name(published: Iterable[tuple[str, str]]) -> str:
    """Return the folder of an offer by what was published since day zero."""
    return "+".join(sorted(f"{name}-{version}" for name, version in published)) or DAY_ZERO


def become(root: Path) -> None:
    """Make a root forget that it is Debian: its package manager goes, its programs stay."""
    for pattern in ("apt*", "dpkg*", "debconf*"):
        for path in (root / "usr/bin").glob(pattern):
            path.unlink()
    for name in ("etc/apt", "etc/dpkg", "usr/lib/apt", "var/lib/apt", "var/cache/apt"):
        shutil.rmtree(root / name)
    for name in ("var/lib/dpkg", "usr/lib/dpkg", "var/cache/debconf"):
        shutil.rmtree(root / name)
    (root / "etc/debian_version").unlink()
