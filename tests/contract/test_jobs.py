"""A change on a host begins at most once, outlives everything, and its end is proven."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.local_root import LocalRoot
from wavemend.errors import HostAnswerInvalid, PlanError
from wavemend.execution import jobs
from wavemend.execution.jobs import (
    Cleaned,
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
from wavemend.transport import CommandResult

NONCE = "n0nce" * 4
BOOT = "11111111-2222-3333-4444-555555555555"
RUN = "a-0123456789"

pytestmark = pytest.mark.skipif(not shutil.which("flock"), reason="needs util-linux")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LocalRoot]:
    boot_id = tmp_path / "proc/sys/kernel/random/boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text(f"{BOOT}\n")
    yield LocalRoot(tmp_path)
    for lock in sorted(tmp_path.glob("var/lib/wavemend/jobs/*/run.lock")):
        for pid in _holders(lock):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def spec(text: str, *args: str, attempt: str = RUN, fence: int = 1, nonce: str = NONCE) -> JobSpec:
    script = JobScript(text=text, args=args)
    return JobSpec(attempt_id=attempt, nonce=nonce, fence=fence, script=script)


def start(host: LocalRoot, job: JobSpec) -> JobView:
    return start_job(host, job, deadline=60)


def read(host: LocalRoot, attempt: str = RUN, nonce: str = NONCE) -> JobView:
    return read_job(host, attempt, nonce, deadline=60)


def until(host: LocalRoot, *states: JobState, attempt: str = RUN) -> JobView:
    return _poll(lambda: read(host, attempt), lambda view: view.state in states)


def _poll(ask: Callable[[], JobView], good: Callable[[JobView], bool]) -> JobView:
    end = time.monotonic() + 30
    while not good(view := ask()):
        assert time.monotonic() < end, view
        time.sleep(0.05)
    return view


def _pids_under(root: Path) -> list[int]:
    """Return the processes of this test: those with its directory in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(root)) for word in words):
            found.append(int(entry.parent.name))
    return sorted(found)


def test_a_job_runs_detached_and_its_exit_status_and_log_come_back(host: LocalRoot) -> None:
    view = start(host, spec('echo out "$1" "$2"; echo err >&2; exit 7', "a b", "$(id)'\"\\"))

    assert view.state in {JobState.RUNNING, JobState.ENDED}
    view = until(host, JobState.ENDED)
    assert view.exit_status == 7
    assert view.log == b"out a b $(id)'\"\\\nerr\n"
    assert view.log_size == len(view.log)
    assert view.boot_id_at_begin == BOOT
    assert view.begun_at is not None
    assert view.ended_at is not None
    assert abs(view.begun_at - time.time()) < 60
    assert view.ended_at >= view.begun_at


def test_a_second_start_finds_the_first_and_runs_nothing(host: LocalRoot) -> None:
    job = spec(f"echo once >>{host.root}/effects; sleep 0.5")
    start(host, job)

    second = start(host, job)
    assert second.state is JobState.RUNNING
    until(host, JobState.ENDED)
    third = start(host, job)

    assert third.state is JobState.ENDED
    assert third.exit_status == 0
    assert (host.root / "effects").read_text() == "once\n"


def test_ten_concurrent_starts_have_one_effect(host: LocalRoot) -> None:
    job = spec(f"echo once >>{host.root}/effects; sleep 0.3")

    with ThreadPoolExecutor(10) as pool:
        views = list(pool.map(lambda _: start(host, job), range(10)))

    assert {view.state for view in views} <= {JobState.RUNNING, JobState.ENDED}
    until(host, JobState.ENDED)
    assert (host.root / "effects").read_text() == "once\n"
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 2)
    kinds = [entry.kind for entry in read_journal(host, deadline=60)]
    assert kinds == [JournalKind.BEGIN, JournalKind.END]


def test_a_second_runner_of_the_same_job_runs_nothing(host: LocalRoot) -> None:
    """A start that was cut off may have launched one that comes late."""
    start(host, spec(f"echo once >>{host.root}/effects"))
    until(host, JobState.ENDED)

    runner = host.root / f"var/lib/wavemend/jobs/{RUN}/runner"
    done = host.run(("/bin/sh", str(runner), RUN, "1"), deadline=60)

    assert done.exit_status == 0
    assert (host.root / "effects").read_text() == "once\n"


