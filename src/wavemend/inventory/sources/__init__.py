"""Hosts that are kept in other files: a Protocol and the table of readers.

To add one: write `sources/<name>.py` with a `read(file) -> Found` that raises nothing and changes
nothing, add its kind to `SourceForm` and a line to `READERS`, and give it cases in
`tests/cases/sources/`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from wavemend.inventory.sources.found import Found


class SourceReader(Protocol):
    """One form in which other tools keep hosts."""

    def __call__(self, path: Path, shown: str, /) -> Found:
        """Return all hosts of a file, what was left out and why, and every fault.

        `shown`: how the file is named to people. Nothing in the file is executed or evaluated.
        """
        ...


def _csv() -> SourceReader:
    from wavemend.inventory.sources.csv_table import read

    return read


def _ansible() -> SourceReader:
    from wavemend.inventory.sources.ansible import read

    return read


def _netbox() -> SourceReader:
    from wavemend.inventory.sources.netbox import read

    return read


def _ssh_config() -> SourceReader:
    from wavemend.inventory.sources.ssh_config import read

    return read


READERS: Mapping[str, Callable[[], SourceReader]] = {
    "csv": _csv,
    "ansible": _ansible,
    "netbox": _netbox,
    "ssh_config": _ssh_config,
}
"""Imported when first used."""
