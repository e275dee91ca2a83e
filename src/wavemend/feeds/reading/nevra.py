"""Builds of RPM packages as advisories name them, and the statements made of them.

Vendors of the RPM family speak of installed packages by their own names, per architecture, and
compare epoch, version and release. A build for a module says nothing about the same package
outside of that module's stream.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass
from wavemend.feeds import Sink
from wavemend.feeds.reading.documents import moment
from wavemend.versions import Scheme, rpm_key

SOURCE_ROW = "a source package: no host installs it"
DEBUG_ROW = "debug symbols: nothing in them runs"
SAID_ALREADY = "the same statement twice in one advisory"
NO_PACKAGE = "an advisory that names no package"
NO_STREAM = "a modular build whose module stream is named nowhere"

_NEVRA = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9._+-]*)-(?:(?P<epoch>[0-9]+):)?"
    r"(?P<version>[^-:\s]+)-(?P<release>[^-:\s]+)\.(?P<arch>[a-z0-9_]+)"
)
_MODULAR = re.compile(r"\.module[_+]")
_DEBUG = re.compile(r"-debug(info|source)(-common)?(-[a-z0-9_]+)?\Z")
# `nodejs:18`, and not the `ALSA-2022:5468` that one title begins with.
_STREAM = re.compile(r"(?<![\w:.+-])([A-Za-z0-9][\w.+-]*):([A-Za-z0-9][\w.+-]*)")
_ADVISORY_ID = re.compile(r"[A-Z]{4}-[0-9]{4}:[0-9]+")

_CLASSES = {
    "security": UpdateClass.SECURITY,
    "bugfix": UpdateClass.BUGFIX,
    "recommended": UpdateClass.BUGFIX,
    "enhancement": UpdateClass.ENHANCEMENT,
    "newpackage": UpdateClass.ENHANCEMENT,
    "feature": UpdateClass.ENHANCEMENT,
    "optional": UpdateClass.ENHANCEMENT,
}
"""Red Hat's words, and SUSE's for the same things."""
_NO_SEVERITY = frozenset({"", "none", "unspecified", "unknown", "n/a"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One built package."""

    name: str
    evr: str
    """`epoch:version-release`; an epoch of 0 is left out."""
    arch: str = ""
    """Empty where the vendor speaks of all architectures at once."""

    @property
    def modular(self) -> bool:
        """True for a build that belongs to some module's stream."""
        return _MODULAR.search(self.evr) is not None

    @property
    def debug(self) -> bool:
        """True for debug symbols and debug sources."""
        return _DEBUG.search(self.name) is not None


def evr_of(epoch: str, version: str, release: str) -> str:
    """Return epoch, version and release as one text; no epoch and epoch 0 are the same."""
    number = epoch.strip()
    plain = number.lower() in {"", "none", "(none)"} or number.strip("0") == ""
    return f"{version}-{release}" if plain else f"{number}:{version}-{release}"


def parse_nevra(text: str) -> Build:
    """Read `name-epoch:version-release.arch`, epoch and a trailing `.rpm` optional.

    Raises ValueError, naming the text, for anything else.
    """
    found = _NEVRA.fullmatch(text.removesuffix(".rpm"))
    if found is None:
        raise ValueError(f"{text:.120} does not name a package, its version and its architecture")
    evr = evr_of(found["epoch"] or "", found["version"], found["release"])
    return Build(name=found["name"], evr=evr, arch=found["arch"])


def streams_named(title: str) -> tuple[str, ...]:
    """Return the module streams an advisory's title names: `nodejs:18 security update`.

    Some name two (`virt:rhel and virt-devel:rhel`) without saying which package is in which: then
    a build is said of both, and the stream a host reports for the package decides.
    """
    found = (f"{hit[1]}:{hit[2].rstrip('.')}" for hit in _STREAM.finditer(title))
    return tuple(dict.fromkeys(item for item in found if not _ADVISORY_ID.fullmatch(item)))


def class_of(word: str) -> UpdateClass | None:
    """Return what an update is for, by the vendor's word (`Bug Fix`); None: an unknown word."""
    return _CLASSES.get(word.lower().replace(" ", "").replace("-", ""))


def severity_word(word: str) -> str:
    """Return a vendor's severity in one spelling: `Important` and `SEVERITY_IMPORTANT` agree."""
    plain = word.strip().lower().removeprefix("severity_")
    return "" if plain in _NO_SEVERITY else plain


def stamp(text: object) -> datetime | None:
    """Return a time written as ISO 8601 or as seconds since 1970, in UTC; None: it is none."""
    if isinstance(text, str) and not text.strip().isdecimal():
        return moment(text.strip())
    try:
        return datetime.fromtimestamp(int(text), UTC) if isinstance(text, str | int) else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What all statements of one advisory share."""

    feed: str
    id: str
    document: str
    cves: tuple[str, ...]
    update_class: UpdateClass
    summary: str = ""
    urgency: str = ""
    published: datetime | None = None


@dataclass(slots=True)
class Rows:
    """Makes statements of an advisory's rows; each row is counted out exactly once."""

    notice: Notice
    sink: Sink
    coverage: Counter[str]
    """How many statements carry which field."""
    _said: set[tuple[str, str, str, str, str]] = field(default_factory=set)

    def take(
        self,
        build: Build,
        *,
        release: str,
        modules: Sequence[str] = (),
        status: AdvisoryStatus = AdvisoryStatus.FIXED,
        note: str = "",
    ) -> None:
        """Take one row, said of each of `modules`; without any it is said outside of modules."""
        where = f"{self.notice.document}: {self.notice.id}: {build.name} in {release}"
        if build.arch in {"src", "nosrc"}:
            self.sink.skip(SOURCE_ROW)
            return
        if build.modular and not modules:
            self.sink.reject(where, NO_STREAM)
            return
        try:
            rpm_key(build.evr)
        except ValueError as error:
            self.sink.reject(where, str(error))
            return
        fresh = [module for module in modules or ("",) if self._new(build, release, module)]
        for module in fresh:
            self.sink.advisory(self._statement(build, release, module, status, note))
        if fresh:
            self.sink.used()
        else:
            self.sink.skip(SAID_ALREADY)

    def say(self, build: Build, *, release: str, status: AdvisoryStatus, note: str) -> None:
        """Make a statement that is one part of an entry; the entry is counted by the caller.

        Raises ValueError for a version that is none.
        """
        rpm_key(build.evr)
        if self._new(build, release, ""):
            self.sink.advisory(self._statement(build, release, "", status, note))

    def _new(self, build: Build, release: str, module: str) -> bool:
        key = (build.name, build.arch, build.evr, release, module)
        if key in self._said:
            return False
        self._said.add(key)
        return True

    def _statement(
        self, build: Build, release: str, module: str, status: AdvisoryStatus, note: str
    ) -> Advisory:
        notice = self.notice
        carried = {
            "fixed_version": build.evr,
            "cves": notice.cves,
            "urgency": notice.urgency,
            "published": notice.published,
            "arch": build.arch,
            "module": module,
        }
        self.coverage.update(name for name, value in carried.items() if value)
        return Advisory(
            id=notice.id,
            feed=notice.feed,
            document=notice.document,
            release=release,
            package=build.name,
            fixed_version=build.evr,
            status=status,
            cves=notice.cves,
            scheme=Scheme.RPM,
            by_source=False,
            arch=build.arch,
            module=module,
            update_class=notice.update_class,
            summary=notice.summary,
            urgency=notice.urgency,
            published=notice.published,
            note=note,
        )
