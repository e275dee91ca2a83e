"""Copies of calendars and rosters from addresses: the last good one stays in use, with its age.

One file per calendar holds the bytes and, in its first line, where they came from and when: it is
replaced as a whole, so a worker that dies or another one that fetches at the same time leaves
either the old copy or the new one.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from wavemend.calendar.ical import MAX_BYTES
from wavemend.errors import CalendarError, FeedError
from wavemend.feeds.reading.http import HttpClient, Limits, Validators

RENEWED_AFTER = timedelta(minutes=5)
"""An address is asked this often at most, whether it answers or not: a change in it holds after
so long, and a server that is down is not waited for before every host."""

TOLERATED = timedelta(minutes=10)
"""Clocks of two workers differ; a copy from further in the future has no age."""

LIMITS = Limits(
    # A start waits for this, at most once in five minutes: an answer that takes longer is none.
    total_seconds=15.0,
    connect_seconds=5.0,
    read_seconds=10.0,
    max_bytes=MAX_BYTES,
    max_feed_bytes=MAX_BYTES,
    attempts=2,
    backoff_seconds=0.5,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What an address gave last, and how asking it went since."""

    source: str
    document: bytes = b""
    fetched_at: datetime | None = None
    """When the address last said that this is what it holds; None: it never did."""
    asked_at: datetime | None = None
    etag: str = ""
    last_modified: str = ""
    trouble: str = ""
    """Why asking it failed last; empty: it did not."""

    def is_due(self, now: datetime) -> bool:
        """Return whether the address is to be asked again."""
        asked = self.asked_at
        return asked is None or not asked - TOLERATED <= now < asked + RENEWED_AFTER


def renewed(
    path: Path,
    source: str,
    now: datetime,
    client: HttpClient,
    check: Callable[[bytes, bytes], None],
) -> Copy:
    """Return the copy at `path`, renewed from its address when that is due.

    `check` raises CalendarError for an answer (first argument) that must not replace the copy
    (second argument, empty without one). What goes wrong stands in the copy's `trouble`; this
    never raises for what a server does.
    """
    copy = _read(path, source)
    if not copy.is_due(now):
        return copy
    try:
        fresh = _fetched(copy, path, now, client, check)
    except (FeedError, CalendarError, OSError) as error:
        # The address may hold a key that lets anybody read: it is never part of a reason.
        why = re.sub(
            r"\w+://\S+?(?=:?\s|:?$)", "its address", getattr(error, "message", str(error))
        )
        fresh = replace(copy, asked_at=now, trouble=why)
    try:
        _write(path, fresh)
    except OSError as error:
        return replace(fresh, trouble=f"no copy of it can be kept ({error.strerror})")
    return fresh


def _fetched(
    copy: Copy,
    path: Path,
    now: datetime,
    client: HttpClient,
    check: Callable[[bytes, bytes], None],
) -> Copy:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = Validators(etag=copy.etag, last_modified=copy.last_modified)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as folder:
        target = Path(folder, "answer")
        answer = client.download(
            copy.source,
            target,
            validators=known if copy.fetched_at else None,
            headers={"Accept": "text/calendar, */*;q=0.1", "Accept-Encoding": "identity"},
        )
        if not answer.changed:
            return replace(copy, fetched_at=now, asked_at=now, trouble="")
        document = target.read_bytes()
    check(document, copy.document)
    return Copy(
        source=copy.source,
        document=document,
        fetched_at=now,
        asked_at=now,
        etag=answer.validators.etag,
        last_modified=answer.validators.last_modified,
    )


def _read(path: Path, source: str) -> Copy:
    """Return the copy of an address; an empty one when there is none, or it is damaged."""
    try:
        head, _, document = path.read_bytes().partition(b"\n")
        said = json.loads(head)
        copy = Copy(
            source=said["source"],
            document=document,
            fetched_at=_moment(said["fetched_at"]),
            asked_at=_moment(said["asked_at"]),
            etag=said["etag"],
            last_modified=said["last_modified"],
            trouble=said["trouble"],
        )
    except FileNotFoundError:
        return Copy(source=source)
    except (OSError, ValueError, LookupError, TypeError):
        return Copy(source=source, trouble="the copy of it on this machine is damaged")
    # Another address is another calendar, whatever it is called.
    return copy if copy.source == source else Copy(source=source)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write(path: Path, copy: Copy) -> None:
    said = {key: value for key, value in asdict(copy).items() if key != "document"}
    for key in ("fetched_at", "asked_at"):
        said[key] = said[key].isoformat() if said[key] else None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(json.dumps(said).encode() + b"\n" + copy.document)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
