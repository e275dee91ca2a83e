"""Each kind of restore point is made once, listed back, brought back and removed, by its real tool.

btrfs and snapper on a file system of their own in a file; libvirt by virsh and libvirtd's test
driver; the operator's commands by real scripts. LVM and ZFS need kernel modules that few test
machines have: their commands and answers are in tests/unit/test_snapshots.py, from their manuals.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.point_bench import (
    HOST,
    SUBJECT,
    Points,
    ask_here,
    assert_lives,
    assert_removed,
    run_script,
)
from wavemend.execution.restore_points import operation_of
from wavemend.operations import run_here
from wavemend.policy.care import RestorePointRule
from wavemend.snapshots import (
    SNAPSHOTS,
    Command,
    RestoreOnHost,
    RestoreOnWorker,
    Said,
    Snapshotter,
)


def lacks(*programs: str) -> bool:
    return any(
        shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None for program in programs
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """A btrfs file system in a file, its subvolume `@data` mounted as a host's root would be."""

    folder: Path
    device: str

    @property
    def mount(self) -> Path:
        return self.folder / "root"

    def boot(self) -> None:
        """Mount the subvolume by its name, as fstab does at each boot."""
        with suppress(subprocess.CalledProcessError):
            run("umount", str(self.mount))
        run("mount", "-t", "btrfs", "-o", "subvol=@data", self.device, str(self.mount))


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or lacks("mkfs.btrfs", "losetup") or "btrfs" not in filesystems():
        pytest.skip("needs root, btrfs-progs and a kernel with btrfs")
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    run("mkfs.btrfs", "-q", str(image))
    device = run("losetup", "-f", "--show", str(image)).strip()
    try:
        (tmp_path / "root").mkdir()
        run("mount", "-t", "btrfs", device, str(tmp_path / "root"))
        run("btrfs", "subvolume", "create", str(tmp_path / "root" / "@data"))
        disk = Disk(tmp_path, device)
        disk.boot()
        yield disk
        run("umount", str(disk.mount))
    finally:
        run("losetup", "-d", device)


def filesystems() -> str:
    return Path("/proc/filesystems").read_text()


def test_btrfs_brings_a_subvolume_back_at_the_next_boot_and_keeps_what_it_replaced(
    disk: Disk,
) -> None:
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(disk.mount)))
    (disk.mount / "shop").write_text("before")
    found = assert_lives(btrfs)
    (disk.mount / "shop").write_text("after")

    restoring = btrfs.restoring(SUBJECT, found)
    run_script(restoring)
    assert isinstance(restoring, RestoreOnHost)
    assert restoring.restarts
    assert (disk.mount / "shop").read_text() == "after", "nothing changes under running programs"
    disk.boot()

    assert (disk.mount / "shop").read_text() == "before"
    (disk.mount / "shop").write_text("may be written again")
    assert_removed(btrfs)


def test_btrfs_never_exchanges_a_subvolume_for_the_same_point_twice(disk: Disk) -> None:
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(disk.mount)))
    found = assert_lives(btrfs)
    run_script(btrfs.restoring(SUBJECT, found))
    disk.boot()

    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_script(btrfs.restoring(SUBJECT, found))

    assert failed.value.returncode == 66


def test_btrfs_never_removes_what_the_host_runs_from(disk: Disk) -> None:
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(disk.mount)))
    found = assert_lives(btrfs)
    run_script(btrfs.restoring(SUBJECT, found))
    (disk.mount / "shop").write_text("written by a host that was not restarted")

    trouble = btrfs.remove(ask_here, HOST, SUBJECT.name)

    assert "runs from what it replaced until a restart" in trouble
    assert (disk.mount / "shop").read_text().startswith("written")
    disk.boot()
    assert_removed(btrfs)


