"""The same scan and the same patch run by wavemend, ansible-core and pyinfra, on the same hosts.

Real hosts of the lab, the same number at once for all. Each run is a process of its own, from its
start to its end with all its children; the first host's run is measured as well, so that what a
tool costs to start and what it costs per host can be told apart. What is asked is the same: the
packages, what an upgrade would do, the system's state; then a run with a fresh index that finds
nothing to upgrade. Each tool does it its own idiomatic way, ansible with pipelining and shared
connections. The work is not the same to the end: ours writes each look into the ledger, and its
patch run is a whole rollout, opened, looked at, judged, planned, frozen and reported, in which no
host has anything to do. Theirs keep nothing: their patch runs gather the system's state and list
the packages, upgrade, and believe the exit status. pyinfra gathers what it is told to, so it is
measured once more without.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.rival_plays import ANSIBLE, ANSIBLE_CFG, PYINFRA
from tests.lab import HostSpec, Lab, LabInfo, probe
from tests.lab.info import LabHost

RIVALS = ("ansible-core==2.19.14", "pyinfra==3.10.0")
HOSTS = int(os.environ.get("WAVEMEND_BENCH_HOSTS", "100"))
AT_ONCE = 10
ROUNDS = int(os.environ.get("WAVEMEND_BENCH_ROUNDS", "3"))
"""The cheapest run of so many counts: what disturbs a run only ever adds."""

TREE = Path(__file__).resolve().parents[2]

FLEET = """\
schema: wavemend.fleet/1
tenants:
  - {{name: acme, title: Acme, zone: UTC, window: night}}
windows:
  - {{name: night, zone: UTC, start: "00:00", duration: 4h, cutoff: 1h, days: [mon]}}
profiles:
  - name: server
    os: debian
    device: server
    manager: apt
    updates: all
    reboot: if_needed
    host_deadline: 5m
    waves: [{{name: pilot, kind: pilot, size: 1}}, {{name: broad, kind: broad}}]
logins:
  - {{name: default, user: {user}, key: "file:{key}", known_hosts: "file:{known_hosts}"}}
hosts:
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost: CPU and wall seconds, and the most memory at once, children included."""

    cpu: float
    wall: float
    mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How one tool does the work in a folder that was filled for it."""

    name: str
    fill: Callable[[Path, LabInfo, Sequence[LabHost]], None]
    argv: Callable[[str], Sequence[str]]
    kinds: tuple[str, ...] = ("scan", "patch")
    first: Mapping[str, str] = field(default_factory=dict)
    """What has to be done before a kind of run, and is not measured."""


def bench_rivals(say: Callable[[str], None] = print) -> None:
    """Measure and print; what this machine cannot do is said."""
    found = probe()
    if found.mode is None:
        say(f"against ansible and pyinfra: no real hosts here: {found.reason}")
        return
    with tempfile.TemporaryDirectory(prefix="wavemend-bench-") as name:
        folder = Path(name)
        lab = Lab(folder / "lab", say=say)
        try:
            rivals = _install(folder / "rivals")
            os.environ["WAVEMEND_LAB_PROFILE"] = "light"
            info = lab.up([HostSpec(f"node{number}") for number in range(1, HOSTS + 1)])
            _give_python(folder, lab, info)
            _compare(say, folder, info, _tools(rivals))
        except subprocess.CalledProcessError as error:
            say(f"against ansible and pyinfra: {error.cmd[0]} failed: {error.stderr or ''}")
        finally:
            lab.down()


def _install(folder: Path) -> Path:
    """Make a virtual environment with the pinned rivals; return its programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *RIVALS], check=True, capture_output=True, text=True)
    return folder / "bin"


def _give_python(folder: Path, lab: Lab, info: LabInfo) -> None:
    """Put the Python that ansible's modules need on every host; unpacked is enough for them."""
    (folder / "debs/partial").mkdir(parents=True)
    status = folder / "status"
    status.write_text(lab.exec(info.hosts[0].name, "cat", "/var/lib/dpkg/status").stdout)
    options = (f"Dir::State::status={status}", f"Dir::Cache::archives={folder}/debs",
               "Debug::NoLocking=true", "APT::Sandbox::User=")  # fmt: skip
    flags = [word for option in options for word in ("-o", option)]
    argv = ["apt-get", "-qq", "-y", "--download-only", "--no-install-recommends", *flags]
    subprocess.run(
        [*argv, "install", "python3", "python3-apt"], check=True, capture_output=True, text=True
    )
    for package in sorted((folder / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "python")], check=True)
    archive = shutil.make_archive(str(folder / "python"), "tar", folder / "python")
    unpack = "sudo tar -C / --keep-directory-symlink -xf - && sudo apt-get -qq update"
    _on_all(info, unpack, Path(archive).read_bytes())


def _on_all(info: LabInfo, command: str, stdin: bytes = b"") -> None:
    def on(host: LabHost) -> None:
        options = ("BatchMode=yes", f"UserKnownHostsFile={info.known_hosts}")
        flags = [word for option in options for word in ("-o", option)]
        where = ["-i", info.key, "-p", str(host.port), f"{info.user}@{host.address}"]
        argv = ["ssh", "-F", "/dev/null", *flags, *where, command]
        subprocess.run(argv, input=stdin, check=True, capture_output=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(on, info.hosts))


# --- how each tool does it --------------------------------------------------------------------


