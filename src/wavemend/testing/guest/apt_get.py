"""apt-get and apt of a simulated host: the options wavemend uses, answered in apt's own words."""

import sys
import textwrap
import time
from typing import NamedTuple

from wavemend.testing.guest.solve import Solution, Step, Wish, solve_install, solve_upgrade
from wavemend.testing.guest.store import ORIGINS, SUITES, Store, complain, dpkg_lock, say
from wavemend.testing.guest.unpack import process

SIMULATE = {"-s", "--simulate", "--just-print", "--dry-run", "--recon", "--no-act"}
LOCK_FILE = "/var/lib/dpkg/lock-frontend"
DEB_BYTES = 1024
"""Size of every package: nothing is really fetched."""


class Call(NamedTuple):
    """One call of apt-get, taken apart."""

    verb: str
    words: tuple[str, ...]
    flags: frozenset[str]
    options: tuple[tuple[str, str], ...]

    def option(self, name: str) -> str:
        """Return the last value of `-o name=value`, names compared without case as apt does."""
        values = [value for key, value in self.options if key.lower() == name.lower()]
        return values[-1] if values else ""

    def is_on(self, name: str) -> bool:
        """Say whether an option is set to what apt reads as true."""
        return self.option(name).lower() in {"1", "true", "yes"}

    def has(self, *flags: str) -> bool:
        return any(flag in self.flags for flag in flags)

    @property
    def force(self) -> frozenset[str]:
        """The --force-... things passed on to dpkg."""
        words = [value for key, value in self.options if key.lower().startswith("dpkg::options")]
        return frozenset(word.removeprefix("--force-") for word in words)


def parse(arguments: list[str]) -> Call:
    """Take a command line apart; short flags may stand together."""
    flags: set[str] = set()
    options: list[tuple[str, str]] = []
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in {"-o", "--option"}:
            options.append(_pair(rest.pop(0)))
        elif word.startswith("-o") and len(word) > 2:
            options.append(_pair(word[2:]))
        elif word.startswith("--option="):
            options.append(_pair(word.removeprefix("--option=")))
        elif word in {"-t", "--target-release", "-c"}:
            rest.pop(0)
        elif word.startswith("--"):
            flags.add(word)
        elif word.startswith("-") and len(word) > 1:
            flags |= {f"-{letter}" for letter in word[1:] if letter not in "=0123456789"}
        else:
            words.append(word)
    verb = words[0] if words else ""
    return Call(verb, tuple(words[1:]), frozenset(flags), tuple(options))


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def main(tool: str, arguments: list[str]) -> int:
    """Run apt-get or apt."""
    call = parse(arguments)
    if call.has("--version", "-v"):
        say("apt 2.6.1 (amd64)")
        return 0
    if tool == "apt":
        complain(
            "\nWARNING: apt does not have a stable CLI interface. Use with caution in scripts.\n"
        )
    return _run(Store(), call, tool)


def _run(store: Store, call: Call, tool: str) -> int:
    match call.verb:
        case "list":
            status = _list(store, call)
        case "update":
            status = _update(store)
        case "indextargets":
            status = _targets(store)
        case "upgrade" | "dist-upgrade" | "full-upgrade":
            status = _change(store, call, _upgrade(store, call, tool), tool)
        case "install" | "reinstall":
            only = call.has("--only-upgrade")
            again = call.has("--reinstall")
            solution = solve_install(store, call.words, only_upgrade=only, reinstall=again)
            status = _change(store, call, solution, tool)
        case "remove" | "purge":
            status = _change(store, call, Solution(removals=call.words), tool)
        case "check" | "clean" | "autoclean" | "autoremove":
            status = 0
        case _:
            complain(f"E: Invalid operation {call.verb}")
            status = 100
    return status


def _upgrade(store: Store, call: Call, tool: str) -> Solution:
    ignored = call.has("--ignore-hold") or call.is_on("APT::Ignore-Hold")
    new = call.verb != "upgrade" or tool == "apt" or call.has("--with-new-pkgs")
    wish = Wish(
        new_packages=new,
        ignore_hold=ignored,
        ignore_phasing=call.is_on("APT::Get::Always-Include-Phased-Updates"),
    )
    return solve_upgrade(store, wish)


