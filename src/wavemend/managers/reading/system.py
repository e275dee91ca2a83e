"""What any Linux host is asked, whatever its package manager: see frame.sh. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import (
    BegunAttempt,
    Facts,
    FreeSpace,
    Host,
    InstalledPackage,
    PendingUpdate,
    Repository,
)
from wavemend.managers.reading.sections import Section

NO_INODE_LIMIT = -1
"""On file systems that make inodes as needed (btrfs), where df prints `-` or 0 of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """When and how long the question was asked, on the controller's clocks."""

    now: datetime
    seconds: float
    """Duration of the round trip, by the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What was read of the machine itself; field for field as in `Facts`."""

    host: str
    collected_at: datetime
    os_id: str
    os_version: str
    codename: str
    arch: str
    hostname: str
    machine_id: str
    boot_id: str
    uptime_seconds: float
    clock_skew_seconds: float
    running_kernel: str
    free_space: tuple[FreeSpace, ...]
    read_only: tuple[str, ...]
    users: tuple[str, ...]
    inhibitors: tuple[str, ...]
    scheduled_shutdown: str
    journal: tuple[BegunAttempt, ...]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What a package manager says of its host; field for field as in `Facts`."""

    installed: tuple[InstalledPackage, ...]
    pending: tuple[PendingUpdate, ...]
    held: tuple[str, ...]
    broken: tuple[InstalledPackage, ...]
    newest_kernel: str
    reboot_reasons: tuple[str, ...]
    lock_holder: str
    index_errors: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    boot_faults: tuple[str, ...] = ()


def facts_of(system: System, software: Software) -> Facts:
    """Return one look at a host: the machine and its software."""
    told: dict[str, Any] = {
        entry.name: getattr(part, entry.name)
        for part in (system, software)
        for entry in fields(part)
    }
    return Facts(**told)


def read_system(host: Host, sections: Mapping[str, Section], asked: Asked) -> System:
    """Return what a host said of itself; HostAnswerInvalid when the host cannot be told apart."""
    if missing := sorted({"host", "os-release", "space", "end"} - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    values = host_values(sections)
    if not values.get("boot_id"):  # none would read as another one: as a restart that happened
        raise HostAnswerInvalid(f"{host.name}: it does not say which boot it is in")
    release = _os_release(sections["os-release"].lines)
    return System(
        host=host.name,
        collected_at=asked.now.astimezone(UTC),
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        arch=values.get("arch", ""),
        hostname=values.get("hostname", ""),
        machine_id=values.get("machine_id", ""),
        boot_id=values.get("boot_id", ""),
        uptime_seconds=_number(values.get("uptime", "").split(" ")[0], f"{host.name}: uptime"),
        clock_skew_seconds=_skew(host.name, values, sections["end"], asked),
        running_kernel=values.get("kernel", ""),
        free_space=_space(host.name, sections["space"].lines),
        read_only=lines_of(sections, "read-only"),
        users=_users(lines_of(sections, "users")),
        inhibitors=_inhibitors(lines_of(sections, "inhibitors")),
        scheduled_shutdown=_scheduled(lines_of(sections, "shutdown")),
        journal=begun_attempts(lines_of(sections, "journal")),
        simulated=host.simulated,
    )


def host_values(sections: Mapping[str, Section]) -> Mapping[str, str]:
    """Return the `host` section by key: clock, boot_id, kernel, kernel_build, arch and so on."""
    return _values(sections["host"].lines)


def lines_of(sections: Mapping[str, Section], name: str) -> tuple[str, ...]:
    """Return a section's lines; none when the host was not asked."""
    return sections[name].lines if name in sections else ()


def lock_holder(lines: Sequence[str]) -> str:
    """Name who holds a lock, `apt-get (1234)`, from frame.sh's `lock_holders`."""
    pairs = [line.partition(" ") for line in lines]
    return ", ".join(dict.fromkeys(f"{name or 'process'} ({pid})" for pid, _, name in pairs))


_BEGIN = re.compile(
    r"(?P<id>[a-z0-9-]{8,64}) (?P<fence>[0-9]{1,18}) (?P<at>[0-9]{1,11}) [!-~]{1,64}"
)


