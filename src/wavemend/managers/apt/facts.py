"""From the sections of the facts script to Facts. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Host, InstalledPackage, Repository
from wavemend.managers.apt.kernels import newest_kernel, reboot_reasons
from wavemend.managers.apt.parse import messages, read_simulation
from wavemend.managers.apt.pending import pending_updates
from wavemend.managers.apt.repositories import repositories
from wavemend.managers.apt.withheld import Installed, behind_subscription, pinned_away
from wavemend.managers.reading.boot import boot_faults
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import (
    Asked,
    Software,
    facts_of,
    host_values,
    lines_of,
    lock_holder,
    read_system,
)

DPKG = "dpkg"
INTERRUPTED = "interrupted"
"""Status of dpkg when it was killed before it had written down the end of what it did."""

REFRESH_TIMED_OUT = 124
"""timeout(1): the command was ended. Other exit statuses are apt-get's own."""


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    if missing := sorted({"packages", "upgrade", "lock", "rivals"} - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    system = read_system(host, sections, asked)
    installed, broken, held = _packages(
        host.name, sections["packages"], interrupted=_interrupted(sections)
    )
    called = Installed(installed, system.arch)
    subscribed, trouble = behind_subscription(sections.get("esm"), called)
    withheld = (*pinned_away(lines_of(sections, "passed-over"), called), *subscribed)
    pending, unread = pending_updates(sections, held, withheld)
    kernel, newest = system.running_kernel, newest_kernel(system.running_kernel, installed)
    flag, restarts = (lines_of(sections, name) for name in ("reboot-required", "needrestart"))
    build = host_values(sections).get("kernel_build", "")
    software = Software(
        newest_kernel=newest,
        installed=installed,
        pending=pending,
        held=tuple(sorted({name for name, _ in held})),
        broken=broken,
        reboot_reasons=reboot_reasons(kernel, build, installed, flag, restarts),
        lock_holder=lock_holder(sections["lock"].lines),
        index_errors=(*_index_errors(sections), *unread),
        rivals=_rivals(sections["rivals"].lines, installed),
        repositories=(*repositories(sections), *_unasked(trouble)),
        boot_faults=boot_faults(
            kernel, newest, lines_of(sections, "boot"), lines_of(sections, "dkms")
        ),
    )
    return facts_of(system, software)


def _interrupted(sections: Mapping[str, Section]) -> bool:
    """True when a dpkg was killed before it had brought its last entries into its list."""
    found = lines_of(sections, "interrupted")
    return bool(found) and "running" not in found and not sections["lock"].lines


def _packages(
    host: str, section: Section, *, interrupted: bool
) -> tuple[tuple[InstalledPackage, ...], tuple[InstalledPackage, ...], frozenset[tuple[str, str]]]:
    """Return the whole packages, those in between, and the names on hold (dpkg's first letter).

    `interrupted`: every package may be whole, and apt refuses all work until a repair all the same:
    then dpkg itself is in between.
    """
    if section.status != 0:
        said = "; ".join(section.errors[-3:])
        raise HostAnswerInvalid(f"{host}: dpkg-query ended with {section.status}: {said}")
    whole: list[InstalledPackage] = []
    broken: list[InstalledPackage] = []
    held: set[tuple[str, str]] = set()
    for line in section.lines:
        package, status = _package(line, host)
        if status[1:2] in {"n", "c"}:  # never unpacked, or removed with its configuration left
            continue
        (whole if status[1:2] == "i" and not status[2:].strip() else broken).append(package)
        if status[:1] == "h":
            held.add((package.name, package.arch))
    if not whole:
        raise HostAnswerInvalid(f"{host}: dpkg knows no installed package")
    if interrupted and not broken:
        broken = [replace(package, status=INTERRUPTED) for package in whole if package.name == DPKG]
        whole = [package for package in whole if package.name != DPKG]
    return _sorted(whole), _sorted(broken), frozenset(held)


def _package(line: str, host: str) -> tuple[InstalledPackage, str]:
    """Return the package of a line, and dpkg's three letters for it."""
    # A host of ill will could fill the memory with long lines; those of packages have some 100.
    of = _package_of if len(line) <= 500 else _package_of.__wrapped__
    try:
        return of(line)
    except ValueError:
        raise HostAnswerInvalid(f"{host}: dpkg-query printed {line[:200]!r}") from None


@lru_cache(maxsize=20_000)
def _package_of(line: str) -> tuple[InstalledPackage, str]:
    """Made once for the hosts of a release, which have most lines in common.

    Full it takes some 15 MB, and 90 MB if hosts of ill will have filled it.
    """
    name, version, arch, source, source_version, status = line.split("\t")
    package = InstalledPackage(
        name=name,
        version=version,
        arch=arch,
        source=source,
        source_version=source_version,
        status=status.strip(),
    )
    return package, status


def _unasked(trouble: str) -> tuple[Repository, ...]:
    """Say that nobody knows what Ubuntu Pro has: what apt offers is pending all the same."""
    if not trouble:
        return ()
    return (Repository(name="Ubuntu Pro", reachable=True, signed=True, detail=trouble),)


def _sorted(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    return tuple(sorted(packages, key=lambda package: (package.name, package.arch)))


def _index_errors(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Return why the list of pending updates may be incomplete; empty when nothing says so."""
    errors: list[str] = []
    if refresh := sections.get("refresh"):
        errors.extend(messages(refresh))
        if refresh.status == REFRESH_TIMED_OUT:
            errors.append("apt-get update did not end in time and was stopped")
        elif refresh.status != 0 and not errors:
            errors.append(f"apt-get update ended with {refresh.status}")
        elif not errors and "targets" in sections and not sections["targets"].lines:
            # apt-get update calls that a success, and no simulation finds anything.
            errors.append("the host declares no package source")
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
_CUT_NAMES = {
    "apt.systemd.dai": "apt-daily",
    "do-release-upgr": "do-release-upgrade",
    "google_osconfig": "google_osconfig_agent",
    "landscape-clien": "landscape-client",
}
"""The kernel keeps 15 letters of a name."""


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
    if "cloud-init running" in lines:
        rivals.add("cloud-init (its first run has not ended)")
    for line in lines:
        if found := _RUNNING.match(line):
            name = _CUT_NAMES.get(found["name"][:15], found["name"])
            rivals.add(f"{name} ({found['pid']})")
    return tuple(sorted(rivals))
