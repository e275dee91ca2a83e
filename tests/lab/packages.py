"""The lab's own packages: what real security updates do not show on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.errors import run

_LOG = 'echo "{name} {version} $(date +%s)" >> /var/log/wm-installs.log'

# How long wm-slow 2.0 takes, unless the host says otherwise: long enough to interrupt it.
_SLOW = """\
seconds=20
[ ! -f /etc/wm-slow.seconds ] || read -r seconds </etc/wm-slow.seconds
: >/run/wm-slow.started
sleep "$seconds"
rm -f /run/wm-slow.started"""

_REBOOT = """\
echo "*** System restart required ***" >/run/reboot-required
echo wm-reboot >>/run/reboot-required.pkgs"""


@dataclass(frozen=True, slots=True)
class LabPackage:
    """One version of one package.

    Attributes:
        unpack: Shell lines before anything of the package is on the disk.
        before: Shell lines of the postinst before the install is logged.
        after: Shell lines of the postinst after it was logged.
        debian: Shell lines at the end of the postinst that only a Debian package would have.
        payload: MiB of zeros that it installs in its folder of /usr/share.
        late: Built, but offered by the archive only once it is published.
    """

    name: str
    version: str
    depends: str = ""
    conflicts: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    unpack: str = ""
    before: str = ""
    after: str = ""
    debian: str = ""
    payload: int = 0
    late: bool = False

    @property
    def deb(self) -> str:
        """Return the file name in the pool."""
        return f"{self.name}_{self.version}_all.deb"

    def script(self) -> str:
        """Return what every family runs after the unpacking.

        Its log line is the host's own proof of an install.
        """
        log = _LOG.format(name=self.name, version=self.version)
        return "\n".join(part for part in (self.before, log, self.after) if part)

    def maintainer_scripts(self) -> dict[str, str]:
        """Return Debian's scripts by name."""
        body = "\n".join(part for part in (self.script(), self.debian) if part)
        scripts = {"postinst": f'#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n{body}\n'}
        if self.unpack:
            scripts["preinst"] = f"#!/bin/sh\nset -e\n{self.unpack}\n"
        return scripts

    def control(self) -> str:
        """Return the control file."""
        relations = {"Depends": self.depends, "Conflicts": self.conflicts}
        lines = "".join(f"{key}: {value}\n" for key, value in relations.items() if value)
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\n"
            f"Maintainer: wavemend lab <lab@example.org>\nSection: admin\nPriority: optional\n"
            f"Installed-Size: {8 + (self.payload << 10)}\n"
            f"{lines}Description: package of the wavemend lab\n"
        )


def _plain(name: str, version: str, *, late: bool = False) -> LabPackage:
    files = {f"usr/share/{name}/version": f"{version}\n"}
    return LabPackage(name, version, files=files, late=late)


def _conffile(version: str, text: str) -> LabPackage:
    path = "etc/wm-conffile.conf"
    return LabPackage(
        "wm-conffile", version, files={path: f"greeting = {text}\n"}, conffiles=(f"/{path}",)
    )


PACKAGES = (
    _plain("wm-fine", "1.0"),
    _plain("wm-fine", "2.0"),
    LabPackage("wm-fails", "1.0"),
    # Logged before it fails: the log counts attempts, so a blind retry would show.
    LabPackage("wm-fails", "2.0", after="echo 'wm-fails: this package always fails' >&2\nexit 1"),
    LabPackage("wm-slow", "1.0"),
    # Logged when it is through: an interrupted install leaves no line.
    LabPackage("wm-slow", "2.0", before=_SLOW),
    _conffile("1.0", "hello from the package"),
    _conffile("2.0", "hello from version 2.0 of the package"),
    LabPackage("wm-reboot", "1.0"),
    LabPackage("wm-reboot", "2.0", debian=_REBOOT),
    LabPackage("wm-newdep", "1.0"),
    LabPackage("wm-newdep", "2.0", depends="wm-extra"),
    _plain("wm-extra", "2.0"),
    LabPackage("wm-refuses", "1.0"),
    LabPackage("wm-refuses", "2.0", unpack="echo 'wm-refuses: not on this host' >&2\nexit 1"),
    LabPackage("wm-clash", "1.0"),
    LabPackage("wm-clash", "2.0", conflicts="wm-fine"),
    LabPackage("wm-big", "1.0"),
    LabPackage("wm-big", "2.0", payload=64),
    _plain("wm-late", "1.0"),
    _plain("wm-late", "2.0", late=True),
    _plain("wm-late", "3.0", late=True),
)

# What a host can have installed from the first boot on.
DAY_ZERO_PACKAGES = frozenset(package.name for package in PACKAGES if package.version == "1.0")


def write_tree(package: LabPackage, tree: Path) -> None:
    """Write the files of a package, laid out as on the host."""
    tree.mkdir(parents=True)
    for path, text in package.files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    if package.payload:
        folder = tree / "usr/share" / package.name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "payload").open("wb") as file:
            file.truncate(package.payload << 20)


def build_package(package: LabPackage, work: Path, pool: Path) -> None:
    """Build one .deb into the pool, by the real dpkg-deb."""
    tree = work / f"{package.name}-{package.version}"
    write_tree(package, tree)
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(package.control())
    for name, script in package.maintainer_scripts().items():
        (control / name).write_text(script)
        (control / name).chmod(0o755)
    if package.conffiles:
        (control / "conffiles").write_text("".join(f"{path}\n" for path in package.conffiles))
    run(["dpkg-deb", "--root-owner-group", "--build", tree, pool / package.deb])
