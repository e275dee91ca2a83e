"""Whatever a host prints, and however much of it, changes no outcome and costs no 2 MiB."""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.contract.ssh_bench import KEY, host_on, login_for, needs_sshd, opened
from wavemend.errors import DeadlinePassed
from wavemend.execution import jobs
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.packages import JobScript
from wavemend.testing.openssh import OpenSshServer
from wavemend.transport import OUTPUT_BOUND, STDERR_BOUND, Login, Transport
from wavemend.transports.output import BoundedOutput
from wavemend.transports.ssh import connect

pytestmark = needs_sshd

MIB = 1_048_576
MOST_GROWTH = 2 * MIB
MEGABYTES = 300
NONCE = "n0nce" * 4
RUN = "a-0123456789"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSshServer]:
    folder = tmp_path_factory.mktemp("sshd")
    # The host's own root directory for jobs; and no start-up file of whoever runs the tests, which
    # may print on every command's stderr: "cannot rehash" where several shells begin at once.
    more = f"SetEnv WAVEMEND_ROOT={folder}/root HOME={folder}"
    with OpenSshServer(folder, authorized=KEY.public, more=more) as server:
        yield server


# --- memory: in a process of its own, so that nobody else's peak hides this one ----------------


def child() -> None:
    """Run commands at once, each over its own connection; print growth and results as JSON."""
    asked = json.load(sys.stdin)
    login = Login(**{**asked["login"], "become": ()})
    transports = [connect(host_on(asked["port"]), login) for _ in asked["scripts"]]
    for transport in transports:  # what a connection and a first command cost is paid before
        transport.run(["sh", "-c", "head -c 200000 /dev/zero; echo x >&2"], deadline=30)
    Path("/proc/self/clear_refs").write_text("5")  # the highest figure starts anew
    before = _resident("VmRSS")
    with ThreadPoolExecutor(len(transports)) as pool:
        runs = [pool.submit(_end, *pair) for pair in zip(transports, asked["scripts"], strict=True)]
    growth = _resident("VmHWM") - before
    json.dump({"growth": growth, "ends": [run.result() for run in runs]}, sys.stdout)


