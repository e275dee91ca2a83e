"""What is compared: the installed builds of one package, with what the repositories offer for it.

A fleet repeats the same ones, and each is compared once. Those that are looked up for every host
are named tuples: a data class is hashed and compared in Python, half a million times a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from wavemend.findings import NotJudged
from wavemend.hosts import Facts, InstalledPackage, PendingUpdate


class Build(NamedTuple):
    """One installed package, as one kind of statement speaks of it."""

    known_as: str
    """The vendor's name: the source package, or the package's own."""
    by_name: bool
    """True: `known_as` is the package's own name."""
    binary: str
    version: str
    """The one to judge it by: the source's, or its own."""
    arch: str
    module: str


class Offer(NamedTuple):
    """One update the host's repositories offer, in the version to compare with a fix."""

    binary: str
    version: str
    arch: str = ""
    """It replaces builds of this architecture only; empty: of any."""
    as_source: bool = True
    """Its version also stands for its source's."""
    withheld: str = ""
    """Why a rollout would not take it; empty where it would."""


def withheld(update: PendingUpdate) -> str:
    """Say why an offered update is not installed by a plain upgrade; empty when it is."""
    if update.held:
        return "on hold on the host"
    if update.phased:
        return "not released to this host yet by the distribution"
    return update.not_taken


class Unit(NamedTuple):
    """The builds a vendor's statements about one package are compared with."""

    name: str
    """As the vendor names it."""
    by_name: bool
    builds: tuple[Build, ...]
    """Sorted by the package's name."""
    offers: tuple[Offer, ...]
    running: bool = False
    """It is the running kernel."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why packages could not be judged."""

    kind: NotJudged
    package: str
    version: str
    reason: str
    covers: tuple[InstalledPackage, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A host's packages, told apart. What is in neither list is a kernel that does not run, or
    its headers: no code of theirs is executed."""

    ordinary: Sequence[InstalledPackage]
    running: Sequence[InstalledPackage] = ()
    """The running kernel."""
    offers: Mapping[str, Sequence[Offer]] = field(default_factory=lambda: MappingProxyType({}))
    """By the name of the package they replace."""
    kernels: Sequence[Offer] = ()
    """Updates of other names that replace the running kernel."""
    doubts: Sequence[Doubt] = ()
    """About packages that are compared all the same."""


class Reader(Protocol):
    """What is particular to one ecosystem."""

    def read(self, package: InstalledPackage, /) -> tuple[Build, ...]:
        """Say how feeds may name a package: by its source, by itself. Of the package alone.

        Raises ValueError, naming the version, for one that cannot be compared at all.
        """
        ...

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts, /) -> Layout:
        """Tell the running kernel from others, and see what the repositories offer."""
        ...
