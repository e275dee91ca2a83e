"""The kinds of values a fleet file holds: how each is checked, and how its schema describes it."""

import ipaddress
import re
from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from wavemend.calendar import durations
from wavemend.calendar.windows import DAY_NAMES, zone_info
from wavemend.errors import WavemendError
from wavemend.inventory.problems import shown
from wavemend.inventory.ssh_keys import public_key, public_key_fault
from wavemend.policy.profiles import Size
from wavemend.references import reference_fault, uses_agent
from wavemend.selectors import (
    Selector,
    label_key_fault,
    label_value_fault,
    parse_selector,
)

T = TypeVar("T")

OURS = "wavemend"
"""Type of the pydantic errors whose message is already a whole sentence."""


def refuse(what: str) -> PydanticCustomError:
    """Return the error that puts `what` into the list of problems, word for word."""
    return PydanticCustomError(OURS, "{what}", {"what": what})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise PydanticCustomError("string_type", "text expected")


def _parsed(read: Callable[[str], T]) -> Callable[[object], T]:
    """Turn a parser that raises our errors into a validator of text."""

    def validate(value: object) -> T:
        try:
            return read(_text(value))
        except WavemendError as error:
            way_out = f"; {error.hint}" if error.hint else ""
            raise refuse(f"{error.message}{way_out}") from None

    return validate


def _without(fault_of: Callable[[str], str], *, show: bool = True) -> Callable[[str], str]:
    """Turn a function that says what is wrong with a text into a validator."""

    def validate(value: str) -> str:
        if fault := fault_of(value):
            raise refuse(f"{shown(value)}: {fault}" if show else fault)
        return value

    return validate


def _pattern(pattern: str, meaning: str) -> AfterValidator:
    compiled = re.compile(pattern)
    return AfterValidator(_without(lambda text: "" if compiled.fullmatch(text) else meaning))


def _plain_text_fault(text: str) -> str:
    # Titles reach terminals and reports: an escape sequence in one could repaint the screen.
    return "" if text.isprintable() else "holds a control character"


def _argument_fault(text: str) -> str:
    return "an argument cannot hold a NUL character" if "\0" in text else ""


def _address_fault(text: str) -> str:
    # Never a leading "-": an address may become an argument of a program.
    if ":" not in text:
        plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", text)
        return "" if plain else "no host name or IP address"
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return "no host name or IP address; the port goes into port:"
    return ""


def _text_reference_fault(text: str) -> str:
    if uses_agent(text):
        return "an agent holds keys and no text; write file:/path"
    return reference_fault(text)


_DURATION_PATTERN = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"

Name = Annotated[
    str,
    _pattern(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
        "a name is at most 63 letters, digits, '-', '_' and '.', and begins with a letter or digit",
    ),
]
Text = Annotated[str, AfterValidator(_without(_plain_text_fault))]
Identity = Annotated[
    str,
    _pattern(
        r"[A-Za-z0-9][A-Za-z0-9._%+@-]{0,127}",
        "an identity is one word without spaces, commas or wildcards, as in the signers file",
    ),
    Field(examples=["alice@acme.example"]),
]
Address = Annotated[str, AfterValidator(_without(_address_fault)), Field(examples=["192.0.2.11"])]
User = Annotated[
    str, _pattern(r"[A-Za-z_][A-Za-z0-9._-]{0,62}\$?", "no account name"), Field(examples=["patch"])
]
Argument = Annotated[str, AfterValidator(_without(_argument_fault, show=False))]
Command = Annotated[list[Argument], Field(min_length=1, examples=[["/usr/bin/true"]])]
Reference = Annotated[
    str,
    AfterValidator(_without(reference_fault, show=False)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(file|env|agent|command):",
            "examples": ["file:keys/id_ed25519"],
        }
    ),
]
TextReference = Annotated[
    str,
    AfterValidator(_without(_text_reference_fault, show=False)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(file|env|command):",
            "examples": ["file:keys/known_hosts"],
        }
    ),
]
Zone = Annotated[
    str,
    PlainValidator(_parsed(lambda text: zone_info(text).key)),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
]
Duration = Annotated[
    timedelta,
    PlainValidator(_parsed(durations.parse_duration)),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["1h30m"]}),
]
Selection = Annotated[
    Selector | None,
    PlainValidator(_parsed(parse_selector)),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["role in (web,api), env!=dev"]}),
]
LabelKey = Annotated[str, AfterValidator(_without(label_key_fault))]
LabelValue = Annotated[str, AfterValidator(_without(label_value_fault))]


