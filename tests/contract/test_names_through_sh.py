"""Names with shell metacharacters arrive unchanged through a real sh, or are refused beforehand."""

import contextlib
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.local_root import LocalRoot
from tests.contract.ssh_bench import KEY, host_on, login_for, needs_sshd, opened
from wavemend.errors import PlanError, TransportError
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.hosts import DEFAULT_OPTIONS
from wavemend.managers import MANAGERS
from wavemend.packages import JobScript, Target
from wavemend.testing.openssh import OpenSshServer
from wavemend.transports.output import LONGEST_COMMAND, quote

COUNT = 100_000
SEED = 20261120

PLAIN = ("openssl", "lib", "x", "0", "1.2", "+deb12u1", "web1", "/usr/lib", "..", "é", "漢", "😀")
PIECES = (
    *("'", '"', "`", "$", "\\", "!", "*", "?", "[", "]", "{", "}", "(", ")", "<", ">", "|", "&"),
    *(";", "#", "~", "=", "%", "^", ",", ":", "@", "/", " ", "\t", "\n", "\r", "\v", "\f", "-"),
    *("--", "-n", "-e", "$(", "${", "$((", "))", "&&", "||", ">>", "<<", "<(", "*)", ";;", "''"),
    *("'\\''", "\\n", "\\0", "\\\n", "$IFS", "$@", "$0", "$HOME", "~root", "{a,b}", "%s", "%n"),
    *("`id`", "$(id)", ";id", "\nid\n", "EOF", "\x01", "\x07", "\x08", "\x1b[2J", "\x7f", "\x9b"),
    *("\u00a0", "\u2028", "\u202e", "\u200b", "\ufeff", "\ufffd", "e\u0301", "\udcff", "\udc80"),
)


def generated() -> list[str]:
    """Return the names, the same in every run: most hold metacharacters, some nothing else."""
    chance = random.Random(SEED)
    names = ["", *PIECES, *PLAIN]
    while len(names) < COUNT:
        pool = PIECES if chance.random() < 0.3 else (*PIECES, *PLAIN * 4)
        names.append("".join(chance.choices(pool, k=chance.randint(1, 8))))
    return names


NAMES = generated()


def batches(names: Sequence[str], size: int) -> Iterator[list[str]]:
    for at in range(0, len(names), size):
        yield list(names[at : at + size])


def as_bytes(names: Sequence[str]) -> bytes:
    return b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names)


# So many fit into one command, quoted: a host takes 128 KiB.
BATCH = 1_500

SHELLS: dict[str, list[str]] = {
    "dash": ["dash"],
    "bash": ["bash"],
    "bash-as-sh": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_transports_quoting_brings_every_name_through_a_login_shell(shell: str) -> None:
    """As sshd does: `<shell> -c <command line>`."""
    if not shutil.which(SHELLS[shell][0]):
        pytest.skip(f"{SHELLS[shell][0]} is not on this machine")
    for names in batches(NAMES, BATCH):
        command = quote(["/usr/bin/printf", r"%s\0", *names])
        assert len(command) < LONGEST_COMMAND
        argv: list[str | bytes] = [*SHELLS[shell], "-c", command]
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=True)
        assert done.stdout == as_bytes(names)


@needs_sshd
def test_every_name_arrives_over_ssh_as_an_argument_and_as_a_path(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    paths = sorted({name for name in NAMES[:5_000] if _is_file_name(name)})
    with (
        OpenSshServer(tmp_path / "sshd", authorized=KEY.public) as server,
        opened(host_on(server.port), login_for(server)) as transport,
    ):
        for names in batches(NAMES, BATCH):
            argv = ["/usr/bin/printf", r"%s\0", *names]
            result = transport.run(argv, deadline=60)
            assert (result.exit_status, result.stdout) == (0, as_bytes(names))
        for names in batches(paths, BATCH):
            script = 'cd "$1" && shift && for name; do : >"./$name" || exit 1; done'
            result = transport.run(["sh", "-c", script, "sh", str(files), *names], deadline=60)
            assert (result.exit_status, result.stderr) == (0, b"")

    made = [os.fsencode(name).decode("utf-8", "surrogateescape") for name in os.listdir(files)]  # noqa: PTH208 - as bytes
    assert sorted(made) == paths


def _is_file_name(name: str) -> bool:
    size = len(name.encode("utf-8", "surrogateescape"))
    return "/" not in name and 0 < size < 255 and name not in {".", ".."}


def test_what_cannot_arrive_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="NUL"):
        quote(["printf", "a\0b"])
    with pytest.raises(TransportError, match="stands for no bytes"):
        quote(["printf", "lone \ud800 surrogate"])
    with pytest.raises(TransportError, match="through stdin"):
        quote(["printf", "x" * LONGEST_COMMAND])
    host = LocalRoot(tmp_path)
    for argument in ("two\nlines", "\n", "nul\0", "lone \ud800 surrogate"):
        with pytest.raises(PlanError):
            start_job(host, spec((argument,), 0), deadline=60)
    assert host.asked == []


