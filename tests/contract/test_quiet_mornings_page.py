"""What the page about quiet mornings shows can be copied: its rosters are read as it says."""

import re
from datetime import UTC, datetime
from pathlib import Path

from wavemend.calendar.rosters import RosterKind, parse_roster

PAGE = Path(__file__).parents[2] / "docs/how-to/quiet-mornings.md"
SINCE, UNTIL = datetime(2026, 12, 18, tzinfo=UTC), datetime(2026, 12, 30, tzinfo=UTC)


def block(language: str, number: int = 0) -> bytes:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found[number]).encode()


def shown(document: bytes, kind: RosterKind) -> list[str]:
    shifts = parse_roster(document, kind, "Europe/Berlin", since=SINCE, until=UNTIL)
    return [f"{s.person.split()[0]} {s.start:%d %H:%M}-{s.end:%d %H:%M}" for s in shifts]


def test_the_yaml_roster_of_the_page_is_read_as_it_says() -> None:
    assert shown(block("yaml", 1), RosterKind.YAML) == [
        "Cem 18 06:00-18 14:00",
        "Anna 18 21:00-19 05:00",
        "Cem 21 06:00-21 14:00",
        "Anna 24 05:30-24 13:30",
        "Cem 25 06:00-25 14:00",
        "Anna 25 21:00-26 05:00",
        "Anna 28 05:30-28 13:30",
        "Anna 28 06:00-28 14:00",
        "Cem 28 06:00-28 14:00",
        "Anna 29 05:30-29 13:30",
    ]


def test_the_table_of_the_page_is_read_as_it_says() -> None:
    assert shown(block("csv"), RosterKind.CSV) == ["Anna 28 09:00-28 14:00"]
