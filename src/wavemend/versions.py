"""Order of package versions, as the package managers themselves order them.

Keys, not comparators: a list of versions is sorted with one key per version, and a key is computed
once. To add a scheme, add a member to `Scheme` and a function here, and prove it on recorded pairs
or against the manager itself.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias


class Scheme(StrEnum):
    """Whose order of versions holds."""

    DEB = "deb"
    RPM = "rpm"
    PACMAN = "pacman"
    APK = "apk"
    WINDOWS = "windows"
    """Build numbers, `10.0.20348.2227`."""


VersionKey: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Epoch, version, revision. Keys of equal versions are equal, however they are spelled; keys of
different schemes mean nothing to each other."""

DebKey: TypeAlias = VersionKey

_END = 0
"""End of a run of non-digits: after `~`, before every letter."""

_UPSTREAM = re.compile(r"[A-Za-z0-9.+\-~:]+")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_RUN = re.compile(r"([^0-9]*)([0-9]*)")

# What rpmbuild allows in a version and in a release; a dash only separates the two.
_RPM_PART = re.compile(r"[A-Za-z0-9._+%{}~^]+")
_RPM_SEGMENT = re.compile(r"~|\^|[A-Za-z]+|[0-9]+")
_RPM_TILDE, _RPM_END, _RPM_CARET, _RPM_LETTERS, _RPM_NUMBER = range(5)
"""What may stand in one place, the oldest first: 1.0~rc < 1.0 < 1.0^git < 1.0.a < 1.0.1."""

# What makepkg allows in a pkgver and in a pkgrel, and a little more; a dash only separates the two.
_ALPM_PART = re.compile(r"[!-,.0-9;-~]*[A-Za-z0-9]")
_ALPM_SEGMENT = re.compile(r"([^A-Za-z0-9]*)([A-Za-z]+|[0-9]+)")
_ALPM_LETTERS, _ALPM_END = 0, 1
"""After a number, letters without anything between are older than the end: 1.0rc < 1.0 < 1.0.1."""

_APK = re.compile(
    r"(?P<first>[0-9]+)(?P<rest>(?:\.[0-9]+)*)(?P<letter>[a-z]?)"
    r"(?P<suffixes>(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)"
    r"(?:~(?P<commit>[0-9A-Fa-f]+))?(?:-r(?P<revision>[0-9]+))?"
)
_APK_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")
_APK_SUFFIXES = {
    name: rank
    for rank, name in enumerate(
        ("alpha", "beta", "pre", "rc", "", "", "", "", "cvs", "svn", "git", "hg", "p")
    )
    if name
}
_APK_END, _APK_REVISION, _APK_COMMIT, _APK_SUFFIX_NUMBER = range(4, 8)
_APK_LETTER, _APK_NUMBER = 13, 14
"""What may stand in one place, the oldest first: 1_rc < 1 < 1-r1 < 1~abc < 1_p < 1a < 1.1; a
suffix's own rank is in between."""

_BUILD = re.compile(r"[0-9]+(\.[0-9]+){1,4}")

LONGEST_VERSION = 1_024
"""Characters. Real ones have below 80; Python refuses to read numbers of 4,300 digits."""

_CACHED_VERSIONS = 131_072
"""A fleet of one distribution holds some ten thousand different versions; a key costs about 300
bytes."""


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


def _rpm_part_key(part: str) -> tuple[int, ...]:
    """Flatten the segments of a version or release; whatever stands between them does not count."""
    key: list[int] = []
    for segment in _RPM_SEGMENT.findall(part):
        if segment == "~":
            key.append(_RPM_TILDE)
        elif segment == "^":
            key.append(_RPM_CARET)
        elif segment.isdigit():
            key.extend((_RPM_NUMBER, int(segment)))
        else:
            key.append(_RPM_LETTERS)
            key.extend(ord(char) for char in segment)
            key.append(_END)
    key.append(_RPM_END)
    return tuple(key)


@lru_cache(maxsize=_CACHED_VERSIONS)
def rpm_key(evr: str) -> VersionKey:
    """Return a sort key that orders `epoch:version-release` exactly as rpm does.

    A missing epoch is 0; a missing release is older than every release. Raises ValueError, naming
    the version, for what rpm does not accept as one.
    """
    if len(evr) > LONGEST_VERSION:
        raise ValueError(f"{evr[:40]!r}… is not an RPM version: {len(evr)} characters.")
    head, colon, rest = evr.partition(":")
    if colon and not (head.isascii() and head.isdigit()):
        raise ValueError(f"{evr!r} is not an RPM version: the epoch is not a number.")
    version, dash, release = (rest if colon else evr).partition("-")
    if not _RPM_PART.fullmatch(version):
        raise ValueError(f"{evr!r} is not an RPM version: bad version part {version!r}.")
    if dash and not _RPM_PART.fullmatch(release):
        raise ValueError(f"{evr!r} is not an RPM version: bad release {release!r}.")
    return (
        int(head) if colon else 0,
        _rpm_part_key(version),
        _rpm_part_key(release) if dash else (),
    )