def test_the_starter_may_be_killed_with_its_whole_process_group(host: LocalRoot) -> None:
    starter = subprocess.Popen(
        ["/bin/sh", "-c", jobs._BOOTSTRAP, "wavemend-start", RUN, "1", "1000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=host.environment(),
        start_new_session=True,
    )
    assert starter.stdin
    starter.stdin.write(jobs._payload(spec(f"sleep 1; echo done >{host.root}/effects")))
    starter.stdin.close()
    begun = host.root / f"var/lib/wavemend/jobs/{RUN}/begun"
    _wait_for(begun.exists)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()

    assert read(host).state is JobState.RUNNING
    assert until(host, JobState.ENDED).exit_status == 0
    assert (host.root / "effects").read_text() == "done\n"


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15])
def test_a_starter_killed_at_any_moment_leaves_a_job_that_can_be_started_again(
    host: LocalRoot, pause: float
) -> None:
    job = spec(f"echo once >>{host.root}/effects")
    starter = subprocess.Popen(
        ["/bin/sh", "-c", jobs._BOOTSTRAP, "wavemend-start", RUN, "1", "1000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=host.environment(),
        start_new_session=True,
    )
    assert starter.stdin
    starter.stdin.write(jobs._payload(job))
    starter.stdin.close()
    time.sleep(pause)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()

    assert start(host, job).state in {JobState.RUNNING, JobState.ENDED}
    assert until(host, JobState.ENDED).exit_status == 0
    assert (host.root / "effects").read_text() == "once\n"


def test_a_job_whose_processes_all_died_without_an_end_is_lost(host: LocalRoot) -> None:
    start(host, spec("sleep 300; true"))
    job = host.root / f"var/lib/wavemend/jobs/{RUN}"
    runner = _holders(job / "run.lock")
    assert runner
    for pid in runner:
        os.kill(pid, signal.SIGKILL)

    lost = until(host, JobState.LOST)
    assert lost.exit_status is None
    assert lost.begun_at is not None
    assert lost.boot_id_at_begin == BOOT
    assert start(host, spec("echo again")).state is JobState.LOST


def test_a_killed_runner_whose_transaction_goes_on_still_reads_as_running(host: LocalRoot) -> None:
    start(host, spec("sleep 1.5; true"))
    job = host.root / f"var/lib/wavemend/jobs/{RUN}"
    runner = [pid for pid in _pids_under(job) if _is_runner(pid)]
    assert len(runner) == 1
    os.kill(runner[0], signal.SIGKILL)

    assert read(host).state is JobState.RUNNING
    assert until(host, JobState.LOST, JobState.ENDED).state is JobState.LOST


def test_a_polite_stop_does_not_end_the_transaction(host: LocalRoot) -> None:
    start(host, spec("sleep 0.7; exit 3"))
    for pid in _pids_under(host.root / f"var/lib/wavemend/jobs/{RUN}"):
        if _is_runner(pid):
            os.kill(pid, signal.SIGTERM)

    assert until(host, JobState.ENDED).exit_status == 3


def test_a_daemon_that_the_job_leaves_behind_does_not_keep_it_running(host: LocalRoot) -> None:
    start(host, spec("setsid sleep 20 >/dev/null 2>&1 & exit 0"))

    assert until(host, JobState.ENDED).exit_status == 0


def test_an_rc_file_with_another_nonce_is_no_end(host: LocalRoot) -> None:
    forged = f"echo 'forged0forged0forged0 0 1' >{host.root}/var/lib/wavemend/jobs/{RUN}/rc"
    start(host, spec(f"{forged}; sleep 0.7; exit 9"))

    assert read(host).state is JobState.RUNNING
    assert until(host, JobState.ENDED).exit_status == 9
    # The runner holds its lock for a moment after it has written the file.
    other = _poll(
        lambda: read(host, nonce="x" * 20), lambda view: view.state is not JobState.RUNNING
    )
    assert other.state is JobState.LOST


def test_text_that_a_job_prints_is_never_its_result(host: LocalRoot) -> None:
    fake = f"wavemend-job 1\nheld no\nrc {NONCE} 0 1\nbegun 1 1 x\nlog 0\n\n"
    start(host, spec(f"printf '%s' '{fake}'; exit 5"))

    view = until(host, JobState.ENDED)
    assert view.exit_status == 5
    assert view.log == fake.encode()


def test_a_lower_fence_is_refused_by_the_host(host: LocalRoot) -> None:
    start(host, spec("true", fence=10))

    refused = start(host, spec("echo no", attempt="a-other-attempt", fence=9))

    assert refused.state is JobState.REFUSED_FENCE
    assert b"fence 10" in refused.log
    assert read(host, "a-other-attempt").state is JobState.ABSENT
    equal = start(host, spec("true", attempt="a-third-attempt", fence=10))
    assert equal.state is not JobState.REFUSED_FENCE


def test_a_damaged_fence_file_starts_nothing(host: LocalRoot) -> None:
    start(host, spec("true", fence=10))
    (host.root / "var/lib/wavemend/fence").write_text("")

    with pytest.raises(HostAnswerInvalid, match="fence is damaged"):
        start(host, spec("true", attempt="a-other-attempt", fence=11))


def test_the_journal_says_begin_before_the_script_runs(host: LocalRoot) -> None:
    start(host, spec(f"cp {host.root}/var/lib/wavemend/journal {host.root}/seen; exit 4", fence=3))
    until(host, JobState.ENDED)

    seen = (host.root / "seen").read_text()
    assert seen.startswith(f"begin {RUN} 3 ")
    assert seen.endswith(f" {BOOT}\n")
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 2)
    begin, end = read_journal(host, deadline=60)
    assert (begin.kind, begin.attempt_id, begin.fence, begin.boot_id) == (
        JournalKind.BEGIN,
        RUN,
        3,
        BOOT,
    )
    assert (end.kind, end.attempt_id, end.exit_status) == (JournalKind.END, RUN, 4)


