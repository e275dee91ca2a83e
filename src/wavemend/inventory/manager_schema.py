"""The form of a declaration file: every key, what it means, and what it may hold.

`docs/reference/manager.schema.json` and `docs/reference/manager.md` are written from these models.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

import jmespath
import regex
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field

from wavemend.declarations import SCHEMA
from wavemend.inventory.fields import Command, Duration, Text, User, refuse
from wavemend.inventory.form import Form, schema_of
from wavemend.inventory.problems import shown

LONGEST_LOOK = timedelta(seconds=60)
"""For one command: a whole look at a host has two minutes."""

_HIGHEST_EXIT = 255

_LONGEST_PATTERN = 500
"""Characters. The longest honest ones have a tenth of it."""


def _expression(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise refuse(f"{shown(text)} is longer than {_LONGEST_PATTERN} characters")
    try:
        regex.compile(text)
    except regex.error as error:
        raise refuse(f"{shown(text)} is no regular expression: {error}") from None
    return text


def _path(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise refuse(f"{shown(text)} is longer than {_LONGEST_PATTERN} characters")
    try:
        jmespath.compile(text) if text else None
    except JMESPathError as error:
        why = str(error).splitlines()[0]
        raise refuse(f"{shown(text)} is no JMESPath expression: {why}") from None
    return text


def _look_time(time: timedelta) -> timedelta:
    if not timedelta(0) < time <= LONGEST_LOOK:
        raise refuse("is out of range; a command that only looks has 1s to 60s")
    return time


def _exit_code(text: str) -> str:
    if not re.fullmatch("0|[1-9][0-9]{0,2}", text) or int(text) > _HIGHEST_EXIT:
        raise refuse(f"{shown(text)} is no exit code; write a number from 0 to 255")
    return text


Expression = Annotated[
    str, AfterValidator(_expression), Field(examples=[r"^(?P<name>\S+) (?P<version>\S+)$"])
]
JsonPath = Annotated[
    str, AfterValidator(_path), Field(examples=["packages[].{name: name, version: version}"])
]
LookTime = Annotated[Duration, AfterValidator(_look_time)]
ExitCode = Annotated[str, AfterValidator(_exit_code)]
Meaning = Literal["done", "failed", "reboot", "nothing", "unknown"]
ExitTable = dict[ExitCode, Meaning]


class ReadingForm(Form):
    """A command that only looks, and how items are found in its output. `json` or `lines`."""

    run: Command = Field(description="Program and arguments, as a list; no shell reads them.")
    json_: JsonPath = Field(
        default="",
        alias="json",
        description=(
            "JMESPath expression over the output as JSON. It gives a mapping, or a list of them, "
            "with `name` and `version`, and `origin` and `cves` where there are such."
        ),
    )
    lines: Expression = Field(
        default="",
        description=(
            "Regular expression, searched in each line, with the groups `name` and `version`, and "
            "`origin` and `cves` where there are such."
        ),
    )
    skip: Expression = Field(
        default="",
        description=(
            "Lines that hold no item, such as headings. A line that fits neither is a fault of "
            "the look, never left out in silence."
        ),
    )
    name: Text = Field(
        default="", description="Name of the only item, where the output does not name it."
    )
    exit: ExitTable = Field(
        default={"0": "done"},
        description=(
            "What each exit code means: `done`, `failed`, `nothing` (nothing is listed), "
            "`unknown`. One that is not here is unknown, and so is what was printed."
        ),
    )
    deadline: LookTime = Field(
        default="20s", validate_default=True, description="Longest time it may take, 1s to 60s."
    )


class RehearsalForm(ReadingForm):
    """A command that says what a change would do, without doing it.

    With `json` or `lines`, the items it would install; without, only whether it would do it.
    """

    together: bool = Field(
        default=False, description="One command for all items, as in the actions."
    )


class ActionForm(Form):
    """Commands that change the host, in one detached job, one item after the other."""

    steps: list[Command] = Field(
        min_length=1,
        description=(
            "Commands, as lists, in this order; the first one that is not `done`, `reboot` or "
            "`nothing` is the last one that is run."
        ),
    )
    exit: ExitTable = Field(
        default={"0": "done"},
        description=(
            "What each exit code of a step means: `done`, `failed`, `reboot` (done, and the host "
            "has to be restarted), `nothing`, `unknown`. One that is not here is unknown."
        ),
    )
    together: bool = Field(
        default=False,
        description=(
            "One command for all items: a word with a parameter is repeated for each of them."
        ),
    )
    deadline: Duration = Field(
        default="0s",
        validate_default=True,
        description=(
            "The host ends a step that takes longer, whatever it is at. Without it a step is "
            "waited for, which is what package managers need."
        ),
    )


class ManagerFile(Form):
    """A whole declaration file."""

    schema_: Literal["wavemend.manager/1"] = Field(alias="schema", description="Form of this file.")
    title: Text = Field(min_length=1, description="What it manages, for people.")
    account: User = Field(
        default="root", description="Account that runs the commands; `root` or one it can become."
    )
    versions: Literal["deb", "rpm", "windows", "offered"] = Field(
        description=(
            "Which of two versions is newer: as dpkg or rpm orders them, as Windows builds, or "
            "`offered`, where the command itself offers only what is newer."
        )
    )
    security: bool = Field(
        default=False, description="Every update that is offered counts as a security update."
    )
    installed: ReadingForm = Field(description="The items that are installed, and their versions.")
    available: ReadingForm = Field(
        description=(
            "The versions that can be had. With `{name}` or `{installed}` in `run` it is asked "
            "once for each installed item."
        )
    )
    running: ReadingForm | None = Field(
        default=None,
        description=(
            "The versions that run. Where they are others than the installed ones, the host has to "
            "be restarted."
        ),
    )
    verify: ReadingForm | None = Field(
        default=None,
        description=(
            "What must hold before and after a change: its exit code, and with `json` or `lines` "
            "the versions it finds. With `{name}` or `{installed}` once for each item."
        ),
    )
    rehearse: RehearsalForm | None = Field(
        default=None,
        description="What the change would do. Without it, only what is still offered is started.",
    )
    apply: ActionForm = Field(description="Brings items to exactly `{version}`.")
    roll_back: ActionForm | None = Field(
        default=None, description="Takes items back to exactly `{version}`, the older one."
    )
    kept: ReadingForm | None = Field(
        default=None,
        description=(
            "Says by its exit code whether `roll_back` can still bring `{version}` back; `done` "
            "is yes. A restore point of kind `package_versions` is proven by it."
        ),
    )
    repair: ActionForm | None = Field(
        default=None, description="Mends what was left half done; run only when it is asked for."
    )
    reboot: Command = Field(
        default=["shutdown", "-r", "now"], description="Restarts the host, as root."
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) that editors check a declaration file with."""
    return schema_of(ManagerFile, SCHEMA, "wavemend manager declaration")
