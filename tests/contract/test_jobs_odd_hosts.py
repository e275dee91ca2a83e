"""Jobs work on hosts that are odd, and on full ones they begin nothing and say why."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.local_root import LocalRoot
from wavemend.errors import HostAnswerInvalid
from wavemend.execution.jobs import (
    JobSpec,
    JobState,
    JobView,
    JournalKind,
    forbid_job,
    read_job,
    read_journal,
    remove_job,
    remove_old_jobs,
    start_job,
)
from wavemend.packages import JobScript
from wavemend.transport import OUTPUT_BOUND, CommandResult

NONCE = "n0nce" * 4
RUN = "a-0123456789"
ARGS = ("a b", "$(id)'\"\\", "-n", "", "ünï*")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("flock"), reason="needs root, to mount, and util-linux"
)


@dataclass
class OddHost(LocalRoot):
    """This machine seen through a mount namespace, with an environment of its own."""

    setup: str = ""
    """Mounts that the host's commands see, as sh; `$1` is the host's folder."""
    clean: bool = True
    """Start from an empty environment, as some sshd and sudo set-ups do."""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command inside."""
        script = f'{self.setup}\nshift; exec "$@"'
        words = [f"{name}={value}" for name, value in self.environment().items()]
        env = ("env", "-i", *words) if self.clean else ("env",)
        inside = ("unshare", "--mount", "/bin/bash", "-ec", script, "odd", str(self.root), *env)
        return super().run((*inside, *argv), stdin=stdin, deadline=deadline, bound=bound)


APPLETS = "[ cat date echo env grep head ls mkdir mv printf rm sed sh sleep sync tail touch tr wc"

FLOCK = """\
#!/bin/sh
# busybox's flock knows only these options.
case $1 in -w | -E | -[sxun]?*) echo "flock: invalid option $1" >&2; exit 1 ;; esac
exec {flock} "$@"
"""