def _update(store: Store) -> int:
    if not store.is_root:
        say("Reading package lists...")
        complain(
            "E: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)"
        )
        complain("E: Unable to lock directory /var/lib/apt/lists/")
        return 100
    if (store.root / "etc/wm-mirror.down").exists():
        for number, site in enumerate(ORIGINS, start=1):
            say(f"Err:{number} {ORIGINS[site][1]} {SUITES[site]} InRelease")
        say("Reading package lists...")
        for site in ORIGINS:
            address = f"{ORIGINS[site][1]}/dists/{SUITES[site]}/InRelease"
            complain(f"W: Failed to fetch {address}  Could not connect to the archive")
        complain(
            "W: Some index files failed to download. They have been ignored, or old ones used"
            " instead."
        )
        return 0
    for number, site in enumerate(ORIGINS, start=1):
        say(f"Hit:{number} {ORIGINS[site][1]} {SUITES[site]} InRelease")
    store.data["lists"] = list(store.catalogue["offered"])
    store.data["updated_at"] = time.time()
    store.save()
    say("Reading package lists...")
    return 0


def _targets(store: Store) -> int:
    """Answer in the one form that wavemend asks for: address, release, trusted, place."""
    for number, site in enumerate(ORIGINS if store.data.get("updated_at") else (), start=1):
        place = f"/etc/apt/sources.list:{number}"
        say(f"{ORIGINS[site][1]}/\t{SUITES[site]}\tyes\t{place}")
    return 0


def _list(store: Store, call: Call) -> int:
    say("Listing...")
    solution = solve_upgrade(store, Wish(new_packages=True, ignore_hold=True, ignore_phasing=True))
    if not call.has("--upgradable", "--upgradeable"):
        for name, package in sorted(store.installed.items()):
            say(f"{name}/now {package['version']} {package['arch']} [installed]")
        return 0
    for step in sorted(solution.steps):
        if step.old:
            archive = ORIGINS[step.package["site"]][0].rpartition("/")[2].rpartition(":")[2]
            version = f"{step.package['version']} {step.package['arch']}"
            say(f"{step.name}/{archive} {version} [upgradable from: {step.old}]")
    return 0


def _names(title: str, names: list[str]) -> None:
    if names:
        say(title)
        for line in textwrap.wrap(" ".join(names), 77, break_on_hyphens=False):
            say(f"  {line}")


def _announce(call: Call, solution: Solution, store: Store) -> None:
    for words in solution.newest:
        say(words)
    steps = sorted(solution.steps)
    if "upgrade" in call.verb:
        _names("The following upgrades have been deferred due to phasing:", [*solution.deferred])
        _names("The following packages have been kept back:", [*solution.kept])
    down = [step.name for step in steps if step.is_downgrade]
    up = [step.name for step in steps if step.old and not step.is_downgrade]
    new = [step.name for step in steps if not step.old]
    _names("The following packages will be REMOVED:", sorted(solution.removals))
    _names("The following NEW packages will be installed:", new)
    _names("The following held packages will be changed:", [*solution.held])
    _names("The following packages will be upgraded:", up)
    _names("The following packages will be DOWNGRADED:", down)
    downgraded = f", {len(down)} downgraded" if down else ""
    later = len(solution.kept) + len(solution.deferred)
    say(
        f"{len(up)} upgraded, {len(new)} newly installed{downgraded},"
        f" {len(solution.removals)} to remove and {later} not upgraded."
    )
    unfinished = sum(package["status"] != "ii" for package in store.installed.values())
    if unfinished:
        say(f"{unfinished} not fully installed or removed.")


def _refusal(call: Call, solution: Solution) -> str:
    """Return why apt-get -y would not do it at all."""
    if not call.has("-y", "--yes", "--assume-yes", "--force-yes"):
        return ""
    if solution.held and not call.has("--allow-change-held-packages"):
        return "Held packages were changed and -y was used without --allow-change-held-packages."
    backwards = call.has("--allow-downgrades") or call.is_on("APT::Get::Allow-Downgrades")
    if any(s.is_downgrade for s in solution.steps) and not backwards:
        return "Packages were downgraded and -y was used without --allow-downgrades."
    if solution.removals and call.has("--no-remove"):
        return "Packages need to be removed but remove is disabled."
    return ""


