"""The documents of earlier days, for replays: what did EPSS and KEV say on a day in the past?"""

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

from wavemend.feeds import Document
from wavemend.feeds.store.snapshots_files import link, safe_name

REMEMBERED_FEEDS = frozenset({"epss", "kev"})
"""Small, and the ones a decision of the past is judged by. The others say what is true today."""
DAILY = timedelta(days=40)
"""So long every day is kept, before that the first of each month: a year of EPSS is 130 MB."""
_FOLDER = "history"


def remember(home: Path, day: date, documents: Sequence[Document]) -> None:
    """Keep the documents of an accepted state under its own date, and forget days too many.

    A second state of a day replaces the first. Linked, not copied: they cost nothing until the
    state itself is forgotten.
    """
    if home.name not in REMEMBERED_FEEDS:
        return
    folder = home / _FOLDER
    place, before = folder / day.isoformat(), folder / f".{day.isoformat()}.old"
    building = folder / f".{day.isoformat()}.new"
    for left in (before, building):
        shutil.rmtree(left, ignore_errors=True)
    for document in documents:
        target = building / safe_name(document.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        link(document.path, target)
    if place.exists():
        place.rename(before)
    building.rename(place)
    shutil.rmtree(before, ignore_errors=True)
    days = _days(folder)
    for old in set(days) - kept_days(days):
        shutil.rmtree(folder / old.isoformat(), ignore_errors=True)


def history(cache_dir: Path, feed: str) -> tuple[tuple[date, Document], ...]:
    """Return the remembered documents of a feed with their days, the oldest first."""
    folder = cache_dir / feed / _FOLDER
    return tuple(
        (day, Document(name=path.relative_to(place).as_posix(), path=path))
        for day in _days(folder)
        for place in (folder / day.isoformat(),)
        for path in sorted(place.rglob("*"))
        if path.is_file()
    )


def kept_days(days: Iterable[date]) -> set[date]:
    """Choose which days to keep, counted from the newest. Pure.

    Of the months before, the first day there is: a month whose first day was missed is kept too.
    """
    ordered = sorted(days)
    if not ordered:
        return set()
    firsts: dict[tuple[int, int], date] = {}
    for day in ordered:
        firsts.setdefault((day.year, day.month), day)
    return {day for day in ordered if ordered[-1] - day < DAILY} | set(firsts.values())


def _days(folder: Path) -> list[date]:
    found: list[date] = []
    if folder.is_dir():
        for path in folder.iterdir():
            with contextlib.suppress(ValueError):
                found.append(date.fromisoformat(path.name))
    return sorted(found)
