"""Hosts of a NetBox export: the JSON list its REST interface gives for devices or machines.

`/api/dcim/devices/?limit=0` and `/api/virtualization/virtual-machines/?limit=0`, NetBox 3 and 4.
Only active ones with a primary IP address become hosts; the others are listed with the reason.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavemend.inventory.problems import shown as quoted
from wavemend.inventory.problems import suggestion
from wavemend.inventory.sources.found import (
    MOST_HOSTS,
    Fault,
    Found,
    FoundHost,
    counted,
    refused,
    text_of,
)
from wavemend.inventory.sources.values import LABELS, READ, Misread

OURS = "wavemend_"
"""Custom fields of this prefix are keys of a host in a fleet file."""

_LABELLED: Mapping[str, str] = {
    "role": "role",
    "device_role": "role",  # its name until NetBox 3.6
    "site": "site",
    "platform": "platform",
}
_MEANT = frozenset(
    {"name", "tenant", "status", "primary_ip", "primary_ip4", "primary_ip6", "tags", *_LABELLED}
)
_EXPORT = "export all of them in one: add `limit=0` to the address"


def read(path: Path, shown: str) -> Found:
    """Return the active machines of an export."""
    text = text_of(path, shown)
    if isinstance(text, Fault):
        return Found(faults=(text,))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        return refused(f"{shown}:{line}", "is no JSON, or only the beginning of it")
    items = document.get("results") if isinstance(document, dict) else document
    if not isinstance(items, list):
        return refused(shown, 'is no list of NetBox: it holds no "results"')
    if isinstance(document, dict) and (document.get("next") or document.get("previous")):
        return refused(shown, f"is one page of several; {_EXPORT}")
    if isinstance(document, dict) and document.get("count", len(items)) != len(items):
        return refused(shown, f"holds {len(items)} of {document['count']} objects; {_EXPORT}")
    if len(items) > MOST_HOSTS:
        return refused(shown, f"holds more than {MOST_HOSTS} objects; split it")
    return _found(items, shown)


def _found(items: list[Any], shown: str) -> Found:
    hosts: list[FoundHost] = []
    faults: list[Fault] = []
    left_out: list[Fault] = []
    ignored: list[str] = []
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            faults.append(Fault(f"{shown}, object {number}", "is no object of NetBox"))
            continue
        name = item.get("name")
        spot = f"{shown}, object {number}" + (f" ({name})" if name else "")
        if reason := _no_host(item):
            left_out.append(Fault(spot, reason))
            continue
        hosts.append(_host(item, str(name), spot, faults))
        ignored += [key for key in item if key not in _MEANT and key != "custom_fields"]
        ignored += [f"custom field {key}" for key in _custom(item) if not key.startswith(OURS)]
    return Found(
        hosts=tuple(hosts),
        faults=tuple(faults),
        left_out=tuple(left_out),
        ignored=counted(ignored),
    )


def _no_host(item: Mapping[str, Any]) -> str:
    """Say why an object is no host; empty when it is one."""
    status = _word(item.get("status"), "value")
    if status != "active":
        return f"its status is {status or 'not given'}, not active"
    if not item.get("name"):
        return "it has no name"
    return "" if _address(item) else "it has no primary IP address"


def _host(item: Mapping[str, Any], name: str, spot: str, faults: list[Fault]) -> FoundHost:
    values: dict[str, object] = {"address": _address(item)}
    if tenant := _word(item.get("tenant"), "slug"):
        values["tenant"] = tenant
    tags = item.get("tags") if isinstance(item.get("tags"), list) else []
    found = ((label, _word(item.get(key), "slug")) for key, label in _LABELLED.items())
    own = {label: word for label, word in found if word}
    own |= {f"tag/{_word(tag, 'slug')}": "yes" for tag in tags or () if _word(tag, "slug")}
    spots: dict[tuple[str, ...], str] = {("address",): f"{spot}, primary_ip"}
    for field, key, value in _ours(item, spot, faults):
        at = spots[(key,)] = f"{spot}, custom_fields.{field}"
        try:
            read = READ[key](value)
        except Misread as error:
            faults.append(Fault(at, str(error)))
            continue
        if key == LABELS and isinstance(read, dict):
            own |= read
        else:
            values[key] = read
    values |= {LABELS: own} if own else {}
    return FoundHost(name=name, spot=spot, values=values, spots=spots)


def _ours(
    item: Mapping[str, Any], spot: str, faults: list[Fault]
) -> Iterator[tuple[str, str, object]]:
    for field, value in _custom(item).items():
        key = field.removeprefix(OURS)
        if not field.startswith(OURS) or value is None:
            continue
        if key in READ:
            yield field, key, value
        else:
            what = f"custom field {quoted(field)} means nothing; "
            known = [f"{OURS}{word}" for word in READ]
            faults.append(Fault(spot, what + suggestion(field, known)))


def _custom(item: Mapping[str, Any]) -> Mapping[str, object]:
    fields = item.get("custom_fields")
    return fields if isinstance(fields, dict) else {}


def _address(item: Mapping[str, Any]) -> str:
    """Return the primary address without its prefix length: `192.0.2.7/24`."""
    for key in ("primary_ip", "primary_ip4", "primary_ip6"):
        if address := _word(item.get(key), "address"):
            return address.partition("/")[0]
    return ""


def _word(value: object, key: str) -> str:
    """Return a part of a nested object, or the value where an export is flat."""
    found = value.get(key) if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""
