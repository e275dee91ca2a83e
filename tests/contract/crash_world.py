"""A fleet whose controllers are killed, and the verdict over it from what the hosts wrote down.

Six hosts, one for each way an attempt can go: a long transaction, a restart, a change that is
taken back because the host is not well after it, a package that fails, a host that somebody
changes by hand after the plan, a signed approval.
"""

import json
import multiprocessing
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import select

from examples.demo.fleet import DemoLab
from tests.contract.crash_places import ROOT, Fate
from tests.contract.crash_worker import APPROVER, carry_out
from tests.lab import Lab
from tests.world.fleet import WorldHost
from tests.world.hosts import Hosts, bring_up
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, audit, rollouts
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.rollouts import FINISHED
from wavemend.ledger.store import Ledger, open_ledger
from wavemend.ledger.tables import AttemptRow, GateRow
from wavemend.plans import Plan
from wavemend.testing.simulated_hosts import SimulatedLab

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.contract.crash_worker"])

UNWELL = "/etc/wm-unwell"
"""A host with this file is not well as soon as its wm-fine is 2.0."""

HOSTS = (
    WorldHost("slow1", "acme", packages=("wm-slow",), files={"/etc/wm-slow.seconds": "3\n"}),
    WorldHost("boot1", "acme", ring="broad", packages=("wm-reboot",)),
    WorldHost("back1", "acme", ring="broad", files={UNWELL: "yes\n"}),
    WorldHost("fail1", "acme", ring="broad", packages=("wm-fails",)),
    WorldHost("hand1", "acme", ring="broad"),
    WorldHost("sign1", "acme", critical=True),
)

BY_HAND = "hand1"
"""Changed by somebody else between the plan and its first wave: by a hook before the waves."""

EXPECTED = {
    "slow1": "patched",
    "boot1": "patched",
    "back1": "rolled_back",
    "fail1": "failed",
    "hand1": "not_attempted",
    "sign1": "patched",
}
"""Whatever happens to the controller."""

JOURNAL = "/var/lib/wavemend/journal"


@dataclass(frozen=True, slots=True)
class Begun:
    """One begin in a host's own journal."""

    id: str
    fence: int
    at: int


