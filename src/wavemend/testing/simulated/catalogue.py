"""What the simulated archives hold: Debian 12 as released, its security updates, lab packages.

The lab packages and their quirks are those of the lab of real hosts (`tests/lab/packages.py`), so
that one test tells the same story on both. Versions of the Debian packages are Debian's own.
"""

from typing import Any

from wavemend.testing.guest.store import Package

BASE = """
adduser 3.134 all
apt 2.6.1 amd64
base-files 12.4+deb12u11 amd64
bash 5.2.15-2+b8 amd64 bash 5.2.15-2
bsdutils 1:2.38.1-5+deb12u3 amd64 util-linux 2.38.1-5+deb12u3
ca-certificates 20230311+deb12u1 all
coreutils 9.1-1 amd64
dash 0.5.12-2 amd64
debianutils 5.7-0.5~deb12u1 amd64
diffutils 1:3.8-4 amd64
dpkg 1.21.22 amd64
findutils 4.9.0-4 amd64
grep 3.8-5 amd64
gzip 1.12-1 amd64
hostname 3.23+nmu1 amd64
init-system-helpers 1.65.2 all
jq 1.6-2.1+deb12u2 amd64
libc-bin 2.36-9+deb12u14 amd64 glibc 2.36-9+deb12u14
libc6 2.36-9+deb12u14 amd64 glibc 2.36-9+deb12u14 same
libexpat1 2.5.0-1+deb12u2 amd64 expat 2.5.0-1+deb12u2 same
libjq1 1.6-2.1+deb12u2 amd64 jq 1.6-2.1+deb12u2 same
libpam0g 1.5.2-6+deb12u1 amd64 pam 1.5.2-6+deb12u1 same
libssl3 3.0.20-1~deb12u2 amd64 openssl 3.0.20-1~deb12u2 same
libsystemd0 252.39-1~deb12u2 amd64 systemd 252.39-1~deb12u2 same
linux-image-6.1.0-37-amd64 6.1.140-1 amd64 linux-signed-amd64 6.1.140+1
login 1:4.13+dfsg1-1+deb12u2 amd64 shadow 1:4.13+dfsg1-1+deb12u2
mawk 1.3.4.20200120-3.1 amd64
mount 2.38.1-5+deb12u3 amd64 util-linux 2.38.1-5+deb12u3
openssh-server 1:9.2p1-2+deb12u10 amd64 openssh 1:9.2p1-2+deb12u10
openssl 3.0.20-1~deb12u2 amd64
passwd 1:4.13+dfsg1-1+deb12u2 amd64 shadow 1:4.13+dfsg1-1+deb12u2
perl-base 5.36.0-7+deb12u4 amd64 perl 5.36.0-7+deb12u4
procps 2:4.0.2-3 amd64
rsync 3.2.7-1+deb12u6 amd64
sed 4.9-1 amd64
sudo 1.9.13p3-1+deb12u4 amd64
systemd 252.39-1~deb12u2 amd64
sysvinit-utils 3.06-4 amd64 sysvinit 3.06-4
tar 1.34+dfsg-1.2+deb12u1 amd64
tzdata 2025b-0+deb12u2 all
unzip 6.0-28 amd64
util-linux 2.38.1-5+deb12u3 amd64
zip 3.0-13 amd64
zlib1g 1:1.2.13.dfsg-1 amd64 zlib 1:1.2.13.dfsg-1 same
"""
"""Installed on every host: name, version, architecture, source, source version, Multi-Arch."""

KERNEL = "6.1.0-37-amd64"

SECURITY = """
jq 1.6-2.1+deb12u3 amd64
libexpat1 2.5.0-1+deb12u5 amd64 expat 2.5.0-1+deb12u5 same
libjq1 1.6-2.1+deb12u3 amd64 jq 1.6-2.1+deb12u3 same
libssl3 3.0.22-1~deb12u2 amd64 openssl 3.0.22-1~deb12u2 same
openssl 3.0.22-1~deb12u2 amd64
rsync 3.5.0+ds1-0+deb12u1 amd64
unzip 6.0-28+deb12u1 amd64
zip 3.0-13+deb12u1 amd64
"""
"""Offered by the security pocket."""

NEEDS = {"openssl": "libssl3", "jq": "libjq1"}
"""Programs that come with their library in the same version."""


def _table(text: str, site: str) -> list[Package]:
    packages = []
    for line in text.strip().splitlines():
        name, version, arch, *more = line.split()
        source, source_version, multi_arch = [*more, *("", "", "")][:3]
        package: Package = {
            "name": name,
            "version": version,
            "arch": arch,
            "source": source or name,
            "source_version": source_version or version,
            "multi_arch": multi_arch,
            "site": site,
        }
        if name in NEEDS:
            package["depends"] = [[NEEDS[name], version]]
        packages.append(package)
    return packages


def _lab(name: str, version: str, **more: Any) -> Package:
    package: Package = {
        "name": name,
        "version": version,
        "arch": "all",
        "source": name,
        "source_version": version,
        "multi_arch": "",
        "site": "lab",
    }
    return {**package, **more}


def _plain(name: str, version: str, **more: Any) -> Package:
    return _lab(name, version, files={f"/usr/share/{name}/version": f"{version}\n"}, **more)


def _conffile(version: str, text: str) -> Package:
    return _lab("wm-conffile", version, conffile=["/etc/wm-conffile.conf", f"greeting = {text}\n"])


LAB = [
    _plain("wm-fine", "1.0"),
    _plain("wm-fine", "2.0"),
    _lab("wm-fails", "1.0"),
    _lab("wm-fails", "2.0", quirk="fails"),
    _lab("wm-slow", "1.0"),
    _lab("wm-slow", "2.0", quirk="slow"),
    _conffile("1.0", "hello from the package"),
    _conffile("2.0", "hello from version 2.0 of the package"),
    _lab("wm-reboot", "1.0"),
    _lab("wm-reboot", "2.0", quirk="reboot"),
    _lab("wm-newdep", "1.0"),
    _lab("wm-newdep", "2.0", depends=[["wm-extra", ""]]),
    _plain("wm-extra", "2.0"),
    _plain("wm-late", "1.0"),
    _plain("wm-late", "2.0", late=True),
    _plain("wm-late", "3.0", late=True),
    # Only simulated: Debian's own archive has no phased updates.
    _plain("wm-phased", "1.0"),
    _plain("wm-phased", "2.0", phased=10),
]
"""Packages for what real updates do not show on demand."""

DAY_ZERO = frozenset(package["name"] for package in LAB if package["version"] == "1.0")


def key(package: Package) -> str:
    """Return how one version of one package is named: `wm-fine=2.0`."""
    return f"{package['name']}={package['version']}"


def base_packages() -> list[Package]:
    """Return what every host has installed."""
    return _table(BASE, "release")


def new_catalogue() -> dict[str, Any]:
    """Return the catalogue of a new lab: all packages, and which of them are offered."""
    packages = [*base_packages(), *_table(SECURITY, "security"), *LAB]
    offered = [key(package) for package in packages if not package.get("late")]
    return {"packages": packages, "offered": offered}


def update_files(catalogue: dict[str, Any]) -> list[str]:
    """Return the security updates by the names of their .deb files, as lab.json lists them."""
    return sorted(
        f"{p['name']}_{p['version'].replace(':', '%3a')}_{p['arch']}.deb"
        for p in catalogue["packages"]
        if p["site"] == "security"
    )
