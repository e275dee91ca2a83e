"""From the sections of the facts script to Facts. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Host, InstalledPackage, Repository
from wavemend.managers.apk.pending import pending_updates, pinned_names
from wavemend.managers.apk.steps import troubles
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
"""timeout(1): the command was ended. Other exit statuses are apk's own."""

_NEEDED = {"lock", "repositories", "packages", "world", "upgradable", "simulated"}


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    if missing := sorted(_NEEDED - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    system = read_system(host, sections, asked)
    whole, broken = _packages(host.name, sections["packages"])
    repositories = _repositories(sections)
    pinned = pinned_names(sections["world"])
    names = {package.name: package for package in (*whole, *broken)}
    origin = ", ".join(_names(sections["repositories"].lines))
    pending, unread = pending_updates(sections, names, pinned, origin)
    kernels = read_kernels(lines_of(sections, "kernels"))
    running, newest = system.running_kernel, newest_kernel(system.running_kernel, kernels)
    # Alpine names a kernel's files after its flavour: vmlinuz-lts.
    flavour = newest.rpartition("-")[2]
    software = Software(
        newest_kernel=newest,
        installed=whole,
        pending=pending,
        held=tuple(sorted(pinned & names.keys())),
        broken=broken,
        reboot_reasons=reboot_reasons(running, kernels, lines_of(sections, "replaced")),
        lock_holder=lock_holder(sections["lock"].lines),
        index_errors=(*_index_errors(sections), *unread),
        rivals=_rivals(lines_of(sections, "rivals")),
        repositories=repositories,
        boot_faults=boot_faults(flavour, flavour, lines_of(sections, "boot"), ()),
    )
    return facts_of(system, software)


def _packages(
    host: str, section: Section
) -> tuple[tuple[InstalledPackage, ...], tuple[InstalledPackage, ...]]:
    """Return the whole packages and those that apk itself marks as broken."""
    whole: list[InstalledPackage] = []
    broken: list[InstalledPackage] = []
    for line in section.lines:
        fields = line.split("\t")
        if len(fields) != 5:
            raise HostAnswerInvalid(f"{host}: apk's database gave {line[:200]!r}")
        name, version, arch, origin, faults = fields
        package = InstalledPackage(
            name=name,
            version=version,
            arch=arch,
            source=origin or name,
            source_version=version,
            # `f`: files are missing or could not be written; `s`: a script failed.
            status="iH" if "f" in faults else "iF" if "s" in faults else "ii",
        )
        (whole if package.status == "ii" else broken).append(package)
    if not whole:
        said = "; ".join(section.errors[-3:])
        raise HostAnswerInvalid(f"{host}: apk knows no installed package: {said}")
    return _sorted(whole), _sorted(broken)


def _sorted(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    return tuple(sorted(packages, key=lambda package: (package.name, package.arch)))


def _index_errors(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """Return why the list of pending updates may be incomplete; empty when nothing says so."""
    errors: list[str] = []
    for name in ("refresh", "upgradable", "simulated"):
        section = sections.get(name)
        if section is None:
            continue
        said = troubles(section)
        errors += said
        if name == "refresh" and section.status == _TIMED_OUT:
            errors.append("apk update did not end in time and was stopped")
        elif section.status != 0 and not said:
            errors.append(f"{name} ended with {section.status}, without a word")
    if not _names(sections["repositories"].lines):
        errors.append("no repository is configured in /etc/apk/repositories")
    return tuple(dict.fromkeys(errors))


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the repositories' addresses; `grep` puts a file's name before the line."""
    found = (re.sub(r"^/\S*?:(?=\S)", "", line).strip() for line in lines)
    return tuple(dict.fromkeys(name for name in found if name))


def _repositories(sections: Mapping[str, Section]) -> tuple[Repository, ...]:
    """Return the repositories as a refresh found them; none where it was not asked for."""
    refresh = sections.get("refresh")
    if refresh is None:
        return ()
    said = troubles(refresh)
    found = []
    for name in _names(sections["repositories"].lines):
        address = name.split(" ")[-1].rstrip("/")
        trouble = next((line for line in said if address in line), "")
        # Unsigned indexes are refused by apk itself unless it is told otherwise at each call.
        found.append(Repository(name=name, reachable=not trouble, signed=True, detail=trouble))
    return tuple(sorted(found, key=lambda item: item.name))


_RUNNING = re.compile(r".*/proc/(?P<pid>[0-9]{1,10})/comm:(?P<name>.+)")


def _rivals(lines: Sequence[str]) -> tuple[str, ...]:
    names = []
    for line in lines:
        found = _RUNNING.match(line)
        names.append(f"{found['name']} ({found['pid']})" if found else line)
    return tuple(sorted(names))
