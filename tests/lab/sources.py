"""What this machine's own apt is set up with: the lab takes its Debian from there."""

import platform
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError, machine_env, run
from tests.lab.namespaces import which

_SUITE = re.compile(r"^'((?:https?|file):\S+)/dists/([^/']+)/main/binary-", re.MULTILINE)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the release pocket and the security pocket are fetched from."""

    codename: str
    release_uri: str
    security_uri: str

    @property
    def security_suite(self) -> str:
        """Return the security pocket's name as Debian spells it since bullseye."""
        return f"{self.codename}-security"

    def lines(self) -> str:
        """Return both pockets as a sources.list."""
        option = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        return (
            f"deb {option}{self.release_uri} {self.codename} main\n"
            f"deb {option}{self.security_uri} {self.security_suite} main\n"
        )


def machine_sources() -> Sources:
    """Read the machine's apt sources; nothing about where Debian lives is known to the lab."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        raise LabError("the lab builds its hosts from the machine's own Debian release: use Debian")
    codename = release["VERSION_CODENAME"]
    found = {suite: uri for uri, suite in _SUITE.findall(_planned_downloads())}
    for suite in (codename, f"{codename}-security"):
        if suite not in found:
            raise LabError(f"the machine's apt sources lack {suite} main: add it and try again")
    return Sources(codename, found[codename], found[f"{codename}-security"])


def _planned_downloads() -> str:
    """Return what apt would fetch on an update: it says so even where it never fetched anything."""
    with tempfile.TemporaryDirectory() as lists:
        (Path(lists) / "partial").mkdir()
        return run(["apt-get", "-o", f"Dir::State::Lists={lists}", "--print-uris", "update"])


class PrivateApt:
    """The machine's apt, working on another root's package list and in its own folders."""

    def __init__(self, work: Path, sources: Sources, status: Path) -> None:
        """Fetch the package lists; `status` is the dpkg status file of the root to look at."""
        self.lists = work / "lists"
        self.archives = work / "cache" / "archives"
        for folder in (self.lists, self.archives):
            (folder / "partial").mkdir(parents=True)
        listing = work / "sources.list"
        listing.write_text(sources.lines())
        options = {
            "Dir::Etc::SourceList": listing,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": work,
            "Dir::State::Lists": self.lists,
            "Dir::State::status": status,
            "Dir::Cache": work / "cache",
            "Dir::Cache::Archives": self.archives,
            # In a user namespace apt's own download user cannot read these folders.
            "APT::Sandbox::User": "root",
        }
        words = (word for key, value in options.items() for word in ("-o", f"{key}={value}"))
        self._argv = ["apt-get", "-q", "-y", *words]

        run([*self._argv, "update"], timeout=600)

    def download_updates(self) -> list[Path]:
        """Fetch every pending update of that root, and return the packages."""
        run([*self._argv, "--download-only", "dist-upgrade"], timeout=1200)
        return sorted(self.archives.glob("*.deb"))

    def download_for(self, *packages: str) -> list[Path]:
        """Fetch packages with everything they need and that root lacks, and return the files."""
        words = ["--no-install-recommends", "--download-only", "install", *packages]
        run([*self._argv, *words], timeout=1200)
        return sorted(self.archives.glob("*.deb"))

    def download(self, package: str) -> Path:
        """Fetch one package without its dependencies."""
        script = 'cd "$1" && shift && exec "$@"'  # apt downloads into the current folder
        run(["sh", "-c", script, "-", self.archives, *self._argv, "download", package], timeout=600)
        return next(self.archives.glob(f"{package}_*.deb"))

    def release_fields(self, suite: str) -> dict[str, str]:
        """Return what Debian says about a pocket, to be said again by the lab's archive."""
        wanted = ("Origin", "Label", "Suite", "Version", "Codename")
        path = next(self.lists.glob(f"*_dists_{suite}_InRelease"))
        lines = (line.partition(": ") for line in path.read_text().splitlines())
        fields = {key: value for key, _, value in lines if key in wanted}
        return {key: fields[key] for key in wanted if key in fields}


def debootstrap_command(work: Path, sources: Sources) -> tuple[list[str], dict[str, str]]:
    """Return how to call debootstrap; where it is missing it is fetched, but not installed."""
    # A container's way: device nodes are not made, which no user namespace may do.
    env = machine_env(container="lxc")
    if found := which("debootstrap"):
        return [found], env
    apt = PrivateApt(work / "fetch", sources, Path("/var/lib/dpkg/status"))
    folder = work / "debootstrap"
    run(["dpkg-deb", "--extract", apt.download("debootstrap"), folder])
    env["DEBOOTSTRAP_DIR"] = str(folder / "usr/share/debootstrap")
    return ["sh", str(folder / "usr/sbin/debootstrap")], env
