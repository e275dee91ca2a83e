"""`<cache>/<feed>/floor.json`: what was accepted last, told apart from the state itself."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wavemend.advisories import KevEntry
from wavemend.feeds.changes import in_force
from wavemend.feeds.floors import Floor
from wavemend.feeds.store.compiled import open_state
from wavemend.feeds.store.snapshots_files import write_whole
from wavemend.feeds.store.snapshots_staging import Stored

_FLOOR = TypeAdapter(Floor)


def read_floor(cache_dir: Path, feed: str) -> tuple[Floor | None, str]:
    """Return the floor of a feed, or None and why there is none although there is a file."""
    path = _file(cache_dir, feed)
    try:
        return _FLOOR.validate_json(path.read_bytes()), ""
    except FileNotFoundError:
        return None, ""
    except (OSError, ValidationError) as error:
        return None, f"{path} cannot be read ({type(error).__name__})."


def write_floor(cache_dir: Path, stored: Stored) -> None:
    """Note a state that is in use now; of KEV every entry that is in force."""
    found = stored.snapshot
    floor = Floor(
        digest=found.digest,
        data_date=found.data_date,
        count=found.count,
        coverage=found.coverage,
        in_force=tuple(sorted(entries_in_force(stored).items())),
    )
    path = _file(cache_dir, found.feed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _FLOOR.dump_json(floor))


def entries_in_force(stored: Stored) -> dict[str, KevEntry]:
    """Return what a state says of exploited CVEs, with what stays in force beside it.

    Empty for feeds that are no complete catalogue: what these do not say means nothing.
    """
    state = open_state(stored.compiled)
    try:
        return in_force(dict(state.kev), stored.kept) if state.kev_complete else {}
    finally:
        state.close()


def _file(cache_dir: Path, feed: str) -> Path:
    return cache_dir / feed / "floor.json"
