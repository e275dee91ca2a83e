"""The machine of one simulated host: its files on day zero, its boots, its processes."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wavemend.testing.guest.store import write_proc_locks
from wavemend.testing.simulated.catalogue import KERNEL, LAB, base_packages
from wavemend.testing.simulated.spec import HostSpec

FOLDERS = (
    "boot",
    "etc/apt",
    "etc/systemd/system",
    "home/wavemend",
    "home/wmlimited",
    "proc/sys/kernel/random",
    "root",
    "run",
    "tmp",
    "usr/share",
    "var/lib/apt/lists",
    "var/lib/dpkg/updates",
    "var/log",
)

OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm), simulated"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
SIMULATED=wavemend
"""
"""The last line is how a look at the host learns that it is not a real one."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KILL_WITHIN = 5.0


class Machine:
    """One host's folder: `root/` is what the host sees, the rest is its hardware."""

    def __init__(self, state: Path, name: str) -> None:
        self.state = state
        self.name = name
        self.folder = state / "hosts" / name
        self.root = self.folder / "root"

    # --- day zero ---

    def build(self, spec: HostSpec, catalogue: Mapping[str, Any]) -> None:
        """Make the host as it is on day zero, never booted."""
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        installed = {each["name"]: each for each in base_packages()}
        for package in LAB:
            if package["name"] in spec.package_names and package["version"] == "1.0":
                installed[package["name"]] = package
        entries = {name: {**each, "status": "ii"} for name, each in installed.items()}
        for entry in entries.values():
            self._place_files(entry)
        data = {"installed": entries, "held": sorted(spec.held), "lists": catalogue["offered"]}
        (self.folder / "packages.json").write_text(json.dumps(data, indent=1, sort_keys=True))
        self._write_system_files()
        for path, text in spec.files.items():
            self.put(path, text)

    def _place_files(self, entry: dict[str, Any]) -> None:
        for path, text in entry.get("files", {}).items():
            self.put(path, text)
        if "conffile" in entry:
            path, text = entry["conffile"]
            self.put(path, text)
            digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            entry["conffile_md5"] = digest  # what dpkg keeps, to notice an administrator's edit

    def _write_system_files(self) -> None:
        self.put("/etc/os-release", OS_RELEASE)
        self.put("/etc/hostname", f"{self.name}\n")
        self.put("/etc/debian_version", "12.15\n")
        self.put("/etc/machine-id", f"{uuid.uuid4().hex}\n")
        self.put("/proc/sys/kernel/hostname", f"{self.name}\n")
        self.put("/proc/sys/kernel/osrelease", f"{KERNEL}\n")
        build = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)"
        self.put("/proc/version", f"Linux version {KERNEL} (simulated by wavemend) {build}\n")
        self.put(f"/boot/vmlinuz-{KERNEL}", "a kernel that is never started\n")
        self.put("/var/lib/dpkg/lock-frontend", "")
        self.put("/var/lib/dpkg/lock", "")

    def put(self, path: str, text: str) -> None:
        """Write a file of the host, by its absolute path there."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    # --- power ---

    @property
    def boots(self) -> int:
        """How often the host was switched on or rebooted so far."""
        return int(self._hardware().get("boots", 0))

    def _hardware(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.folder / "hardware.json").read_text())
            return found
        return {}

    def boot(self) -> None:
        """Come up: a new boot id, an empty /run, nobody logged in."""
        boots = self.boots + 1
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()
        for folder in (self.root / "proc").glob("[0-9]*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.put("/proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")
        hardware = {"boots": boots, "booted_at": time.time()}
        (self.folder / "hardware.json").write_text(json.dumps(hardware))
        self.refresh_proc()

    def refresh_proc(self) -> None:
        """Bring up to date what a real /proc always is: uptime, and locks of living processes."""
        up = time.time() - float(self._hardware().get("booted_at", time.time()))
        self.put("/proc/uptime", f"{up:.2f} {up:.2f}\n")
        write_proc_locks(self.root)

    def processes(self) -> list[int]:
        """Return the host's processes: all that carry its root in their environment."""
        mark = f"WAVEMEND_ROOT={self.root}".encode()
        if not Path("/proc/self/environ").exists():
            return self._processes_by_ps(mark.decode())
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return [pid for pid in found if pid != os.getpid()]

    @staticmethod
    def _processes_by_ps(mark: str) -> list[int]:
        argv = ["ps", "-axeww", "-o", "pid=,command="]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        return [int(line.split()[0]) for line in lines if mark in line.split()]

    def kill_processes(self) -> None:
        """End all processes of the host, as pulling the plug would."""
        ends_at = time.monotonic() + KILL_WITHIN
        while (pids := self.processes()) and time.monotonic() < ends_at:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    # --- running something ---

    def environment(self, user: str) -> dict[str, str]:
        """Return what a login of this user finds in its environment."""
        home = self.root / ("root" if user == "root" else f"home/{user}")
        return {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "LOGNAME": user,
            "PATH": f"{self.state / 'bin'}:{SYSTEM_PATH}",
            "SHELL": "/bin/sh",
            "USER": user,
            "WAVEMEND_ROOT": str(self.root),
            "WAVEMEND_SIM_UID": "0" if user == "root" else "1000",
        }

    def start(self, command: bytes, user: str) -> "subprocess.Popen[bytes]":
        """Start a command line by the machine's real shell, as sshd would."""
        self.refresh_proc()
        environment = self.environment(user)
        return subprocess.Popen(
            [b"/bin/sh", b"-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
        )

    def run_as_root(self, argv: Sequence[str]) -> int:
        """Run a command as the host's root, past its SSH server, on our own streams."""
        self.refresh_proc()
        environment = self.environment("root")
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@"', "sh", *argv],
            env=environment,
            cwd=environment["HOME"],
            check=False,
        )
        return done.returncode
