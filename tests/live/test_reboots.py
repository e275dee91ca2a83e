"""Real hosts really restart: believed by their boot, waited for, and told apart when they do not.

Real Debian hosts of the lab under systemd: real power, real logins, real inhibitors. They share
this machine's kernel, so that another kernel cannot be booted here.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.attempt_bench import Bench
from tests.lab import HostSpec, Lab, probe
from wavemend.execution.attempt import attempt_host
from wavemend.execution.jobs import JournalKind, read_journal
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.journals import Stranger, raise_fence_floor, record_strangers
from wavemend.outcomes import Outcome
from wavemend.policy.care import Presence, Probe, ProbeKind, RebootManners
from wavemend.policy.profiles import RebootRule
from wavemend.transport import Login
from wavemend.transports.ssh import connect

pytestmark = pytest.mark.live

HOSTS = tuple(
    HostSpec(name, packages=("wm-fine", "wm-reboot"))
    for name in ("fine1", "busy1", "flap1", "gone1", "idle1")
)
FLAPPING = """[Unit]
Description=Restarts the host once more, a few seconds after it came up
ConditionPathExists=!/var/flapped
[Service]
ExecStart=/bin/sh -c 'touch /var/flapped; sleep 6; systemctl reboot'
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    chosen = os.environ.pop("WAVEMEND_LAB_PROFILE", None)  # the world's hosts run without systemd
    try:
        lab.up(HOSTS)
        if chosen is not None:
            os.environ["WAVEMEND_LAB_PROFILE"] = chosen
        if lab.info().profile == "light":
            pytest.skip("logins and inhibitors need hosts under systemd, and cgroup2 for them")
        for spec in HOSTS:
            lab.exec(spec.name, "apt-get", "-q", "update")
        yield lab
    finally:
        lab.down()


def login(lab: Lab) -> Login:
    info = lab.info()
    return Login(
        name="lab",
        user=info.user,
        private_key=Path(info.key).read_text(),
        known_hosts=Path(info.known_hosts).read_text(),
    )


def bench_of(lab: Lab, folder: Path, name: str, manners: RebootManners) -> Bench:
    """Return a rollout that updates wm-reboot on a host, which then asks for a restart."""
    where = lab.info().host(name)
    host = Host(name=name, tenant="acme", address=where.address, port=where.port)
    folder.mkdir(parents=True, mode=0o700)
    bench = Bench(folder, host, lambda host: connect(host, login(lab)))
    bench.profile = replace(
        bench.profile,
        reboot=RebootRule.IF_NEEDED,
        reboots=manners,
        host_deadline=timedelta(minutes=2),
        probes=(
            Probe(name="login", kind=ProbeKind.PORT, port=where.port),
            Probe(name="ssh", kind=ProbeKind.SERVICE, service="ssh"),
        ),
    )
    return bench


def attempt(bench: Bench) -> Outcome:
    hands = replace(bench.hands(), sleep=time.sleep)
    outcome = attempt_host(hands, bench.order())
    assert bench.row().outcome == outcome
    return outcome


def boot_id(lab: Lab, name: str) -> str:
    return lab.exec(name, "cat", "/proc/sys/kernel/random/boot_id").stdout.strip()


def knows(bench: Bench, *earlier: Bench) -> None:
    """Tell a rollout's ledger of what other ledgers' rollouts have begun on its host."""
    known = [
        Stranger(attempt_id=other.row().id, fence=1, begun_at=None, ended_at=None, exit_status=0)
        for other in earlier
    ]
    with bench.ledger.writing() as book:
        record_strangers(book, bench.host.name, known, actor="olga", reason="", now=bench.now())
        # Every new ledger begins to count anew; the host has seen more.
        raise_fence_floor(book, 1_000 * len(earlier), actor="olga", now=bench.now())


PATIENT = RebootManners(back_within=timedelta(minutes=2), stable_for=timedelta(seconds=5))


def test_a_host_that_needs_it_is_restarted_and_is_back_with_its_services(
    lab: Lab, tmp_path: Path
) -> None:
    bench, before = bench_of(lab, tmp_path / "b", "fine1", PATIENT), boot_id(lab, "fine1")
    bench.freeze("wm-reboot")

    assert attempt(bench) is Outcome.PATCHED, bench.row().reason
    proof = attempts.evidence_of(bench.row())
    assert proof is not None
    assert (proof.boot_id_before, proof.boot_id_after) == (before, boot_id(lab, "fine1"))
    assert before != proof.boot_id_after
    assert proof.reboots == 1
    assert {probe.name: probe.ok for probe in proof.probes} == {"login": True, "ssh": True}


