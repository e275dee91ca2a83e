"""A host's disk: an overlay over the shared base, and what day zero puts on it."""

import hashlib
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from tests.lab import base
from tests.lab.errors import LabError, run
from tests.lab.families.ground import Ground
from tests.lab.image import Image, locked
from tests.lab.namespaces import inside, overlay_options
from tests.lab.spec import HostSpec


def prepare_folder(folder: Path, mode: str) -> None:
    """Empty the folder of all disks; on memory instead where its filesystem bears no overlay."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trial = Disk(folder / ".trial", mode)
    try:
        trial.mount([folder])
    except LabError:
        run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder])
    else:
        trial.erase()


class Disk:
    """One overlay: `root` is the merged view, mounted in the supervisor's namespace."""

    def __init__(self, folder: Path, mode: str, bounds: str = "") -> None:
        """Name the disk; nothing is made yet. `bounds` are options of a tmpfs that holds it."""
        self.folder = folder
        self.root = folder / "root"
        self.upper = folder / "upper"
        self._mode = mode
        self._bounds = bounds

    def mount(self, lower: Sequence[Path]) -> None:
        """Make the disk anew over the lower layers."""
        if self._bounds:
            self.folder.mkdir(parents=True)
            run(["mount", "-t", "tmpfs", "-o", f"mode=755,{self._bounds}", "tmpfs", self.folder])
        work = self.folder / "work"
        for path in (self.root, self.upper, work):
            path.mkdir(parents=True)
        options = overlay_options(self._mode, lower, self.upper, work)
        run(["mount", "-t", "overlay", "-o", options, "overlay", self.root])

    def unmount(self) -> None:
        """Take the merged view away, if it is there."""
        for path in (self.root, self.folder):
            if path.is_mount():
                run(["umount", "--lazy", path])

    def erase(self) -> None:
        """Forget everything that was written."""
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)


def layers_for(ground: Ground, mode: str, spec: HostSpec) -> list[Path]:
    """Return the lower layers of a host: its lab packages, installed once per combination."""
    if not spec.packages and not spec.held:
        return [*ground.lower]
    wanted = f"{sorted(spec.packages)} {sorted(spec.held)}"
    layer = ground.folder / "layers" / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    with locked(ground.folder / "layers.lock"):
        if not layer.exists():
            _build_layer(ground, mode, spec, layer)
    return [layer, *ground.lower]


def _build_layer(ground: Ground, mode: str, spec: HostSpec, layer: Path) -> None:
    for stale in layer.parent.glob(".new.*"):  # of builds that were interrupted
        shutil.rmtree(stale)
    disk = Disk(Path(mkdtemp(prefix=".new.", dir=layer.parent)) / "disk", mode)
    disk.mount(ground.lower)
    try:
        if spec.packages:
            ground.family.install(disk.root, ground.pool, sorted(spec.packages))
        if spec.held:
            ground.family.hold(disk.root, sorted(spec.held))
    finally:
        disk.unmount()
    disk.upper.chmod(0o755)
    disk.upper.rename(layer)
    shutil.rmtree(disk.folder.parent)


def identity_of(image: Image, folder: Path, name: str) -> Path:
    """Return the folder with a host's own keys and machine id, made once per lab state."""
    own = folder / name
    if not (own / "machine-id").exists():
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        make_ssh_key(image, own, "ssh_host_ed25519_key", f"root@{name}")
        (own / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    return own


def make_ssh_key(image: Image, folder: Path, name: str, comment: str) -> None:
    """Make a key pair by the image's own ssh-keygen."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", f"/mnt/{name}"]
    inside(image.root, words, bind=folder)


def write_day_zero(
    root: Path, spec: HostSpec, *, identity: Path, login_key: str, addresses: dict[str, str]
) -> None:
    """Write what makes the disk this host's: name, keys, logins, neighbours, the spec's files."""
    etc = root / "etc"
    (etc / "hostname").write_text(f"{spec.name}\n")
    neighbours = "".join(f"{address} {name}\n" for name, address in addresses.items())
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {spec.name}\n{neighbours}")
    shutil.copyfile(identity / "machine-id", etc / "machine-id")
    for name, mode in (("ssh_host_ed25519_key", 0o600), ("ssh_host_ed25519_key.pub", 0o644)):
        shutil.copyfile(identity / name, etc / "ssh" / name)
        (etc / "ssh" / name).chmod(mode)
    for user in (base.LOGIN, base.LIMITED):
        (root / "home" / user / ".ssh" / "authorized_keys").write_text(login_key)
    if spec.clock:
        _set_date(root / "usr/bin/date", spec.clock)
    for path, text in spec.files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _set_date(program: Path, ahead: int) -> None:
    """Make `date` tell another time; one that is asked about a named time is left alone."""
    program.rename(program.with_name("date.real"))
    program.write_text(
        "#!/bin/sh\n"
        'case " $* " in *" -d"* | *" --date"* | *" -r"*) exec date.real "$@" ;; esac\n'
        f'exec date.real -d "@$(($(date.real +%s) + {ahead}))" "$@"\n'
    )
    program.chmod(0o755)
