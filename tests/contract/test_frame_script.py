"""What any Linux host is asked: its own processes count, and what asks it not to be shut down.

The real functions of frame.sh in each shell of this machine, below a folder.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from tests.cases.rollouts.build import NOON, host
from tests.contract.local_root import LocalRoot
from tests.contract.test_attempt_reboots import site_of
from tests.contract.test_jobs_odd_hosts import OddHost
from wavemend.errors import HostAnswerInvalid
from wavemend.managers.apt import APT
from wavemend.managers.reading.asking import script
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Asked, System, lock_holder, read_system
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.readiness import Check, judge_look, outcome_of

SHELLS = [
    words
    for words in (("/bin/dash",), ("/bin/bash",), ("/bin/busybox", "sh"))
    if Path(words[0]).exists()
]


@pytest.fixture(params=SHELLS, ids=lambda words: Path(words[0]).name)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    words: tuple[str, ...] = request.param
    return words


@pytest.fixture
def root(tmp_path: Path) -> LocalRoot:
    """Return a host without processes: `process` starts them."""
    (tmp_path / "root/proc/self/ns").mkdir(parents=True)
    (tmp_path / "root/proc/self/ns/pid").write_text("ours")
    (tmp_path / "bin").mkdir()
    return LocalRoot(tmp_path / "root", bin=tmp_path / "bin")


def process(
    root: LocalRoot, pid: int, name: str, *, maps: str = "", cgroup: str = "", elsewhere: str = ""
) -> Path:
    """Start a process: what the kernel says of it. `elsewhere`: its own numbering of processes."""
    folder = root.root / f"proc/{pid}"
    (folder / "ns").mkdir(parents=True)
    (folder / "fd").mkdir()
    ours = root.root / "proc/self/ns/pid"
    if elsewhere:
        (folder / "ns/pid").write_text(elsewhere)
    else:
        (folder / "ns/pid").hardlink_to(ours)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "maps").write_text(maps and f"55e0-55e1 r-xp 00000000 08:01 77    {maps}\n")
    (folder / "cgroup").write_text(f"0::{cgroup or '/system.slice/' + name + '.service'}\n")
    return folder


def ask(root: LocalRoot, shell: tuple[str, ...], function: str) -> list[str]:
    text = script("reading", "frame.sh") + f"{function}\n".encode()
    done = root.run((*shell, "-s", "--", "mark", "0"), stdin=text, deadline=60)
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("maps", "named"),
    [
        ("/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)", True),
        ("/usr/lib64/libcrypto.so.1.1.1k (deleted)", True),
        ("/srv/shop/lib/libshop.so (deleted)", True),
        ("/usr/sbin/shop (deleted)", True),
        ("/opt/shop/bin/shop (deleted)", True),
        ("/usr/sbin/shop", False),
        ("/memfd:runc_cloned:/proc/self/exe (deleted)", False),
        ("/tmp/ffi4Rk2 (deleted)", False),
        # Java unpacks its native libraries, loads them and removes them.
        ("/tmp/libnetty_tcnative_linux_x86_64871.so (deleted)", False),
        ("/var/tmp/snappy-1.1.10-libsnappyjava.so (deleted)", False),
        ("/var/lib/shop/tmp/librocksdbjni4711.so (deleted)", False),
        ("/dev/shm/shop.so (deleted)", False),
        ("/memfd:shop.so (deleted)", False),
        ("/dev/zero (deleted)", False),
    ],
)
def test_a_service_runs_replaced_files_by_its_libraries_or_its_own_program(
    root: LocalRoot, shell: tuple[str, ...], maps: str, named: bool
) -> None:
    process(root, 41, "shop", maps=maps)
    assert ask(root, shell, "replaced_files") == (["shop.service"] if named else [])


def test_containers_and_peoples_sessions_are_no_services_of_this_host(
    root: LocalRoot, shell: tuple[str, ...]
) -> None:
    old = "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)"
    process(root, 41, "nginx", maps=old, cgroup="/system.slice/docker-1f.scope", elsewhere="1f")
    process(root, 42, "bash", maps=old, cgroup="/user.slice/user-0.slice/session-7.scope")
    process(root, 43, "cron", maps=old)
    process(root, 44, "watchdogd", maps=old, cgroup="/init.scope")
    assert ask(root, shell, "replaced_files") == ["cron.service", "watchdogd"]


def test_who_holds_a_lock_of_the_same_name_in_a_container_holds_none_here(
    root: LocalRoot, shell: tuple[str, ...]
) -> None:
    lock = "/var/lib/dpkg/lock"
    for pid, elsewhere in ((41, ""), (42, "1f")):
        folder = process(root, pid, "apt-get", elsewhere=elsewhere)
        (folder / "fd/4").symlink_to(f"{root.root}{lock}")
    (root.root / "proc/locks").write_text(
        "1: POSIX  ADVISORY  WRITE 41 00:2b:7 0 EOF\n2: POSIX  ADVISORY  WRITE 42 00:2c:7 0 EOF\n"
    )
    if (
        "busybox" in shell[0]
        and b"lname"
        in subprocess.run(
            ["/bin/busybox", "find", "/", "-lname", "x"], capture_output=True, check=False
        ).stderr
    ):
        pytest.skip("this find cannot search by the target of a link")
    assert lock_holder(ask(root, shell, f"lock_holders {lock}")) == "apt-get (41)"


def test_a_file_whose_only_line_has_no_end_is_read(root: LocalRoot, shell: tuple[str, ...]) -> None:
    (root.root / "etc").mkdir()
    (root.root / "etc/machine-id").write_text("8f3c")
    assert ask(root, shell, 'first_line "$R/etc/machine-id"; first_line /nowhere') == ["8f3c"]


def test_where_needrestart_fails_the_replaced_files_are_looked_for_all_the_same(
    tmp_path: Path,
) -> None:
    machine = site_of(tmp_path / "lab").machine
    for name, text in (
        ("maps", "55e0-55e1 r-xp 00000000 08:01 77    /usr/lib/libssl.so.3 (deleted)\n"),
        ("comm", "nginx\n"),
        ("cgroup", "0::/system.slice/nginx.service\n"),
    ):
        machine.put(f"/proc/41/{name}", text)
    tool = machine.state / "bin/needrestart"
    tool.write_text("#!/bin/sh\necho 'Can not locate Module/Find.pm' >&2\nexit 2\n")
    tool.chmod(0o755)
    local = LocalRoot(machine.root, bin=machine.state / "bin")
    now = datetime.now(UTC)
    seen = APT.read_facts(host("web1"), local, now, refresh=False, deadline=60)
    assert "services still run replaced files: nginx.service" in seen.reboot_reasons


# --- what lies on a read-only file system --------------------------------------------------------

_FSTAB = (
    "mount -t tmpfs tmpfs /mnt; cp -a /etc/. /mnt; mount --bind /mnt /etc;"
    " echo '/dev/sda1 / ext4 noatime,ro 0 1' >/etc/fstab;"
)
"""An administrator's own wish, which holds no longer where wavemend's place lies on it."""

_LINKED = (
    "mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/lib; mount -t tmpfs tmpfs /var;"
    " ln -s /mnt/lib /var/lib; mount -o remount,ro /var;"
)
"""An appliance: its system is read-only, and what it writes lies behind a link."""

MOUNTS = [
    ("true", []),
    ("mount -o remount,bind,ro /", ["/"]),
    ("mount -t tmpfs -o ro tmpfs /var/lib", ["/var/lib"]),
    ("mount -t tmpfs tmpfs /var; mkdir /var/lib; mount -o remount,ro /var", ["/var"]),
    ("mount --bind /usr /usr; mount -o remount,bind,ro /usr", ["/usr"]),
    ("mount -t tmpfs -o ro tmpfs /var/lib; mount -t tmpfs tmpfs /var/lib", []),
    ("mount -t tmpfs -o ro tmpfs /srv", []),
    (_FSTAB + "mount -o remount,bind,ro /", ["/"]),
    (_LINKED, []),
    (_LINKED + "mount -o remount,ro /mnt", ["/mnt"]),
    (_FSTAB + "mount -t tmpfs tmpfs /var; mkdir /var/lib; mount -o remount,bind,ro /", []),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")


@needs_root
@pytest.mark.parametrize(("setup", "found"), MOUNTS)
def test_what_a_change_writes_to_is_named_where_it_is_mounted_read_only(
    tmp_path: Path, shell: tuple[str, ...], setup: str, found: list[str]
) -> None:
    machine = OddHost(tmp_path, extra={"WAVEMEND_ROOT": ""}, setup=setup)
    assert ask(machine, shell, "read_only") == found
    assert ask(machine, shell, "written=/var/lib; read_only") == [
        place for place in found if place != "/usr"
    ]


_OWN_VAR = "mount -t tmpfs tmpfs /var; mkdir /var/lib;"
IMAGES = [
    (
        _FSTAB + "mount -t tmpfs tmpfs /usr/sbin; : >/usr/sbin/transactional-update;"
        f"{_OWN_VAR} mount -o remount,bind,ro /",
        ["/"],
    ),
    # Where `usroverlay` opened it, a change would be gone after the next boot.
    ("mount -t tmpfs tmpfs /run; : >/run/ostree-booted", ["/usr (an image of ostree)"]),
]


@needs_root
@pytest.mark.parametrize(("setup", "found"), IMAGES)
def test_a_system_that_comes_as_images_is_opened_by_no_hook(
    tmp_path: Path, shell: tuple[str, ...], setup: str, found: list[str]
) -> None:
    machine = OddHost(tmp_path, extra={"WAVEMEND_ROOT": ""}, setup=setup)
    assert ask(machine, shell, "read_only") == found
    assert ask(machine, shell, "written=/var/lib; read_only") == []


@needs_root
@pytest.mark.skipif(not shutil.which("apt-get"), reason="this machine has no apt")
def test_a_host_whose_root_is_read_only_is_not_ready_before_anything_is_begun(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    for setup, ready in (("true", True), ("mount -o remount,bind,ro /", False)):
        machine = OddHost(tmp_path, extra={"WAVEMEND_ROOT": ""}, setup=setup)
        facts = APT.read_facts(host("web1"), machine, now, refresh=False, deadline=60)
        seen = Look(host="web1", at=now, facts=facts)
        said = [str(p) for p in judge_look(seen).blocking if p.check is Check.READ_ONLY]
        assert said == ([] if ready else ["read-only: / is mounted read-only"])
        assert ready or outcome_of(seen) is Outcome.SKIPPED


# --- who asks not to be shut down ----------------------------------------------------------------

TABLE = """\
WHO            UID USER PID  COMM           WHAT           WHY                       MODE
NetworkManager 0   root 612  NetworkManager sleep          needs to turn off networks delay
backup         0   root 77   tar            shutdown:sleep nightly copy              block

