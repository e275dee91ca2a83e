"""dpkg, dpkg-query, apt-mark, apt-cache and apt-config of a simulated host."""

import fnmatch
import re

from wavemend.testing.guest.apt_get import parse
from wavemend.testing.guest.store import (
    ORIGINS,
    RELEASES,
    SUITES,
    Package,
    Store,
    complain,
    dpkg_lock,
    say,
)
from wavemend.testing.guest.unpack import process
from wavemend.testing.guest.versions import compare

STATES = {"ii": "installed", "iU": "unpacked", "iF": "half-configured", "rc": "config-files"}
WORDS = {"<": "lt", "<<": "lt", "<=": "le", "=": "eq", ">=": "ge", ">": "gt", ">>": "gt"}


def main(tool: str, arguments: list[str]) -> int:
    """Run one of the tools."""
    if tool == "dpkg":
        return _dpkg(arguments)
    if tool == "dpkg-query":
        return _dpkg_query(arguments)
    call = parse(arguments)
    if tool == "apt-config":
        return _apt_config(call.words)
    store = Store()
    if tool == "apt-mark":
        return _mark(store, call.verb, call.words)
    return _cache(store, call.verb, call.words)


FIXED = {
    "--print-architecture": "amd64\n",
    "--print-foreign-architectures": "",
    "--assert-support-predepends": "",
    "--version": "Debian 'dpkg' package management program version 1.21.22 (amd64).\n",
}
"""What dpkg answers whatever is installed."""


