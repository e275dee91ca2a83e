"""The questions that follow a recorded listing leave no row out; see tests/cases/dnf."""

import json
from pathlib import Path

import pytest

from tests.contract.local_root import LocalRoot
from tests.unit.apt_cases import LAB, NOON
from wavemend.managers.dnf import DnfManager

CASES = Path(__file__).parent.parent / "cases" / "dnf"

DNF = """#!/bin/sh
echo " $* " >>"$WAVEMEND_ROOT/asked"
case " $* " in
  *" makecache "*) exit {makecache} ;;
  *" repolist "*) cat "{cases}/{repolist}.txt" ;;
  *" check-update "*) cat "{cases}/{listing}.txt"; exit 100 ;;
  *" upgrade "*) cat "$WAVEMEND_ROOT/table"; exit 1 ;;
esac
"""
RPM = """#!/bin/sh
printf 'bash\\t5.1-1\\tx86_64\\tbash-5.1-1.src.rpm\\t1700000000\\t(none)\\n'
"""
HOST = {
    "etc/os-release": "ID=rhel\nVERSION_ID=9.4\n",
    "proc/uptime": "1000.00 900.00\n",
    "proc/sys/kernel/random/boot_id": "3b1e9c1e-0000-4000-8000-0000000000aa\n",
    "proc/sys/kernel/hostname": "rhel\n",
    "proc/sys/kernel/osrelease": "5.14.0-427.el9.x86_64\n",
    "proc/version": "Linux version\n",
}


def asked(
    path: Path, *, listing: str, table: str = "", repolist: str = "", makecache: int = 0
) -> str:
    """Look at a host whose dnf prints recordings, and return what it was asked."""
    (path / "bin").mkdir()
    for name, text in HOST.items():
        (path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "root" / name).write_text(text)
    dnf = DNF.format(cases=CASES, listing=listing, repolist=repolist, makecache=makecache)
    for name, text in {"dnf": dnf, "rpm": RPM, "sleep": "#!/bin/sh\n"}.items():
        (path / "bin" / name).write_text(text)
        (path / "bin" / name).chmod(0o755)
    (path / "root" / "table").write_text(table)
    root = LocalRoot(path / "root", path / "bin")
    DnfManager().read_facts(LAB, root, NOON, refresh=bool(makecache), deadline=60)
    return (path / "root" / "asked").read_text()


def worked_out(name: str) -> list[list[str]]:
    rows: list[str] = json.loads((CASES / f"{name}.json").read_text())
    return [row.split(" ") for row in rows]


LISTINGS = [
    # Rows broken behind the name, behind the version, and behind both.
    ("check-update-centos6.5-2014-06", {"libpcap", "xorg-x11-drv-ati-firmware"}),
    ("check-update-obsoletes-centos7.0-2015-05", {"device-mapper-persistent-data", "hwdata"}),
    ("list-fedora28-2018", {"NetworkManager-config-connectivity-fedora", "clucene-core"}),
]


@pytest.mark.parametrize(("name", "late"), LISTINGS)
def test_what_a_plain_upgrade_leaves_away_is_asked_for_alone(
    tmp_path: Path, name: str, late: set[str]
) -> None:
    rows = worked_out(name)
    table = [
        f" {package} {arch} {version} {repository} 1 k"
        for package, arch, version, repository in rows
        if package not in late
    ]
    text = "\n".join(["Upgrading:", *table, "", "Transaction Summary"])

    alone = {
        line.split()[-1]
        for line in asked(tmp_path, listing=name, table=text).split("\n")
        if " install --allowerasing " in line
    }
    assert alone == {f"{n}-{version}.{arch}" for n, arch, version, _ in rows if n in late}


@pytest.mark.parametrize(
    "name", ["repolist-rhel7-2015", "repolist-rhel8-2020-04", "repolist-stale-rhel7"]
)
def test_each_recorded_repository_is_asked_for_alone_when_the_refresh_fails(
    tmp_path: Path, name: str
) -> None:
    listing = "check-update-unregistered-rhel7-2017-04"
    said = asked(tmp_path, listing=listing, repolist=name, makecache=1)

    for (repository,) in worked_out(name):
        assert f" --enablerepo={repository} " in said