def test_btrfs_makes_no_point_of_what_holds_other_subvolumes_that_are_not_empty(
    disk: Disk,
) -> None:
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(disk.mount)))
    inside = disk.mount / "with a path in it"
    run("btrfs", "subvolume", "create", str(inside))
    found = assert_lives(btrfs)
    (inside / "order").write_text("1")

    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_script(btrfs.restoring(SUBJECT, found))

    assert failed.value.returncode == 65
    assert btrfs.remove(ask_here, HOST, SUBJECT.name) == ""
    trouble = btrfs.make(ask_here, SUBJECT)
    words = "@data/with a path in it is a subvolume inside of"
    assert words in trouble
    assert btrfs.listed(ask_here, HOST).found == ()


def test_btrfs_makes_no_point_of_the_top_of_a_file_system_which_cannot_be_exchanged(
    disk: Disk,
) -> None:
    top = disk.folder / "top"
    top.mkdir()
    run("mount", "-t", "btrfs", "-o", "subvolid=5", disk.device, str(top))
    try:
        btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(top)))
        assert "is the top of its file system" in btrfs.make(ask_here, SUBJECT)
    finally:
        run("umount", str(top))


def test_btrfs_that_cannot_tell_what_a_subvolume_is_lists_nothing_and_removes_nothing(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(disk.mount)))
    assert_lives(btrfs)
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "btrfs").write_text(
        "#!/bin/sh\necho 'libbtrfsutil.so.1: cannot open' >&2; exit 127\n"
    )
    (broken / "btrfs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}:{os.environ['PATH']}")

    assert "exit status 127" in btrfs.listed(ask_here, HOST).trouble
    assert "exit status 127" in btrfs.remove(ask_here, HOST, SUBJECT.name)

    monkeypatch.undo()
    assert_removed(btrfs)


def test_btrfs_says_that_a_mount_point_is_none_of_its_subvolumes(tmp_path: Path) -> None:
    if os.geteuid() != 0 or lacks("btrfs"):
        pytest.skip("needs root and btrfs-progs")
    btrfs = SNAPSHOTS["btrfs"](RestorePointRule(kind="btrfs", of=str(tmp_path)))

    assert btrfs.make(ask_here, SUBJECT).startswith("exit status 1")


def test_snapper_takes_files_back_at_once_and_lists_what_others_made_apart(disk: Disk) -> None:
    if lacks("snapper"):
        pytest.skip("needs snapper")
    config = f"wm{os.getpid()}"
    run("snapper", "--no-dbus", "-c", config, "create-config", str(disk.mount))
    try:
        run("snapper", "--no-dbus", "-c", config, "create", "-d", "somebody's, with a comma")
        snapper = SNAPSHOTS["snapper"](RestorePointRule(kind="snapper", of=config))
        (disk.mount / "shop").write_text("before")
        found = assert_lives(snapper)
        (disk.mount / "shop").write_text("after")

        restoring = snapper.restoring(SUBJECT, found)
        run_script(restoring)

        assert isinstance(restoring, RestoreOnHost)
        assert not restoring.restarts
        assert (disk.mount / "shop").read_text() == "before"
        assert_removed(snapper)
        assert "somebody" in run("snapper", "--no-dbus", "-c", config, "list")
    finally:
        run("snapper", "--no-dbus", "-c", config, "delete-config")


def test_snapper_without_such_a_configuration_cannot_be_listed() -> None:
    if os.geteuid() != 0 or lacks("snapper"):
        pytest.skip("needs root and snapper")
    snapper = SNAPSHOTS["snapper"](RestorePointRule(kind="snapper", of="nowhere"))

    assert "nowhere" in snapper.listed(ask_here, HOST).trouble


