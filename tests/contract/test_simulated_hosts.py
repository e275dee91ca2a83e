"""A simulated host behaves like the Debian host it plays, and says that it is not one."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavemend.errors import ConnectionLost, EnvironmentUnfit, HostPortClosed, LoginRefused
from wavemend.execution.jobs import JobSpec, JobState, read_job, start_job
from wavemend.hosts import Facts
from wavemend.managers.apt import APT
from wavemend.packages import JobScript, Target
from wavemend.testing.guest.versions import compare
from wavemend.testing.simulated.spec import DEFAULT_HOSTS, HostSpec, load_spec
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.transport import CommandResult, Transport
from wavemend.transports.ssh import connect

SLOW = {"/etc/wm-slow.seconds": "2\n"}
HOSTS = (
    *DEFAULT_HOSTS[:6],
    HostSpec("shop1", packages=("wm-fine", "wm-slow"), files=SLOW),
    *DEFAULT_HOSTS[7:],
    HostSpec("ring1", packages=("wm-phased",), files={"/etc/wm-mirror.down": ""}),
)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("simulated"))
    lab.up(HOSTS)
    yield lab
    lab.down()


def on(lab: SimulatedLab, name: str) -> "contextlib.closing[Transport]":
    return contextlib.closing(connect(lab.host(name), lab.login()))


def root(lab: SimulatedLab, name: str, *argv: str, stdin: bytes = b"") -> CommandResult:
    with on(lab, name) as transport:
        return transport.run_as_root(argv, stdin=stdin, deadline=60)


def facts(lab: SimulatedLab, name: str, *, refresh: bool = False) -> Facts:
    with on(lab, name) as transport:
        return APT.read_facts(lab.host(name), transport, NOW, refresh=refresh, deadline=120)


def file_of(lab: SimulatedLab, name: str, path: str) -> str:
    return (lab.state / "hosts" / name / "root" / path.lstrip("/")).read_text()


def apply(lab: SimulatedLab, name: str, *targets: tuple[str, str, str]) -> tuple[int | None, str]:
    wanted = [Target(name=n, arch=a, version=v) for n, a, v in targets]
    return run(lab, name, f"{len(targets)}-{targets[0][0]}", APT.apply_script(wanted))


def run(lab: SimulatedLab, name: str, which: str, script: JobScript) -> tuple[int | None, str]:
    attempt = f"attempt-{name}-{which}"
    spec = JobSpec(attempt_id=attempt, nonce="n" * 32, fence=1, script=script)
    with on(lab, name) as transport:
        view = start_job(transport, spec, deadline=30)
        while view.state is JobState.RUNNING:
            time.sleep(0.1)
            view = read_job(transport, attempt, spec.nonce, deadline=30)
    assert view.state is JobState.ENDED
    return view.exit_status, view.log.decode()


# --- what it says of itself -------------------------------------------------------------------


def test_every_simulated_host_says_so_in_its_facts(lab: SimulatedLab) -> None:
    seen = facts(lab, "web1")

    assert seen.simulated
    assert "SIMULATED=wavemend" in file_of(lab, "web1", "/etc/os-release")
    assert lab.host("web1").simulated
    assert json.loads((lab.state / "lab.json").read_text())["mode"] == "simulated"


def test_the_facts_are_those_of_a_debian_12_host(lab: SimulatedLab) -> None:
    seen = facts(lab, "web1", refresh=True)
    pending = {update.name: update for update in seen.pending}

    assert (seen.os_id, seen.os_version, seen.codename) == ("debian", "12", "bookworm")
    assert (seen.arch, seen.hostname) == ("amd64", "web1")
    assert seen.running_kernel == seen.newest_kernel == "6.1.0-37-amd64"
    assert seen.lock_holder == ""
    assert (seen.broken, seen.reboot_reasons, seen.index_errors) == ((), (), ())
    assert (seen.users, seen.inhibitors, seen.boot_faults) == ((), (), ())
    assert len(seen.repositories) == 3
    assert all(r.reachable and r.signed and not r.detail for r in seen.repositories)
    assert {"openssl", "libssl3", "zip", "jq", "wm-fine"} <= pending.keys()
    assert pending["libssl3"].security
    assert pending["libssl3"].origin == "Debian-Security:12/oldstable-security"
    assert not pending["wm-fine"].security
    assert (pending["wm-fine"].installed, pending["wm-fine"].candidate) == ("1.0", "2.0")


def test_held_kept_back_and_phased_updates_are_told_apart(lab: SimulatedLab) -> None:
    held = {update.name: update for update in facts(lab, "app1").pending}["zip"]
    kept = {update.name: update for update in facts(lab, "shop2").pending}["wm-newdep"]
    phased = {update.name: update for update in facts(lab, "ring1").pending}["wm-phased"]

    assert (held.held, held.kept_back, held.phased) == (True, False, False)
    assert kept.kept_back
    assert kept.brings == (Target(name="wm-extra", arch="all", version="2.0"),)
    assert phased.phased


def test_an_index_that_cannot_be_fetched_is_reported(lab: SimulatedLab) -> None:
    seen = facts(lab, "ring1", refresh=True)

    assert seen.index_errors
    assert not any(repository.reachable for repository in seen.repositories)


def test_a_later_version_is_seen_with_the_next_refresh(lab: SimulatedLab) -> None:
    lab.publish("wm-late", "2.0")

    assert "wm-late" not in {update.name for update in facts(lab, "app1").pending}
    late = {update.name: update for update in facts(lab, "app1", refresh=True).pending}["wm-late"]
    assert late.candidate == "2.0"
    with pytest.raises(EnvironmentUnfit, match="there is no wm-late=9"):
        lab.publish("wm-late", "9")


# --- what a rollout does to it ------------------------------------------------------------------


def test_an_update_goes_in_once_and_is_in_the_hosts_own_log(lab: SimulatedLab) -> None:
    target = Target(name="wm-fine", arch="all", version="2.0")
    with on(lab, "web1") as transport:
        rehearsal = APT.rehearse(transport, [target], deadline=30)
    assert [install.name for install in rehearsal.installs] == ["wm-fine"]
    assert (rehearsal.download_bytes, rehearsal.install_bytes) == (1024, 0)

    assert apply(lab, "web1", ("wm-fine", "all", "2.0"))[0] == 0
    assert facts(lab, "web1").version_of("wm-fine") == "2.0"
    log = file_of(lab, "web1", "/var/log/wm-installs.log").splitlines()
    assert [line.split()[:2] for line in log] == [["wm-fine", "2.0"]]
    assert file_of(lab, "web1", "/usr/share/wm-fine/version") == "2.0\n"


def test_an_update_goes_back_to_exactly_the_version_before(lab: SimulatedLab) -> None:
    new, old = (Target(name="wm-newdep", arch="all", version=v) for v in ("2.0", "1.0"))
    extra = Target(name="wm-extra", arch="all", version="2.0")
    assert run(lab, "shop2", "there", APT.apply_script([new, extra]))[0] == 0
    assert facts(lab, "shop2").version_of("wm-extra") == "2.0"

    status, log = run(lab, "shop2", "back", APT.undo_script([old]))

    assert status == 0, log
    assert facts(lab, "shop2").version_of("wm-newdep") == "1.0"


def test_a_failing_package_leaves_the_host_as_apt_does(lab: SimulatedLab) -> None:
    status, log = apply(lab, "api1", ("wm-fails", "all", "2.0"), ("zip", "amd64", "3.0-13+deb12u1"))
    repaired, said = run(lab, "api1", "repair", APT.repair_script())
    seen = facts(lab, "api1")

    assert repaired == 71, "a script that always fails is mended by nothing"
    assert "only half configured" in said

    assert status == 100
    assert "post-installation script subprocess returned error exit status 1" in log
    assert "E: Sub-process /usr/bin/dpkg returned an error code (1)" in log
    assert [(broken.name, broken.status) for broken in seen.broken] == [("wm-fails", "iF")]
    assert seen.version_of("zip") == "3.0-13+deb12u1"


def test_an_edited_conffile_is_kept_and_the_new_one_lies_beside_it(lab: SimulatedLab) -> None:
    status, log = apply(lab, "web3", ("wm-conffile", "all", "2.0"))

    assert status == 0
    assert "==> Keeping old config file as default." in log
    assert "wavemend-kept wm-conffile /etc/wm-conffile.conf" in log
    assert "administrator" in file_of(lab, "web3", "/etc/wm-conffile.conf")
    assert "2.0" in file_of(lab, "web3", "/etc/wm-conffile.conf.dpkg-dist")


def test_held_packages_are_refused_in_apts_own_words(lab: SimulatedLab) -> None:
    status, log = apply(lab, "app1", ("zip", "amd64", "3.0-13+deb12u1"))

    assert status == 100
    assert "E: Held packages were changed and -y was used without" in log


def test_a_detached_job_goes_on_when_the_connection_drops(lab: SimulatedLab) -> None:
    script = JobScript(text="apt-get -y install wm-slow=2.0\n", args=())
    spec = JobSpec(attempt_id="attempt-slow", nonce="m" * 32, fence=1, script=script)
    with on(lab, "shop1") as transport:
        start_job(transport, spec, deadline=30)

    assert "apt-get" in facts(lab, "shop1").lock_holder
    busy = root(lab, "shop1", "apt-get", "-y", "install", "zip")
    assert busy.exit_status == 100
    assert b"E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by" in busy.stderr
    with on(lab, "shop1") as transport:
        view = read_job(transport, spec.attempt_id, spec.nonce, deadline=30)
        while view.state is JobState.RUNNING:
            time.sleep(0.1)
            view = read_job(transport, spec.attempt_id, spec.nonce, deadline=30)
    assert (view.state, view.exit_status) == (JobState.ENDED, 0)
    assert facts(lab, "shop1").lock_holder == ""


def test_a_power_cut_in_mid_install_leaves_a_half_configured_package(lab: SimulatedLab) -> None:
    root(lab, "shop1", "apt-get", "-y", "--allow-downgrades", "install", "wm-slow=1.0")
    script = JobScript(text="apt-get -y install wm-slow=2.0\n", args=())
    spec = JobSpec(attempt_id="attempt-cut", nonce="c" * 32, fence=1, script=script)
    with on(lab, "shop1") as transport:
        start_job(transport, spec, deadline=30)
        marker = [
            "sh",
            "-c",
            'until [ -e "$WAVEMEND_ROOT/run/wm-slow.started" ]; do sleep 0.05; done',
        ]
        transport.run(marker, deadline=20)
        lab.power("shop1", "cut")
        with pytest.raises(ConnectionLost):
            transport.run(["true"], deadline=5)
    with pytest.raises(HostPortClosed):
        connect(lab.host("shop1"), lab.login())
    lab.power("shop1", "on")

    with on(lab, "shop1") as transport:
        view = read_job(transport, spec.attempt_id, spec.nonce, deadline=30)
    assert view.state is JobState.LOST
    refused = root(lab, "shop1", "apt-get", "-y", "install", "zip")
    assert b"you must manually run 'dpkg --configure -a'" in refused.stderr
    assert [broken.status for broken in facts(lab, "shop1").broken] == ["iF"]
    assert root(lab, "shop1", "dpkg", "--configure", "-a").exit_status == 0
    assert facts(lab, "shop1").broken == ()


def test_a_reboot_changes_the_boot_id_and_clears_its_reason(lab: SimulatedLab) -> None:
    assert apply(lab, "files1", ("wm-reboot", "all", "2.0"))[0] == 0
    before = facts(lab, "files1")
    assert before.reboot_reasons

    started = time.monotonic()
    with contextlib.suppress(ConnectionLost):
        root(lab, "files1", "shutdown", "-r", "now")
    after = facts_when_back(lab, "files1", before.boot_id)

    assert after.reboot_reasons == ()
    assert after.uptime_seconds < time.monotonic() - started
    assert after.machine_id == before.machine_id
    assert after.version_of("wm-reboot") == "2.0"


def facts_when_back(lab: SimulatedLab, name: str, old_boot_id: str) -> Facts:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        with contextlib.suppress(HostPortClosed, ConnectionLost):
            seen = facts(lab, name)
            if seen.boot_id != old_boot_id:
                return seen
        time.sleep(0.1)
    pytest.fail(f"{name} did not come back")


def test_a_host_that_is_off_has_a_closed_port(lab: SimulatedLab) -> None:
    with pytest.raises(HostPortClosed):
        connect(lab.host("cold1"), lab.login())
    with pytest.raises(EnvironmentUnfit, match="switched off"):
        lab.exec("cold1", ["true"])


def test_the_limited_user_may_not_become_root(lab: SimulatedLab) -> None:
    with contextlib.closing(connect(lab.host("db1"), lab.login(limited=True))) as transport:
        assert transport.run(["id", "-un"], deadline=20).stdout == b"wmlimited\n"
        with pytest.raises(LoginRefused, match="password is required"):
            transport.run_as_root(["id"], deadline=20)
        refused = transport.run(["apt-get", "-y", "install", "zip"], deadline=20)
    assert refused.exit_status == 100
    assert b"are you root?" in refused.stderr


# --- the lab itself ----------------------------------------------------------------------------


def module(state: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "wavemend.testing.simulated_hosts",
        argv[0],
        "--state",
        str(state),
    ]
    return subprocess.run([*command, *argv[1:]], capture_output=True, text=True, check=False)


def test_the_command_line_brings_hosts_up_and_leaves_nothing_when_down(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"hosts": [{"name": "one", "packages": ["wm-fine=1.0"]}]}))
    state = tmp_path / "lab"

    assert "one " in module(state, "up", "--spec", str(spec)).stdout
    done = module(state, "exec", "one", "--", "sh", "-c", "id -u; exit 4")
    assert (done.returncode, done.stdout) == (4, "0\n")
    assert "are up in" in module(state, "up").stderr
    job = 'sleep 300 </dev/null >/dev/null 2>&1 & echo "$!"'
    pid = int(module(state, "exec", "one", "--", "sh", "-c", job).stdout)
    port = json.loads((state / "lab.json").read_text())["hosts"][0]["port"]
    assert module(state, "down").returncode == 0

    assert not Path(f"/proc/{pid}/environ").exists() or not _lives(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)
    left = sorted(path.name for path in state.iterdir())
    assert left == ["daemon.log", "id_ed25519", "id_ed25519.pub", "identity"]


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([], "1 to 200 hosts"),
        ([{"name": "UP"}], "not a host name"),
        ([{"name": "a"}, {"name": "a"}], "used twice"),
        ([{"name": "a", "packages": ["zip"]}], "no such lab package"),
        ([{"name": "a", "colour": "red"}], "cannot be read"),
        ([{"name": "a", "files": {"/../etc/passwd": ""}}], "not an absolute path"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(
    tmp_path: Path, hosts: Sequence[dict[str, object]], words: str
) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(hosts))
    with pytest.raises(EnvironmentUnfit, match=words):
        load_spec(tmp_path / "spec.json")


VERSION = st.from_regex(r"([0-2]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is missing")
@settings(max_examples=60, deadline=None)
@given(VERSION, VERSION)
def test_versions_compare_as_dpkg_compares_them(left: str, right: str) -> None:
    real = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False)
    assert (compare(left, right) < 0) == (real.returncode == 0)