def _alpm_part_key(part: str) -> tuple[int, ...]:
    """Flatten the segments; how many signs stand before one counts, not which."""
    key: list[int] = []
    after_number = True
    for signs, segment in _ALPM_SEGMENT.findall(part):
        number = segment.isdigit()
        # The more signs, the newer; with as many, a number is newer than letters.
        place = 2 + 2 * len(signs) + number
        key.append(place if signs or number or not after_number else _ALPM_LETTERS)
        key.extend((int(segment),) if number else (*map(ord, segment), _END))
        after_number = number
    key.append(_ALPM_END)
    return tuple(key)


@lru_cache(maxsize=_CACHED_VERSIONS)
def pacman_key(version: str) -> VersionKey:
    """Return a sort key that orders `epoch:pkgver-pkgrel` exactly as pacman's vercmp does.

    Raises ValueError, naming the version, for what is not one. A version without pkgrel is none:
    vercmp calls it equal to every pkgrel. Nor is one whose part ends with a sign: vercmp puts
    `1..a` above `1.1`, that above `1.`, and `1.` above `1..a`, which is no order.
    """
    if len(version) > LONGEST_VERSION:
        raise ValueError(f"{version[:40]!r}… is not a pacman version: {len(version)} characters.")
    head, colon, rest = version.partition(":")
    if colon and not (head.isascii() and head.isdigit()):
        raise ValueError(f"{version!r} is not a pacman version: the epoch is not a number.")
    pkgver, dash, pkgrel = (rest if colon else version).partition("-")
    if not dash:
        raise ValueError(f"{version!r} is not a pacman version: it has no pkgrel.")
    for part in (pkgver, pkgrel):
        if not _ALPM_PART.fullmatch(part):
            raise ValueError(f"{version!r} is not a pacman version: bad part {part!r}.")
    return int(head) if colon else 0, _alpm_part_key(pkgver), _alpm_part_key(pkgrel)


@lru_cache(maxsize=_CACHED_VERSIONS)
def apk_key(version: str) -> VersionKey:
    """Return a sort key that orders Alpine's versions exactly as apk-tools 3 does.

    apk-tools 2 differs only in numbers with leading zeros and more digits behind them. Raises
    ValueError, naming the version, for what `apk version --check` does not accept.
    """
    found = _APK.fullmatch(version) if len(version) <= LONGEST_VERSION else None
    if found is None:
        raise ValueError(f"{version[:80]!r} is not an apk version.")
    key = [int(found["first"])]
    for number in found["rest"].split(".")[1:]:
        # A leading zero makes it text, as in Gentoo: 1.05 < 1.5, and 8.2.0015 < 8.2.002.
        text = number.startswith("0")
        key += (_APK_NUMBER, 0, *map(ord, number), _END) if text else (_APK_NUMBER, 1, int(number))
    if found["letter"]:
        key += (_APK_LETTER, ord(found["letter"]))
    for name, number in _APK_SUFFIX.findall(found["suffixes"]):
        key.append(_APK_SUFFIXES[name])
        key += (_APK_SUFFIX_NUMBER, int(number)) if number else ()
    if found["commit"]:
        key += (_APK_COMMIT, *map(ord, found["commit"]), _END)
    if found["revision"]:
        key += (_APK_REVISION, int(found["revision"]))
    return 0, (*key, _APK_END), ()


@lru_cache(maxsize=_CACHED_VERSIONS)
def windows_key(build: str) -> VersionKey:
    """Return a sort key for Windows build numbers, two to five numbers with dots between them.

    Missing numbers at the end are 0, so that `10.0.20348` equals `10.0.20348.0`. Raises ValueError,
    naming the build, for anything else.
    """
    if len(build) > LONGEST_VERSION or not (build.isascii() and _BUILD.fullmatch(build)):
        raise ValueError(f"{build[:80]!r} is not a Windows build: not two to five numbers.")
    numbers = [int(number) for number in build.split(".")]
    return 0, tuple(numbers + [0] * (5 - len(numbers))), ()


def key_of(scheme: Scheme, version: str) -> VersionKey:
    """Return the sort key of a version under a scheme. Raises ValueError as the scheme's own does.

    Only keys of one scheme may be compared with each other.
    """
    match scheme:
        case Scheme.DEB:
            return deb_key(version)
        case Scheme.RPM:
            return rpm_key(version)
        case Scheme.PACMAN:
            return pacman_key(version)
        case Scheme.APK:
            return apk_key(version)
        case Scheme.WINDOWS:
            return windows_key(version)


def order_name(scheme: Scheme) -> str:
    """Return whose order of versions holds, in words for a person."""
    match scheme:
        case Scheme.DEB:
            return "dpkg"
        case Scheme.RPM:
            return "rpm"
        case Scheme.PACMAN:
            return "pacman"
        case Scheme.APK:
            return "apk"
        case Scheme.WINDOWS:
            return "Windows builds"
