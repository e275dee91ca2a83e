"""RPM packages and the signed repositories they come from, by rpm's and createrepo's own tools."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.families.notices import NOTICES, Advisory, Notice, UpdatePackage, updateinfo
from tests.lab.families.recipe import REAL_PACKAGES, Recipe, Version, oldest, write_file
from tests.lab.namespaces import inside

KEY_FILE = "etc/pki/rpm-gpg/RPM-GPG-KEY-wavemend-lab"

# Debian's rpm would keep a database per user, and look for a gpg of another name.
MACROS = """\
%_dbpath /var/lib/rpm
%__gpg /usr/bin/gpg
"""
# Debian's rpm tells whoever installs a package to use another program, as no other rpm does.
POPT = """\
rpm alias --percent --percent --force-debian
rpm alias --allmatches --allmatches --force-debian
rpm alias --install --install --force-debian
"""
# The package's files are ready: nothing of them is to be stripped, checked or scanned, which
# would cost more than all the rest.
_BUILD_MACROS = f"""\
{MACROS}\
%_topdir /tmp/rpmbuild
%_rpmdir /mnt/pool
%_build_name_fmt %{{NAME}}-%{{VERSION}}-%{{RELEASE}}.%{{ARCH}}.rpm
%_gpg_name wavemend lab archive
%_gpg_sign_cmd_extra_args --homedir /mnt/gnupg --batch --pinentry-mode loopback
%__os_install_post %{{nil}}
%_build_id_links none
%debug_package %{{nil}}
%source_date_epoch_from_changelog 0
"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a distribution spells what is the same in all of them.

    Attributes:
        vendor: The packages' vendor; zypper does not change it by itself.
        release: Spells the release of a version.
        advisory: Spells id, title and severity of an advisory, by its number and package.
        kinds: The distribution's words for the kinds of advisories.
    """

    vendor: str
    release: Callable[[Version], str]
    advisory: Callable[[int, str, Notice], tuple[str, str, str]]
    kinds: dict[str, str]

    def architecture(self, recipe: Recipe) -> str:
        """Return rpm's word for what the package runs on."""
        return platform.machine() if recipe.native else "noarch"

    def file(self, recipe: Recipe) -> str:
        """Return the file name of the built package."""
        version = f"{recipe.version.upstream}-{self.release(recipe.version)}"
        return f"{recipe.name}-{version}.{self.architecture(recipe)}.rpm"


def build(root: Path, kitchen: Path, recipes: Sequence[Recipe], dialect: Dialect) -> None:
    """Build and sign all packages into `kitchen`/pool. Their trees are in `kitchen`."""
    specs = kitchen / "specs"
    specs.mkdir()
    (kitchen / "pool").mkdir()
    (kitchen / "macros").write_text(_BUILD_MACROS)
    for recipe in recipes:
        tree = f"/mnt/{recipe.tree.relative_to(kitchen)}"
        text = _spec(recipe, tree, dialect)
        (specs / f"{dialect.file(recipe)}.spec").write_text(text)
    script = """
        set -e
        mkdir -p /etc/rpm
        cp /mnt/macros /etc/rpm/macros
        rpmbuild --quiet -bb /mnt/specs/*.spec
        rpmsign --addsign /mnt/pool/*.rpm
        rm -rf /tmp/rpmbuild
    """
    inside(root, ["sh", "-c", script], bind=kitchen, timeout=600)
    write_file(root, "etc/rpm/macros", MACROS)
    write_file(root, "etc/popt", POPT)


def _spec(recipe: Recipe, tree: str, dialect: Dialect) -> str:
    head = {
        "Name": recipe.name,
        "Epoch": recipe.epoch or "",
        "Version": recipe.version.upstream,
        "Release": dialect.release(recipe.version),
        "Summary": f"Package {recipe.name} of the wavemend lab",
        "License": "Apache-2.0",
        "Vendor": dialect.vendor,
        "BuildArch": dialect.architecture(recipe),
        "Requires": recipe.depends,
        "Conflicts": recipe.conflicts,
        "Provides": ", ".join(recipe.provides),
        "AutoReqProv": "no",
    }
    lines = [f"{key}: {value}" for key, value in head.items() if value]
    lines += ["%description", "Part of the wavemend lab."]
    lines += ["%install", "mkdir -p %{buildroot}", f"cp -a {tree}/. %{{buildroot}}/"]
    for section, script in (("%pre", recipe.unpack), ("%post", recipe.script)):
        if script:
            lines += [section, "set -e", script]
    config = set(recipe.config)
    lines.append("%files")
    for path in recipe.files():
        lines.append(f'%config(noreplace) "{path}"' if path in config else f'"{path}"')
    return "\n".join(lines) + "\n"


