"""What dnf4, dnf5 and yum print, read into values. Pure; nothing is dropped in silence.

They print for people: headings, then rows of words. Rows are read by their number of words, not by
columns, and yum's rows, broken at 80 columns, are put together first.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wavemend.managers.rpm.installed import plain_evr
from wavemend.packages import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row of `check-update`."""

    package: Target
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What `check-update` offers, and the lines of it that could not be read."""

    updates: tuple[Listed, ...]
    unread: tuple[str, ...]


_DOTTED = re.compile(r"(?P<name>\S+)\.(?P<arch>[a-z0-9_]+)")
_KNOWN = re.compile(r"noarch|x86_64(?:_v[2-4])?|i[3-6]86|aarch64|ppc64le|s390x|armv7hl|riscv64|src")
_EVR = re.compile(r"(?:[0-9]+:)?[^-:\s]+-[^-:\s]+")


def read_listing(lines: Sequence[str]) -> Listing:
    """Read `check-update`; what it lists below "Obsoleting Packages" is told by a simulation.

    Lines that do not begin with a package are sentences: titles, and what plugins have to say. A
    package is told by its version too: no list of architectures knows the next one.
    """
    updates, unread = [], []
    for line in _joined(lines):
        if line.startswith("Obsoleting"):
            break
        words = line.split()
        named = _DOTTED.fullmatch(words[0])
        versioned = len(words) > 1 and _EVR.fullmatch(words[1])
        if named and versioned and len(words) == 3:
            package = Target(name=named["name"], arch=named["arch"], version=plain_evr(words[1]))
            updates.append(Listed(package=package, repository=words[2]))
        elif named and (versioned or _KNOWN.fullmatch(named["arch"])):
            unread.append(line)
    return Listing(updates=tuple(updates), unread=tuple(unread))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """One row of an advisory list: a package that an advisory or a CVE names."""

    name: str
    """Of the advisory, or the CVE."""
    package: Target
    security: bool


_ADVISORY = re.compile(r"[A-Za-z][\w.+-]*-[0-9]{4}[-:][\w.:+-]+")
_NEVRA = re.compile(rf"(?P<name>\S+)-(?P<evr>{_EVR.pattern})\.(?P<arch>[a-z0-9_]+)")


def read_advisories(lines: Sequence[str]) -> tuple[tuple[Advised, ...], tuple[str, ...]]:
    """Read `updateinfo list` (dnf4, yum) or `advisory list` (dnf5), and what was not read of it.

    Rows are `<id> <kind> <package>` or `<id> <type> <severity> <package> <date> <time>`, of which
    the severity may be empty. A line that neither names a package there nor begins with an
    advisory's usual form is a sentence.
    """
    rows, unread = [], []
    for line in lines:
        words = line.split()
        package = next(filter(None, map(parse_nevra, words[2:4])), None)
        if package is None:
            if _ADVISORY.fullmatch(words[0]):
                unread.append(line)
            continue
        rows.append(Advised(name=words[0], package=package, security=_is_security(words[1])))
    return tuple(rows), tuple(unread)


def _is_security(kind: str) -> bool:
    """True for `security`, which dnf5 may cut to `secu`, and for `Important/Sec.`."""
    return (len(kind) > 2 and "security".startswith(kind)) or kind.endswith("/Sec.")


def parse_nevra(text: str) -> Target | None:
    """Read `name-epoch:version-release.arch`; None: it is none."""
    found = _NEVRA.fullmatch(text)
    if found is None:
        return None
    return Target(name=found["name"], arch=found["arch"], version=plain_evr(found["evr"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a transaction's table, with the packages that it takes the place of."""

    heading: str
    package: Target
    replaces: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A resolved transaction as it is shown before the question whether to go on."""

    rows: tuple[Row, ...]
    unread: tuple[str, ...]
    complete: bool
    """False: there is no summary, so nothing was resolved."""
    download_bytes: int | None = None
    install_bytes: int | None = None
    streams: tuple[str, ...] = ()
    """Module streams that would be enabled, `nginx:1.14`."""

    def under(self, *headings: str) -> tuple[Row, ...]:
        """Return the rows below headings that begin so."""
        return tuple(row for row in self.rows if row.heading.startswith(headings))

    @property
    def incoming(self) -> tuple[Row, ...]:
        """Return what would be installed or upgraded."""
        return self.under("Installing", "Upgrading", "Updating")

    @property
    def removed(self) -> tuple[str, ...]:
        """Return the names that would be gone: removed, or replaced by another name.

        An old kernel that makes room for a new one is none: its name stays.
        """
        coming = {(row.package.name, row.package.arch) for row in self.incoming}
        gone = {
            row.package.name
            for row in self.under("Removing")
            if (row.package.name, row.package.arch) not in coming
        }
        return tuple(sorted(gone | {name for row in self.incoming for name in displaced(row)}))


def displaced(row: Row) -> tuple[str, ...]:
    """Return the packages of other names that a row takes the place of, sorted."""
    return tuple(sorted({old.name for old in row.replaces if old.name != row.package.name}))


# Any: below one that is not known nothing comes in, `Skipped (dependency problems):` for one.
_HEADING = re.compile(r"(?P<heading>\S[^:]*):")
_STREAM = re.compile(r" (?P<module>\S+) +(?P<stream>\S+) *")
_ROW = re.compile(
    r" (?P<name>\S+) +(?P<arch>[a-z0-9_]+) +(?P<evr>\S+) +(?P<repo>\S+)"
    r" +(?P<size>[0-9.]+) *(?P<unit>[A-Za-z]*) *"
)
_REPLACING = re.compile(r" +replacing +(?P<what>.+)")
_SUMMARY = re.compile(r"Transaction Summary:?")


def read_table(lines: Sequence[str], errors: Sequence[str] = ()) -> Table:
    """Read a transaction's table. Sizes are as exact as they are printed: two or three digits."""
    rows: list[Row] = []
    unread: list[str] = []
    streams: list[str] = []
    heading = ""
    complete = False
    for line in _joined(lines):
        if _SUMMARY.match(line):
            complete = True
            break
        if found := _HEADING.fullmatch(line):
            heading = found["heading"]
        elif found := _REPLACING.fullmatch(line):
            _take_replaced(rows, found["what"], line, unread)
        elif heading == "Enabling module streams" and (found := _STREAM.fullmatch(line)):
            streams.append(f"{found['module']}:{found['stream']}")
        elif heading and (found := _ROW.fullmatch(line)):
            package = Target(
                name=found["name"], arch=found["arch"], version=plain_evr(found["evr"])
            )
            rows.append(Row(heading=heading, package=package))
        elif heading and line.startswith(" "):
            unread.append(line)
    said = (*lines, *errors)
    return Table(
        rows=tuple(rows),
        unread=tuple(unread),
        complete=complete,
        download_bytes=_size(_DOWNLOAD, said),
        install_bytes=_size(_INSTALL, said),
        streams=tuple(streams),
    )


