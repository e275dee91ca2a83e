"""Order of package versions, as the package managers themselves order them.

Keys, not comparators: a list of versions is sorted with one key per version, and a key is computed
once. To add a scheme (rpm, apk), add one function here and prove it on recorded pairs.
"""

import re
from functools import lru_cache
from typing import TypeAlias

DebKey: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Epoch, upstream version, revision. Keys of equal versions are equal, however they are spelled."""

_END = 0
"""End of a run of non-digits: after `~`, before every letter."""

_UPSTREAM = re.compile(r"[A-Za-z0-9.+\-~:]+")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_RUN = re.compile(r"([^0-9]*)([0-9]*)")

LONGEST_VERSION = 1_024
"""Characters. Real ones have below 80; Python refuses to read numbers of 4,300 digits."""

_CACHED_VERSIONS = 131_072
"""A Debian fleet holds some ten thousand different versions; a key costs about 300 bytes."""


def _weight(char: str) -> int:
    """`~` before the end, the end before letters, letters before everything else."""
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256


def _part_key(part: str) -> tuple[int, ...]:
    """Flatten alternating runs of non-digits and digits; a missing digit run counts as 0."""
    key: list[int] = []
    for letters, digits in _RUN.findall(part):
        if letters or digits:
            key.extend(_weight(char) for char in letters)
            key.extend((_END, int(digits or "0")))
    key.append(_END)
    return tuple(key)


@lru_cache(maxsize=_CACHED_VERSIONS)
def deb_key(version: str) -> DebKey:
    """Return a sort key that orders Debian versions exactly as dpkg does.

    Raises ValueError, naming the version, for what dpkg does not accept as a version.
    """
    if len(version) > LONGEST_VERSION:
        raise ValueError(f"{version[:40]!r}… is not a Debian version: {len(version)} characters.")
    head, colon, rest = version.partition(":")
    if colon and not (head.isascii() and head.isdigit()):
        raise ValueError(f"{version!r} is not a Debian version: the epoch is not a number.")
    body = rest if colon else version
    upstream, dash, revision = body.rpartition("-")
    if not dash:
        upstream, revision = body, "0"
    if not _UPSTREAM.fullmatch(upstream):
        raise ValueError(f"{version!r} is not a Debian version: bad upstream part {upstream!r}.")
    if not _REVISION.fullmatch(revision):
        raise ValueError(f"{version!r} is not a Debian version: bad revision {revision!r}.")
    return int(head) if colon else 0, _part_key(upstream), _part_key(revision)


def without_binary_rebuild(version: str) -> str:
    """Cut the `+b8` of a binary-only rebuild: the source has no such version."""
    return re.sub(r"\+b[0-9]+\Z", "", version)
