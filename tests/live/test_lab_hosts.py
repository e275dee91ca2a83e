"""The lab's hosts behave as real Debian hosts do, and leave nothing behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec, Lab, LabInfo, probe
from tests.lab import wire as lab_wire
from tests.lab.addresses import uplink_name

pytestmark = pytest.mark.live

HOSTS = (
    HostSpec("fine1", held=("unzip",)),
    HostSpec("bad1", packages=("wm-fails", "wm-reboot", "wm-slow")),
    HostSpec("late1", packages=("wm-late", "wm-newdep")),
)


@pytest.fixture(scope="module")
def can_run() -> None:
    """Skip with the machine's reason, or fail with it where the lab is required."""
    found = probe()
    if found.mode is None and os.environ.get("WAVEMEND_LAB") == "required":
        pytest.fail(found.reason)
    if found.mode is None:
        pytest.skip(found.reason)


@pytest.fixture(scope="module")
def lab(can_run: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    # As under nohup: what its starter ignores must not keep a host from restarting.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        lab.up(HOSTS)
        signal.signal(signal.SIGHUP, before)
        for spec in HOSTS:
            assert ssh(lab, spec.name, "sudo apt-get -q update").returncode == 0
        yield lab
    finally:
        lab.down()


def ssh(
    lab: Lab, host: str, command: str, user: str = "wavemend"
) -> subprocess.CompletedProcess[str]:
    """Run a command over the real network with strict host key checking."""
    info = lab.info()
    where = info.host(host)
    options = ["BatchMode=yes", "ConnectTimeout=4", f"UserKnownHostsFile={info.known_hosts}"]
    flags = [word for option in options for word in ("-o", option)]
    target = ["-F", "/dev/null", "-i", info.key, "-p", str(where.port), f"{user}@{where.address}"]
    return subprocess.run(
        ["ssh", *flags, *target, command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def install(lab: Lab, host: str, *words: str) -> subprocess.CompletedProcess[str]:
    apt = "sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-downgrades install"
    return ssh(lab, host, " ".join([apt, *words]))


def installed(lab: Lab, host: str, package: str) -> str:
    """Read state and version from the host's own dpkg, past its sshd."""
    query = "${db:Status-Abbrev}${Version}"
    return lab.exec(host, "dpkg-query", "--show", f"--showformat={query}", package).stdout


def boot_id(lab: Lab, host: str) -> str:
    return lab.exec(host, "cat", "/proc/sys/kernel/random/boot_id").stdout.strip()


def installs(lab: Lab, host: str) -> list[str]:
    lines = lab.exec(host, "cat", "/var/log/wm-installs.log").stdout.splitlines()
    return [" ".join(line.split()[:2]) for line in lines]


def test_a_real_security_update_is_installed_exactly_and_rolled_back(lab: Lab) -> None:
    offered = ssh(lab, "fine1", "apt-cache madison zip").stdout
    new, old = (line.split("|")[1].strip() for line in offered.splitlines())
    assert "debian-security" in offered
    assert installed(lab, "fine1", "zip") == f"ii {old}"

    assert install(lab, "fine1", f"zip={new}").returncode == 0
    assert installed(lab, "fine1", "zip") == f"ii {new}"
    assert install(lab, "fine1", f"zip={old}").returncode == 0
    assert installed(lab, "fine1", "zip") == f"ii {old}"


def test_security_updates_are_pending_from_the_start(lab: Lab) -> None:
    simulated = ssh(lab, "fine1", "apt-get -s upgrade").stdout

    updates = [line for line in simulated.splitlines() if line.startswith("Inst")]
    assert sum("Debian-Security:" in line for line in updates) >= 8
    kept_back = simulated.partition("kept back:")[2].partition("The following")[0]
    assert "unzip" in kept_back


def test_a_failing_postinst_leaves_the_package_half_configured(lab: Lab) -> None:
    done = install(lab, "bad1", "wm-fails=2.0")

    assert done.returncode == 100
    assert installed(lab, "bad1", "wm-fails") == "iF 2.0"
    assert installs(lab, "bad1").count("wm-fails 2.0") == 1
    assert install(lab, "bad1", "wm-fails=1.0").returncode == 0


def test_a_reboot_is_a_new_boot_and_clears_the_reboot_mark(lab: Lab) -> None:
    assert install(lab, "bad1", "wm-reboot=2.0").returncode == 0
    packages = lab.exec("bad1", "cat", "/run/reboot-required.pkgs").stdout
    assert packages == "wm-reboot\n"
    before = boot_id(lab, "bad1")
    boots = lab.host_status("bad1")["boots"]

    ssh(lab, "bad1", "sudo systemctl reboot")
    deadline = time.monotonic() + 30
    while lab.host_status("bad1")["boots"] == boots and time.monotonic() < deadline:
        time.sleep(0.1)
    lab.wait_ready("bad1")

    assert boot_id(lab, "bad1") not in {before, ""}
    assert lab.exec("bad1", "test", "-e", "/run/reboot-required").returncode == 1
    assert installed(lab, "bad1", "wm-reboot") == "ii 2.0"


def test_a_host_that_is_off_cannot_be_reached_and_comes_back(lab: Lab) -> None:
    lab.power("late1", "off")
    assert ssh(lab, "late1", "true").returncode == 255
    lab.power("late1", "on")
    assert ssh(lab, "late1", "true").returncode == 0


def test_a_pulled_cable_hides_a_host_that_goes_on_running(lab: Lab) -> None:
    before = boot_id(lab, "late1")
    lab.link("late1", "down")
    assert ssh(lab, "late1", "true").returncode == 255
    assert boot_id(lab, "late1") == before
    lab.link("late1", "up")
    lab.wait_ready("late1")
    assert ssh(lab, "late1", "true").returncode == 0


def test_a_power_cut_in_a_postinst_leaves_no_trace_of_success(lab: Lab) -> None:
    worker = "nohup sudo apt-get -q -y install wm-slow=2.0 >/dev/null 2>&1 </dev/null &"
    ssh(lab, "bad1", worker)
    deadline = time.monotonic() + 30
    while lab.exec("bad1", "test", "-e", "/run/wm-slow.started").returncode:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lab.power("bad1", "cut")
    lab.power("bad1", "on")

    assert installed(lab, "bad1", "wm-slow").startswith("iF")
    assert "wm-slow 2.0" not in installs(lab, "bad1")
    lab.exec("bad1", "sh", "-c", "echo 0 >/etc/wm-slow.seconds")
    assert lab.exec("bad1", "dpkg", "--configure", "-a").returncode == 0
    assert installs(lab, "bad1").count("wm-slow 2.0") == 1


def test_a_published_package_is_offered_at_once(lab: Lab) -> None:
    assert install(lab, "late1", "wm-late=2.0").returncode == 100
    lab.publish("wm-late", "2.0")
    ssh(lab, "late1", "sudo apt-get -q update")
    assert install(lab, "late1", "wm-late=2.0").returncode == 0


def test_a_new_dependency_is_kept_back_by_a_plain_upgrade(lab: Lab) -> None:
    simulated = ssh(lab, "late1", "apt-get -s upgrade").stdout
    assert "wm-newdep" in simulated.partition("kept back:")[2].partition("The following")[0]


def test_an_account_without_rights_gets_none(lab: Lab) -> None:
    refused = ssh(lab, "fine1", "sudo -n true", user="wmlimited")
    assert refused.returncode == 1
    assert "password is required" in refused.stderr


def test_a_reset_brings_back_day_zero_with_the_same_host_key(lab: Lab) -> None:
    lab.exec("fine1", "touch", "/etc/changed")
    lab.reset("fine1")
    assert lab.exec("fine1", "test", "-e", "/etc/changed").returncode == 1
    assert ssh(lab, "fine1", "true").returncode == 0
    assert installs(lab, "fine1") == ["wm-fine 1.0"]


def test_a_second_up_keeps_what_runs(lab: Lab) -> None:
    before = boot_id(lab, "fine1")
    started = time.monotonic()
    lab.up(HOSTS)
    assert time.monotonic() - started < 10
    assert boot_id(lab, "fine1") == before


def _traces(info: LabInfo, state: Path, subnet: str) -> list[str]:
    """List what a lab that has ended must not leave: mounts, interfaces, processes, ports."""
    host = info.hosts[0]
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if str(state) in line]
    if info.mode == "root":
        found += [name for name in os.listdir("/sys/class/net") if name == uplink_name(subnet)]  # noqa: PTH208
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(state).encode() in process.read_bytes():
                found.append(str(process))
        except OSError:
            continue
    packed = bytes(int(part) for part in reversed(host.address.split("."))).hex().upper()
    listening = f"{packed}:{host.port:04X} 00000000:0000 0A"
    found += [line for line in Path("/proc/net/tcp").read_text().splitlines() if listening in line]
    return found


@pytest.mark.parametrize("how", ["down", "kill"])
def test_an_ended_lab_leaves_nothing_and_starts_again(
    can_run: None, tmp_path: Path, how: str
) -> None:
    lab = Lab(tmp_path / "lab")
    try:
        info = lab.up([HostSpec("one1")])
        subnet = lab.status()["subnet"]
        if how == "kill":
            client = lab_wire.connect(lab.state)
            assert client is not None
            with client:
                os.kill(lab_wire.peer_pid(client), signal.SIGKILL)
            lab._wait_gone()
        else:
            lab.down()
        assert _traces(info, lab.state, subnet) == []
        lab.up([HostSpec("one1")])
        assert ssh(lab, "one1", "true").returncode == 0
    finally:
        lab.down()