def test_a_torn_line_in_the_journal_is_kept_as_damaged_and_spoils_no_other(host: LocalRoot) -> None:
    journal = host.root / "var/lib/wavemend/journal"
    journal.parent.mkdir(parents=True)
    journal.write_text("begin a-torn-by-a-pow")

    start(host, spec("true"))
    until(host, JobState.ENDED)
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 3)
    kinds = [entry.kind for entry in read_journal(host, deadline=60)]

    assert kinds == [JournalKind.DAMAGED, JournalKind.BEGIN, JournalKind.END]


def test_nuls_that_a_power_cut_left_in_the_journal_hide_no_beginning(host: LocalRoot) -> None:
    journal = host.root / "var/lib/wavemend/journal"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(f"begin a-earlier-one 1 1 {BOOT}\nbegin a-cut".encode() + bytes(40))
    job = spec(f"echo once >>{host.root}/effects")

    start(host, job)
    until(host, JobState.ENDED)
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 4)
    _wait_for(lambda: remove_job(host, RUN, deadline=60))

    assert start(host, job).state is JobState.LOST
    assert read(host, "a-earlier-one").state is JobState.LOST
    assert (host.root / "effects").read_text() == "once\n"
    begins = [e.attempt_id for e in read_journal(host, deadline=60) if e.kind is JournalKind.BEGIN]
    assert begins == ["a-earlier-one", RUN]


def test_ten_megabytes_of_log_come_back_as_a_bounded_tail(host: LocalRoot) -> None:
    start(host, spec("head -c 10485760 /dev/zero | tr '\\0' x; echo; echo the last line"))

    view = until(host, JobState.ENDED)

    assert len(view.log) == jobs.LOG_BOUND
    assert view.log.endswith(b"x\nthe last line\n")
    assert view.log_size == 10_485_760 + 1 + len("the last line\n")