@contextlib.contextmanager
def somebody_at(lab: Lab, name: str) -> Iterator[None]:
    """Log in with a terminal, as a person does."""
    info = lab.info()
    where = info.host(name)
    options = ("-tt", "-F", "/dev/null", "-i", info.key, "-p", str(where.port))
    known = ("-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={info.known_hosts}")
    target = (f"{info.user}@{where.address}", "sleep", "300")
    argv = ("ssh", *options, *known, *target)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as person:
        try:
            until = time.monotonic() + 30
            while not lab.exec(name, "who").stdout.strip():
                assert time.monotonic() < until, "nobody is seen to be logged in"
                time.sleep(0.3)
            yield
        finally:
            person.kill()


def test_a_host_with_people_or_inhibitors_waits_and_is_restarted_by_its_own_rollout(
    lab: Lab, tmp_path: Path
) -> None:
    before = boot_id(lab, "busy1")
    patch = bench_of(lab, tmp_path / "patch", "busy1", PATIENT)
    patch.freeze("wm-reboot")
    with somebody_at(lab, "busy1"):
        assert attempt(patch) is Outcome.PATCHED_REBOOT_PENDING
    assert f"not rebooted: logged in: {lab.info().user} pts/" in patch.row().reason

    held = bench_of(lab, tmp_path / "held", "busy1", replace(PATIENT, users=Presence.IGNORE))
    knows(held, patch)
    held.freeze()
    inhibit = (
        "systemd-inhibit",
        "--what=shutdown",
        "--who=backup",
        "--why=nightly",
        "--mode=block",
    )
    lab.exec("busy1", "systemd-run", "--quiet", "--unit=backup", *inhibit, "sleep", "300")
    assert attempt(held) is Outcome.PATCHED_REBOOT_PENDING
    assert held.row().reason.startswith("not restarted: asked not to be shut down by backup")
    assert boot_id(lab, "busy1") == before

    lab.exec("busy1", "systemctl", "stop", "backup")
    restart = bench_of(lab, tmp_path / "restart", "busy1", PATIENT)
    knows(restart, patch, held)
    restart.freeze()
    until = time.monotonic() + 30
    while lab.exec("busy1", "who").stdout.strip() and time.monotonic() < until:
        time.sleep(0.3)
    assert attempt(restart) is Outcome.PATCHED, restart.row().reason
    assert boot_id(lab, "busy1") != before
    with contextlib.closing(connect(restart.host, login(lab))) as transport:
        journal = read_journal(transport, deadline=30)
    mine = [entry.kind for entry in journal if entry.attempt_id == restart.row().id]
    assert mine == [JournalKind.BEGIN, JournalKind.END]


def test_a_host_that_restarts_again_by_itself_is_in_a_boot_loop(lab: Lab, tmp_path: Path) -> None:
    bench = bench_of(
        lab, tmp_path / "b", "flap1", replace(PATIENT, stable_for=timedelta(seconds=40))
    )
    bench.freeze("wm-reboot")
    write = 'printf %s "$1" >/etc/systemd/system/flap.service && systemctl enable flap'
    assert lab.exec("flap1", "sh", "-c", write, "sh", FLAPPING).returncode == 0

    assert attempt(bench) is Outcome.FAILED
    assert "boot loop: it came up again within" in bench.row().reason


def test_a_host_that_does_not_come_back_is_an_error_and_keeps_its_place(
    lab: Lab, tmp_path: Path
) -> None:
    bench = bench_of(
        lab, tmp_path / "b", "gone1", replace(PATIENT, back_within=timedelta(seconds=25))
    )
    bench.freeze("wm-reboot")
    lab.exec("gone1", "systemctl", "disable", "ssh")

    assert attempt(bench) is Outcome.UNREACHABLE
    assert bench.row().reboots == 1
    with bench.ledger.reading() as book:
        view = rollouts.read_view(book, "r-1").attempts["gone1"]
    assert view.uses_budget
    assert view.lost_at is not None


def test_a_restart_that_does_not_fit_into_the_window_is_not_begun(lab: Lab, tmp_path: Path) -> None:
    bench = bench_of(lab, tmp_path / "b", "idle1", replace(PATIENT, back_within=timedelta(hours=3)))
    before = boot_id(lab, "idle1")
    bench.freeze("wm-reboot")

    assert attempt(bench) is Outcome.PATCHED_REBOOT_PENDING
    assert "not rebooted: window: it may take 180 minutes" in bench.row().reason
    assert (boot_id(lab, "idle1"), bench.row().reboots) == (before, 0)
