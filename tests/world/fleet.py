"""The world's fleet: a company per story, so that no rollout meets the hosts of another one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from examples.demo.fleet import DemoLab

APPROVER = "alice@example.org"
NOT_IN_THE_LAB = "192.0.2.1"
"""An address for documentation: a host there is declared and never answers."""


@dataclass(frozen=True, slots=True)
class WorldHost:
    """One host: what it is on day zero, and its place in the fleet."""

    name: str
    tenant: str
    ring: str = "pilot"
    packages: tuple[str, ...] = ("wm-fine",)
    held: tuple[str, ...] = ()
    power: str = "on"
    files: Mapping[str, str] = field(default_factory=dict)
    profile: str = "server"
    critical: bool = False

    def spec(self) -> dict[str, object]:
        """Return the host as the lab's spec file has it."""
        return {
            "name": self.name,
            "packages": self.packages,
            "held": self.held,
            "power": self.power,
            "files": dict(self.files),
        }


def _slow(seconds: int) -> dict[str, str]:
    return {"/etc/wm-slow.seconds": f"{seconds}\n"}


RUSHED = "rush"
"""A company whose window is closed too, and that has no standing rule for emergencies."""


HOSTS = (
    WorldHost("crash1", "crash", packages=("wm-fine", "wm-slow"), files=_slow(12)),
    WorldHost("crash2", "crash", ring="broad"),
    WorldHost("sign1", "sign"),
    WorldHost("sign2", "sign", critical=True),
    WorldHost("mixed1", "mixed", packages=("wm-fine", "wm-reboot"), held=("zip",)),
    WorldHost("mixed2", "mixed", ring="broad", packages=("wm-fine", "wm-fails")),
    WorldHost("mixed3", "mixed", ring="late"),
    WorldHost("mixed4", "mixed", ring="late", power="off"),
    WorldHost("late1", "late", packages=("wm-fine", "wm-late"), profile="pausing"),
    WorldHost("late2", "late", packages=("wm-fine", "wm-late"), profile="pausing"),
    WorldHost("late3", "late", packages=("wm-fine", "wm-late"), profile="pausing"),
    WorldHost("late4", "late", profile="pausing", power="off"),
    WorldHost("stop1", "stop", packages=("wm-fine", "wm-slow"), files=_slow(8)),
    WorldHost("stop2", "stop", ring="broad"),
    WorldHost("stop3", "stop", profile="spare"),
    WorldHost("hook1", "hook", profile="hooked"),
    WorldHost("back1", "back"),
    WorldHost("back2", "back"),
    WorldHost("auto1", "auto", profile="watchful"),
    WorldHost("auto2", "auto", profile="watchful", files={"/etc/well": "whatever happens\n"}),
    WorldHost("again1", "again", packages=("wm-fine", "wm-reboot"), profile="waiting"),
    WorldHost("rush1", RUSHED, packages=("wm-fine", "wm-conffile")),
    WorldHost("rush2", RUSHED, ring="broad"),
    WorldHost("mend1", "mend", packages=("wm-fine", "wm-slow"), files=_slow(0)),
)
"""Every host that is brought up. mixed2's update fails, mixed4 and late4 are off; the hook before
hook1's rollout fails; again1 is restarted by a rollout of its own, mend1 is repaired by one; auto1
is not well after its update, auto2 is."""

WELL = """{name: shop, argv: [sh, -c, "test -e /etc/well || grep -q 1.0 $F"]}""".replace(
    "$F", "/usr/share/wm-fine/version"
)
"""A probe that fails after wm-fine was updated, except where /etc/well is."""

CLOSED = "closed"
"""A company whose window does not open during the tests; its one host is not in the lab."""