def test_a_removed_job_is_remembered_and_not_run_again(host: LocalRoot) -> None:
    job = spec(f"echo once >>{host.root}/effects")
    start(host, job)
    until(host, JobState.ENDED)
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 2)

    assert remove_job(host, RUN, deadline=60)
    assert not (host.root / f"var/lib/wavemend/jobs/{RUN}").exists()

    assert start(host, job).state is JobState.LOST
    assert read(host).state is JobState.LOST
    assert (host.root / "effects").read_text() == "once\n"
    assert remove_job(host, RUN, deadline=60)


def test_a_running_job_is_not_removed(host: LocalRoot) -> None:
    start(host, spec("sleep 1"))

    assert not remove_job(host, RUN, deadline=60)
    assert until(host, JobState.ENDED).exit_status == 0


def test_a_forbidden_job_never_begins_however_late_its_start_arrives(host: LocalRoot) -> None:
    job = spec(f"echo late >>{host.root}/effects")

    assert forbid_job(host, RUN, NONCE, deadline=60).state is JobState.ABSENT
    assert start(host, job).state is JobState.ABSENT
    assert read(host).state is JobState.ABSENT
    assert not (host.root / "effects").exists()
    assert read_journal(host, deadline=60) == ()


def test_forbidding_a_job_that_has_begun_says_so_and_leaves_it_alone(host: LocalRoot) -> None:
    start(host, spec("sleep 3; exit 6"))

    assert forbid_job(host, RUN, NONCE, deadline=60).state is JobState.RUNNING
    assert until(host, JobState.ENDED).exit_status == 6
    assert forbid_job(host, RUN, NONCE, deadline=60).state is JobState.ENDED


def test_a_payload_cut_off_anywhere_starts_nothing(host: LocalRoot) -> None:
    text = f"echo half >>{host.root}/effects\n" * 20
    whole = jobs._payload(spec(text, "one", "two"))

    for length in (0, 1, 5, 400, len(whole) - len(text) - 3, len(whole) - 40, len(whole) - 1):
        host.run(
            ("/bin/sh", "-c", jobs._BOOTSTRAP, "wavemend-start", RUN, "1", "1000"),
            stdin=whole[:length],
            deadline=60,
        )
        assert read(host).state is JobState.ABSENT, length
    assert not (host.root / "effects").exists()
    start(host, spec(text, "one", "two"))
    assert until(host, JobState.ENDED).exit_status == 0


def test_the_records_are_for_root_only_and_the_job_has_the_usual_umask(host: LocalRoot) -> None:
    start(host, spec(f"touch {host.root}/made; umask"))

    assert until(host, JobState.ENDED).log == b"0022\n"
    assert (host.root / "made").stat().st_mode & 0o777 == 0o644
    records = sorted((host.root / "var/lib/wavemend").rglob("*"))
    assert "journal" in {path.name for path in records}
    for path in records:
        assert path.stat().st_mode & 0o077 == 0, path


def test_neither_nonce_nor_arguments_stand_in_an_argv(host: LocalRoot) -> None:
    start(host, spec("true", "an-argument"))

    words = " ".join(word for argv, _ in host.asked for word in argv)
    assert NONCE not in words
    assert "an-argument" not in words


def test_the_job_has_no_stdin_and_no_terminal(host: LocalRoot) -> None:
    start(host, spec("cat; tty; exit 0"))

    assert until(host, JobState.ENDED).log == b"not a tty\n"


SYSTEMD_RUN = """\
#!/bin/sh
printf '%s\\n' "$@" >"$WAVEMEND_ROOT/asked-of-systemd"
while [ "${1#--}" != "$1" ]; do shift; done
setsid "$@" &
"""


@pytest.fixture
def systemd_host(host: LocalRoot) -> LocalRoot:
    """Return a host on which systemd is the init, with a stand-in for systemd-run."""
    (host.root / "run/systemd/system").mkdir(parents=True)
    host.bin = host.root / "programs"
    host.bin.mkdir()
    return host


def _program(host: LocalRoot, name: str, text: str) -> None:
    assert host.bin is not None
    (host.bin / name).write_text(text)
    (host.bin / name).chmod(0o755)


