"""The cheapest restore point: the old versions can still be had, as the host's own manager says."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wavemend.errors import PlanError
from wavemend.hosts import Host
from wavemend.packages import Target
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import (
    Ask,
    Command,
    Found,
    Listing,
    Missing,
    Restoring,
    Subject,
    UndoPackages,
)

ASKED = ("apk", "apt", "dnf", "pacman", "zypper")
"""Managers that can be asked; each has its question in `old_versions/`."""

SOURCES = ("flatpak", "snap")
"""What installs beside the manager and is asked by its own means; their packages carry its name
in their architecture."""

_SECONDS = 180.0
"""Most answer at once for all packages; apt needs 0.3 s for each when one of them is gone."""


@dataclass(frozen=True, slots=True)
class PackageVersions:
    """Nothing is made: the old packages are in a repository or in the manager's own store."""

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what a downgrade does."""
        return (
            "package versions only: a downgrade brings the old programs back, "
            "not data, configuration or database formats they have changed since"
        )

    @property
    def loses_data(self) -> bool:
        """A downgrade leaves data alone."""
        return False

    def make(self, ask: Ask, subject: Subject) -> str:  # noqa: ARG002 - as the Protocol has it
        """There is nothing to make."""
        return ""

    def find(self, ask: Ask, subject: Subject) -> Found | Missing:
        """Ask whoever installed it for each old version."""
        wanted = len(subject.before)
        if not wanted:
            detail = "no package had an older version: what is new stays, unused"
            return Found(name=subject.name, detail=detail)
        gone: list[str] = []
        for teller in sorted({_teller(subject, target) for target in subject.before}):
            targets = [target for target in subject.before if _teller(subject, target) == teller]
            said = ask(_question(subject, teller, targets))
            if said.trouble:
                return Missing(said.trouble)
            answers = said.text.splitlines()
            if len(answers) != len(targets) or not set(answers) <= {"yes", "no"}:
                return Missing(f"the answer of {teller} about old versions is not in form")
            pairs = zip(targets, answers, strict=True)
            gone += [f"{target.name} {target.version}" for target, word in pairs if word == "no"]
        detail = f"{wanted - len(gone)} of {wanted} old versions can still be had"
        if gone:
            return Missing(f"{detail}; not: {', '.join(gone)}")
        return Found(name=subject.name, detail=detail)

    def listed(self, ask: Ask, host: Host) -> Listing:  # noqa: ARG002 - as the Protocol has it
        """Nothing was made, so nothing can be left behind."""
        return Listing()

    def remove(self, ask: Ask, host: Host, name: str) -> str:  # noqa: ARG002 - as the Protocol has it
        """Nothing was made, so nothing is removed."""
        return ""

    def restoring(self, subject: Subject, found: Found) -> Restoring:  # noqa: ARG002 - as the Protocol has it
        """The manager's own way back."""
        return UndoPackages()


def _teller(subject: Subject, target: Target) -> str:
    """Return who is asked about a package: the source it came from, else the host's manager."""
    source = target.arch.partition("/")[0]
    return source if source in SOURCES else subject.host.manager


def _question(subject: Subject, teller: str, targets: Sequence[Target]) -> Command:
    if subject.question is not None:
        text, words = subject.question.text.encode(), subject.question.args
    elif teller in ASKED or teller in SOURCES:
        text = _text(teller)
        words = tuple(
            word for target in targets for word in (target.name, target.arch, target.version)
        )
    else:
        raise PlanError(
            f"the manager {teller} cannot be asked whether old versions can still be had",
            hint="declare another kind of restore_point in the profile",
        )
    return Command(
        title=f"ask {teller} for old versions",
        place=Place.HOST,
        argv=("/bin/sh", "-s", "--", *words),
        stdin=text,
        seconds=_SECONDS,
    )


@cache
def _text(manager: str) -> bytes:
    return files("wavemend").joinpath("snapshots", "old_versions", f"{manager}.sh").read_bytes()
