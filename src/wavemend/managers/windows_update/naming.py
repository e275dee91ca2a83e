"""What updates are called, of what kind they are, and to what build they raise their host. Pure.

An update is known by its id and revision, never by its KB alone: one KB is many updates.
"""

import re
from enum import StrEnum

from wavemend.managers.windows_update.answers import Offered
from wavemend.windows.products import DEFINITIONS, servicing_build

CHOCOLATEY = "chocolatey"
"""In place of an update's id, as architecture of Chocolatey's packages."""
CBS = "cbs"
"""As architecture of KBs that only component based servicing knows: it names no update ids."""
PRESENT = "installed"
"""As version of those."""

REPLACED = frozenset({"KB2267602", "KB4052623", "KB5007651"})
"""Defender's definitions, its platform, and Windows Security's: a KB with a new update each time,
that replaces the one before."""

_SECURITY = "0fa1201d-4330-4fa8-8ae9-b877473b6441"
_CRITICAL = "e6cf1350-c01b-414d-a61f-263d14d133b4"
_DEFINITIONS = "e0789628-ce08-4437-be74-2495b842f43b"
_UPGRADES = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5"
_FEATURE_PACKS = "b54e7d24-7add-428f-8b75-90a396fa584f"
_SERVICE_PACKS = "68c5b0a3-d1a6-4553-ae49-01d3a7827828"
_DRIVERS = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"
"""Microsoft's classifications: the same in every language, unlike their names."""


_UNRATED = frozenset({"", "unspecified"})


class UpdateKind(StrEnum):
    """What is taken only where the profile's `update_kinds` names it."""

    DEFINITIONS = "definitions"
    DRIVERS = "drivers"
    FEATURE_UPDATES = "feature-updates"
    PREVIEWS = "previews"


def kinds_of(update: Offered) -> tuple[UpdateKind, ...]:
    """Return why an update is not one of those that are always taken; sorted, mostly none."""
    found = {
        UpdateKind.DEFINITIONS: _DEFINITIONS in update.categories,
        UpdateKind.DRIVERS: update.is_driver or _DRIVERS in update.categories,
        UpdateKind.FEATURE_UPDATES: bool(
            update.categories & {_UPGRADES, _FEATURE_PACKS, _SERVICE_PACKS}
        ),
        UpdateKind.PREVIEWS: update.optional,
    }
    return tuple(sorted(kind for kind, is_one in found.items() if is_one))


def is_security(update: Offered) -> bool:
    """Say whether its publisher calls it a security update, or what amounts to one."""
    urgent = bool(update.categories & {_SECURITY, _CRITICAL, _DEFINITIONS})
    rated = update.severity.lower() not in _UNRATED
    return urgent or rated or bool(update.cves)


_NO_NAME = re.compile(r"[^a-z0-9.+]+")
_LONGEST = 80


def update_name(kbs: tuple[str, ...], title: str, update_id: str) -> str:
    """Return what an update is called: its first KB, else its title, else its id."""
    if kbs:
        return min(kbs, key=lambda kb: (len(kb), kb))
    return _NO_NAME.sub("-", title.lower())[:_LONGEST].strip("-.") or update_id


def version_of(revision: int) -> str:
    """Return an update's revision as a version."""
    return f"r{revision}"


_BUILD = re.compile(r"\((?P<number>[0-9]{4,6})\.(?P<revision>[0-9]{1,7})\)\s*$")
_DEFINITION_VERSION = re.compile(r"\(Version (?P<version>[0-9]{1,9}(?:\.[0-9]{1,9}){2,3})\)")


def builds_of(update: Offered, product: str, build: str) -> tuple[tuple[str, str], ...]:
    """Return the product and build an update raises its host to, as far as its title says it.

    `2026-02 Cumulative Update for … (KB5075906) (20348.4773)`; older titles do not say it. A
    feature update raises to another product, which only the host itself can name afterwards.
    """
    if UpdateKind.DEFINITIONS in kinds_of(update):
        found = _DEFINITION_VERSION.search(update.title)
        return ((DEFINITIONS, found["version"]),) if found else ()
    told = _BUILD.search(update.title)
    kernel = build.rpartition(".")[0]
    if told is None or not product:
        return ()
    if servicing_build(told["number"]) != servicing_build(kernel.rpartition(".")[2]):
        return ()
    return ((product, f"{kernel}.{told['revision']}"),)
