"""A window of zone `host` opens for each device at its own local time, and is an ordinary one."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import available_timezones

import pytest

from tests.unit.test_fleet_file import RIGHT, load
from wavemend.calendar.windows import next_occurrences
from wavemend.errors import FleetError
from wavemend.fleet import Fleet
from wavemend.inventory.inheritance import zoned_window

HOST_WINDOW = RIGHT.replace("    zone: Europe/Berlin\n    start", "    zone: host\n    start")
UNUSED = """  - name: unused
    zone: host
    start: "03:00"
    days: [sun]
    duration: 1h
    cutoff: 15m
profiles:
"""


def fleet_of(folder: Path, db1_zone: str = "America/New_York") -> Fleet:
    text = HOST_WINDOW.replace("profiles:\n", UNUSED, 1)
    return load(folder, text.replace("  - name: db1\n", f"  - name: db1\n    zone: {db1_zone}\n"))


def test_each_zone_that_is_used_gets_a_window_and_one_that_nobody_uses_gets_none(
    tmp_path: Path,
) -> None:
    fleet = fleet_of(tmp_path)

    assert [(window.name, window.zone) for window in fleet.windows] == [
        ("night.america-new_york", "America/New_York"),
        ("night.europe-berlin", "Europe/Berlin"),
    ]
    assert [(host.name, host.window, host.zone) for host in fleet.hosts] == [
        ("db1", "night.america-new_york", "America/New_York"),
        ("web1", "night.europe-berlin", "Europe/Berlin"),
    ]
    assert [key.window for key in fleet.rollouts()] == [window.name for window in fleet.windows]


def test_it_opens_at_the_same_local_time_everywhere(tmp_path: Path) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    fleet = fleet_of(tmp_path)
    starts = {
        window.zone: f"{next_occurrences(window, noon, 1)[0].start:%Y-%m-%dT%H:%M}"
        for window in fleet.windows
    }

    assert starts == {"America/New_York": "2026-07-05T02:00", "Europe/Berlin": "2026-07-04T20:00"}


def test_hosts_of_one_zone_share_one_window(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, "Europe/Berlin")

    assert [window.name for window in fleet.windows] == ["night.europe-berlin"]
    assert len(fleet.rollouts()) == 1


def test_no_two_zones_give_one_name() -> None:
    names = {zoned_window("night", zone) for zone in available_timezones()}

    assert len(names) == len(available_timezones())


def test_a_window_that_is_called_like_one_of_them_is_refused(tmp_path: Path) -> None:
    other = UNUSED.replace("unused", "night.europe-berlin").replace("zone: host", "zone: UTC")

    with pytest.raises(FleetError, match="which another window is called already"):
        load(tmp_path, HOST_WINDOW.replace("profiles:\n", other, 1))
