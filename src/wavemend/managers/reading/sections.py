"""The framed answer of a facts script: one section per command, its streams apart. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wavemend.errors import HostAnswerInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One command's answer: its streams apart, and its exit status as the shell saw it."""

    lines: tuple[str, ...]
    errors: tuple[str, ...]
    status: int


def split_sections(text: str, nonce: str, host: str) -> Mapping[str, Section]:
    """Return the sections of an answer by name; raises HostAnswerInvalid when one is cut off."""
    sections: dict[str, Section] = {}
    name, lines, errors = "", list[str](), list[str]()
    into: list[str] | None = None
    # What stands before the first frame is nobody's; a frame is a line of its own.
    for frame in f"\n{text}".split(f"\n{nonce} ")[1:]:
        head, _, body = frame.partition("\n")
        kind, _, what = head.partition(" ")
        match kind:
            case "begin":
                name, lines, errors = what, [], []
                into = lines
            case "errors" if what == name:
                into = errors
            case "end" if (status := _status(what, name)) is not None:
                if into is None and name in sections:  # nothing came since: not read once more
                    sections[name] = replace(sections[name], status=status)
                else:
                    sections[name] = Section(
                        lines=_trimmed(lines), errors=_trimmed(errors), status=status
                    )
                into = None
        if into is not None:
            into.append(body)
    if "end" not in sections:
        raise HostAnswerInvalid(
            f"{host}: the answer breaks off after {name or 'nothing'}",
            hint="look whether the login's shell works and /bin/sh can be run as root",
        )
    return sections


def _status(what: str, name: str) -> int | None:
    called, space, status = what.rpartition(" ")
    ended = space and called == name and re.fullmatch("[0-9]{1,3}", status)
    return int(status) if ended else None


def _trimmed(bodies: Sequence[str]) -> tuple[str, ...]:
    text = "\n".join(bodies)
    lines = text.split("\n")
    if "\r" in text:
        lines = [line.rstrip("\r") for line in lines]
    return tuple(filter(str.strip, lines))
