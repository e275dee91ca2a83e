"""The image of one family: a layer over the Debian base, its packages and its repositories.

As with the base image, `ensure_ground` is called by the user's process; the work itself is
`python -m tests.lab.families.build`, in namespaces where it is root.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from tests.lab.disks import Disk
from tests.lab.errors import LabError, machine_env, run
from tests.lab.families import Family
from tests.lab.families.family import Kitchen, common_recipes
from tests.lab.families.ground import Ground, ground_of
from tests.lab.image import Image, locked
from tests.lab.namespaces import inside, unshare_argv
from tests.lab.sources import PrivateApt, machine_sources

_HERE = Path(__file__).parent
_BUILD_SECONDS = 900


def ensure_ground(image: Image, mode: str, name: str, say: Callable[[str], None]) -> Ground:
    """Return what hosts of a family stand on, building it first if this recipe has none yet."""
    ground = ground_of(image, name)
    with locked(ground.folder.with_suffix(".lock")):
        if not ground.is_built():
            say(f"building the hosts of the family {name}: half a minute, only once")
            env = machine_env(PYTHONPATH=str(_HERE.parent.parent.parent))
            builder = [sys.executable, "-m", "tests.lab.families.build"]
            words = [str(image.folder), mode, name, str(ground.folder)]
            run([*unshare_argv(mode), *builder, *words], timeout=_BUILD_SECONDS, env=env)
    return ground


def build(image: Image, mode: str, ground: Ground) -> None:
    """Build a family's image beside its final place and move it there when everything worked."""
    folder, family = ground.folder, ground.family
    if family.build is None:
        raise LabError(f"the family {family.name} is the base image itself")
    for stale in folder.parent.glob(f".{folder.name}.*"):  # of builds that were interrupted
        shutil.rmtree(stale)
    work = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    work.chmod(0o755)
    disk = Disk(work / "disk", mode)
    disk.mount([image.root])
    kitchen = Kitchen(disk.root, work / "kitchen")
    try:
        _install_programs(image, disk.root, work, family)
        _lay_out_keys(image, kitchen)
        family.build(kitchen, common_recipes(image, kitchen))
    finally:
        disk.unmount()
    done = work / "image"
    done.mkdir()
    disk.upper.chmod(0o755)
    disk.upper.rename(done / "layer")
    for name in ("pool", "repos"):
        (kitchen.folder / name).rename(done / name)
    (done / "layers").mkdir()
    shutil.rmtree(folder, ignore_errors=True)
    done.rename(folder)
    shutil.rmtree(work)


def _install_programs(image: Image, root: Path, work: Path, family: Family) -> None:
    """Install the manager and its tools by the root's own apt, which orders them as they need."""
    apt = PrivateApt(work / "apt", machine_sources(), image.root / "var/lib/dpkg/status")
    debs = apt.download_for(*family.programs)
    kept = work / "debs"
    kept.mkdir()
    for deb in debs:
        deb.rename(kept / deb.name)
    # Nobody reads about programs here.
    unread = [f"--path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
    options = ["--force-unsafe-io", *unread]
    words = [word for option in options for word in ("-o", f"DPkg::Options::={option}")]
    script = 'exec apt-get -q -y --no-install-recommends "$@" install /mnt/*.deb'
    inside(root, ["sh", "-c", script, "-", *words], bind=kept, timeout=_BUILD_SECONDS)


def _lay_out_keys(image: Image, kitchen: Kitchen) -> None:
    # Copied, as gpg writes beside its keys, and another family may be built at the same time.
    ignored = shutil.ignore_patterns("S.*")
    shutil.copytree(image.secrets / "gnupg", kitchen.folder / "gnupg", ignore=ignored)
    export = ["--homedir", "/mnt/gnupg", "--armor", "--output", "/mnt/key.asc", "--export"]
    inside(kitchen.root, ["gpg", "--batch", *export], bind=kitchen.folder)


def main(image: Image, mode: str, ground: Ground) -> None:
    """Build the image unless somebody else did while we waited."""
    os.umask(0o022)  # what is made here is the hosts' own
    # A second lock, as this process may outlive the one that started it.
    with locked(ground.folder.with_suffix(".build")):
        if not ground.is_built():
            build(image, mode, ground)


if __name__ == "__main__":
    _IMAGE = Image(Path(sys.argv[1]))
    main(_IMAGE, sys.argv[2], Ground.at(_IMAGE, sys.argv[3], Path(sys.argv[4])))
