"""The lab's own archive while a lab runs: what it offers, and offering more."""

import shutil
from pathlib import Path

from tests.lab import archive
from tests.lab.errors import LabError
from tests.lab.families.family import offer_name
from tests.lab.families.ground import Ground
from tests.lab.image import LAB_FIELDS, Image
from tests.lab.packages import PACKAGES


class LabArchive:
    """The archive of one lab: the packages are the image's, the lists and signatures its own.

    Other families have their repositories ready in their images, one for each state of a lab.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        """Start with everything but the packages kept for later."""
        self._image = image
        self._folder = folder
        # The key is copied: gpg writes beside it, and two labs may sign at the same time.
        self._secrets = folder / "secrets"
        self._offered = {package.deb for package in PACKAGES if not package.late}
        self._published: set[tuple[str, str]] = set()
        self._grounds: dict[str, Ground] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o755)
        shutil.copytree(image.secrets, self._secrets, ignore=shutil.ignore_patterns("S.*"))
        self._write()
        # What the mirror serves, by the first two parts of the address.
        self.served = {"wavemend-lab/dists": folder / "dists"}
        for name in ("debian", "debian-security", "wavemend-lab"):
            self.served[f"{name}/pool"] = image.folder / "pool"
            self.served.setdefault(f"{name}/dists", image.folder / "dists" / name)

    def serve(self, ground: Ground) -> None:
        """Serve the repositories of a family too, as far as they were published in this lab."""
        if ground.family.build is None:
            return
        self._grounds[ground.family.name] = ground
        offer = ground.folder / "repos" / offer_name(self._published)
        self.served[f"repo/{ground.family.name}"] = offer

    def publish(self, package: str, version: str) -> None:
        """Offer one more built package, and sign the new list."""
        late = {(each.name, each.version): each.deb for each in PACKAGES if each.late}
        if (package, version) not in late:
            known = ", ".join(" ".join(each) for each in late)
            raise LabError(f"there is no {package} {version} to publish (there are: {known})")
        self._offered.add(late[package, version])
        self._published.add((package, version))
        self._write()
        for ground in self._grounds.values():
            self.serve(ground)

    def _write(self) -> None:
        image = self._image
        fields = {**LAB_FIELDS, "Codename": image.codename}
        pool = image.folder / "pool"
        stanzas = [archive.stanza(pool / deb, f"pool/{deb}") for deb in sorted(self._offered)]
        dists = self._folder / f"dists-{len(self._offered)}"
        archive.write_archive(dists, stanzas, fields=fields, architecture=image.architecture)
        archive.sign(image.root, self._secrets, dists / image.codename / "Release")
        # Hosts may read at this moment: the new archive takes the old one's place in one step.
        link = self._folder / "dists.new"
        link.symlink_to(dists.name)
        link.rename(self._folder / "dists")
