"""Debian itself: the base image is all it needs, so only day zero is left to do."""

from collections.abc import Sequence
from pathlib import Path

from tests.lab.families.family import Family
from tests.lab.namespaces import inside


def _install(root: Path, pool: Path, names: Sequence[str]) -> None:
    inside(root, ["dpkg", "--install", *(f"/mnt/{name}_1.0_all.deb" for name in names)], bind=pool)


def _hold(root: Path, names: Sequence[str]) -> None:
    inside(root, ["apt-mark", "hold", *names])


APT = Family(name="apt", install=_install, hold=_hold)