2 inhibitors listed."""
FOUR_LINES = """\
     Who: NetworkManager (UID 0/root, PID 612/NetworkManager)
    What: sleep
     Why: needs to turn off networks
    Mode: delay

     Who: backup (UID 0/root, PID 77/tar)
    What: shutdown:sleep
     Why: nightly copy
    Mode: block

2 inhibitors listed."""
WRITTEN = "# This is private data. Do not parse.\nWHAT={}\nMODE={}\nUID=0\nPID=77\nWHO={}\nWHY=it\n"


def system(lines: Sequence[str] = (), *, boot: str = "boot-1", users: Sequence[str] = ()) -> System:
    """Return what is made of a host's answer."""
    plain = {
        "host": ["clock 1000.0", f"boot_id {boot}", "uptime 5.00 5.00"],
        "os-release": ["ID=debian"],
        "space": ["/ 9999999 9999999 0 0"],
        "end": ["1000.0"],
        "inhibitors": lines,
        "users": users,
    }
    sections = {
        name: Section(lines=tuple(said), errors=(), status=0) for name, said in plain.items()
    }
    return read_system(host("web1"), sections, Asked(now=NOON, seconds=1.0))


def test_a_command_over_ssh_such_as_the_question_itself_is_nobody_who_is_logged_in() -> None:
    by_utmp = ["olga     pts/0        2026-03-10 21:58 (192.0.2.7)", "root     tty1         Mar 10"]
    by_systemd = [
        "wavemend sshd         2026-11-21 13:20 (192.0.2.1)",
        "olga     sshd pts/0   2026-11-21 12:58 (192.0.2.7)",
        "kiosk    seat0        2026-11-21 08:00",
        "root     tty1         2026-11-21 08:00",
        "olga     sshd",
    ]
    assert system(users=by_utmp).users == ("olga pts/0", "root tty1")
    assert system(users=by_systemd).users == ("kiosk seat0", "olga pts/0", "root tty1")