def _change(store: Store, call: Call, solution: Solution, tool: str) -> int:
    simulated = call.has(*SIMULATE)
    if simulated and not store.is_root:
        say("NOTE: This is only a simulation!")
        say(f"      {tool} needs root privileges for real execution.")
        say("      Keep also in mind that locking is deactivated,")
        say("      so don't depend on the relevance to the real current situation!")
    say("Reading package lists...\nBuilding dependency tree...\nReading state information...")
    if "upgrade" in call.verb:
        say("Calculating upgrade...")
    if solution.error:
        complain(f"E: {solution.error}")
        return 100
    if simulated:
        _announce(call, solution, store)
        if refusal := _refusal(call, solution):
            complain(f"E: {refusal}")
            return 100
        _print_steps(store, solution)
        return 0
    if call.has("--print-uris"):
        return _print_uris(store, call, solution)
    return _apply(store, call, solution, tool)


def _print_uris(store: Store, call: Call, solution: Solution) -> int:
    _announce(call, solution, store)
    if refusal := _refusal(call, solution):
        complain(f"E: {refusal}")
        return 100
    _say_sizes(solution.steps)
    for step in solution.steps:
        file = f"{step.name}_{step.package['version']}_{step.package['arch']}.deb"
        say(f"'{ORIGINS[step.package['site']][1]}/pool/{file}' {file} {DEB_BYTES} ")
    return 0


def _print_steps(store: Store, solution: Solution) -> None:
    for name in solution.removals:
        say(f"Remv {name} [{store.installed[name]['version']}]")
    for step in solution.steps:
        origin = ORIGINS[step.package["site"]][0]
        new = f"({step.package['version']} {origin} [{step.package['arch']}])"
        say(f"Inst {step.name} [{step.old}] {new}" if step.old else f"Inst {step.name} {new}")
        say(f"Conf {step.name} {new}")


def _apply(store: Store, call: Call, solution: Solution, tool: str) -> int:
    if not store.is_root:
        complain(f"E: Could not open lock file {LOCK_FILE} - open (13: Permission denied)")
        complain(f"E: Unable to acquire the dpkg frontend lock ({LOCK_FILE}), are you root?")
        return 100
    wait = float(call.option("DPkg::Lock::Timeout") or 0)
    with dpkg_lock(store, wait if wait >= 0 else 86_400.0, tool) as holder:
        if holder:
            complain(f"E: Could not get lock {LOCK_FILE}. It is held by {holder}")
            complain(
                f"N: Be aware that removing the lock file is not a solution and may break your"
                f" system.\nE: Unable to acquire the dpkg frontend lock ({LOCK_FILE}),"
                " is another process using it?"
            )
            return 100
        if store.interrupted().exists():
            complain(
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct"
                " the problem. "
            )
            return 100
        return _install(Store(), call, solution)


def _install(store: Store, call: Call, solution: Solution) -> int:
    _announce(call, solution, store)
    if refusal := _refusal(call, solution):
        complain(f"E: {refusal}")
        return 100
    unfinished = [name for name, each in store.installed.items() if each["status"] != "ii"]
    if not solution.steps and not unfinished and not solution.removals:
        return 0
    if not call.has("-y", "--yes", "--assume-yes") and solution.steps:
        say("Do you want to continue? [Y/n] Abort.")
        return 1
    if call.has("-d", "--download-only"):
        return 0
    _fetch(solution.steps)
    for name in solution.removals:
        say(f"Removing {name} ({store.installed[name]['version']}) ...")
        del store.installed[name]
        store.save()
    failed = process(store, solution.steps, call.force)
    if not failed:
        return 0
    sys.stdout.flush()
    complain("Errors were encountered while processing:\n" + "\n".join(f" {n}" for n in failed))
    complain("E: Sub-process /usr/bin/dpkg returned an error code (1)")
    return 100


def _say_sizes(steps: tuple[Step, ...]) -> None:
    say(f"Need to get {len(steps) * DEB_BYTES} B of archives.")
    say("After this operation, 0 B of additional disk space will be used.")


def _fetch(steps: tuple[Step, ...]) -> None:
    _say_sizes(steps)
    for number, step in enumerate(steps, start=1):
        site, package = step.package["site"], step.package
        place = f"{ORIGINS[site][1]} {SUITES[site]}/main {package['arch']} {step.name}"
        say(f"Get:{number} {place} {package['arch']} {package['version']} [{DEB_BYTES} B]")
    say(f"Fetched {len(steps) * DEB_BYTES} B in 0s (1024 kB/s)")
    say("(Reading database ... 6543 files and directories currently installed.)")
