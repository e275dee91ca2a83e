"""Windows: statements are about products and their builds; a product is a package of the host."""

from collections.abc import Sequence

from wavemend.hosts import Facts, InstalledPackage
from wavemend.matching.units import Build, Layout, Offer
from wavemend.versions import windows_key


class WindowsReader:
    """How Windows' products are compared."""

    def read(self, package: InstalledPackage) -> tuple[Build, ...]:
        """Judge by the build."""
        windows_key(package.version)
        name, arch, module = package.name, package.arch, package.module
        return (Build(name, True, name, package.version, arch, module),)  # noqa: FBT003

    def layout(self, installed: Sequence[InstalledPackage], facts: Facts) -> Layout:
        """The system is one product, with no kernels beside it; offers name product and build."""
        offers: dict[str, list[Offer]] = {}
        for item in facts.pending:
            try:
                windows_key(item.candidate)
            except ValueError:
                continue  # it names a patch, not a build: what it reaches cannot be said
            offers.setdefault(item.name, []).append(Offer(item.name, item.candidate))
        return Layout(ordinary=installed, offers=offers)