def test_a_host_that_does_not_say_its_boot_id_has_not_restarted_but_given_no_answer() -> None:
    assert system().boot_id == "boot-1"
    with pytest.raises(HostAnswerInvalid, match="which boot it is in"):
        system(boot="")


@pytest.mark.parametrize("said", [TABLE, FOUR_LINES], ids=["table", "before systemd 240"])
def test_who_asks_not_to_be_shut_down_is_found_in_both_forms(said: str) -> None:
    (found,) = system(said.splitlines()).inhibitors
    assert found.startswith("backup: ")
    assert "nightly copy" in found


def test_where_nobody_answers_what_logind_wrote_down_counts(
    root: LocalRoot, shell: tuple[str, ...]
) -> None:
    (root.root / "run/systemd/system").mkdir(parents=True)
    folder = root.root / "run/systemd/inhibit"
    folder.mkdir()
    tool = (root.bin or root.root) / "systemd-inhibit"
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    assert system(ask(root, shell, "inhibitors")).inhibitors == ()

    (folder / "1").write_text(WRITTEN.format("sleep", "delay", "NetworkManager"))
    (folder / "2").write_text(WRITTEN.format("shutdown:sleep", "block", "backup"))
    assert system(ask(root, shell, "inhibitors")).inhibitors == ("backup: shutdown:sleep it",)


TEXTS = [
    path
    for path in sorted(Path(str(files("wavemend"))).rglob("*"))
    if path.suffix in {".sh", ".py"} and "LC_ALL" in path.read_text() and path.name != "become.py"
]
"""What sets the language of tools whose words are read; of a login's only refusals are."""


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_sets_the_language_also_takes_away_what_goes_before_it(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if "LC_ALL" in line]

    assert lines == [line for line in lines if "LANGUAGE" in line]


def test_no_language_of_a_login_reaches_the_tools(root: LocalRoot, shell: tuple[str, ...]) -> None:
    root.extra = {"LANGUAGE": "de_DE:de"}

    assert ask(root, shell, 'printf "%s=%s\\n" "$LC_ALL" "$LANGUAGE"') == ["C.UTF-8="]