def _resident(field: str) -> int:
    """Return a figure of this process in bytes: VmRSS now, VmHWM at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _end(transport: Transport, script: str) -> list[int | str]:
    try:
        got = transport.run(["sh", "-c", script], deadline=240)
    except DeadlinePassed as error:
        return [str(error)]
    finally:
        transport.close()
    assert len(got.stdout) <= OUTPUT_BOUND
    assert len(got.stderr) <= STDERR_BOUND
    stdout, stderr = (len(kept) for kept in (got.stdout, got.stderr))
    words = got.stderr.replace(b"\0", b"").decode(errors="replace")[-300:]
    return [got.exit_status, stdout + got.dropped_bytes, stderr + got.dropped_stderr, words]


def flooded_by(server: OpenSshServer, *scripts: str) -> tuple[float, list[list[int | str]]]:
    """Return the growth per host in bytes, and per script its status and the bytes per stream."""
    login = asdict(login_for(server))
    asked = json.dumps({"login": login, "port": server.port, "scripts": scripts})
    run = f"from {__name__} import child; child()"
    done = subprocess.run(
        [sys.executable, "-c", run],
        input=asked,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    answer = json.loads(done.stdout)
    growth = answer["growth"] / len(scripts)
    print(f"{growth / MIB:.2f} MiB a host")
    return growth, answer["ends"]


def flood(megabytes: int) -> str:
    return f"dd if=/dev/zero bs=1000000 count={megabytes} status=none"


SIZE = MEGABYTES * 1_000_000


@pytest.mark.parametrize(
    ("script", "stdout", "stderr"),
    [
        (flood(MEGABYTES), SIZE, 0),
        (f"{flood(MEGABYTES)} >&2", 0, SIZE),
        (f"{flood(MEGABYTES // 2)} & {flood(MEGABYTES // 2)} >&2; wait", SIZE // 2, SIZE // 2),
    ],
    ids=["stdout", "stderr", "both"],
)
def test_a_flood_of_300_mb_costs_no_2_mib_and_its_status_is_seen(
    sshd: OpenSshServer, script: str, stdout: int, stderr: int
) -> None:
    growth, ends = flooded_by(sshd, f"{script}; exit 7")

    assert ends == [[7, stdout, stderr, ""]]
    assert growth < MOST_GROWTH


def test_six_hosts_that_flood_at_once_cost_no_2_mib_each(sshd: OpenSshServer) -> None:
    growth, ends = flooded_by(sshd, *[f"{flood(20)}; {flood(20)} >&2; exit 7"] * 6)

    assert ends == [[7, 20_000_000, 20_000_000, ""]] * 6
    assert growth < MOST_GROWTH


def test_single_bytes_cost_no_more_than_large_pieces() -> None:
    tracemalloc.start()
    bound = OUTPUT_BOUND // 8
    output = BoundedOutput(bound)
    for _ in range(2 * bound):
        output.add(b"x")
    kept = output.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * bound
    assert kept == (b"x" * bound, bound)


# --- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "while :; do echo still here; echo still here >&2; done",
        "while :; do printf x; sleep 0.05; done",
        "trap '' TERM HUP PIPE INT; while :; do echo no >&2; sleep 0.1; done 2>&1",
    ],
    ids=["as-fast-as-it-can", "one-byte-at-a-time", "ignores-signals"],
)
def test_a_host_that_never_stops_talking_is_left_at_the_deadline(
    sshd: OpenSshServer, script: str
) -> None:
    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        started = time.monotonic()
        with pytest.raises(DeadlinePassed):
            transport.run(["sh", "-c", script], deadline=2)
        assert time.monotonic() - started < 6


# --- meaning -----------------------------------------------------------------------------------

BINARY = bytes(range(256)) * 64

LIES = {
    "success": b"SUCCESS\nRC:0\nexit status 0\n",
    "frames": f"wavemend-job 1\nheld no\nrc {NONCE} 0 1\nbegun 1 1 x\nlog 0\n\n".encode(),
    "journal": f"wavemend-journal 1\nend {RUN} 0 1\n".encode(),
    "escapes": b"\x1b[2J\x1b]0;title\x07\x1b[31mFAILED\x1b[1A\x1b[2K\x1bc\x9b2J",
    "overwritten": b"FAILED: 3 packages\rdone: all is well \r\n",
    "not-utf-8": b"\xff\xfe\xc0\x80\xed\xa0\x80\xf5",
    "every-byte": BINARY,
    "no-end-of-line": b"x" * 100_000,
    "nothing": b"",
}


@pytest.mark.parametrize("stream", ["1", "2"])
@pytest.mark.parametrize("lie", LIES)
def test_what_a_command_prints_arrives_as_bytes_and_the_status_is_the_protocols(
    sshd: OpenSshServer, lie: str, stream: str
) -> None:
    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        result = transport.run(
            ["sh", "-c", f"cat >&{stream}; exit 3"], stdin=LIES[lie], deadline=30
        )
        kept = LIES[lie] if stream == "1" else b""
        assert (result.exit_status, result.stdout) == (3, kept)
        if stream == "2" and len(LIES[lie]) <= STDERR_BOUND:
            assert result.stderr == LIES[lie]
        assert len(result.stderr) + result.dropped_stderr == len(LIES[lie]) - len(kept)


def spec(text: str, attempt: str) -> JobSpec:
    return JobSpec(
        attempt_id=attempt, nonce=NONCE, fence=1, script=JobScript(text=text, args=("x",))
    )


def _ended(transport: Transport, attempt: str) -> jobs.JobView:
    end = time.monotonic() + 60
    while (view := read_job(transport, attempt, NONCE, deadline=30)).state is not JobState.ENDED:
        assert time.monotonic() < end, view
        time.sleep(0.05)
    return view


@pytest.mark.parametrize("lie", LIES)
def test_what_a_job_prints_is_its_log_and_never_its_end(sshd: OpenSshServer, lie: str) -> None:
    attempt = f"a-prints-{lie}"
    octal = "".join(f"\\0{byte:03o}" for byte in LIES[lie][:5_000])

    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        start_job(transport, spec(f"printf %b '{octal}'; exit 5", attempt), deadline=30)
        view = _ended(transport, attempt)

    assert (view.exit_status, view.log) == (5, LIES[lie][:5_000])


def test_a_job_that_floods_its_log_ends_as_it_ended(sshd: OpenSshServer) -> None:
    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        job = spec(f"{flood(50)}; {flood(10)} >&2; echo; echo SUCCESS; exit 5", "a-floods-it")
        start_job(transport, job, deadline=30)
        view = _ended(transport, "a-floods-it")

    assert view.exit_status == 5
    assert (len(view.log), view.log_size) == (jobs.LOG_BOUND, 60_000_009)
    assert view.log.endswith(b"\0\nSUCCESS\n")


def test_a_login_script_that_floods_stderr_leaves_the_answer_whole(tmp_path: Path) -> None:
    """Of the host's answer only stdout counts; what is lost of stderr makes it no less whole."""
    noisy = tmp_path / "noisy"
    noisy.write_text(f'#!/bin/sh\n{flood(30)} >&2\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    noisy.chmod(0o755)
    more = f"SetEnv WAVEMEND_ROOT={tmp_path}/root\nForceCommand {noisy}"
    with (
        OpenSshServer(tmp_path / "sshd", authorized=KEY.public, more=more) as server,
        opened(host_on(server.port), login_for(server)) as transport,
    ):
        start_job(transport, spec("exit 5", "a-noisy-one"), deadline=30)
        assert _ended(transport, "a-noisy-one").exit_status == 5