def test_under_systemd_a_job_is_a_unit_of_its_own_that_is_not_killed(
    systemd_host: LocalRoot,
) -> None:
    _program(systemd_host, "systemd-run", SYSTEMD_RUN)

    start(systemd_host, spec("exit 12"))

    assert until(systemd_host, JobState.ENDED).exit_status == 12
    asked = (systemd_host.root / "asked-of-systemd").read_text().splitlines()
    assert f"--unit=wavemend-{RUN}" in asked
    assert "--property=KillMode=process" in asked
    assert "--property=TimeoutStopSec=900" in asked
    assert f"--setenv=WAVEMEND_ROOT={systemd_host.root}" in asked


def test_under_an_old_systemd_a_job_is_a_unit_of_its_own_too(systemd_host: LocalRoot) -> None:
    """RHEL 7 and Amazon Linux 2: in the login's session it may be killed with the session."""
    old = """case " $* " in
*" --collect "*) echo "systemd-run: unrecognized option '--collect'" >&2; exit 1 ;;
*" --property=IgnoreSIGPIPE"* | *" --property=Timeout"*) echo 'Unknown assignment' >&2; exit 1 ;;
esac
printf"""
    _program(systemd_host, "systemd-run", SYSTEMD_RUN.replace("printf", old))

    start(systemd_host, spec("exit 12"))

    assert until(systemd_host, JobState.ENDED).exit_status == 12
    asked = (systemd_host.root / "asked-of-systemd").read_text().splitlines()
    assert f"--unit=wavemend-{RUN}" in asked
    assert "--property=KillMode=process" in asked


def test_where_systemd_refuses_the_unit_the_job_still_runs_detached_and_once(
    systemd_host: LocalRoot,
) -> None:
    _program(systemd_host, "systemd-run", "#!/bin/sh\necho refused >&2\nexit 1\n")

    start(systemd_host, spec(f"echo once >>{systemd_host.root}/effects"))

    assert until(systemd_host, JobState.ENDED).exit_status == 0
    assert (systemd_host.root / "effects").read_text() == "once\n"


def test_a_runner_that_comes_too_late_begins_nothing(systemd_host: LocalRoot) -> None:
    """systemd takes the unit and does not start it within the time the start waits."""
    late = SYSTEMD_RUN.replace('setsid "$@" &', 'printf "%s\\n" "$@" >"$WAVEMEND_ROOT/late"')
    _program(systemd_host, "systemd-run", late)
    job = spec(f"echo once >>{systemd_host.root}/effects")

    with pytest.raises(HostAnswerInvalid, match="brought the job to its beginning"):
        start(systemd_host, job)
    runner = (systemd_host.root / "late").read_text().splitlines()
    done = systemd_host.run(runner, deadline=60)

    assert done.exit_status == 0
    assert not (systemd_host.root / "effects").exists()
    assert read(systemd_host).state is JobState.ABSENT
    _program(systemd_host, "systemd-run", SYSTEMD_RUN)
    start(systemd_host, job)
    assert until(systemd_host, JobState.ENDED).exit_status == 0
    assert (systemd_host.root / "effects").read_text() == "once\n"


def test_a_disk_that_the_job_fills_does_not_hide_its_end(host: LocalRoot) -> None:
    """The room for the end is reserved before the script runs."""
    place = host.root / "var/lib/wavemend"
    place.mkdir(parents=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "wm", str(place)], check=False
    ).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        start(host, spec(f"head -c 10000000 /dev/zero >{place}/flood; exit 28"))
        assert until(host, JobState.ENDED, JobState.LOST).exit_status == 28
    finally:
        _wait_for(lambda: not _holders(place / f"jobs/{RUN}/run.lock"))
        subprocess.run(["umount", str(place)], check=True)


def test_a_job_that_was_never_started_is_absent(host: LocalRoot) -> None:
    assert read(host) == JobView(state=JobState.ABSENT)
    assert read_journal(host, deadline=60) == ()
    assert remove_job(host, RUN, deadline=60)


@pytest.mark.parametrize(
    "attempt",
    ["", "short", "UPPER-case-id", "a/../../etc/x", "a" * 65, "a-b c-d-e", "a-\n-12345678"],
)
def test_an_attempt_id_out_of_form_is_refused_before_anything_is_sent(
    host: LocalRoot, attempt: str
) -> None:
    for call in (
        lambda: start(host, spec("true", attempt=attempt)),
        lambda: read(host, attempt),
        lambda: forbid_job(host, attempt, NONCE, deadline=60),
        lambda: remove_job(host, attempt, deadline=60),
    ):
        with pytest.raises(PlanError, match="is no attempt id"):
            call()
    assert host.asked == []