NONCE = "n0nce" * 4
PER_JOB = 1_250


def spec(names: Sequence[str], number: int) -> JobSpec:
    script = JobScript(text="printf '%s\\0' \"$@\"", args=tuple(names))
    return JobSpec(attempt_id=f"a-names-{number:05}", nonce=NONCE, fence=1, script=script)


def test_every_name_arrives_through_a_jobs_arguments_or_is_refused(tmp_path: Path) -> None:
    one_line = [name for name in NAMES if "\n" not in name]
    work = list(enumerate(batches(one_line, PER_JOB)))
    refused = len(NAMES) - len(one_line)
    # Starts on one host wait for each other; two hosts keep two cores busy.
    hosts = [LocalRoot(tmp_path / str(number)) for number in range(2)]

    def run(part: int) -> int:
        return sum(_run_job(hosts[part], number, names) for number, names in work[part::2])

    with ThreadPoolExecutor(2) as pool:
        arrived = sum(pool.map(run, (0, 1)))

    assert (arrived, arrived + refused) == (len(one_line), COUNT)
    for name in NAMES:
        if "\n" in name:
            with pytest.raises(PlanError, match="holds a line break"):
                start_job(hosts[0], spec((name,), 0), deadline=60)


def _run_job(host: LocalRoot, number: int, names: Sequence[str]) -> int:
    job = spec(names, number)
    view = start_job(host, job, deadline=60)
    while view.state is JobState.RUNNING:
        view = read_job(host, job.attempt_id, NONCE, deadline=60)
    assert (view.state, view.exit_status) == (JobState.ENDED, 0)
    assert view.log == as_bytes(names)
    return len(names)


SAFE = re.compile(r"[A-Za-z0-9_.+@^~][A-Za-z0-9_.+@^~:/-]*")
"""No metacharacter of sh and no leading dash, whatever a manager allows of these."""


WITHOUT_SH = {"windows_update"}


@pytest.mark.parametrize("manager", sorted(set(MANAGERS) - WITHOUT_SH))
def test_a_manager_takes_plain_package_names_and_refuses_all_others(manager: str) -> None:
    apply = MANAGERS[manager](DEFAULT_OPTIONS).apply_script
    taken = 0
    for name in NAMES:
        for target in (
            Target(name=name, arch="amd64", version="1.0-1"),
            Target(name="zip", arch="amd64", version=name),
        ):
            with contextlib.suppress(PlanError):
                apply((target,))
                assert SAFE.fullmatch(name), f"{manager} took {name!r}"
                taken += 1
    assert taken > 0


def test_windows_hosts_get_ids_and_revisions_whatever_an_update_is_called() -> None:
    apply = MANAGERS["windows_update"](DEFAULT_OPTIONS).apply_script
    update_id = "0b6f2e1c-3f0a-4f6e-9d1b-2f1f5c9b7a10"
    plain = apply((Target(name="KB5075906", arch=update_id, version="r200"),))
    taken = 0
    for name in NAMES:
        with contextlib.suppress(PlanError):
            assert apply((Target(name=name, arch=update_id, version="r200"),)) == plain
            taken += 1
        with contextlib.suppress(PlanError):
            apply((Target(name="KB5075906", arch=update_id, version=name),))
            assert re.fullmatch(r"r[0-9]+", name), f"windows_update took {name!r}"
    assert taken > 0
