"""Put a report on disk whole or not at all."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wavemend.errors import EnvironmentUnfit

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+|^[.-]+")
_EPOCH = datetime.fromtimestamp(0, UTC)
_MODE = 0o640  # names hosts and what they lack: for the owner and the reporting group


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """Where a report was written."""

    html: Path
    json: Path


def file_stem(rollout_id: str) -> str:
    """Return a file name without ending for a rollout, always inside its folder.

    An id that had to be changed gets a piece of its digest, so two ids never share a file.
    """
    stem = _UNFIT.sub("_", rollout_id)[:100]
    if stem == rollout_id:
        return f"rollout-{stem}"
    piece = hashlib.sha256(rollout_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"rollout-{stem}-{piece}"


def write_both(
    folder: Path, rollout_id: str, *, html: bytes, json: bytes, as_of: datetime
) -> ReportPaths:
    """Write both files durably, then rename both. Raises EnvironmentUnfit.

    Their time is `as_of`, the moment that the ledger was read for them: what it has written down
    since is not in them.
    """
    paths = _paths(folder, rollout_id)
    with _no_room_left_to_doubt(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as cleanup:
        with _no_room_left_to_doubt(folder):
            ready_json = _written(folder, json, as_of, cleanup)
            ready_html = _written(folder, html, as_of, cleanup)
        with _no_room_left_to_doubt(paths.json):
            ready_json.replace(paths.json)
        with _no_room_left_to_doubt(paths.html, f"{paths.json} is written, the page beside it not"):
            ready_html.replace(paths.html)
            _sync_folder(folder)
    return paths


@contextlib.contextmanager
def _no_room_left_to_doubt(place: Path, so_far: str = "no report was written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentUnfit(
            f"the report cannot be written to {place}: {error.strerror or error}; {so_far}",
            hint="check room and permissions there, then make the report again: the ledger "
            "still holds everything",
        ) from error


def written_as_of(folder: Path, rollout_id: str) -> datetime | None:
    """Return what moment both files of a report are of at least; None where there is neither."""
    paths = _paths(folder, rollout_id)
    times = []
    for path in (paths.json, paths.html):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    if not times:
        return None
    return _EPOCH + timedelta(microseconds=min(times) // 1000) if len(times) == 2 else _EPOCH


def _paths(folder: Path, rollout_id: str) -> ReportPaths:
    stem = file_stem(rollout_id)
    return ReportPaths(html=folder / f"{stem}.html", json=folder / f"{stem}.json")


def _written(folder: Path, content: bytes, as_of: datetime, cleanup: contextlib.ExitStack) -> Path:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".report-", suffix=".part")
    path = Path(name)
    cleanup.callback(path.unlink, missing_ok=True)  # gone already after the rename
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), _MODE)
        moment = (as_of - _EPOCH) // timedelta(microseconds=1) * 1000
        os.utime(stream.fileno(), ns=(moment, moment))
        os.fsync(stream.fileno())
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