def kernel(kitchen: Path, name: str, version: Version, dialect: Dialect) -> Recipe:
    """Return what is a kernel to the package manager; several versions stay side by side."""
    running = f"{version.upstream}-{dialect.release(version)}.{platform.machine()}"
    tree = kitchen / "trees" / f"{name}-{running}"
    write_file(tree, f"boot/vmlinuz-{running}", f"kernel {running}\n")
    write_file(tree, f"usr/lib/modules/{running}/modules.dep", "")
    return Recipe(
        name=name,
        version=version,
        tree=tree,
        native=True,
        provides=(
            f"kernel-uname-r = {running}",
            "installonlypkg(kernel)",
            "multiversion(kernel)",
            "installhint(reboot-needed)",
        ),
    )


def release_package(kitchen: Path, name: str, version: Version, os_release: str) -> Recipe:
    """Return the package that says which distribution this is."""
    tree = kitchen / "trees" / name
    write_file(tree, "usr/lib/os-release", os_release)
    write_file(tree, KEY_FILE, (kitchen / "key.asc").read_text())
    major = version.upstream.partition(".")[0]
    provides = (
        f"system-release = {version.upstream}",
        f"system-release(releasever) = {major}",
        "/bin/sh",  # Debian's, which the database knows nothing about
    )
    return Recipe(name=name, version=version, tree=tree, provides=provides)


def start_database(root: Path, kitchen: Path, recipes: Sequence[Recipe], dialect: Dialect) -> None:
    """Make rpm's database: the lab's key, and the older of the packages every host has."""
    wanted = [recipe for recipe in oldest(recipes) if recipe.name in REAL_PACKAGES]
    wanted += [recipe for recipe in recipes if recipe.name.endswith("-release")]
    files = [f"/mnt/pool/{dialect.file(recipe)}" for recipe in wanted]
    script = 'set -e; rpm --initdb; rpm --import /mnt/key.asc; rpm --install --replacefiles "$@"'
    inside(root, ["sh", "-c", script, "-", *files], bind=kitchen)


def install(root: Path, pool: Path, names: Sequence[str]) -> None:
    """Install lab packages as they are on day zero, from the built ones in `pool`."""
    files = [f"/mnt/{min(path.name for path in pool.glob(f'{name}-[0-9]*'))}" for name in names]
    inside(root, ["rpm", "--install", *files], bind=pool)


def write_repository(
    root: Path,
    kitchen: Path,
    folder: Path,
    recipes: Sequence[Recipe],
    dialect: Dialect,
) -> None:
    """Make `kitchen`/`folder` a signed repository of these packages, which were built before."""
    target = kitchen / folder
    target.mkdir(parents=True)
    for recipe in recipes:
        file = dialect.file(recipe)
        os.link(kitchen / "pool" / file, target / file)
    if advisories := _advisories(recipes, dialect):
        (target / "updateinfo.xml").write_text(updateinfo(advisories, dialect.vendor))
    script = """
        set -e
        cd "$1"
        createrepo_c --quiet --no-database --simple-md-filenames .
        if [ -f updateinfo.xml ]; then
            modifyrepo_c --mdtype=updateinfo updateinfo.xml repodata >/dev/null
            rm updateinfo.xml
        fi
        gpg --batch --yes --homedir /mnt/gnupg --pinentry-mode loopback \
            --armor --detach-sign repodata/repomd.xml
        gpg --batch --homedir /mnt/gnupg --armor --export >repodata/repomd.xml.key
    """
    inside(root, ["sh", "-c", script, "-", f"/mnt/{folder}"], bind=kitchen)


def _advisories(recipes: Sequence[Recipe], dialect: Dialect) -> list[Advisory]:
    """Return an advisory for each update that NOTICES names."""
    numbers = {name: number for number, name in enumerate(NOTICES, start=1001)}
    seen: set[str] = set()
    advisories: list[Advisory] = []
    for recipe in recipes:
        notice = NOTICES.get(recipe.name)
        if notice is not None and recipe.name in seen:
            name = dialect.advisory(numbers[recipe.name], recipe.name, notice)
            advisories.append(_advisory(recipe, notice, name, recipes, dialect))
            numbers[recipe.name] += 100
        seen.add(recipe.name)
    return advisories


def _advisory(
    recipe: Recipe,
    notice: Notice,
    name: tuple[str, str, str],
    recipes: Sequence[Recipe],
    dialect: Dialect,
) -> Advisory:
    parts = [recipe, *(other for other in recipes if other.name == recipe.depends)]
    packages = tuple(
        UpdatePackage(
            name=part.name,
            epoch=part.epoch,
            version=part.version.upstream,
            release=dialect.release(part.version),
            architecture=dialect.architecture(part),
            filename=dialect.file(part),
        )
        for part in parts
    )
    identity, title, severity = name
    return Advisory(
        id=identity,
        title=title,
        kind=dialect.kinds[notice.kind],
        severity=severity,
        cves=recipe.cves or notice.cves,
        packages=packages,
        reboot=notice.reboot,
    )
