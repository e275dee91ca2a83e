"""A root directory with a real pacman in it, and repositories made for the occasion."""

import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.local_root import LocalRoot
from tests.unit.pacman_cases import ARCH, NOON
from wavemend.hosts import DEFAULT_OPTIONS, Facts, ManagerOptions, PendingUpdate
from wavemend.managers.pacman import PacmanManager
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target

PROGRAMS = ("pacman", "pacman-conf", "flock")


def lacks() -> str:
    """Say which program of pacman's this machine lacks; empty when none."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of one package, with all that a package file says of it."""

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    backup: tuple[str, ...] = ()
    install: str = ""

    @property
    def file(self) -> str:
        """Return the name of the package file."""
        return f"{self.name}-{self.version}-any.pkg.tar.gz"

    @property
    def info(self) -> str:
        """Return .PKGINFO."""
        rows = [
            ("pkgname", self.name),
            ("pkgbase", self.name),
            ("pkgver", self.version),
            ("pkgdesc", "of the tests"),
            ("builddate", "1700000000"),
            ("size", "2048"),
            ("arch", "any"),
        ]
        for key, values in (
            ("depend", self.depends),
            ("conflict", self.conflicts),
            ("replaces", self.replaces),
            ("backup", self.backup),
        ):
            rows += [(key, value) for value in values]
        return "".join(f"{key} = {value}\n" for key, value in rows)

    def build(self) -> bytes:
        """Return the package file; each has one file of its own, so that versions differ."""
        content = {f"usr/share/{self.name}/version": self.version, **self.files}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            _add(archive, ".PKGINFO", self.info)
            if self.install:
                _add(archive, ".INSTALL", self.install)
            folders: set[Path] = set()
            for name, text in sorted(content.items()):
                for folder in sorted(set(Path(name).parents) - {Path()} - folders):
                    entry = tarfile.TarInfo(str(folder))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
                    folders.add(folder)
                _add(archive, name, text)
        return buffer.getvalue()

    def description(self, built: bytes) -> str:
        """Return its entry in a repository's database."""
        fields: list[tuple[str, Iterable[str]]] = [
            ("FILENAME", [self.file]),
            ("NAME", [self.name]),
            ("BASE", [self.name]),
            ("VERSION", [self.version]),
            ("CSIZE", [str(len(built))]),
            ("ISIZE", ["2048"]),
            ("SHA256SUM", [hashlib.sha256(built).hexdigest()]),
            ("ARCH", ["any"]),
            ("DEPENDS", self.depends),
            ("CONFLICTS", self.conflicts),
            ("REPLACES", self.replaces),
        ]
        return "".join(f"%{key}%\n{chr(10).join(values)}\n\n" for key, values in fields if values)


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_700_000_000
    archive.addfile(entry, io.BytesIO(data))


class ArchRoot:
    """One root directory: what is installed, what its one repository offers."""

    def __init__(self, folder: Path, *, ignored: str = "", server: str = "") -> None:
        """Make an empty system; nothing of this machine's own pacman is read or written."""
        self.folder = folder
        self.root = folder / "root"
        self.repository = folder / "repository"
        self.db = self.root / "var/lib/pacman"
        self.cache = self.root / "var/cache/pacman/pkg"
        for path in (self.repository, self.db, self.cache, self.root / "var/log"):
            path.mkdir(parents=True)
        (self.root / "etc").mkdir()
        (self.root / "etc/os-release").write_text('ID=arch\nNAME="Arch Linux"\nBUILD_ID=rolling\n')
        (self.root / "proc").symlink_to("/proc")
        self.configure(ignored=ignored, server=server)
        tools = folder / "bin"
        tools.mkdir()
        for name in ("pacman", "pacman-conf"):
            tool = tools / name
            own = f"--config {self.root}/etc/pacman.conf"
            tool.write_text(f'#!/bin/sh\nexec {shutil.which(name)} {own} "$@"\n')
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        self.host = LocalRoot(self.root, tools)
        self.manager = PacmanManager()
        self.published = 1_700_000_000

    def configure(self, *, ignored: str = "", server: str = "") -> None:
        """Write pacman.conf."""
        (self.root / "etc/pacman.conf").write_text(
            f"[options]\nRootDir = {self.root}\nDBPath = {self.db}/\nCacheDir = {self.cache}/\n"
            f"LogFile = {self.root}/var/log/pacman.log\nHookDir = {self.root}/etc/hooks/\n"
            f"GPGDir = {self.root}/etc/gnupg/\nArchitecture = x86_64\nSigLevel = Never\n"
            + (f"IgnorePkg = {ignored}\n" if ignored else "")
            + f"[core]\nServer = {server or f'file://{self.repository}'}\n"
        )

    def offer(self, *packages: Package) -> None:
        """Publish exactly these: the package files, and a database that names them."""
        with tarfile.open(self.repository / "core.db", "w:gz") as database:
            for package in packages:
                built = package.build()
                (self.repository / package.file).write_bytes(built)
                entry = tarfile.TarInfo(f"{package.name}-{package.version}")
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                database.addfile(entry)
                _add(database, f"{entry.name}/desc", package.description(built))
        # pacman asks for what is newer by the second: two publications must not share one.
        self.published += 10
        os.utime(self.repository / "core.db", (self.published, self.published))

    def install(self, *packages: Package) -> None:
        """Offer and install these, as an administrator does on day zero."""
        self.offer(*packages)
        names = [package.name for package in packages]
        self.pacman("-Sy", *names)

    def pacman(self, *argv: str) -> str:
        """Run pacman as the host's administrator would."""
        result = self.host.run(("pacman", "--noconfirm", *argv), deadline=60)
        assert result.exit_status == 0, result.stderr.decode()
        return result.stdout.decode()

    def look(self, *, refresh: bool = True) -> Facts:
        """Look at the host."""
        return self.manager.read_facts(ARCH, self.host, NOON, refresh=refresh, deadline=120)

    def pending(self) -> dict[str, PendingUpdate]:
        """Return the pending updates by name, after a refresh."""
        facts = self.look()
        assert facts.index_errors == ()
        return {update.name: update for update in facts.pending}

    def run(self, job: JobScript, shell: str = "sh") -> JobEnd:
        """Run a job as the detached runner does: no stdin, both streams in one log."""
        script = self.folder / "script"
        script.write_text(job.text)
        inner = 'shell=$1; shift; "$shell" "$@" </dev/null 2>&1'
        result = self.host.run(
            ("/bin/sh", "-c", inner, "job", shell, str(script), *job.args), deadline=200
        )
        return JobEnd(exit_status=result.exit_status, log=result.stdout)

    def apply(
        self, *targets: Target, options: ManagerOptions = DEFAULT_OPTIONS, shell: str = "sh"
    ) -> tuple[tuple[PackageResult, ...], JobEnd]:
        """Look, run the job, look again, and judge."""
        manager = PacmanManager(options=options)
        before = self.look(refresh=False)
        end = self.run(manager.apply_script(targets), shell)
        return manager.judge(targets, before, self.look(refresh=False), end), end


def target(name: str, version: str) -> Target:
    """Return a target for any architecture."""
    return Target(name=name, arch="any", version=version)
