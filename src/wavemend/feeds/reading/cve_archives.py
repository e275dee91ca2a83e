"""Archives of CVE records, and fetching them: the CVE list's whole and what changed since midnight.

Known forms: a tar archive (CISA's Vulnrichment), a zip, a zip inside a zip (the CVE list's whole,
619 MB in October 2026), and a single record.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from wavemend.feeds import Document, Downloads
from wavemend.feeds.reading.archives import tar_members
from wavemend.feeds.reading.documents import (
    MIB,
    as_list,
    as_object,
    as_text,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.feeds.reading.zip_stream import zip_stream

MOST_RECORD_BYTES = 16 * MIB
"""A kernel CVE has 100 kB; lists of changes in the same archive have 3 MB and more."""
MOST_TOTAL_BYTES = 8_192 * MIB
"""360,000 records of 6 kB each are 2.2 GB."""
MOST_LISTING_BYTES = 16 * MIB
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_WHOLE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_all_CVEs_at_midnight\.zip(?:\.zip)?")
_CHANGES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_delta_CVEs_at_[0-9A-Za-z_]{1,20}\.zip")
_LISTING = "releases.json"


def json_files(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield every JSON file of a document, with its place."""
    if ".tar" in document.name or document.name.endswith(".tgz"):
        yield from tar_members(document, most=MOST_RECORD_BYTES, most_total=MOST_TOTAL_BYTES)
    elif document.name.endswith(".zip"):
        yield from _unzipped(document)
    else:
        yield document.name, read_bytes(document, most=MOST_RECORD_BYTES)


def _unzipped(document: Document) -> Iterator[tuple[str, bytes]]:
    limits = {"most": MOST_RECORD_BYTES, "most_total": MOST_TOTAL_BYTES}
    try:
        inner = _inner_zip(document)
        if inner is None:
            with document.path.open("rb") as file:
                yield from zip_stream(file, document.name, **limits)
            return
        with zipfile.ZipFile(document.path) as archive, archive.open(inner) as source:
            yield from zip_stream(cast("BinaryIO", source), f"{document.name}/{inner}", **limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        reject(document.name, f"is not a whole zip file: {error}.")


def _inner_zip(document: Document) -> str | None:
    """Return the one archive that a zip holds instead of records, by its first file's name."""
    with document.path.open("rb") as file:
        head = file.read(30 + 65_535)
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
    return name if name.endswith(".zip") else None


def fetch_archives(source: str, downloads: Downloads) -> None:
    """Fetch an archive; an address that ends in `/releases` is the CVE list's page of releases."""
    if not source.endswith("/releases"):
        name = source.rpartition("/")[2].partition("?")[0]
        if not name.endswith(ARCHIVES):
            reject(source, f"is not the address of an archive ({', '.join(ARCHIVES)}).")
        # GitHub names the archive of a branch after the branch.
        downloads.get(source, name if ".tar" not in name else f"records{name[name.index('.') :]}")
        return
    listing = downloads.get(f"{source}?per_page=100", _LISTING, fresh=True)
    root = parse_json(read_bytes(listing, most=MOST_LISTING_BYTES), listing.name)
    whole, changes = chosen_assets(root, source)
    downloads.discard(_LISTING)
    stored = {document.name for document in downloads.earlier(source)}
    for name, url in (whole, *changes):
        # What has a name of its own day and hour is never written again.
        if name in stored:
            downloads.keep(name)
        else:
            downloads.get(url, name)


_Asset = tuple[str, str]


def chosen_assets(releases: Any, where: str) -> tuple[_Asset, tuple[_Asset, ...]]:
    """Return name and address of the newest whole list, and of all changes of its day.

    Whether a file of changes reaches back to midnight or only an hour is told in two ways, so all
    of the day are taken: a record that comes twice is counted once.
    """
    assets: dict[str, str] = {}
    for release in as_list(releases, where):
        for asset in as_list(as_object(release, where).get("assets", []), where):
            entry = as_object(asset, where)
            assets.setdefault(
                as_text(entry.get("name")), as_text(entry.get("browser_download_url"))
            )
    wholes = {hit[1]: hit[0] for name in sorted(assets) if (hit := _WHOLE.fullmatch(name))}
    if not wholes:
        reject(where, "names no file with all CVE records.")
    newest = max(wholes)
    changes = sorted(
        name for name in assets if (hit := _CHANGES.fullmatch(name)) and hit[1] == newest
    )
    return (wholes[newest], assets[wholes[newest]]), tuple((name, assets[name]) for name in changes)