def _take_replaced(rows: list[Row], what: str, line: str, unread: list[str]) -> None:
    """Read `foo.noarch 1.0-1` (dnf4, yum) or `foo noarch 0:1.0-1 repo 1.0 B` (dnf5)."""
    words = what.split()
    named = _DOTTED.fullmatch(words[0]) if len(words) == 2 else None
    if named:
        old = Target(name=named["name"], arch=named["arch"], version=plain_evr(words[1]))
    elif len(words) > 2:
        old = Target(name=words[0], arch=words[1], version=plain_evr(words[2]))
    else:
        unread.append(line)
        return
    if not rows:
        unread.append(line)
        return
    last = rows[-1]
    rows[-1] = Row(heading=last.heading, package=last.package, replaces=(*last.replaces, old))


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """Put rows together that yum and older dnf break at 80 columns: the rest is indented."""
    whole = ""
    for line in lines:
        if whole and line.startswith("  ") and not _REPLACING.fullmatch(line):
            whole = f"{whole} {line.strip()}"
            continue
        if whole:
            yield whole
        whole = line.rstrip()
    if whole:
        yield whole


_UNITS = {"": 1, "B": 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = r"(?P<size>[0-9]{1,9}(?:\.[0-9]+)?) *(?P<unit>[A-Za-z]*)"
_DOWNLOAD = re.compile(rf"(?:Total download size: |.*Need to download ){_AMOUNT}.*")
_INSTALL = re.compile(
    rf"(?:Installed size: |After this operation, ){_AMOUNT}(?P<way> will be freed)?.*"
)


def _size(form: re.Pattern[str], lines: Sequence[str]) -> int | None:
    for line in lines:
        found = form.fullmatch(line)
        unit = found["unit"][:1] if found else ""
        if found and unit in _UNITS:
            size = round(float(found["size"]) * _UNITS[unit])
            return -size if found.groupdict().get("way") else size
    return None