# --- libvirt -------------------------------------------------------------------------------------


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[str]:
    """Start a libvirtd with its test driver, and a connection that keeps its machine alive."""
    if os.geteuid() != 0 or lacks("libvirtd", "virsh"):
        pytest.skip("needs root, libvirt-daemon and libvirt-clients")
    (tmp_path / "drivers").mkdir()
    conf = tmp_path / "libvirtd.conf"
    conf.write_text(
        f'unix_sock_dir = "{tmp_path}"\nunix_sock_group = "root"\nauth_unix_rw = "none"\n'
    )
    environment = {**os.environ, "LIBVIRT_DRIVER_DIR": str(tmp_path / "drivers")}
    daemon = subprocess.Popen(
        ["/usr/sbin/libvirtd", "-f", str(conf), "-p", str(tmp_path / "pid")],
        env={**environment, "XDG_RUNTIME_DIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    uri = f"test+unix:///default?socket={tmp_path}/libvirt-sock"
    until = time.monotonic() + 20
    while not (tmp_path / "libvirt-sock").exists() and time.monotonic() < until:
        time.sleep(0.05)
    holder = subprocess.Popen(
        ["virsh", "-c", uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("list\n")
    holder.stdin.flush()
    while "test" not in (line := holder.stdout.readline()):
        assert line, "virsh ended"
    yield uri
    holder.kill()
    daemon.kill()
    holder.wait()
    daemon.wait()


def test_libvirt_reverts_a_machine_that_does_not_run_any_more(hypervisor: str) -> None:
    rule = RestorePointRule(kind="libvirt", of=f"{hypervisor} test")
    libvirt = SNAPSHOTS["libvirt"](rule)
    found = assert_lives(libvirt)
    run("virsh", "-c", hypervisor, "destroy", "test")

    restoring = libvirt.restoring(SUBJECT, found)
    assert isinstance(restoring, RestoreOnWorker)
    assert ask_here(restoring.command).trouble == ""

    assert run("virsh", "-c", hypervisor, "domstate", "test").strip() == "running"
    assert_removed(libvirt)


def test_libvirt_says_that_it_has_no_such_machine(hypervisor: str) -> None:
    rule = RestorePointRule(kind="libvirt", of=f"{hypervisor} {{host}}")

    assert "web1" in SNAPSHOTS["libvirt"](rule).listed(ask_here, HOST).trouble


# --- the operator's own commands -----------------------------------------------------------------


@pytest.fixture
def points(tmp_path: Path) -> Points:
    return Points(tmp_path / "points")


def own(points: Points) -> Snapshotter:
    return SNAPSHOTS["commands"](points.rule())


def test_the_operators_commands_are_told_host_and_point_by_their_environment(
    points: Points,
) -> None:
    commands = own(points)
    found = assert_lives(commands)

    restoring = commands.restoring(SUBJECT, found)
    assert isinstance(restoring, RestoreOnWorker)
    assert ask_here(restoring.command).trouble == ""

    assert (points.folder.parent / "restored").read_text() == "web1\n"
    assert_removed(commands)


def test_a_tool_that_says_done_and_lists_nothing_has_made_nothing(points: Points) -> None:
    rule = RestorePointRule(
        kind="commands", create=("true",), find=("true",), remove=("true",), restore=("true",)
    )
    lying = SNAPSHOTS["commands"](rule)

    assert lying.make(ask_here, SUBJECT) == ""
    assert (
        str(lying.find(ask_here, SUBJECT))
        == "Missing(reason='the restore point wavemend-r-1-web1 is not listed')"
    )


def test_a_tool_that_says_removed_and_still_lists_it_is_not_believed(points: Points) -> None:
    rule = RestorePointRule(
        kind="commands",
        create=("true",),
        find=("echo", SUBJECT.name),
        remove=("true",),
        restore=("true",),
    )
    lying = SNAPSHOTS["commands"](rule)

    assert lying.remove(ask_here, HOST, SUBJECT.name).endswith("was removed and is still listed")


def test_a_tool_that_cannot_list_makes_nothing(points: Points) -> None:
    commands = own(points)
    points.break_listing()

    assert "the cloud does not answer" in commands.make(ask_here, SUBJECT)
    assert points.names() == []


def test_a_command_that_does_not_end_is_trouble_and_no_answer() -> None:
    rule = RestorePointRule(kind="commands", find=("sleep", "30"))
    listing = SNAPSHOTS["commands"](rule)

    def soon(command: Command) -> Said:
        end = run_here(replace(operation_of(command), seconds=0.2))
        return Said(text=end.output, trouble=end.trouble)

    assert listing.listed(soon, HOST).trouble == "did not end in time"