class CrashWorld:
    """The hosts, the ledger and the fleet of one rollout; its controllers come and go."""

    def __init__(
        self,
        home: Path,
        hosts: Sequence[WorldHost] = HOSTS,
        *,
        concurrency: int = 3,
        log: Path | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.home = home
        self.hosts = hosts
        self.log = log or home / "places.log"
        self._controllers: list[multiprocessing.process.BaseProcess] = []
        self.lab: Hosts = bring_up(home / "lab", hosts, say)
        try:
            self._prepare(concurrency)
        except BaseException:
            self.lab.down()
            raise

    def _prepare(self, concurrency: int) -> None:
        key = self.home / "alice_ed25519"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f", str(key)]
        subprocess.run(argv, check=True, capture_output=True)
        public = key.with_suffix(".pub").read_text().split()
        line = f'{APPROVER} namespaces="patch-approval" {public[0]} {public[1]}\n'
        (self.home / "signers").write_text(line)
        info = json.loads((self.home / "lab" / "lab.json").read_text())
        names = sorted({name.partition("_")[0] for name in info["updates"]} - {"zip"})
        fleet = self.home / "fleet.yaml"
        fleet.write_text(fleet_text(self.lab.lab(), self.hosts, concurrency, self._by_hand()))
        self.ledger: Ledger = open_ledger(f"sqlite:///{self.home / 'ledger.db'}")
        with self.ledger.writing() as book:
            apply_fleet(book, load_fleet(fleet), actor="olga", now=datetime.now(UTC))

        def on_day_zero(host: WorldHost) -> Counter[str]:
            # One small update of the distribution and the lab's own packages are enough.
            self.lab.run(host.name, "apt-mark", "hold", *names)
            return self.configured(host.name)

        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(on_day_zero, self.hosts))
        self._installed = {h.name: count for h, count in zip(self.hosts, counts, strict=True)}
        self._boots = self.boots()

    def _by_hand(self) -> list[str]:
        """Return the hook that removes a package past wavemend, on the host that is for that."""
        if all(host.name != BY_HAND for host in self.hosts):
            return ["true"]
        program = "wavemend.testing.simulated_hosts" if self.lab.simulated else "tests.lab"
        paths = f"PYTHONPATH={ROOT / 'src'}:{ROOT}"
        run = [sys.executable, "-m", program, "exec", "--state", str(self.home / "lab"), BY_HAND]
        return ["env", paths, *run, "--", "apt-get", "-q", "-y", "remove", "wm-fine"]

    def close(self) -> None:
        """End the hosts and everything they run, and controllers: a stopped one is waited for."""
        for process in self._controllers:
            process.kill()
        self.lab.down()

    # --- controllers ---

    def controller(
        self, fate: Fate | None = None, tenant: str = "acme"
    ) -> "multiprocessing.process.BaseProcess":
        """Start a controller's process; it ends when the rollout does, or when it dies."""
        words = (self.home, fate or Fate(self.log), tenant)
        process = _FORKS.Process(target=carry_out, args=words)
        process.start()
        self._controllers.append(process)
        return process

    def run(self, fate: Fate | None = None, seconds: float = 240.0) -> int:
        """Let a controller run to its end; return its exit code, which is -9 when it was killed."""
        process = self.controller(fate)
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"a controller did not end within {seconds:g} s: {self.story()}")
        if process.exitcode not in {0, -9}:
            raise AssertionError(f"a controller ended with {process.exitcode}: {self.story()}")
        return process.exitcode

    def story(self) -> str:
        """Return the ends of the controllers' own words and of the places they passed."""
        logs = (self.home / "controllers.log", self.log)
        return "\n".join(log.read_text(errors="replace")[-2500:] for log in logs if log.exists())

    @property
    def finished(self) -> bool:
        """True when the ledger says that the rollout has ended."""
        with self.ledger.reading() as book:
            rows = rollouts.list_rollouts(book)
        return bool(rows) and all(row.state == FINISHED for row in rows)

    # --- what the hosts wrote down ---

    def begun(self, host: str) -> list[Begun]:
        """Return the begins of a host's journal, in its order."""
        lines = [line.split() for line in self.lab.read(host, JOURNAL).splitlines()]
        return [Begun(w[1], int(w[2]), int(w[3])) for w in lines if w and w[0] == "begin"]

    def configured(self, host: str) -> Counter[str]:
        """Return how often each version of each package was configured, by dpkg's own log."""
        words = [line.split() for line in self.lab.read(host, "/var/log/dpkg.log").splitlines()]
        return Counter(
            f"{w[4].partition(':')[0]} {w[5]}" for w in words if w[2:4] == ["status", "installed"]
        )

    def tried(self, host: str, package: str) -> int:
        """Return how often a lab package's own script ran to configure its new version."""
        lines = self.lab.read(host, "/var/log/wm-installs.log").splitlines()
        return sum(line.startswith(f"{package} 2.0 ") for line in lines)

    def boots(self) -> dict[str, int]:
        """Return how often each host was booted."""
        state = self.home / "lab"
        found = SimulatedLab(state).status() if self.lab.simulated else Lab(state).status()["hosts"]
        return {each["name"]: int(each["boots"]) for each in found}

    # --- the verdict ---

    def judge(self, expected: dict[str, str] = EXPECTED) -> None:
        """Fail unless every host was changed at most once, as intended, and none was forgotten."""
        with self.ledger.reading() as book:
            (rollout,) = rollouts.list_rollouts(book)
            plan = rollouts.read_plan(book, rollout.id)
            rows = {row.host: row for row in attempts.of_rollout(book, rollout.id)}
            gates = {gate.wave: gate for gate in book.exec(select(GateRow))}
            backs = {row.id: row for row in book.exec(select(RollbackRow))}
            events = [event.kind for event in audit.events(book, rollout.id)]
            audit.verify(book)
        assert plan is not None
        assert {name: row.outcome for name, row in rows.items()} == expected, [
            (row.host, row.outcome, row.reason) for row in rows.values()
        ]
        assert sorted(plan.expected()) == sorted(expected), "a host was forgotten"
        assert events.count("attempt.ended") == len(expected), "an outcome was written twice"
        assert rollout.state == FINISHED
        boots = self.boots()
        for name, row in rows.items():
            self._judge_journal(plan, row, gates, backs)
            self._judge_packages(plan, row)
            told = row.reboots
            assert boots[name] - self._boots[name] <= told, f"{name} rebooted untold"
            assert boots[name] - self._boots[name] == (name == "boot1"), f"{name}: {boots}"

    def _judge_journal(
        self,
        plan: Plan,
        row: AttemptRow,
        gates: dict[int, GateRow],
        backs: dict[str, RollbackRow],
    ) -> None:
        begins = self.begun(row.host)
        if row.outcome == "not_attempted":
            assert begins == [], f"{row.host} was begun, and is called not attempted"
            return
        ids = [begin.id for begin in begins]
        assert len(ids) == len(set(ids)), f"{row.host} began something twice: {ids}"
        mine = [id_ for id_, back in backs.items() if back.host == row.host]
        assert sorted(ids) == sorted([row.id, *mine]), f"{row.host}: not in the ledger, or not here"
        fences = [begin.fence for begin in begins]
        assert fences == sorted(fences), f"{row.host} took a lower fence: {fences}"
        for begin in begins:
            intent = row.intent_at if begin.id == row.id else backs[begin.id].intent_at
            # The host's clock, which is this machine's, in whole seconds.
            assert intent is not None
            assert intent < datetime.fromtimestamp(begin.at + 1, UTC), f"{row.host}: no intent"
            for wave in plan.waves:
                if wave.number < row.wave and begin.id == row.id:
                    gate = gates[wave.number]
                    assert gate.passed
                    assert gate.at < datetime.fromtimestamp(begin.at + 1, UTC), "before its gate"

    def _judge_packages(self, plan: Plan, row: AttemptRow) -> None:
        if row.outcome == "not_attempted":
            return
        done = self.configured(row.host) - self._installed[row.host]
        planned = plan.host(row.host).packages
        new = {f"{package.name} {package.target}": 1 for package in planned}
        old = {f"{package.name} {package.installed}": 1 for package in planned}
        if row.outcome == "patched":
            assert done == new, f"{row.host}: {done}"
        elif row.outcome == "rolled_back":
            assert done == {**new, **old}, f"{row.host}: {done}"
        else:
            assert set(done) <= set(new), f"{row.host}: {done}"
            assert set(done.values()) <= {1}, f"{row.host}: {done}"
            assert self.tried(row.host, "wm-fails") == 1, f"{row.host}: tried again"


