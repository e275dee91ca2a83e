"""What hosts of a family stand on: finished images, found by their recipe."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.lab.families import FAMILIES, Family
from tests.lab.image import Image

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ground:
    """The image of one family. Debian's is the base image, the others' lie in a folder of it.

    Attributes:
        folder: Holds `pool` (built packages) and `layers` (installed lab packages, one for each
            combination); other families have `layer` (over the base image's root) and `repos`
            (what the mirror may serve) too.
        lower: The lower layers of every host, the topmost first.
    """

    family: Family
    folder: Path
    lower: tuple[Path, ...]

    @classmethod
    def at(cls, image: Image, name: str, folder: Path) -> "Ground":
        """Return the image of a family in a known folder."""
        family = FAMILIES[name]
        above = () if family.build is None else (folder / "layer",)
        return cls(family, folder, (*above, image.root))

    @property
    def pool(self) -> Path:
        """Return the folder of the built packages."""
        return self.folder / "pool"

    def is_built(self) -> bool:
        """Say whether the image is complete: `layers` is made last."""
        return (self.folder / "layers").exists()


def ground_of(image: Image, name: str) -> Ground:
    """Return where the image of a family is, or will be: one for each base image and recipe."""
    if FAMILIES[name].build is None:
        return Ground.at(image, name, image.folder)
    digest = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return Ground.at(image, name, image.folder / "families" / f"{name}-{digest.hexdigest()[:12]}")