def begun_attempts(lines: Sequence[str]) -> tuple[BegunAttempt, ...]:
    """Return the begins that are in form; a torn line is the executor's to report."""
    found = (_BEGIN.fullmatch(line) for line in lines)
    return tuple(
        BegunAttempt(attempt_id=begin["id"], fence=int(begin["fence"]), at=float(begin["at"]))
        for begin in found
        if begin
    )


def _users(lines: Sequence[str]) -> tuple[str, ...]:
    """Return name and line of who(1), `root pts/0`: a name may be logged in more than once.

    Where who asks systemd it lists `root sshd` for a command over SSH, such as this very question,
    and `root sshd pts/0` for a person's terminal.
    """
    found = set()
    for words in map(str.split, lines):
        if words[1:2] == ["sshd"]:
            del words[1]
            if not "".join(words[1:2]).startswith("pts/"):
                continue
        found.add(" ".join(words[:2]))
    return tuple(sorted(found))


def _inhibitors(lines: Sequence[str]) -> tuple[str, ...]:
    """Return what blocks a shutdown; `delay` inhibitors only ask for seconds, and are none."""
    found = (
        f"{words[0]}: {' '.join(words[1:-1])}"
        for words in _rows_of_inhibitors(lines)
        if words and words[-1] == "block" and any("shutdown" in word.split(":") for word in words)
    )
    return tuple(sorted(found))


_OF_AN_INHIBITOR = re.compile(r" *(?P<key>Who|What|Why|Mode): (?P<value>.*)")


def _rows_of_inhibitors(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the words of each inhibitor, its mode last: before systemd 240 each was four lines."""
    told: dict[str, str] = {}
    for line in lines:
        if found := _OF_AN_INHIBITOR.fullmatch(line):
            told[found["key"]] = found["value"]
            if found["key"] == "Mode":
                yield " ".join(told.values()).split()
                told = {}
        else:
            yield line.split()


def _scheduled(lines: Sequence[str]) -> str:
    values = dict(line.partition("=")[::2] for line in lines)
    return f"{values.get('MODE', 'shutdown')} is scheduled" if values else ""


def _values(lines: Iterable[str]) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(" ") for line in lines)}


def _os_release(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, equals, value in pairs if equals}


_SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,15}")
"""ASCII and bounded: float() also takes `nan`, `1_0` and other scripts' digits, and int() refuses
5,000 digits with an error of its own."""


def _number(text: str, what: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise HostAnswerInvalid(f"{what} is {text[:40]!r}, not a number of seconds")
    return float(text)


def _skew(host: str, values: Mapping[str, str], end: Section, asked: Asked) -> float:
    """Return how far the host's clock is ahead, at least: what the round trip explains is 0.

    The host read its clock somewhere between the question and the answer, less the time it
    needed itself; only what lies outside that span is proven to be skew.
    """
    began = _number(values.get("clock", "").removesuffix(".%N"), f"{host}: clock")
    ended = _number((end.lines or ("",))[0].removesuffix(".%N"), f"{host}: clock")
    slack = max(0.0, asked.seconds - max(0.0, ended - began))
    ahead = began - asked.now.timestamp()
    if 0.0 <= ahead <= slack:
        return 0.0
    return ahead if ahead < 0 else ahead - slack


def _space(host: str, lines: Sequence[str]) -> tuple[FreeSpace, ...]:
    rows = []
    for line in lines:
        words = line.split()
        if len(words) != 5 or not _COUNT.fullmatch(words[2].removeprefix("-")):
            raise HostAnswerInvalid(f"{host}: df printed {line[:200]!r}")
        path, _, blocks, inodes, free_inodes = words
        counts = _COUNT.fullmatch(inodes) and _COUNT.fullmatch(free_inodes)
        countable = bool(counts) and int(inodes) > 0
        rows.append(
            FreeSpace(
                path=path,
                free_bytes=max(0, int(blocks)) * 1024,
                free_inodes=int(free_inodes) if countable else NO_INODE_LIMIT,
            )
        )
    return tuple(rows)
