"""The three forms Ubuntu's CVE tracker is published in, each read into the same value.

`read_text`: a file of the tracker's own repository. `read_parsed`: the same as JSON, as
converters keep it. `read_api`: a CVE of the web API. All raise FeedRejected for what is not one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wavemend.feeds.readers.ubuntu_tracker import Issue, Line, split_release
from wavemend.feeds.reading.documents import (
    CVE_ID,
    as_list,
    as_object,
    as_text,
    first_words,
    moment,
    reject,
)

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9/.+~_-]*):[ \t]*(.*)")
_STATUS = re.compile(r"(\S+)(?:\s+\((.*)\))?\s*")
_VECTOR = re.compile(r"((?:CVSS:[0-9.]+/|AV:)\S+)(?:\s*\[([0-9.]+)\b[^\]]*\])?")


def _date(text: str) -> datetime | None:
    return moment(text.strip().removesuffix("UTC").strip())


def _vector(text: str) -> tuple[str, float | None] | None:
    """Return vector and number of `CVSS:3.1/AV:N/… [7.5 HIGH]`."""
    match = _VECTOR.search(text)
    if match is None:
        return None
    return match[1], float(match[2]) if match[2] and match[2].count(".") < 2 else None


@dataclass(slots=True)
class _Text:
    """What a tracker file said so far."""

    fields: dict[str, str] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=list)


def _read_fields(text: str) -> _Text:
    """Take a file apart: `Key: value`, going on in lines that begin with a space."""
    found = _Text()
    key = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            if key and line[:1] in {" ", "\t"}:
                found.fields[key] = f"{found.fields[key]}\n{line.strip()}".strip()
            continue
        key = match[1]
        # Statuses begin with a release, which is written small: `esm-apps/jammy_zip: needed`.
        if "_" in key and key[0].islower():
            found.statuses.append((key, match[2].strip()))
            key = ""
        else:
            found.fields[key] = match[2].strip()
    return found


def read_text(body: bytes, name: str) -> Issue:
    """Read a file of the tracker's repository, `active/CVE-2022-36879`."""
    found = _read_fields(body.decode("utf-8", "replace"))
    cve = found.fields.get("Candidate", "")
    if not CVE_ID.fullmatch(cve):
        reject(name, f"is not a file of the CVE tracker: its candidate is {cve!r:.40}.")
    vectors = (_vector(line) for line in found.fields.get("CVSS", "").splitlines())
    return Issue(
        cve=cve,
        document=name,
        # `low` may be followed by a reason in the next lines.
        priority=_first_word(found.fields.get("Priority", "")),
        summary=first_words(found.fields.get("Description", "")),
        published=_date(found.fields.get("PublicDate", "")),
        vectors=tuple(item for item in vectors if item is not None),
        lines=tuple(_text_lines(found)),
    )


def _text_lines(found: _Text) -> Iterator[Line]:
    for key, value in found.statuses:
        release, _, package = key.partition("_")
        codename, pocket = split_release(release)
        match = _STATUS.fullmatch(value)
        yield Line(
            codename=codename,
            pocket=pocket,
            package=package,
            status=match[1] if match else value,
            note=(match[2] or "").strip() if match else "",
            priority=_first_word(found.fields.get(f"Priority_{package}", "")),
        )


def _first_word(text: str) -> str:
    return text.split(maxsplit=1)[0] if text.strip() else ""


def read_parsed(record: Mapping[str, Any], name: str) -> Issue:
    """Read a CVE of the parsed form: `packages` by release and package."""
    cve = as_text(record.get("candidate"))
    if not CVE_ID.fullmatch(cve):
        reject(name, f"is not a record of the CVE tracker: its candidate is {cve!r:.40}.")
    vectors = [_vector(as_text(text)) for text in _object(record.get("cvss"), name).values()]
    return Issue(
        cve=cve,
        document=name,
        priority=as_text(record.get("priority")),
        summary=first_words(as_text(record.get("description"))),
        published=_date(as_text(record.get("public_date"))),
        vectors=tuple(item for item in vectors if item is not None),
        lines=tuple(_parsed_lines(_object(record.get("packages"), name), name)),
    )


def _object(value: object, name: str) -> Mapping[str, Any]:
    return {} if value is None else as_object(value, name)


def _parsed_lines(packages: Mapping[str, Any], name: str) -> Iterator[Line]:
    for release, entries in packages.items():
        codename, pocket = split_release(release)
        for package, entry in as_object(entries, f"{name}: {release}").items():
            said = as_object(entry, f"{name}: {release}: {package}")
            yield Line(
                codename=codename,
                pocket=pocket,
                package=package,
                status=as_text(said.get("status")),
                note=as_text(said.get("note")).strip(),
                priority=as_text(said.get("priority")),
            )


def read_api(record: object, name: str) -> Issue:
    """Read a CVE of a page of the web API: `packages[].statuses[]` with a pocket each."""
    root = as_object(record, name)
    cve = as_text(root.get("id"))
    if not CVE_ID.fullmatch(cve):
        reject(name, f"is not a CVE of the web API: its id is {cve!r:.40}.")
    return Issue(
        cve=cve,
        document=f"{name}: {cve}",
        priority=as_text(root.get("priority")),
        summary=first_words(as_text(root.get("description"))),
        published=_date(as_text(root.get("published"))),
        lines=tuple(_api_lines(root, name)),
    )


def _api_lines(root: Mapping[str, Any], name: str) -> Iterator[Line]:
    for item in as_list(root.get("packages") or [], name):
        package = as_object(item, name)
        for entry in as_list(package.get("statuses") or [], name):
            said = as_object(entry, name)
            yield Line(
                codename=as_text(said.get("release_codename")),
                pocket=as_text(said.get("pocket")),
                package=as_text(package.get("name")),
                status=as_text(said.get("status")),
                note=as_text(said.get("description")).strip(),
            )