@pytest.mark.parametrize("attempt", ["short", "a/../../etc", "x" * 65, "UPPERCASE1"])
def test_the_host_itself_refuses_an_attempt_id_out_of_form(host: LocalRoot, attempt: str) -> None:
    argv = ("/bin/sh", "-c", jobs._BOOTSTRAP, "wavemend-start", attempt, "1", "1000")

    done = host.run(argv, stdin=jobs._payload(spec("true")), deadline=60)

    assert done.exit_status == 80
    assert not (host.root / "var").exists()


@pytest.mark.parametrize(
    "job",
    [
        spec("true", nonce="short"),
        spec("true", nonce="with space with space"),
        spec("true", fence=-1),
        spec("true", fence=10**18),
        spec("true", "two\nlines"),
        spec("true", "nul\0"),
    ],
)
def test_a_spec_out_of_form_is_refused_before_anything_is_sent(
    host: LocalRoot, job: JobSpec
) -> None:
    with pytest.raises(PlanError):
        start(host, job)
    assert host.asked == []


def test_a_thousand_arguments_arrive_as_they_are(host: LocalRoot) -> None:
    args = [f"package-{number}:amd64=1:2.{number}-3+deb12u1" for number in range(1000)]
    start(host, spec("printf '%s\\n' \"$@\"", *args))

    assert until(host, JobState.ENDED).log.decode().splitlines() == args


def test_a_host_without_flock_is_named_as_unfit(host: LocalRoot, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for program in ("sh", "cat", "mkdir"):
        (bare / program).symlink_to(Path(shutil.which(program) or "/bin/sh"))
    host.extra = {"PATH": str(bare)}
    # The scripts append the usual directories to PATH, so take them away in the text itself.
    payload = jobs._payload(spec("true")).replace(b":/usr/sbin:/sbin:/usr/bin:/bin", b"")

    argv = ("/bin/sh", "-c", jobs._BOOTSTRAP, "wavemend-start", RUN, "1", "1000")
    done = host.run(argv, stdin=payload, deadline=60)

    assert done.exit_status == 78
    assert done.stderr == b"flock is not installed\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no mark at all",
        b"wavemend-job 1\n",
        b"wavemend-job 1\nheld no\n\n",
        b"wavemend-job 1\nheld no\nlog -5\n\n",
        "wavemend-job 1\nheld no\nlog \u00b2\n\n".encode(),
        "wavemend-job 1\nheld no\nlog \u0665\n\n".encode(),
        b"wavemend-job 1\nheld no\nlog " + b"9" * 5_000 + b"\n\n",
        b"\xff\xfe wavemend-job 1\nlog 3\n\nabc",
    ],
)
def test_an_answer_out_of_form_is_an_error_of_the_host(answer: bytes) -> None:
    with pytest.raises(HostAnswerInvalid):
        read_job(_Says(answer), RUN, NONCE, deadline=60)


def test_a_login_script_that_prints_first_does_no_harm() -> None:
    answer = f"Welcome!\nwavemend-job 1\nheld no\nrc {NONCE} 0 12\nbegun 1 11 b\nlog 0\n\n"

    view = read_job(_Says(answer.encode()), RUN, NONCE, deadline=60)

    assert (view.state, view.exit_status, view.ended_at) == (JobState.ENDED, 0, 12.0)


@pytest.mark.parametrize("fence", ["5", "9" * 5_000, "\u0665"])
@pytest.mark.parametrize("at", ["9" * 17, "9" * 5_000, "\u0665", "-1", "1e9", "nan"])
def test_a_time_that_no_calendar_holds_is_an_unknown_one(fence: str, at: str) -> None:
    answer = f"wavemend-job 1\nheld yes\nbegun {fence} {at} b\nlog 0\n\n"

    view = read_job(_Says(answer.encode()), RUN, NONCE, deadline=60)

    assert (view.state, view.begun_at, view.boot_id_at_begin) == (JobState.RUNNING, None, "")


