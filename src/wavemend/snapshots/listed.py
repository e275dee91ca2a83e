"""Restore points that a tool makes and lists: one life cycle for all of them."""

import re
from dataclasses import dataclass
from typing import Protocol

from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.hosts import Host
from wavemend.policy.care import RestorePointRule
from wavemend.rollbacks import BY_HAND
from wavemend.snapshots import (
    PREFIX,
    Ask,
    Command,
    Found,
    Listing,
    Missing,
    Restoring,
    Subject,
)

_NAME = re.compile(r"wavemend-[A-Za-z0-9][A-Za-z0-9._-]{0,110}")
"""What every tool takes as a name; LVM's limit of 127 letters is the narrowest."""


class Tool(Protocol):
    """The commands of one tool. Pure: nothing here runs anything."""

    @property
    def restores(self) -> str:
        """What a point brings back and what not, in one sentence."""
        ...

    def create(self, subject: Subject) -> Command:
        """Return the command that makes a point of the subject's name."""
        ...

    def listing(self, host: Host) -> Command:
        """Return the command that lists points, those of others too."""
        ...

    def read(self, text: str) -> tuple[Found, ...]:
        """Read its answer. Raises HostAnswerInvalid when it is not in the tool's form."""
        ...

    def remove(self, host: Host, found: Found) -> Command:
        """Return the command that removes a point."""
        ...

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Return how a point is brought back."""
        ...


@dataclass(frozen=True, slots=True)
class ListedPoints:
    """A tool's points over their life. What counts is the list, never a command's exit status."""

    tool: Tool
    loses_data: bool = True
    """Most take a disk, or a part of it, back as it was."""

    @property
    def restores(self) -> str:
        """What it brings back and what not."""
        return self.tool.restores

    def make(self, ask: Ask, subject: Subject) -> str:
        """Make the point unless it is listed: a resumed run never makes a second one."""
        if not _NAME.fullmatch(subject.name):
            return f"{subject.name!r} cannot be the name of a restore point"
        listing = self.listed(ask, subject.host)
        if listing.trouble or any(found.name == subject.name for found in listing.found):
            return listing.trouble
        return ask(self.tool.create(subject)).trouble

    def find(self, ask: Ask, subject: Subject) -> Found | Missing:
        """List the point back, now."""
        listing = self.listed(ask, subject.host)
        if listing.trouble:
            return Missing(f"restore points cannot be listed: {listing.trouble}")
        for found in listing.found:
            if found.name == subject.name:
                return Missing(going_words(found)) if found.going else found
        return Missing(f"the restore point {subject.name} is not listed")

    def listed(self, ask: Ask, host: Host) -> Listing:
        """List every point of ours, sorted by name."""
        said = ask(self.tool.listing(host))
        if said.trouble:
            return Listing(trouble=said.trouble)
        try:
            points = self.tool.read(said.text)
        except HostAnswerInvalid as error:
            return Listing(trouble=str(error))
        ours = (point for point in points if point.name.startswith(PREFIX))
        return Listing(found=tuple(sorted(ours, key=lambda point: (point.name, point.reference))))

    def remove(self, ask: Ask, host: Host, name: str) -> str:
        """Remove the point, doubles too, and believe it when it is not listed any more."""
        listing = self.listed(ask, host)
        if listing.trouble:
            return listing.trouble
        for found in listing.found:
            if found.name == name and found.going:
                return going_words(found)
            if found.name == name and (trouble := ask(self.tool.remove(host, found)).trouble):
                return trouble
        left = self.listed(ask, host)
        if any(found.name == name for found in left.found):
            return f"{name} was removed and is still listed"
        return left.trouble

    def restoring(self, subject: Subject, found: Found) -> Restoring:
        """Say how the point is brought back."""
        return self.tool.restoring(subject, found)


def going_words(found: Found) -> str:
    """Say of a point that is being put back what a person does about it."""
    return f"the restore point {found.name} is put back with the host's next restart: {BY_HAND}"


def kept_thing(rule: RestorePointRule, host: Host, *, default: str, form: str, what: str) -> str:
    """Return what is kept of a host, `restore_point.of` filled in. Raises PlanError."""
    text = (rule.of or default).replace("{host}", host.name)
    # A leading dash would be an option of the tool.
    if not re.fullmatch(form, text) or text.startswith("-"):
        raise PlanError(
            f"host {host.name}: restore_point.of is {text!r}, not {what}",
            hint=f"write {what} into the profile's restore_point.of",
        )
    return text


def names_in(text: str) -> tuple[Found, ...]:
    """Read one name per line; empty lines and blanks around names are the tool's decoration."""
    return tuple(Found(name=line.strip()) for line in text.splitlines() if line.strip())
