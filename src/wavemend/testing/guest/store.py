"""What a simulated host remembers: its packages, the lists it fetched, its locks, its /proc."""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavemend.testing.guest.versions import VERSION_ORDER

Package = dict[str, Any]
"""One version of one package, as it stands in the catalogue: see `simulated.catalogue`."""

ORIGINS = {
    "security": (
        "Debian-Security:12/oldstable-security",
        "http://mirror.example.org/debian-security",
    ),
    "release": ("Debian:12.15/oldstable", "http://mirror.example.org/debian"),
    "lab": ("wavemend-lab:stable", "http://mirror.lab/wavemend-lab"),
}
"""Per archive: how `apt-get -s` names it, and its address."""

SUITES = {"security": "bookworm-security", "release": "bookworm", "lab": "stable"}
RELEASES = {
    "security": "v=12,o=Debian,a=oldstable-security,n=bookworm-security,l=Debian-Security,c=main",
    "release": "v=12.15,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main",
    "lab": "o=wavemend-lab,a=stable,n=bookworm,l=wavemend-lab,c=main",
}


def say(text: str = "") -> None:
    """Print a line; where nobody listens any more, go on in silence, as apt does."""
    if "-qq" in sys.argv:
        return
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Print a line to stderr."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Store:
    """One host's memory, on disk. Every change is written at once: the next line may be a kill."""

    def __init__(self) -> None:
        self.root = Path(os.environ["WAVEMEND_ROOT"])
        self.folder = self.root.parent
        self.is_root = os.environ.get("WAVEMEND_SIM_UID") == "0"
        self._file = self.folder / "packages.json"
        self.data: dict[str, Any] = json.loads(self._file.read_text())
        self.catalogue: dict[str, Any] = json.loads(
            (self.folder.parent.parent / "catalogue.json").read_text()
        )
        self.known: dict[str, Package] = {
            f"{package['name']}={package['version']}": package
            for package in self.catalogue["packages"]
        }

    @property
    def installed(self) -> dict[str, Package]:
        """Return the installed packages by name; each has `version` and `status`."""
        packages: dict[str, Package] = self.data["installed"]
        return packages

    @property
    def held(self) -> list[str]:
        """Return the names of held packages."""
        names: list[str] = self.data["held"]
        return names

    def save(self) -> None:
        """Write the memory, whole or not at all."""
        new = self._file.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(self.data, indent=1, sort_keys=True))
        new.replace(self._file)

    def versions_of(self, name: str) -> list[Package]:
        """Return the versions the fetched lists offer, newest first."""
        found = [self.known[key] for key in self.data["lists"] if key.startswith(f"{name}=")]
        return sorted(found, key=lambda package: VERSION_ORDER(package["version"]), reverse=True)

    def interrupted(self) -> Path:
        """Return the file whose presence says that a run of dpkg was cut off."""
        return self.root / "var/lib/dpkg/updates/0000"

    def log(self, words: str) -> None:
        """Append to dpkg's log."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}\n"
        with (self.root / "var/log/dpkg.log").open("a") as file:
            file.write(line)

    def log_install(self, name: str, version: str) -> None:
        """Append to the host's own proof of installs: one line per configure."""
        with (self.root / "var/log/wm-installs.log").open("a") as file:
            file.write(f"{name} {version} {int(time.time())}\n")


@contextlib.contextmanager
def dpkg_lock(store: Store, seconds: float, comm: str) -> Iterator[str]:
    """Take dpkg's locks and yield an empty string, or who holds them after `seconds` of waiting.

    Real locks, and shown under the host's own /proc, where a look at the host finds the holder.
    """
    ends_at = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        for name in ("lock-frontend", "lock"):
            path = store.root / "var/lib/dpkg" / name
            file = stack.enter_context(path.open("a"))
            while not _try_lock(file.fileno()):
                if time.monotonic() >= ends_at:
                    yield holder(store, name)
                    return
                time.sleep(0.1)
            stack.enter_context(_shown_in_proc(store, path, comm))
        yield ""


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _shown_in_proc(store: Store, path: Path, comm: str) -> Iterator[None]:
    pid = os.getpid()
    folder = store.root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True, exist_ok=True)
    (folder / "comm").write_text(f"{comm[:15]}\n")
    (folder / "fd" / ("4" if path.name == "lock" else "5")).symlink_to(path)
    write_proc_locks(store.root)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        write_proc_locks(store.root)


def write_proc_locks(root: Path) -> None:
    """Write the host's /proc/locks from the processes that are still alive."""
    lines: list[str] = []
    for folder in sorted((root / "proc").glob("[0-9]*")):
        if not is_alive(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for number, _ in enumerate(sorted(folder.glob("fd/*"))):
            lines.append(
                f"{len(lines) + 1}: POSIX  ADVISORY  WRITE {folder.name} 00:2a:{number} 0 EOF"
            )
    (root / "proc/locks").write_text("".join(f"{line}\n" for line in lines))


def is_alive(pid: int) -> bool:
    """Say whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def holder(store: Store, name: str) -> str:
    """Return who holds a lock as apt words it: `process 1234 (apt-get)`."""
    for link in sorted((store.root / "proc").glob("[0-9]*/fd/*")):
        if link.is_symlink() and link.readlink().name == name:
            pid = link.parent.parent.name
            with contextlib.suppress(OSError):
                comm = (link.parent.parent / "comm").read_text().strip()
                return f"process {pid} ({comm})"
    return "another process"
