"""Windows: a restore point of a client, a shadow copy of a server's volume."""

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ValidationError

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Host
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import (
    PREFIX,
    Command,
    Found,
    Restoring,
    Subject,
    UndoPackages,
    WindowsScript,
)
from wavemend.snapshots.listed import kept_thing

_MAKE_SECONDS = 900.0
"""Writers of a busy server may hold a shadow copy up for minutes; 60 s each before they give up."""

_ASK_SECONDS = 120.0


class _Point(BaseModel):
    label: str
    kind: Literal["restore_point", "shadow_copy"]
    reference: str
    volume: str


class _Points(BaseModel):
    points: list[_Point]
    damaged: list[str]


@dataclass(frozen=True, slots=True)
class Windows:
    """`restore_point.of` is a volume, `D:`; without it the system drive.

    Which of the two is made is the host's choice: servers have no restore points, and clients
    whose System Restore is off have none either.
    """

    rule: RestorePointRule

    @property
    def restores(self) -> str:
        """Say what a person can get from it, and what brings updates back."""
        volume = self.rule.of or "the system drive"
        return (
            f"files of {volume} as they were, by hand, never its servicing state: an update is "
            "taken back by removing it, where Windows allows that, and what it has changed since "
            "stays; Windows itself drops such points when it wants their room"
        )

    def create(self, subject: Subject) -> Command:
        """Make it as SYSTEM: an administrator's remote login may not."""
        params = {"label": subject.name, "volume": self._volume(subject.host)}
        return _ask("make a Windows restore point", "snapshot", params, as_job=True)

    def listing(self, host: Host) -> Command:
        """What Windows itself lists now, with the labels the points were made under."""
        self._volume(host)
        return _ask("list Windows restore points", "list_points", {})

    def read(self, text: str) -> tuple[Found, ...]:
        """Read the script's answer; a record that lost its label is shown under its file's name."""
        try:
            answer = _Points.model_validate_json(text)
        except ValidationError as error:
            raise HostAnswerInvalid("the list of restore points is not in form") from error
        # The blank keeps it from ever being taken for a point of that name.
        damaged = tuple(Found(name=f"{PREFIX}damaged {name}") for name in answer.damaged)
        return (*(_found(point) for point in answer.points), *damaged)

    def remove(self, host: Host, found: Found) -> Command:  # noqa: ARG002 - as the Protocol has it
        """Remove whatever carries the label."""
        return _ask("remove a Windows restore point", "remove_points", {"label": found.name})

    def restoring(self, subject: Subject, found: Found) -> Restoring:  # noqa: ARG002 - as the Protocol has it
        """Remove the updates: files put back under a newer servicing state would not boot."""
        return UndoPackages()

    def _volume(self, host: Host) -> str:
        if not self.rule.of:
            return ""
        return kept_thing(self.rule, host, default="", form="[A-Z]:", what="a volume, `D:`")


def _found(point: _Point) -> Found:
    what = "restore point" if point.kind == "restore_point" else f"shadow copy of {point.volume}"
    reference = f"{point.kind} {point.reference}"
    detail = f"{what} {point.reference}, listed by Windows"
    return Found(name=point.label, reference=reference, detail=detail)


def _ask(title: str, script: str, params: dict[str, str], *, as_job: bool = False) -> Command:
    return Command(
        title=title,
        place=Place.HOST,
        script=WindowsScript(name=script, as_job=as_job),
        stdin=json.dumps(params).encode(),
        seconds=_MAKE_SECONDS if as_job else _ASK_SECONDS,
    )