@pytest.mark.parametrize("rc", ["256 12", "999 12", "\u0665 12", "0 " + "9" * 17, "-1 12"])
def test_an_end_that_is_not_in_form_proves_none(rc: str) -> None:
    answer = f"wavemend-job 1\nheld no\nrc {NONCE} {rc}\nbegun 1 11 b\nlog 0\n\n"

    view = read_job(_Says(answer.encode()), RUN, NONCE, deadline=60)

    assert (view.state, view.exit_status, view.ended_at) == (JobState.LOST, None, None)


@pytest.mark.parametrize("status", [0, 9, 99, 100, 199, 200, 249, 250, 255])
def test_every_exit_status_a_process_can_have_is_read(status: int) -> None:
    answer = f"wavemend-job 1\nheld no\nrc {NONCE} {status} 12\nbegun 1 11 b\nlog 0\n\n"

    assert read_job(_Says(answer.encode()), RUN, NONCE, deadline=60).exit_status == status


@pytest.mark.parametrize(
    "line",
    [
        "begin a-12345678 1 " + "9" * 17 + " boot",
        "begin a-12345678 " + "9" * 5_000 + " 1 boot",
        "begin a-12345678 1 \u0665 boot",
        "end a-12345678 256 1",
        "end a-12345678 0 " + "9" * 5_000,
    ],
    ids=["late", "fence", "digits", "status", "long"],
)
def test_a_journal_line_with_numbers_out_of_bounds_is_a_damaged_one(line: str) -> None:
    said = _Says(f"wavemend-journal 1\n{line}\n".encode())

    (entry,) = read_journal(said, deadline=60)

    assert (entry.kind, entry.raw) == (JournalKind.DAMAGED, line)


def test_an_answer_that_was_cut_to_fit_is_not_believed() -> None:
    answer = f"wavemend-job 1\nheld no\nrc {NONCE} 0 12\nbegun 1 11 b\nlog 0\n\n".encode()

    with pytest.raises(HostAnswerInvalid):
        read_job(_Says(answer, dropped=1), RUN, NONCE, deadline=60)


class _Says(LocalRoot):
    """A host that answers everything with the same bytes."""

    def __init__(self, answer: bytes, dropped: int = 0) -> None:
        super().__init__(Path("/nonexistent"))
        self._answer, self._dropped = answer, dropped

    def run(self, *_args: object, **_options: object) -> CommandResult:
        return CommandResult(
            exit_status=0,
            stdout=self._answer,
            stderr=b"",
            dropped_bytes=self._dropped,
            seconds=0.0,
        )


