"""LVM's own list of a thin volume's snapshots, of which one is to be merged with the next boot.

By the real lvs and lvremove, over a volume group whose metadata says so. The kernel's device mapper
is left out: few test machines have it, and what is listed comes from the metadata alone.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.point_bench import HOST, SUBJECT, ask_here
from wavemend.policy.care import RestorePointRule
from wavemend.snapshots import SNAPSHOTS, Found, Missing
from wavemend.snapshots.listed import going_words

PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
CONF = """\
devices {{ use_devicesfile = 0 filter = ["a|^{device}$|", "r|.*|"] }}
global {{ activation = 0 event_activation = 0 locking_dir = "{folder}" }}
backup {{ backup = 0 archive = 0 }}
"""
SEEN, HIDDEN = '"READ", "WRITE", "VISIBLE"', '"READ", "WRITE"'


def volume(number: int, name: str, status: str, extents: int, segment: str) -> str:
    """Return a volume in LVM's own text form, as `vgcfgbackup` writes it."""
    four = str(number) * 4
    uuid = "-".join((four + "00", four, four, four, four, four, four + "00"))
    return (
        f'{name} {{ id = "{uuid}" status = [{status}] flags = [] segment_count = 1\n'
        f"segment1 {{ start_extent = 0 extent_count = {extents} {segment} }} }}\n"
    )


def thin(device: int, more: str = "") -> str:
    return f'type = "thin" thin_pool = "pool" transaction_id = 0 device_id = {device} {more}'


def striped(at: int) -> str:
    return f'type = "striped" stripe_count = 1 stripes = ["pv0", {at}]'


def volumes(*, merging: bool) -> str:
    """Return a thin volume `root`, our snapshot of it, and somebody else's."""
    pool = (
        'type = "thin-pool" metadata = "pool_tmeta" pool = "pool_tdata" transaction_id = 1 '
        'chunk_size = 128 discards = "passdown" zero_new_blocks = 1'
    )
    status, merge = (HIDDEN, 'merge = "root"') if merging else (SEEN, "")
    return "logical_volumes {\n" + "".join(
        (
            volume(1, "pool", SEEN, 5, pool),
            volume(2, "root", SEEN, 10, thin(1)),
            volume(3, SUBJECT.name, status, 10, thin(2, f'origin = "root" {merge}')),
            volume(4, "somebody-else", SEEN, 10, thin(3, 'origin = "root"')),
            volume(5, "pool_tmeta", HIDDEN, 1, striped(0)),
            volume(6, "pool_tdata", HIDDEN, 5, striped(1)),
            "}\n",
        )
    )


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Yield what makes these the volumes of a group; it returns `group/root`."""
    lacking = [name for name in ("lvm", "losetup") if shutil.which(name, path=PROGRAMS) is None]
    if os.geteuid() != 0 or lacking:
        pytest.skip("needs root and lvm2")
    group, image = f"wm{os.getpid()}", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    device = run("losetup", "-f", "--show", str(image)).strip()
    (tmp_path / "lvm.conf").write_text(CONF.format(device=device, folder=tmp_path))
    monkeypatch.setenv("LVM_SYSTEM_DIR", str(tmp_path))
    monkeypatch.setenv("LVM_SUPPRESS_FD_WARNINGS", "1")
    saved = tmp_path / "saved"
    try:
        run("lvm", "pvcreate", device)
        run("lvm", "vgcreate", group, device)
        run("lvm", "vgcfgbackup", "-f", str(saved), group)
        empty = saved.read_text().rstrip().removesuffix("}").rstrip()

        def write(text: str) -> str:
            saved.write_text(f"{empty}\n{text}}}\n")
            run("lvm", "vgcfgrestore", "--force", "-f", str(saved), group)
            return f"{group}/root"

        yield write
    finally:
        run("losetup", "-d", device)


def test_a_snapshot_is_listed_and_one_that_is_to_be_merged_is_said_to_be_on_its_way(
    written: Callable[[str], str],
) -> None:
    lvm = SNAPSHOTS["lvm"](RestorePointRule(kind="lvm", of=written(volumes(merging=False))))
    assert lvm.find(ask_here, SUBJECT) == Found(name=SUBJECT.name)

    written(volumes(merging=True))

    (found,) = lvm.listed(ask_here, HOST).found
    assert found == Found(name=SUBJECT.name, going=True)
    assert lvm.find(ask_here, SUBJECT) == Missing(going_words(found))


def test_lvm_itself_removes_no_snapshot_that_is_to_be_merged(
    written: Callable[[str], str],
) -> None:
    """Whoever asks it at the moment when the merge was asked for loses nothing."""
    group = written(volumes(merging=True)).partition("/")[0]

    refused = subprocess.run(
        ("lvm", "lvremove", "-y", f"{group}/{SUBJECT.name}"),
        check=False,
        capture_output=True,
        text=True,
    )

    assert refused.returncode != 0
    assert f"volume is merged to {group}/root" in refused.stderr
