"""A package manager, appliance or application that is declared in YAML. Values only.

The file's form is in `inventory/manager_schema.py`, what runs on a host in `managers/declared/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

SCHEMA = "wavemend.manager/1"

NAME, VERSION, INSTALLED = "{name}", "{version}", "{installed}"
PARAMETERS = (NAME, VERSION, INSTALLED)
"""What stands for an item in a declared command: a whole word, or part of one."""

ROOT = "root"


class ExitMeaning(StrEnum):
    """What an exit code says. One that a declaration does not list is unknown."""

    DONE = "done"
    FAILED = "failed"
    REBOOT = "reboot"
    """Done, and the host has to be restarted for it to count."""
    NOTHING = "nothing"
    """There was nothing to do, or nothing to list."""
    UNKNOWN = "unknown"


GOES_ON = frozenset({ExitMeaning.DONE, ExitMeaning.REBOOT, ExitMeaning.NOTHING})
"""After these the next step is run; after any other one nothing more is."""

PLAIN_EXIT: Mapping[int, ExitMeaning] = {0: ExitMeaning.DONE}


class Order(StrEnum):
    """Which of two versions is the newer one."""

    DEB = "deb"
    RPM = "rpm"
    WINDOWS = "windows"
    OFFERED = "offered"
    """Whatever the device offers is newer: its own tool has compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A command that changes nothing, and how items are found in what it prints."""

    run: tuple[str, ...]
    deadline: timedelta
    exit: Mapping[int, ExitMeaning] = field(default_factory=lambda: PLAIN_EXIT)
    lines: str = ""
    """Regular expression with named groups, searched in each line."""
    skip: str = ""
    """Regular expression of lines that hold no item, such as headings."""
    json: str = ""
    """JMESPath expression that gives mappings with the same names as the groups."""
    name: str = ""
    """Name of the only item, where the output does not name it."""

    @property
    def reads(self) -> bool:
        """False: only the exit code is looked at."""
        return bool(self.lines or self.json)

    @property
    def per_item(self) -> bool:
        """True: the command is run once for each item."""
        return has_parameter(self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A command that says what a change would do, without doing it."""

    reading: Reading
    together: bool = False
    """One command for all items, as in `Action`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Commands that change the host, one after the other, in one detached job."""

    steps: tuple[tuple[str, ...], ...]
    exit: Mapping[int, ExitMeaning] = field(default_factory=lambda: PLAIN_EXIT)
    deadline: timedelta | None = None
    """The host ends a step that takes longer; None: it is waited for, as packages are."""
    together: bool = False
    """One command for all items: a word with a parameter is repeated for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Everything a declaration file says; see `docs/how-to/declare-a-manager.md`."""

    name: str
    title: str
    order: Order
    installed: Reading
    available: Reading
    apply: Action
    account: str = ROOT
    """Who runs the commands on the host; the job itself is always root's."""
    security: bool = False
    """Every update it offers counts as a security update."""
    running: Reading | None = None
    """What runs now; other than what is installed: the host has to be restarted."""
    verify: Reading | None = None
    """What must hold before a change and after it."""
    rehearse: Rehearsal | None = None
    roll_back: Action | None = None
    kept: Reading | None = None
    """Its exit code says whether `roll_back` can bring a version back."""
    repair: Action | None = None
    reboot: tuple[str, ...] = ("shutdown", "-r", "now")

    @property
    def exits(self) -> Mapping[int, ExitMeaning]:
        """What the exit codes of a change or its undoing mean, where both say the same."""
        tables = [self.apply.exit, self.roll_back.exit if self.roll_back else self.apply.exit]
        return {
            code: meaning
            for table in tables
            for code, meaning in table.items()
            if all(other.get(code, meaning) is meaning for other in tables)
        }


def has_parameter(words: tuple[str, ...]) -> bool:
    """Say whether a command depends on the item it is run for."""
    return any(parameter in word for word in words for parameter in PARAMETERS)