def fleet_text(
    lab: DemoLab, hosts: Sequence[WorldHost], concurrency: int, first_hook: Sequence[str]
) -> str:
    """Return the fleet: a window that opened a while ago, three waves, hooks, probes, rollback."""
    opened = datetime.now(UTC) - timedelta(minutes=20)
    gate = f"concurrency: {concurrency}, gate: {{max_errors: 2, min_success_percent: 30}}"
    well = f"! [ -e {UNWELL} ] || ! dpkg -s wm-fine | grep -q 'Version: 2.0'"
    places = {host.name: host for host in lab.hosts}
    lines = [
        "schema: wavemend.fleet/1",
        "tenants:",
        *(
            f"  - {{name: {name}, title: {name}, zone: UTC, window: now, approvers: [{APPROVER}]}}"
            for name in sorted({host.tenant for host in hosts})
        ),
        "approvers:",
        f"  - {{name: {APPROVER}, title: Alice Archer}}",
        "windows:",
        f'  - {{name: now, zone: UTC, start: "{opened:%H:%M}", duration: 6h, cutoff: 30m,',
        "     days: [mon, tue, wed, thu, fri, sat, sun]}",
        "profiles:",
        "  - name: server",
        "    os: debian",
        "    device: server",
        "    manager: apt",
        "    updates: all",
        "    reboot: if_needed",
        # The name of boot1's package does not foretell its restart: alone it would be held back.
        "    separate_reboots: false",
        "    roll_back: host",
        "    host_deadline: 3h",
        "    reboots: {users: ignore, back_within: 5m}",
        "    restore_point: {required: true}",
        f"    before_hooks: [{json.dumps(list(first_hook))}]",
        "    after_hooks: [['true']]",
        "    hooks:",
        "      - {name: drain, when: before, argv: ['true']}",
        "      - {name: silence, when: before, on: host, argv: ['true']}",
        "      - {name: speak, when: after, on: host, argv: ['true']}",
        "    waves:",
        f"      - {{name: pilot, kind: pilot, select: ring=pilot, {gate}}}",
        f"      - {{name: broad, kind: broad, {gate}}}",
        "      - {name: critical, kind: critical, concurrency: 1}",
        "    probes:",
        f'      - {{name: well, argv: [sh, -c, "{well}"]}}',
        *([] if lab.simulated else ["      - {name: reachable, service: ssh}"]),
        "logins:",
        "  - name: default",
        f"    user: {lab.user}",
        f"    key: file:{lab.state / 'id_ed25519'}",
        f"    known_hosts: file:{lab.state / 'known_hosts'}",
        "    connect_seconds: 15",
        "hosts:",
    ]
    for host in hosts:
        place = places[host.name]
        labels = f"{{os: debian, device: server, ring: {host.ring}}}"
        flags = ", critical: true" if host.critical else ""
        flags += ", simulated: true" if lab.simulated else ""
        lines.append(
            f"  - {{name: {host.name}, tenant: {host.tenant}, address: {place.address}, "
            f"port: {place.port}, labels: {labels}{flags}}}"
        )
    return "\n".join(lines) + "\n"
