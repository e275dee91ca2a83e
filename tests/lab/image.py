"""The base image of all hosts and the archives they update from, built once and kept.

`ensure_image` is called by the user's process; the work itself is `python -m tests.lab.image`,
started in namespaces where it is root, with the machine's network.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.lab import archive, base
from tests.lab.errors import LabError, machine_env, run
from tests.lab.namespaces import ROOTLESS, unshare_argv
from tests.lab.packages import PACKAGES, build_package
from tests.lab.sources import PrivateApt, Sources, debootstrap_command, machine_sources

_HERE = Path(__file__).parent
# What the image is made from: a change in any of these files makes another image.
_RECIPE = (
    "archive.py",
    "base.py",
    "image.py",
    "packages.py",
    "sources.py",
    "guest/init",
    "guest/power.sh",
)
# Downloads over a slow line included.
_BUILD_SECONDS = 1800
LAB_FIELDS = {"Origin": "wavemend-lab", "Label": "wavemend-lab", "Suite": "stable"}


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image.

    Attributes:
        folder: Holds `root` (the shared lower layer), `pool`, `dists` per archive, `secrets`
            (the archive's signing key) and `layers` (installed lab packages, per combination).
    """

    folder: Path

    @property
    def root(self) -> Path:
        """Return the shared root of all hosts."""
        return self.folder / "root"

    @property
    def secrets(self) -> Path:
        """Return the folder of the signing key."""
        return self.folder / "secrets"

    @property
    def codename(self) -> str:
        """Return the Debian release's name."""
        return str(self.facts()["codename"])

    @property
    def architecture(self) -> str:
        """Return dpkg's name of the architecture."""
        return str(self.facts()["architecture"])

    def updates(self) -> list[str]:
        """Return the file names of the security updates in the pool."""
        updates: list[str] = self.facts()["updates"]
        return updates

    def facts(self) -> dict[str, Any]:
        """Return what the builder wrote down last: without it the image is not finished."""
        facts: dict[str, Any] = json.loads((self.folder / "image.json").read_text())
        return facts


def cache_folder() -> Path:
    """Return where images are kept."""
    if chosen := os.environ.get("WAVEMEND_LAB_CACHE"):
        return mountable(Path(chosen).absolute())
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return mountable(parent / "wavemend-lab")


def mountable(path: Path) -> Path:
    """Refuse a folder that cannot be written into the options of an overlay mount."""
    if set(str(path)) & set(",:\\"):
        raise LabError(f"the folder {path} has a comma, colon or backslash: choose another one")
    return path


def image_folder(mode: str) -> Path:
    """Return the folder of the image that this recipe and this machine's release make."""
    digest = hashlib.sha256(platform.freedesktop_os_release().get("VERSION_CODENAME", "").encode())
    for name in _RECIPE:
        digest.update((_HERE / name).read_bytes())
    # Owners differ between root and each user's range of ids, so these never share an image.
    owner = f"{ROOTLESS}-{os.getuid()}" if mode == ROOTLESS else mode
    return cache_folder() / f"{owner}-{digest.hexdigest()[:12]}"


def is_built(mode: str) -> bool:
    """Say whether the image is there already."""
    return (image_folder(mode) / "image.json").exists()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that one process at a time builds in a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_image(mode: str, say: Callable[[str], None]) -> Image:
    """Return the image, building it first if this recipe has none yet."""
    folder = image_folder(mode)
    with locked(folder.with_suffix(".lock")):
        if not is_built(mode):
            say(f"building the base image in {folder.parent}: one or two minutes, only once")
            env = machine_env(PYTHONPATH=str(_HERE.parent.parent))
            builder = [sys.executable, "-m", "tests.lab.image", str(folder)]
            run([*unshare_argv(mode), *builder], timeout=_BUILD_SECONDS, env=env)
    return Image(folder)


def build(folder: Path) -> None:
    """Build an image beside its final place and move it there when everything worked."""
    for stale in folder.parent.glob(f".{folder.name}.*"):  # of builds that were interrupted
        shutil.rmtree(stale)
    work = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    work.chmod(0o755)
    image = Image(work / "image")
    image.folder.mkdir()
    sources = machine_sources()
    old = _bootstrap(work, image.root, sources)
    apt = PrivateApt(work / "apt", sources, image.root / "var/lib/dpkg/status")
    new = apt.download_updates()
    architecture = run(["dpkg", "--print-architecture"]).strip()
    archive.make_key(image.root, image.secrets)
    _fill_pool(image, work, [*old, *new])
    for name, suite, debs in (
        ("debian", sources.codename, old),
        ("debian-security", sources.security_suite, new),
    ):
        fields = apt.release_fields(suite)
        stanzas = [archive.stanza(deb, f"pool/{deb.name}") for deb in debs]
        dists = image.folder / "dists" / name
        archive.write_archive(dists, stanzas, fields=fields, architecture=architecture)
        archive.sign(image.root, image.secrets, dists / fields["Codename"] / "Release")
    base.configure(image.root, image.secrets / "keyring.gpg", sources.codename)
    (image.folder / "layers").mkdir()
    updates = sorted(deb.name for deb in new)
    facts = {"codename": sources.codename, "architecture": architecture, "updates": updates}
    (image.folder / "image.json").write_text(json.dumps(facts, indent=2))
    shutil.rmtree(folder, ignore_errors=True)
    image.folder.rename(folder)
    shutil.rmtree(work)


def _bootstrap(work: Path, root: Path, sources: Sources) -> list[Path]:
    """Make the root from the release pocket alone, so that it really lags behind security."""
    command, env = debootstrap_command(work, sources)
    kept = work / "old"
    kept.mkdir()
    options = ["--variant=minbase", f"--cache-dir={kept}", f"--include={','.join(base.INCLUDE)}"]
    target = [sources.codename, str(root), sources.release_uri]
    run([*command, *options, *target], timeout=_BUILD_SECONDS, env=env)
    return sorted(kept.glob("*.deb"))


def _fill_pool(image: Image, work: Path, debs: list[Path]) -> None:
    """Keep old and new packages side by side: what was replaced stays installable."""
    pool = image.folder / "pool"
    pool.mkdir()
    for deb in debs:
        os.link(deb, pool / deb.name)
        (pool / deb.name).chmod(0o644)
    for package in PACKAGES:
        build_package(package, work / "packages", pool)


def main(folder: Path) -> None:
    """Build the image unless somebody else did while we waited."""
    os.umask(0o022)
    # A second lock, as this process may outlive the one that started it.
    with locked(folder.with_suffix(".build")):
        if not (folder / "image.json").exists():
            build(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