def _tools(programs: Path) -> tuple[Tool, ...]:
    ours = (sys.executable, "-m", "tests.bench.rival_ours")
    return (
        Tool(
            name="wavemend",
            fill=_fill_ours,
            argv=lambda what: (*ours, what, ".", str(AT_ONCE)),
            # The others keep nothing from run to run either; who applied the fleet did so once.
            first={"scan": "prepare", "patch": "prepare"},
        ),
        Tool(
            name="ansible",
            fill=_fill_ansible,
            argv=lambda what: (str(programs / "ansible-playbook"), f"{what}.yml"),
        ),
        Tool(
            name="pyinfra",
            fill=_fill_pyinfra,
            argv=lambda what: (
                *(str(programs / "pyinfra"), "-y", "--parallel", str(AT_ONCE)),
                *("inventory.py", f"{what}.py"),
            ),
        ),
        Tool(
            name="pyinfra, bare",
            fill=_fill_pyinfra,
            argv=lambda _: (
                *(str(programs / "pyinfra"), "-y", "--parallel", str(AT_ONCE)),
                *("inventory.py", "bare.py"),
            ),
            kinds=("patch",),
        ),
    )


def _fill_ours(folder: Path, info: LabInfo, hosts: Sequence[LabHost]) -> None:
    lines = [
        f"  - {{name: {host.name}, tenant: acme, profile: server,"
        f" address: {host.address}, port: {host.port}}}\n"
        for host in hosts
    ]
    head = FLEET.format(user=info.user, key=info.key, known_hosts=info.known_hosts)
    (folder / "fleet.yaml").write_text(head + "".join(lines))


def _fill_ansible(folder: Path, info: LabInfo, hosts: Sequence[LabHost]) -> None:
    config = ANSIBLE_CFG.format(
        at_once=AT_ONCE, user=info.user, key=info.key, known=info.known_hosts
    )
    lines = [f"{h.name} ansible_host={h.address} ansible_port={h.port}\n" for h in hosts]
    _write(folder, {"ansible.cfg": config, "hosts.ini": "".join(lines)})
    _write(folder, {f"{what}.yml": text for what, text in ANSIBLE.items()})


def _fill_pyinfra(folder: Path, info: LabInfo, hosts: Sequence[LabHost]) -> None:
    login = {
        "ssh_user": info.user,
        "ssh_key": info.key,
        "ssh_known_hosts_file": info.known_hosts,
        "ssh_strict_host_key_checking": "yes",
    }
    known = [(h.name, {**login, "ssh_hostname": h.address, "ssh_port": h.port}) for h in hosts]
    _write(folder, {"inventory.py": f"hosts = {known!r}\n"})
    _write(folder, {f"{what}.py": text for what, text in PYINFRA.items()})


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


# --- measuring --------------------------------------------------------------------------------


def _compare(
    say: Callable[[str], None], folder: Path, info: LabInfo, tools: Sequence[Tool]
) -> None:
    # As pip does when it installs a tool; run from its sources, ours would be compiled each time.
    compiled = (str(TREE / "src"), str(TREE / "tests/bench"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", *compiled], check=True)
    for tool in tools:
        for count in (1, HOSTS):
            place = _place(folder, tool, count)
            place.mkdir()
            tool.fill(place, info, info.hosts[:count])
    say(f"{HOSTS} real hosts ({info.profile}), {AT_ONCE} at once, against {' and '.join(RIVALS)}")
    say(f"load of this machine before: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores")
    _report(say, folder, [tool for tool in tools if "scan" in tool.kinds], "scan")
    # From here on the archive offers nothing newer; its release stays, a host has some source.
    _on_all(info, "sudo sed -i '\\#/debian-security \\|/wavemend-lab #d' /etc/apt/sources.list"
                  " && grep -q . /etc/apt/sources.list && sudo apt-get -qq update")  # fmt: skip
    _report(say, folder, tools, "patch")


def _place(folder: Path, tool: Tool, count: int) -> Path:
    return folder / f"{tool.name}-{count}"


def _report(say: Callable[[str], None], folder: Path, tools: Sequence[Tool], what: str) -> None:
    costs: dict[tuple[str, int], list[Cost]] = {}
    for _ in range(ROUNDS):
        for tool in tools:
            for count in (1, HOSTS):
                place = _place(folder, tool, count)
                if what in tool.first:
                    _cost(place, tool.argv(tool.first[what]))
                cost = _cost(place, tool.argv(what))
                costs.setdefault((tool.name, count), []).append(cost)
    ours = _best(costs[tools[0].name, HOSTS]), _each(costs, tools[0])
    say(f"{what:12}     CPU s   wall s   MiB   CPU ms per further host   theirs / ours")
    for tool in tools:
        cost, each = _best(costs[tool.name, HOSTS]), _each(costs, tool)
        ratios = (
            f"CPU {cost.cpu / ours[0].cpu:.1f}, wall {cost.wall / ours[0].wall:.1f},"
            f" memory {cost.mib / ours[0].mib:.1f}, CPU per host {each / ours[1]:.1f}"
        )
        say(
            f"  {tool.name:13} {cost.cpu:6.2f}   {cost.wall:6.2f}  {cost.mib:4.0f}"
            f"   {each * 1e3:23.1f}   {ratios if tool is not tools[0] else ''}"
        )


def _best(costs: Sequence[Cost]) -> Cost:
    return Cost(*(min(getattr(cost, name) for cost in costs) for name in ("cpu", "wall", "mib")))


def _each(costs: Mapping[tuple[str, int], Sequence[Cost]], tool: Tool) -> float:
    many, one = _best(costs[tool.name, HOSTS]), _best(costs[tool.name, 1])
    return (many.cpu - one.cpu) / (HOSTS - 1)


def _cost(place: Path, argv: Sequence[str]) -> Cost:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{TREE}:{TREE / 'src'}",
        "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
        "ANSIBLE_HOME": str(place / ".ansible"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.rival_cost", *argv],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, list(argv), stderr=done.stderr[-2000:])
    return Cost(**json.loads(done.stdout))


if __name__ == "__main__":
    bench_rivals()
