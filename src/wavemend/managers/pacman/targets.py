"""Package names and versions as data: checked against what makepkg allows, then handed over."""

import re
from collections.abc import Sequence

from wavemend.errors import PlanError
from wavemend.packages import Target
from wavemend.versions import pacman_key

_NAME = re.compile(r"[A-Za-z0-9@_+][A-Za-z0-9@._+-]*")
_VERSION = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9._+~^]+-[0-9]+(?:\.[0-9]+)?")
_ARCH = re.compile(r"[a-z0-9_]+")
_LONGEST = 256


def words_of(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return name, version, architecture of each target, sorted; PlanError for what is none."""
    if not targets:
        raise PlanError("no package is named", hint="an empty list of targets changes nothing")
    if len({target.name for target in targets}) != len(targets):
        raise PlanError("a package is named twice in one transaction")
    words: list[str] = []
    for target in sorted(targets):
        _check(target)
        words += (target.name, target.version, target.arch)
    return tuple(words)


def _check(target: Target) -> None:
    for text, form, what in (
        (target.name, _NAME, "package name"),
        (target.version, _VERSION, "version"),
        (target.arch, _ARCH, "architecture"),
    ):
        if not form.fullmatch(text) or len(text) > _LONGEST:
            raise PlanError(f"{target.name!r}: {text!r} is not a pacman {what}")
    try:
        pacman_key(target.version)
    except ValueError as error:
        raise PlanError(f"{target.name}: {error}") from None