def _host_key(value: object) -> str:
    text = _text(value)
    if fault := public_key_fault(text):
        raise refuse(fault)
    return public_key(text)


HostKey = Annotated[
    str,
    PlainValidator(_host_key),
    WithJsonSchema({"type": "string", "examples": ["ssh-ed25519 AAAAC3Nza..."]}),
]


def _start(value: object) -> time:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", _text(value), re.ASCII)
    if found is None:
        raise refuse(f'{shown(value)} is no time of day; write "22:00"')
    return time(int(found[1]), int(found[2]))


StartTime = Annotated[
    time,
    PlainValidator(_start),
    WithJsonSchema(
        {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:00"]}
    ),
]


def _day(value: object) -> int:
    text = _text(value)
    if text not in DAY_NAMES:
        raise refuse(f"{shown(text)} is no day; write {', '.join(DAY_NAMES)}")
    return DAY_NAMES.index(text)


Day = Annotated[
    int, PlainValidator(_day), WithJsonSchema({"type": "string", "enum": list(DAY_NAMES)})
]


def _size(value: object) -> Size:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return Size(value=value, percent=False)
    found = re.fullmatch(r"(\d{1,3})%", value, re.ASCII) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= 100:
        raise refuse(f"{shown(value)} is no size; write a number of hosts or 1% to 100%")
    return Size(value=int(found[1]), percent=True)


WaveSize = Annotated[
    Size | None,
    PlainValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^(100|[1-9][0-9]?)%$", "examples": ["50%"]},
            ]
        }
    ),
]


def _members(value: object) -> tuple[str, ...] | None:
    """None stands for all hosts of the scope, which has to be written out as `all`."""
    if value == "all":
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse('must be a list of host names, or the word "all" for every host of the scope')
    if not value:
        raise refuse("is empty, and empty is not everything; name hosts, or write: hosts: all")
    return tuple(value)


Members = Annotated[
    tuple[str, ...] | None,
    PlainValidator(_members),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"const": "all"},
            ]
        }
    ),
]


def _source(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if text == "online" or (kind == "directory" and colon and rest.strip()):
        return text
    raise refuse(f"{shown(text)} is no source of feeds; write online, or directory:/path")


FeedSource = Annotated[
    str,
    AfterValidator(_source),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(online|directory:.+)$",
            "examples": ["directory:/srv/feeds"],
        }
    ),
]


def _calendar_day(value: object) -> date:
    text = _text(value)
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else date.min
    except ValueError:
        return date.min


def _last_day(value: object) -> date:
    if (found := _calendar_day(value)) == date.min:
        raise refuse(f"{shown(value)} is no day of the calendar; write 2027-01-31")
    return found


LastDay = Annotated[
    date,
    PlainValidator(_last_day),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2027-01-31"]}
    ),
]


LEAST_REASON = 10
"""Characters: "ok" and "n/a" are no reasons."""


def _reason(text: str) -> str:
    if len(text.strip()) < LEAST_REASON:
        raise refuse(f"{shown(text)} is too short; say why, for whoever reads it in a year")
    return text


Reason = Annotated[Text, AfterValidator(_reason)]


def _cve(text: str) -> str:
    if text and not re.fullmatch(r"CVE-\d{4}-\d{4,19}", text, re.ASCII):
        raise refuse(f"{shown(text)} is no CVE; write it as CVE-2024-6119")
    return text


CveName = Annotated[str, AfterValidator(_cve), Field(examples=["CVE-2024-6119"])]


def _feed_name(text: str) -> str:
    from wavemend.feed_names import FEED_NAMES

    if text not in FEED_NAMES:
        raise refuse(f"{shown(text)} is no feed; known: {', '.join(sorted(FEED_NAMES))}")
    return text


FeedName = Annotated[str, AfterValidator(_feed_name), Field(examples=["ubuntu"])]


def _compliance(text: str) -> str:
    from wavemend.policy.risk_profiles import PROFILE_NAMES

    if text not in PROFILE_NAMES:
        raise refuse(f"{shown(text)} is no compliance profile; known: {', '.join(PROFILE_NAMES)}")
    return text


Compliance = Annotated[str, AfterValidator(_compliance), Field(examples=["pci-dss-4.0.1"])]

MacAddress = Annotated[
    str,
    _pattern(r"(?:[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5})?", "six pairs of hex digits, with colons"),
    Field(examples=["52:54:00:12:34:56"]),
]
