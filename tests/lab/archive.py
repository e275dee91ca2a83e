"""Signed apt archives out of .deb files, as Debian's own look to apt."""

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.lab.errors import run
from tests.lab.namespaces import inside

_GPG = ("gpg", "--batch", "--yes", "--homedir", "/mnt/gnupg", "--pinentry-mode", "loopback")
_KEY_USER = "wavemend lab archive <lab@example.org>"


def make_key(image_root: Path, secrets: Path) -> None:
    """Make the key that signs every archive of an image, and export its public half."""
    home = secrets / "gnupg"
    home.mkdir(mode=0o700, parents=True)
    inside(
        image_root,
        [*_GPG, "--passphrase", "", "--quick-gen-key", _KEY_USER, "ed25519", "sign", "never"],
        bind=secrets,
    )
    inside(image_root, [*_GPG, "--output", "/mnt/keyring.gpg", "--export"], bind=secrets)


def stanza(deb: Path, filename: str) -> str:
    """Return a package's paragraph for the Packages file."""
    content = deb.read_bytes()
    control = run(["dpkg-deb", "--field", deb]).rstrip()
    return (
        f"{control}\nFilename: {filename}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def write_archive(
    dists: Path, stanzas: Iterable[str], *, fields: Mapping[str, str], architecture: str
) -> None:
    """Write `dists/CODENAME` anew: Packages and an unsigned Release."""
    folder = dists / fields["Codename"]
    binary = folder / "main" / f"binary-{architecture}"
    shutil.rmtree(folder, ignore_errors=True)
    binary.mkdir(parents=True)
    packages = "\n".join(stanzas).encode()
    (binary / "Packages").write_bytes(packages)
    (binary / "Packages.gz").write_bytes(gzip.compress(packages, mtime=0))
    (folder / "Release").write_text(_release(folder, fields, architecture))


def _release(folder: Path, fields: Mapping[str, str], architecture: str) -> str:
    lines = [f"{key}: {value}" for key, value in fields.items()]
    lines += [
        f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} UTC",
        f"Architectures: {architecture}",
        "Components: main",
        "SHA256:",
    ]
    for path in sorted(folder.rglob("Packages*")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f" {digest} {path.stat().st_size} {path.relative_to(folder)}")
    return "\n".join(lines) + "\n"


def sign(image_root: Path, secrets: Path, release: Path) -> None:
    """Turn a Release into an InRelease, by the gpg inside the image."""
    work = secrets / "work"
    work.mkdir(exist_ok=True)
    shutil.copyfile(release, work / "Release")
    inside(
        image_root,
        [*_GPG, "--output", "/mnt/work/InRelease", "--clearsign", "/mnt/work/Release"],
        bind=secrets,
    )
    shutil.copyfile(work / "InRelease", release.with_name("InRelease"))
