"""From the sections of the facts script to Facts. Pure."""

import re
from collections.abc import Mapping, Sequence

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import LOCK_LEFT_BEHIND, Facts, Host, InstalledPackage, Repository
from wavemend.managers.pacman.pending import pending_updates
from wavemend.managers.pacman.records import Record, Records, read_records
from wavemend.managers.reading.boot import boot_faults
from wavemend.managers.reading.one_kernel import newest_kernel, read_kernels, reboot_reasons
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import (
    Asked,
    Software,
    facts_of,
    lines_of,
    lock_holder,
    read_system,
)

_TIMED_OUT = 124
"""timeout(1): the command was ended. Other exit statuses are pacman's own."""

_NEEDED = {"settings", "lock", "copy", "missing", "installed", "half", "upgradable", "whole"}


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    if missing := sorted(_NEEDED - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    system = read_system(host, sections, asked)
    records = _installed(host.name, sections["installed"])
    pending, unread = pending_updates(sections, records.by_name())
    broken = tuple(_half(entry, records) for entry in sorted(sections["half"].lines))
    half = {(package.name, package.version) for package in broken}
    kernels = read_kernels(lines_of(sections, "kernels"))
    running, newest = system.running_kernel, newest_kernel(system.running_kernel, kernels)
    boots = kernels.get(newest, "")
    files, modules = lines_of(sections, "boot"), lines_of(sections, "dkms")
    errors = (*_index_errors(sections), *unread, *records.unread)
    software = Software(
        newest_kernel=newest,
        installed=tuple(
            _package(record)
            for record in _sorted(records)
            if (record.name, record.version) not in half
        ),
        pending=pending,
        held=tuple(sorted(update.name for update in pending if update.held)),
        broken=broken,
        reboot_reasons=reboot_reasons(running, kernels, lines_of(sections, "replaced")),
        lock_holder=_lock(sections["lock"].lines),
        index_errors=tuple(dict.fromkeys(errors)),
        rivals=_rivals(lines_of(sections, "rivals")),
        repositories=_repositories(sections),
        boot_faults=(
            # Arch names a kernel's files after its package, not after its release.
            *boot_faults(boots, boots, files, ()),
            *boot_faults(running, newest, (), modules),
        ),
    )
    return facts_of(system, software)


def _installed(host: str, section: Section) -> Records:
    records = read_records(section)
    if records.status != 0 or not records.packages:
        said = "; ".join(section.errors[-3:]) or "no package at all"
        raise HostAnswerInvalid(f"{host}: pacman -Qi ended with {records.status}: {said}")
    return records


def _sorted(records: Records) -> list[Record]:
    return sorted(records.packages, key=lambda record: (record.name, record.arch))


def _package(record: Record) -> InstalledPackage:
    # Arch's tracker speaks of packages by their own names.
    return InstalledPackage(
        name=record.name,
        version=record.version,
        arch=record.arch,
        source=record.name,
        source_version=record.version,
    )


def _half(entry: str, records: Records) -> InstalledPackage:
    """Return what is left of `zip-3.0-11`, whose entry was never written to the end."""
    rest, _, pkgrel = entry.rpartition("-")
    name, _, pkgver = rest.rpartition("-")
    version = f"{pkgver}-{pkgrel}"
    known = records.by_name().get(name)
    return InstalledPackage(
        name=name or entry,
        version=version,
        arch=known.arch if known else "",
        source=name,
        source_version=version,
        status="iH",
    )


def _lock(lines: Sequence[str]) -> str:
    return LOCK_LEFT_BEHIND if lines == ("left behind",) else lock_holder(lines)


def _index_errors(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Return why the list of pending updates may be incomplete; empty when nothing says so."""
    errors = [f"no database of the repository {name}" for name in sections["missing"].lines]
    for name in ("copy", "refresh", "upgradable", "whole", "offered"):
        section = sections.get(name)
        if section is None:
            continue
        status = read_records(section).status if name == "offered" else section.status
        said = [line[:300] for line in section.errors if line.startswith(("error:", "::"))]
        errors += said[:10]
        if name == "refresh" and status == _TIMED_OUT:
            errors.append("pacman -Sy did not end in time and was stopped")
        elif status != 0 and not said:
            errors.append(f"{name} ended with {status}: {'; '.join(section.errors[-3:])}")
    return tuple(errors)


_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")


def _repositories(sections: Mapping[str, Section]) -> tuple[Repository, ...]:
    """Return the repositories as a refresh found them; none where it was not asked for."""
    refresh = sections.get("refresh")
    if refresh is None:
        return ()
    levels = _signature_levels(sections["settings"].lines)
    common = levels.pop("options", ())
    found = []
    for name in sorted(levels):
        trouble = [line[:200] for line in refresh.errors if f"'{name}.db'" in line]
        # pacman names each mirror that failed; only when no mirror was left does it fail itself.
        lost = refresh.status != 0 and bool(trouble)
        found.append(
            Repository(
                name=name,
                reachable=not lost,
                signed="PackageRequired" in (levels[name] or common),
                detail=trouble[-1] if lost else "",
            )
        )
    return tuple(found)


def _signature_levels(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return per section of pacman-conf what it says of packages' signatures."""
    levels: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in lines:
        if found := _SECTION.fullmatch(line):
            name = found["name"]
            levels[name] = ()
        elif line.startswith("SigLevel = Package"):
            levels[name] = (*levels.get(name, ()), line.removeprefix("SigLevel = "))
    return levels


_RUNNING = re.compile(r".*/proc/(?P<pid>[0-9]{1,10})/comm:(?P<name>.+)")


def _rivals(lines: Sequence[str]) -> tuple[str, ...]:
    found = (_RUNNING.match(line) for line in lines)
    return tuple(sorted(f"{item['name']} ({item['pid']})" for item in found if item))
