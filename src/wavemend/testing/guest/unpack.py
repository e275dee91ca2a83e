"""What dpkg does with a package: unpack, ask about conffiles, run the postinst, fail as it does."""

import contextlib
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from wavemend.testing.guest.solve import Step
from wavemend.testing.guest.store import Package, Store, complain, say


def process(store: Store, steps: Sequence[Step], force: frozenset[str]) -> list[str]:
    """Unpack and configure packages; return the names of those that failed.

    A kill at any line leaves what a kill leaves on a real host: iU or iF, and the mark that dpkg
    was interrupted.
    """
    mark = store.interrupted()
    mark.write_text("")
    unfinished = [name for name, each in sorted(store.installed.items()) if each["status"] != "ii"]
    for step in steps:
        unpack(store, step)
    names = [step.name for step in steps]
    todo = [*(name for name in unfinished if name not in names), *names]
    failed = [name for name in todo if not configure(store, name, force)]
    mark.unlink(missing_ok=True)
    return failed


def unpack(store: Store, step: Step) -> None:
    """Put the files of a package in place; it is then unpacked, not configured (iU)."""
    package = step.package
    version, old = package["version"], step.old
    file_version = version.split(":")[-1].replace("~", "%7e")
    say(f"Preparing to unpack .../{step.name}_{file_version}_{package['arch']}.deb ...")
    verb = "Unpacking" if not step.is_downgrade else "Unpacking (downgrade)"
    say(
        f"{verb} {_full(step.name, package)} ({version})"
        + (f" over ({old}) ..." if old else " ...")
    )
    verb = "upgrade" if old else "install"
    store.log(f"{verb} {step.name}:{package['arch']} {old or '<none>'} {version}")
    entry = {**package, "status": "iU"}
    entry["conffile_md5"] = store.installed.get(step.name, {}).get("conffile_md5", "")
    store.installed[step.name] = entry
    for path, text in package.get("files", {}).items():
        target = store.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    store.save()


def configure(store: Store, name: str, force: frozenset[str]) -> bool:
    """Configure an unpacked package; False leaves it iU (a question) or iF (its script failed)."""
    package = store.installed[name]
    say(f"Setting up {_full(name, package)} ({package['version']}) ...")
    if not _place_conffile(store, package, force):
        complain(
            f"dpkg: error processing package {name} (--configure):\n"
            " end of file on stdin at conffile prompt"
        )
        return False
    package["status"] = "iF"
    store.save()
    if not _postinst(store, package):
        complain(
            f"dpkg: error processing package {name} (--configure):\n"
            f" installed {name} package post-installation script subprocess returned error exit"
            " status 1"
        )
        return False
    package["status"] = "ii"
    store.save()
    store.log(f"status installed {name}:{package['arch']} {package['version']}")
    return True


def _full(name: str, package: Package) -> str:
    return f"{name}:{package['arch']}" if package.get("multi_arch") == "same" else name


def _digest(path: Path) -> str:
    # Not for security: what dpkg itself keeps of a conffile.
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _place_conffile(store: Store, package: Package, force: frozenset[str]) -> bool:
    path, text = package.get("conffile", ("", ""))
    if not path:
        return True
    target = store.root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    old = package["conffile_md5"]
    if target.exists() and old and _digest(target) not in {old, new} and new != old:
        say(f"\nConfiguration file '{path}'")
        say(" ==> Modified (by you or by a script) since installation.")
        say(" ==> Package distributor has shipped an updated version.")
        if not force & {"confold", "confdef", "confnew"}:
            say("   What would you like to do about it ?  Your options are:")
            say("    Y or I  : install the package maintainer's version")
            say("    N or O  : keep your currently-installed version")
            say(f"*** {target.name} (Y/I/N/O/D/Z) [default=N] ?")
            return False
        if "confnew" in force and "confold" not in force:
            say(" ==> Using new file as you requested.")
            target.replace(target.with_name(f"{target.name}.dpkg-old"))
            target.write_text(text)
        else:
            words = "default" if "confdef" in force else "you requested"
            say(f" ==> Keeping old config file as {words}.")
            target.with_name(f"{target.name}.dpkg-dist").write_text(text)
    elif not target.exists() or _digest(target) == old:
        target.write_text(text)
    package["conffile_md5"] = new
    return True


def _postinst(store: Store, package: Package) -> bool:
    """Do what the package's script does, in the order of the lab's real packages."""
    name, quirk = package["name"], package.get("quirk", "")
    if quirk == "slow":
        _slow(store)
    store.log_install(name, package["version"])
    if quirk == "fails":
        complain(f"{name}: this package always fails")
        return False
    if quirk == "reboot":
        (store.root / "run/reboot-required").write_text("*** System restart required ***\n")
        with (store.root / "run/reboot-required.pkgs").open("a") as file:
            file.write(f"{name}\n")
    return True


def _slow(store: Store) -> None:
    seconds = 20.0
    with contextlib.suppress(OSError, ValueError):
        seconds = float((store.root / "etc/wm-slow.seconds").read_text())
    started = store.root / "run/wm-slow.started"
    started.write_text("")
    time.sleep(seconds)
    started.unlink(missing_ok=True)
