"""From the sections of the facts script to Facts. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, FreeSpace, Host, InstalledPackage
from wavemend.managers.apt.kernels import newest_kernel, reboot_reasons
from wavemend.managers.apt.parse import Section, messages, read_simulation
from wavemend.managers.apt.pending import pending_updates

NO_INODE_LIMIT = -1
"""On file systems that make inodes as needed (btrfs), where df prints `-` or 0 of 0."""

REFRESH_TIMED_OUT = 124
"""timeout(1): the command was ended. Other exit statuses are apt-get's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """When and how long the question was asked, on the controller's clocks."""

    now: datetime
    seconds: float
    """Duration of the round trip, by the monotonic clock."""


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    needed = {"host", "os-release", "packages", "upgrade", "space", "lock", "rivals"}
    if missing := sorted(needed - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    values = _values(sections["host"].lines)
    system = _os_release(sections["os-release"].lines)
    installed, broken, held = _packages(host.name, sections["packages"])
    pending, unread = pending_updates(sections, held)
    kernel = values.get("kernel", "")
    flag, restarts = (_lines(sections, name) for name in ("reboot-required", "needrestart"))
    return Facts(
        host=host.name,
        collected_at=asked.now.astimezone(UTC),
        os_id=system.get("ID", ""),
        os_version=system.get("VERSION_ID", ""),
        codename=system.get("VERSION_CODENAME", ""),
        arch=values.get("arch", ""),
        hostname=values.get("hostname", ""),
        machine_id=values.get("machine_id", ""),
        boot_id=values.get("boot_id", ""),
        uptime_seconds=_number(values.get("uptime", "").split(" ")[0], f"{host.name}: uptime"),
        clock_skew_seconds=_skew(host.name, values, sections["end"], asked),
        running_kernel=kernel,
        newest_kernel=newest_kernel(kernel, installed),
        installed=installed,
        pending=pending,
        held=tuple(sorted({name for name, _ in held})),
        broken=broken,
        reboot_reasons=reboot_reasons(
            kernel, values.get("kernel_build", ""), installed, flag, restarts
        ),
        lock_holder=_lock_holder(sections["lock"].lines),
        free_space=_space(host.name, sections["space"].lines),
        index_errors=(*_index_errors(sections), *unread),
        rivals=_rivals(sections["rivals"].lines, installed),
        simulated=host.simulated,
    )


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


def _lines(sections: Mapping[str, Section], name: str) -> tuple[str, ...]:
    return sections[name].lines if name in sections else ()


def _packages(
    host: str, section: Section
) -> tuple[tuple[InstalledPackage, ...], tuple[InstalledPackage, ...], frozenset[tuple[str, str]]]:
    """Return the whole packages, those in between, and the names on hold (dpkg's first letter)."""
    if section.status != 0:
        said = "; ".join(section.errors[-3:])
        raise HostAnswerInvalid(f"{host}: dpkg-query ended with {section.status}: {said}")
    whole: list[InstalledPackage] = []
    broken: list[InstalledPackage] = []
    held: set[tuple[str, str]] = set()
    for line in section.lines:
        fields = line.split("\t")
        if len(fields) != 6:
            raise HostAnswerInvalid(f"{host}: dpkg-query printed {line[:200]!r}")
        name, version, arch, source, source_version, status = fields
        package = InstalledPackage(
            name=name,
            version=version,
            arch=arch,
            source=source,
            source_version=source_version,
            status=status.strip(),
        )
        if status[1:2] in {"n", "c"}:  # never unpacked, or removed with its configuration left
            continue
        (whole if status[1:2] == "i" and not status[2:].strip() else broken).append(package)
        if status[:1] == "h":
            held.add((name, arch))
    if not whole:
        raise HostAnswerInvalid(f"{host}: dpkg knows no installed package")
    return _sorted(whole), _sorted(broken), frozenset(held)


def _sorted(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    return tuple(sorted(packages, key=lambda package: (package.name, package.arch)))


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


def _lock_holder(lines: Sequence[str]) -> str:
    pairs = [line.partition(" ") for line in lines]
    return ", ".join(dict.fromkeys(f"{name or 'process'} ({pid})" for pid, _, name in pairs))


def _space(host: str, lines: Sequence[str]) -> tuple[FreeSpace, ...]:
    rows = []
    for line in lines:
        fields = line.split()
        if len(fields) != 5 or not _COUNT.fullmatch(fields[2].removeprefix("-")):
            raise HostAnswerInvalid(f"{host}: df printed {line[:200]!r}")
        path, _, blocks, inodes, free_inodes = fields
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


def _index_errors(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Return why the list of pending updates may be incomplete; empty when nothing says so."""
    errors: list[str] = []
    if refresh := sections.get("refresh"):
        errors.extend(messages(refresh))
        if refresh.status == REFRESH_TIMED_OUT:
            errors.append("apt-get update did not end in time and was stopped")
        elif refresh.status != 0 and not errors:
            errors.append(f"apt-get update ended with {refresh.status}")
    for name in ("upgrade", "full-upgrade", "phasing-ignored", "everything"):
        section = sections.get(name)
        if section is None:
            continue
        said = messages(section)
        if section.status != 0:
            errors.append(f"simulated {name} ended with {section.status}: {'; '.join(said[:3])}")
        errors.extend(f"simulated {name}: {line}" for line in read_simulation(section.lines).unread)
    return tuple(dict.fromkeys(errors))


_RUNNING = re.compile(r".*/proc/(?P<pid>[0-9]{1,10})/comm:(?P<name>.+)")


def _rivals(lines: Sequence[str], installed: Iterable[InstalledPackage]) -> tuple[str, ...]:
    names = {package.name for package in installed}
    rivals = {"cron-apt"} & names
    text = "\n".join(lines)
    if "unattended-upgrades" in names:
        on = re.search(r'APT::Periodic::Unattended-Upgrade "(?P<days>[^"]*)"', text)
        off = re.search(r'APT::Periodic::Enable "0"', text)
        timed = "timer enabled" in lines or "timer cron" in lines
        if on and on["days"] not in {"", "0"} and not off and timed:
            rivals.add("unattended-upgrades")
    for line in lines:
        if found := _RUNNING.match(line):
            name = "apt-daily" if found["name"].startswith("apt.systemd.dai") else found["name"]
            rivals.add(f"{name} ({found['pid']})")
    return tuple(sorted(rivals))