def _dpkg(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else ""
    if verb in FIXED:
        if FIXED[verb]:
            say(FIXED[verb].removesuffix("\n"))
        return 0
    if verb == "--compare-versions":
        return 0 if _compares(*arguments[1:4]) else 1
    store = Store()
    if verb in {"--audit", "-C"}:
        return _audit(store)
    if "--configure" in arguments:
        return _configure_all(store, arguments)
    return _selections(store) if verb == "--get-selections" else _dpkg_query(arguments)


def _selections(store: Store) -> int:
    for name in sorted(store.installed):
        say(f"{name}\t\t\t\t\t\t{'hold' if name in store.held else 'install'}")
    return 0


def _compares(left: str, relation: str, right: str) -> bool:
    difference = compare(left, right)
    truths = {
        "lt": difference < 0,
        "le": difference <= 0,
        "eq": difference == 0,
        "ne": difference != 0,
        "ge": difference >= 0,
        "gt": difference > 0,
    }
    return truths[WORDS.get(relation, relation)]


def _audit(store: Store) -> int:
    titles = {
        "iU": "The following packages have been unpacked but not yet configured.\n"
        "They must be configured using dpkg --configure or the configure\n"
        "menu option in dselect for them to work:",
        "iF": "The following packages are only half configured, probably due to problems\n"
        "configuring them the first time.  The configuration should be retried using\n"
        "dpkg --configure <package> or the configure menu option in dselect:",
    }
    for state, title in titles.items():
        names = [name for name, each in sorted(store.installed.items()) if each["status"] == state]
        if names:
            say(title)
            for name in names:
                say(f" {name:20} package of a simulated host")
            say()
    return 0


def _configure_all(store: Store, arguments: list[str]) -> int:
    if not store.is_root:
        complain("dpkg: error: requested operation requires superuser privilege")
        return 2
    force = frozenset(word.removeprefix("--force-") for word in arguments if "--force-" in word)
    with dpkg_lock(store, 0, "dpkg") as holder:
        if holder:
            complain(f"dpkg: error: dpkg frontend lock was locked by another {holder}")
            return 2
        failed = process(Store(), (), force)
    if failed:
        complain("Errors were encountered while processing:\n" + "\n".join(f" {n}" for n in failed))
    return 1 if failed else 0


def _dpkg_query(arguments: list[str]) -> int:
    store = Store()
    form = "${binary:Package}\t${Version}\n"
    patterns: list[str] = []
    verb = ""
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in {"-f", "--showformat"}:
            form = rest.pop(0)
        elif word.startswith(("-f", "--showformat=")):
            form = word.removeprefix("--showformat=").removeprefix("-f").removeprefix("=")
        elif word.startswith("-"):
            verb = word
        else:
            patterns.append(word)
    if verb in {"-S", "--search"}:
        return _search(store, patterns)
    status = 0
    chosen = [] if patterns else sorted(store.installed)
    for pattern in patterns:
        found = sorted(fnmatch.filter(store.installed, pattern.partition(":")[0]))
        if not found:
            complain(f"dpkg-query: no packages found matching {pattern}")
            status = 1
        chosen += found
    for name in chosen:
        _print_package(store, verb, form, name)
    return status


def _search(store: Store, patterns: list[str]) -> int:
    status = 0
    for pattern in patterns:
        owners = [name for name, each in store.installed.items() if pattern in _paths(each)]
        for name in sorted(owners):
            say(f"{name}: {pattern}")
        if not owners:
            complain(f"dpkg-query: no path found matching pattern {pattern}")
            status = 1
    return status


def _paths(package: Package) -> list[str]:
    return [*package.get("files", {}), *package.get("conffile", [])[:1]]


def _print_package(store: Store, verb: str, form: str, name: str) -> None:
    package = store.installed[name]
    if verb in {"-s", "--status"}:
        form = (
            "Package: ${Package}\nStatus: ${Status}\nArchitecture: ${Architecture}\n"
            "Version: ${Version}\n\n"
        )
    elif verb in {"-l", "--list"}:
        form = "${db:Status-Abbrev} ${binary:Package;-30} ${Version;-24} ${Architecture;-12} -\n"
    say(_fill(form, _fields(store, package)).removesuffix("\n"))


def _fields(store: Store, package: Package) -> dict[str, str]:
    state = package["status"]
    held = package["name"] in store.held
    want = "hold" if held else "install"
    name = package["name"]
    same = package.get("multi_arch") == "same"
    return {
        "Package": name,
        "binary:Package": f"{name}:{package['arch']}" if same else name,
        "Version": package["version"],
        "Architecture": package["arch"],
        "Multi-Arch": package.get("multi_arch", ""),
        "source:Package": package.get("source", name),
        "source:Version": package.get("source_version", package["version"]),
        "Source": package.get("source", ""),
        # dpkg ends the abbreviation with a third letter for errors: a blank where there is none.
        "db:Status-Abbrev": f"{'h' if held else 'i'}{state[1]} ",
        "db:Status-Want": want,
        "db:Status-Status": STATES[state],
        "db:Status-Eflag": "ok",
        "Status": f"{want} ok {STATES[state]}",
        "Installed-Size": "100",
        "Essential": "no",
    }


def _fill(form: str, fields: dict[str, str]) -> str:
    def value(match: "re.Match[str]") -> str:
        name, _, width = match[1].partition(";")
        text = fields.get(name, "")
        if not width:
            return text
        return text.ljust(-int(width)) if int(width) < 0 else text.rjust(int(width))

    text = form.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
    return re.sub(r"\$\{([^}]+)\}", value, text)


def _mark(store: Store, verb: str, names: tuple[str, ...]) -> int:
    match verb:
        case "showhold":
            for name in sorted(store.held):
                say(name)
        case "showmanual" | "showinstall":
            for name in sorted(store.installed):
                say(name)
        case "hold" | "unhold":
            if not store.is_root:
                complain("E: Could not create temporary file for /var/lib/apt/extended_states")
                return 100
            held = set(store.held) | set(names) if verb == "hold" else set(store.held) - set(names)
            store.data["held"] = sorted(held)
            store.save()
            for name in names:
                say(f"{name} set on hold." if verb == "hold" else f"Canceled hold on {name}.")
        case _:
            return 0
    return 0


def _cache(store: Store, verb: str, names: tuple[str, ...]) -> int:
    if verb == "policy" and not names:
        say("Package files:\n 100 /var/lib/dpkg/status\n     release a=now")
        for site, (_, address) in ORIGINS.items():
            say(f" 500 {address} {SUITES[site]}/main amd64 Packages")
            say(f"     release {RELEASES[site]},b=amd64")
            say(f"     origin {address.split('/')[2]}")
        say("Pinned packages:")
    for name in names:
        if verb == "policy":
            _policy(store, name)
        elif verb == "madison":
            for package in store.versions_of(name):
                say(f"{name:>10} | {package['version']:>10} | {_place(package)}")
        elif verb == "show":
            for package in store.versions_of(name):
                say(f"Package: {name}\nVersion: {package['version']}")
                say(f"Architecture: {package['arch']}\n")
    return 0


def _place(package: Package) -> str:
    site = package["site"]
    return f"{ORIGINS[site][1]} {SUITES[site]}/main {package['arch']} Packages"


def _policy(store: Store, name: str) -> None:
    offered = store.versions_of(name)
    there = store.installed.get(name)
    if not offered and there is None:
        return
    candidate = offered[0]["version"] if offered else ""
    if there and (not offered or compare(there["version"], candidate) > 0):
        candidate = there["version"]
    say(
        f"{name}:\n  Installed: {there['version'] if there else '(none)'}\n  Candidate: {candidate}"
    )
    say("  Version table:")
    rows = {package["version"]: package for package in offered}
    if there and there["version"] not in rows:
        rows[there["version"]] = {}
    for version, package in rows.items():
        mark = " ***" if there and there["version"] == version else "    "
        phased = f" (phased {package['phased']}%)" if package.get("phased") else ""
        say(f"{mark} {version} {500 if package else 100}{phased}")
        if package:
            say(f"        500 {_place(package)}")
        if mark.strip():
            say("        100 /var/lib/dpkg/status")


def _apt_config(words: tuple[str, ...]) -> int:
    # A plain host: nothing is set to update by itself, and options that are unset print nothing.
    if words[:1] == ("dump",) and len(words) == 1:
        say('APT "";\nAPT::Architecture "amd64";')
    return 0
