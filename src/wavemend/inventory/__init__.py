"""Where the fleet comes from: a Protocol and the table of inventories.

To add one: write `inventory/<name>.py` with a `load(source) -> Fleet` that reports every problem
at once and loads nothing by halves, add a line to `INVENTORIES`, and give it cases in
`tests/cases/<name>/`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from wavemend.fleet import Fleet


class Inventory(Protocol):
    """One way to learn the fleet."""

    def __call__(self, source: Path, /) -> Fleet:
        """Return the whole fleet, or raise FleetError with one line for every problem."""
        ...


def _file() -> Inventory:
    from wavemend.inventory.fleet_file import load_fleet

    return load_fleet


INVENTORIES: Mapping[str, Callable[[], Inventory]] = {"file": _file}
"""Imported when first used: the YAML reader alone costs a twentieth of a second at start."""