def _wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _is_runner(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return len(words) > 1 and words[1].endswith(b"/runner")


def _holders(path: Path) -> list[int]:
    """Return the processes that hold a file open."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # A process, or one of its files, may be gone by the time it is looked at.
        with suppress(OSError):
            for link in (process / "fd").iterdir():
                with suppress(OSError):
                    if link.readlink() == path:
                        found.add(int(process.name))
    return sorted(found)


# --- never too late ---------------------------------------------------------------------------


def test_a_start_that_reaches_the_host_too_late_begins_nothing(host: LocalRoot) -> None:
    job = spec(f"echo once >>{host.root}/effects")
    late = start(host, replace(job, not_after=int(time.time()) - 1))

    assert late.state is JobState.REFUSED_LATE
    assert b"the host's clock is past" in late.log
    assert read(host).state is JobState.ABSENT
    assert read_journal(host, deadline=60) == ()
    assert not (host.root / "effects").exists()

    start(host, replace(job, not_after=int(time.time()) + 60))
    assert until(host, JobState.ENDED).exit_status == 0
    again = start(host, replace(job, not_after=int(time.time()) - 1))
    assert again.state is JobState.ENDED, "what began in time is reported, not refused"
    assert (host.root / "effects").read_text() == "once\n"


def test_a_runner_that_was_held_up_until_it_is_too_late_begins_nothing(
    systemd_host: LocalRoot,
) -> None:
    """The machine was paused, or the unit waited: the check is the runner's, at the last moment."""
    _program(
        systemd_host, "systemd-run", SYSTEMD_RUN.replace('setsid "$@"', '(sleep 3; setsid "$@")')
    )
    job = spec(f"echo once >>{systemd_host.root}/effects")

    view = start(systemd_host, replace(job, not_after=int(time.time()) + 1))

    assert view.state is JobState.REFUSED_LATE
    assert read(systemd_host).state is JobState.ABSENT
    assert not (systemd_host.root / "effects").exists()


@pytest.mark.parametrize("not_after", [-1, 10**11])
def test_a_last_start_out_of_form_is_refused_before_anything_is_sent(
    host: LocalRoot, not_after: int
) -> None:
    with pytest.raises(PlanError, match="no time a start may end at"):
        start(host, replace(spec("true"), not_after=not_after))
    assert host.asked == []


# --- what stays on the host is bounded --------------------------------------------------------


def test_old_jobs_are_removed_and_remembered_and_running_ones_left_alone(host: LocalRoot) -> None:
    effects = host.root / "effects"
    start(host, spec(f"until [ -e {host.root}/go ]; do sleep 0.1; done", attempt="a-still-running"))
    for number in range(4):
        attempt = f"a-old-job-{number}"
        start(host, spec(f"echo {number} >>{effects}", attempt=attempt))
        until(host, JobState.ENDED, attempt=attempt)
        _wait_for(lambda: not _holders(host.root / f"var/lib/wavemend/jobs/{attempt}/run.lock"))  # noqa: B023
        time.sleep(0.02)

    cleaned = remove_old_jobs(host, keep=2, deadline=60)

    (host.root / "go").touch()
    assert (cleaned.removed, cleaned.running) == (2, 1)
    left = sorted(path.name for path in (host.root / "var/lib/wavemend/jobs").iterdir())
    assert left == ["a-old-job-2", "a-old-job-3", "a-still-running"]
    assert start(host, spec("exit 1", attempt="a-old-job-0")).state is JobState.LOST
    assert until(host, JobState.ENDED, attempt="a-still-running").exit_status == 0
    assert effects.read_text() == "0\n1\n2\n3\n"


def test_a_long_journal_is_cut_and_names_every_job_that_has_a_directory(host: LocalRoot) -> None:
    start(host, spec("true", attempt="a-first-of-all"))
    until(host, JobState.ENDED, attempt="a-first-of-all")
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 2)
    journal = host.root / "var/lib/wavemend/journal"
    count = jobs.JOURNAL_LINES + 1
    more = (
        f"begin a-{n:08} 1 1700000000 {BOOT}\nend a-{n:08} 0 1700000009\n" for n in range(count)
    )
    with journal.open("a") as out:
        out.writelines(more)

    remove_old_jobs(host, keep=5, deadline=60)

    lines = journal.read_text().splitlines()
    assert len(lines) == jobs.JOURNAL_LINES + 2
    assert lines[0].startswith("begin a-first-of-all ")
    assert lines[-1] == f"end a-{count - 1:08} 0 1700000009"
    assert sorted(path.name for path in journal.parent.glob("journal*")) == [
        "journal",
        "journal.lock",
    ]
    last = start(host, spec(f"touch {host.root}/again", attempt=f"a-{count - 1:08}"))
    assert last.state is JobState.LOST
    assert not (host.root / "again").exists()


def test_a_short_journal_is_left_as_it_is_and_an_empty_host_is_clean(host: LocalRoot) -> None:
    assert remove_old_jobs(host, keep=1, deadline=60) == Cleaned(removed=0, running=0)
    start(host, spec("true"))
    until(host, JobState.ENDED)
    _wait_for(lambda: len(read_journal(host, deadline=60)) == 2)
    before = (host.root / "var/lib/wavemend/journal").stat()

    assert remove_old_jobs(host, keep=1, deadline=60) == Cleaned(removed=0, running=0)

    assert (host.root / "var/lib/wavemend/journal").stat().st_ino == before.st_ino
    with pytest.raises(PlanError, match="never removed"):
        remove_old_jobs(host, keep=0, deadline=60)