SETUPS = {
    "plain": "",
    "bash": "mount --bind /bin/bash {dash}",
    "busybox": "mount --bind {busybox} {dash}",
    "noexec": "mount --rbind /tmp /tmp; mount -o remount,bind,noexec /tmp;"
    ' mount --bind "$1" "$1"; mount -o remount,bind,noexec "$1"',
    "read-only-tmp": 'mount --bind "$1" /mnt; mount --rbind /tmp /tmp;'
    ' mount -o remount,bind,ro /tmp; mount --bind /mnt "$1"',
    "umask-000": "umask 000",
    "umask-077": "umask 077",
}
"""What is odd, as mounts in the host's own namespace. `$1`: the folder that holds its state."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("11111111-2222\n")
    return tmp_path


@pytest.fixture(params=SETUPS)
def host(request: pytest.FixtureRequest, root: Path) -> OddHost:
    dash, busybox = Path("/bin/sh").resolve(), shutil.which("busybox")
    setup = SETUPS[request.param].format(dash=dash, busybox=busybox)
    if request.param != "busybox":
        return OddHost(root, setup=setup)
    if not busybox:
        pytest.skip("busybox is not on this machine")
    programs = root / "programs"
    programs.mkdir()
    for applet in APPLETS.split():
        (programs / applet).symlink_to(busybox)
    (programs / "flock").write_text(FLOCK.format(flock=shutil.which("flock")))
    (programs / "flock").chmod(0o755)
    return OddHost(root, bin=programs, setup=setup)


def spec(text: str, *args: str, attempt: str = RUN) -> JobSpec:
    return JobSpec(attempt_id=attempt, nonce=NONCE, fence=1, script=JobScript(text=text, args=args))


def until(host: LocalRoot, state: JobState, attempt: str = RUN) -> JobView:
    end = time.monotonic() + 30
    while (view := read_job(host, attempt, NONCE, deadline=60)).state is not state:
        assert time.monotonic() < end, view
        time.sleep(0.05)
    return view


def test_a_whole_life_of_a_job(host: OddHost) -> None:
    text = f"""printf '%s\\n' "$@" "$HOME"; umask; echo once >>{host.root}/effects; exit 7"""
    job = replace(spec(text, *ARGS), not_after=int(time.time()) + 60)

    start_job(host, job, deadline=60)
    view = until(host, JobState.ENDED)

    assert view.exit_status == 7
    assert view.log.decode().splitlines() == [*ARGS, "/root", "0022"]
    assert start_job(host, job, deadline=60).state is JobState.ENDED
    held = spec(f"until [ -e {host.root}/go ]; do sleep 0.1; done", attempt="a-waits-a-bit")
    assert start_job(host, held, deadline=60).state is JobState.RUNNING
    assert not remove_job(host, "a-waits-a-bit", deadline=60)
    late = replace(spec("true", attempt="a-comes-late"), not_after=1)
    assert start_job(host, late, deadline=60).state is JobState.REFUSED_LATE
    never = forbid_job(host, "a-forbidden-one", NONCE, deadline=60)
    assert never.state is JobState.ABSENT
    (host.root / "go").touch()
    until(host, JobState.ENDED, "a-waits-a-bit")
    os.utime(host.root / f"var/lib/wavemend/jobs/{RUN}", (0, 0))
    assert remove_old_jobs(host, keep=1, deadline=60).removed == 3
    assert start_job(host, job, deadline=60).state is JobState.LOST
    kinds = [entry.kind for entry in read_journal(host, deadline=60)]
    assert sorted(kinds) == [JournalKind.BEGIN] * 2 + [JournalKind.END] * 2
    assert (host.root / "effects").read_text() == "once\n"
    records = sorted((host.root / "var/lib/wavemend").rglob("*"))
    assert "journal" in {path.name for path in records}
    for path in records:
        assert path.stat().st_mode & 0o077 == 0, path


@contextmanager
def small_disk(root: Path, options: str) -> Iterator[Path]:
    """Give the host's state a file system of its own."""
    place = root / "var/lib/wavemend"
    place.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", options, "wm-small", str(place)]
    if subprocess.run(argv, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


PAGE = os.sysconf("SC_PAGE_SIZE")


def _fill(place: Path, free: int, *, inodes: bool) -> None:
    """Leave room for so many more pages, or so many more files."""
    count = 0
    while True:
        state = os.statvfs(place)
        if (state.f_ffree if inodes else state.f_bfree) <= free:
            return
        with (place / f"filler-{count}").open("wb") as out:
            if not inodes:
                out.write(b"x" * PAGE * (state.f_bfree - free))
        count += 1


def _refusal(host: LocalRoot, job: JobSpec) -> str:
    try:
        start_job(host, job, deadline=60)
    except HostAnswerInvalid as error:
        return str(error)
    return ""


@pytest.mark.parametrize("what", ["pages", "inodes"])
def test_a_full_disk_begins_nothing_wherever_it_is_met_and_says_so(root: Path, what: str) -> None:
    """One page, or one file, less at each turn: so every file is once the first that fails."""
    seen = []
    for free in range(24):
        part = root / f"part-{free}"
        (part / "proc").mkdir(parents=True)
        options = "size=256k" if what == "pages" else "nr_inodes=80"
        with small_disk(part, options) as place:
            host = LocalRoot(part)
            _fill(place, free, inodes=what == "inodes")
            job = spec(f"echo once >>{part}/effects")
            if error := _refusal(host, job):
                assert "a file could not be written" in error, f"{free}: {error}"
                assert read_job(host, RUN, NONCE, deadline=60).state is JobState.ABSENT
                assert not (part / "effects").exists()
            seen.append("refused" if error else "began")
            for path in place.glob("filler-*"):
                path.unlink()
            start_job(host, job, deadline=60)
            assert until(host, JobState.ENDED).exit_status == 0, free
            assert (part / "effects").read_text() == "once\n"
            assert JournalKind.BEGIN in {e.kind for e in read_journal(host, deadline=60)}
    assert set(seen[:6]) == {"refused"}
    assert seen == sorted(seen, reverse=True), "with more room it does not fail again"
    assert seen[-1] == "began"


def test_a_full_disk_tears_no_journal_into_a_beginning(root: Path) -> None:
    """The line that did not fit is no proof that a job began, and spoils no other line."""
    with small_disk(root, "size=128k") as place:
        host = LocalRoot(root)
        start_job(host, spec("true", attempt="a-first-of-all"), deadline=60)
        until(host, JobState.ENDED, "a-first-of-all")
        journal = place / "journal"
        with journal.open("a") as out:
            out.write("x" * (PAGE - journal.stat().st_size - 41) + "\n")
        job = spec(f"echo once >>{root}/effects")
        torn = False
        for free in range(16):
            _fill(place, free, inodes=False)
            assert "a file could not be written" in _refusal(host, job), free
            for path in place.glob("filler-*"):
                path.unlink()
            if torn := journal.read_text().splitlines()[-1].startswith(f"begin {RUN} 1 "):
                break

        assert torn, "the line was to cross the page that was not to be had"
        assert read_job(host, RUN, NONCE, deadline=60).state is JobState.ABSENT
        start_job(host, spec("true", attempt="a-other-one"), deadline=60)
        until(host, JobState.ENDED, "a-other-one")  # its line ends the torn one
        assert read_job(host, RUN, NONCE, deadline=60).state is JobState.ABSENT
        start_job(host, job, deadline=60)
        assert until(host, JobState.ENDED).exit_status == 0
        assert (root / "effects").read_text() == "once\n"
        kinds = [entry.kind for entry in read_journal(host, deadline=60)]
        torn_at = kinds.index(JournalKind.DAMAGED, kinds.index(JournalKind.DAMAGED) + 1)
        assert kinds[torn_at + 1] is JournalKind.BEGIN
