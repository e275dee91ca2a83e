"""The kinds of values that only calendars, freezes and rosters hold."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from wavemend.calendar.windows import HOST_ZONE, zone_info
from wavemend.errors import CalendarError
from wavemend.inventory.fields import refuse
from wavemend.inventory.problems import shown


def _calendar_reference(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if (kind == "file" and colon and rest.strip()) or re.fullmatch(r"https://[^\s/]+/\S*", text):
        return text
    raise refuse(f"{shown(text)} is no place; write file:calendars/freeze.ics or https://…/x.ics")


CalendarReference = Annotated[
    str,
    AfterValidator(_calendar_reference),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(file:.+|https://.+)$",
            "examples": ["file:calendars/freeze.ics"],
        }
    ),
]


def _holiday_region(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", text):
        raise refuse(f"{shown(text)} is no country or region; write DE or DE-BY (ISO 3166)")
    return text


HolidayRegion = Annotated[
    str,
    AfterValidator(_holiday_region),
    WithJsonSchema(
        {"type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$", "examples": ["DE-BY"]}
    ),
]


def _window_zone(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "text expected")
    if value == HOST_ZONE:
        return value
    try:
        return zone_info(value).key
    except CalendarError as error:
        raise refuse(f"{error.message}; {error.hint}") from None


WindowZone = Annotated[
    str,
    PlainValidator(_window_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", HOST_ZONE]}),
]
"""An IANA zone, or the word for each device's own."""


def _local_moment(value: object) -> datetime:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", value, re.ASCII):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise refuse(f'{shown(value)} is no local date and time; write "2026-12-18T00:00"')


LocalMoment = Annotated[
    datetime | None,
    PlainValidator(_local_moment),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
            "examples": ["2026-12-18T00:00"],
        }
    ),
]
"""A date and time without zone."""
