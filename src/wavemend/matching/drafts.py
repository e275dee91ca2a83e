"""Findings without a host: made once, and copied for each host that has the same to lack."""

from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from operator import attrgetter
from typing import Any, TypeAlias

from wavemend.findings import Finding
from wavemend.hosts import Host

Draft: TypeAlias = tuple[Any, ...]
"""A finding's fields in their order, all but the host's own."""

_OWN = ("id", "tenant", "host")
_SHARED = tuple(item.name for item in fields(Finding) if item.name not in _OWN)


def _setter(name: str) -> Callable[[Finding, object], None]:
    setter: Callable[[Finding, object], None] = Finding.__dict__[name].__set__
    return setter


_set_id, _set_tenant, _set_host = (_setter(name) for name in _OWN)
_READ = attrgetter(*_SHARED)
_SETTERS = tuple(_setter(name) for name in _SHARED)


def draft_of(finding: Finding) -> Draft:
    """Return what a finding says of every host alike."""
    draft: Draft = _READ(finding)
    return draft


def named(host: Host) -> bytes:
    """Return what begins the name of each of a host's findings."""
    return f"{host.tenant}\0{host.name}\0".encode()


def filled(draft: Draft, host: Host, name: bytes) -> Finding:
    """Return the finding of one host; `name` is the same for this finding in every scan.

    The slots are filled directly, one by one: a frozen data class sets itself up through
    `object.__setattr__`, which takes twice as long, and 1,000 hosts have a million findings.
    """
    finding = object.__new__(Finding)
    _set_id(finding, sha256(name).hexdigest()[:16])
    _set_tenant(finding, host.tenant)
    _set_host(finding, host.name)
    for put, value in zip(_SETTERS, draft, strict=True):
        put(finding, value)
    return finding