def fleet_text(
    lab: DemoLab, home: Path, feeds: Path, now: datetime, *, with_closed: bool = True
) -> str:
    """Return the fleet file: a window that opened five minutes ago, and one that has not."""
    tenants = sorted({host.tenant for host in HOSTS} | ({CLOSED} if with_closed else set()))
    lines = ["schema: wavemend.fleet/1", "tenants:"]
    lines += [_tenant(name) for name in tenants]
    lines += ["approvers:", f"  - {{name: {APPROVER}, title: Alice Archer}}"]
    lines += ["windows:", _window("now", now - timedelta(minutes=5))]
    lines.append(_window("far-off", now + timedelta(hours=9)))
    if with_closed:
        lines.append(_window("later", now + timedelta(hours=8)))
    lines.append("profiles:")
    lines += [*_profile("server", ("ring=broad",)), *_profile("spare")]
    lines += [*_profile("waiting"), "    reboots: {window: now, stable_for: 2s}"]
    lines += [*_profile("hooked"), "    before_hooks:", f"      - {_hook(home, 'before', 3)}"]
    lines += ["    after_hooks:", f"      - {_hook(home, 'after-1', 4)}"]
    lines += [f"      - {_hook(home, 'after-2', 0)}"]
    lines += [*_profile("watchful"), f"      - {WELL}", "    roll_back: wave"]
    lines += ["    reboots: {back_within: 40s}"]
    lines += [*_profile("pausing"), "    before_hooks:", f"      - {_until(home / 'go-on')}"]
    lines += [
        "logins:",
        "  - name: default",
        f"    user: {lab.user}",
        f"    key: file:{lab.state / 'id_ed25519'}",
        f"    known_hosts: file:{lab.state / 'known_hosts'}",
        "    connect_seconds: 8",
        "hosts:",
    ]
    declared = {host.name: host for host in HOSTS}
    for host in lab.hosts:
        where = (host.address, host.port)
        lines.append(_host(declared[host.name], where, simulated=lab.simulated))
    if with_closed:
        lines.append(_host(WorldHost("closed1", CLOSED), (NOT_IN_THE_LAB, 22), simulated=False))
    lines += ["feeds:", f"  source: directory:{feeds}", "  max_age_hours: 8760"]
    return "\n".join(lines) + "\n"


def _tenant(name: str) -> str:
    window = {CLOSED: "later", RUSHED: "far-off"}.get(name, "now")
    hurry = ", emergency: {soak: 1s}" if name == RUSHED else ""
    return (
        f"  - {{name: {name}, title: {name.title()} Works, zone: Europe/Berlin, "
        f"window: {window}, approvers: [{APPROVER}], four_eyes: true{hurry}}}"
    )


def _window(name: str, start: datetime) -> str:
    return (
        f'  - {{name: {name}, zone: UTC, start: "{start.astimezone(UTC):%H:%M}", '
        "days: [mon, tue, wed, thu, fri, sat, sun], duration: 4h, cutoff: 30m}"
    )


def _profile(name: str, broad: tuple[str, ...] = ()) -> list[str]:
    return [
        f"  - name: {name}",
        "    os: debian",
        f"    device: {name}",
        "    manager: apt",
        "    updates: all",
        "    reboot: if_needed",
        "    host_deadline: 5m",
        "    waves:",
        *_waves(broad),
        "    probes:",
        "      - {name: package-database, argv: [dpkg, --audit]}",
    ]


def _waves(broad: tuple[str, ...]) -> list[str]:
    """A pilot, a wave per selector, one for the rest, and the critical hosts."""
    gate = "gate: {max_errors: 0, min_success_percent: 100, min_observed: 1, soak: 1s}"
    pilot = f"      - {{name: pilot, kind: pilot, select: ring=pilot, concurrency: 3, {gate}}}"
    chosen = [
        f"      - {{name: broad-{n}, kind: broad, select: {select}, concurrency: 2, {gate}}}"
        for n, select in enumerate(broad, start=1)
    ]
    rest = f"      - {{name: broad-{len(broad) + 1}, kind: broad, concurrency: 2, {gate}}}"
    critical = "      - {name: critical, kind: critical, concurrency: 1, gate: {max_errors: 0}}"
    return [pilot, *chosen, rest, critical]


def _until(file: Path) -> str:
    """A hook that holds the rollout between its frozen plan and its first host."""
    return f'[sh, -c, "until [ -e {file} ]; do sleep 0.2; done"]'


def _hook(home: Path, name: str, ends_with: int) -> str:
    """A hook that leaves its name in the home folder, and ends as told."""
    return f'[sh, -c, "echo {name} >>{home / "hooks"}; exit {ends_with}"]'


def _host(host: WorldHost, where: tuple[str, int], *, simulated: bool) -> str:
    labels = f"{{os: debian, device: {host.profile}, ring: {host.ring}}}"
    words = [
        f"name: {host.name}",
        f"tenant: {host.tenant}",
        f"address: {where[0]}",
        f"port: {where[1]}",
        f"labels: {labels}",
    ]
    words += ["critical: true"] if host.critical else []
    words += ["simulated: true"] if simulated else []
    return f"  - {{{', '.join(words)}}}"
