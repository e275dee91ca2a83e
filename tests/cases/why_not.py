"""Random worlds in which a host may or may not be changed, and the real answer of the executor."""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path

from tests.cases.rollouts.build import KEY, LAST_START, NOON, START, facts, plan_of, wave
from tests.cases.rollouts.ledgers import NIGHT as TONIGHT
from tests.cases.rollouts.ledgers import new_ledger, quick_ledger
from wavemend.approvals import Answer, sign, statement
from wavemend.calendar.almanac import Almanac, Shift
from wavemend.calendar.declared import DutyRule, Freeze
from wavemend.calendar.windows import Occurrence, occurrence_at
from wavemend.errors import LedgerConflict
from wavemend.execution import start
from wavemend.execution.before import Obstacle, compare
from wavemend.execution.drift import fleet_drift
from wavemend.execution.hands import Hands
from wavemend.execution.order import InForce, Order
from wavemend.fleet import Fleet, RolloutKey, RolloutKind
from wavemend.fleet_limits import FleetLimits
from wavemend.hosts import FreeSpace, InstalledPackage
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, limits, nights, rollouts
from wavemend.ledger.answers import Granted
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.scans import newest_look, record_look
from wavemend.ledger.store import Ledger
from wavemend.nights import NAMESPACE, NightStatement
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import ExcludedHost, Plan
from wavemend.rollout import Close, Done, GateNumbers, Report, Verify, next_action
from wavemend.signatures import sign_text
from wavemend.site import Site, hands_of
from wavemend.steps import decide as deciding
from wavemend.steps.nights import judge_night
from wavemend.steps.why_not import look_into
from wavemend.why_not import Change, ChangeKind, Decision, Rule, decide

ALICE = "alice@acme.example"
MINUTE = timedelta(minutes=1)
OURS = RolloutKey(tenant="acme", profile="server", window="night")
_GATE = "waves: [{name: all, kind: broad}]"
_SERVER = f"device: server, manager: apt, updates: all, reboot: never, host_deadline: 5m, {_GATE}"
FLEET = f"""
schema: wavemend.fleet/1
tenants: [{{name: acme, zone: Europe/Berlin, window: night, approvers: [{ALICE}]}}]
approvers: [{{name: {ALICE}}}]
windows:
  - {{name: night, zone: UTC, start: "22:00", days: [tue, sat], duration: 4h, cutoff: 1h}}
profiles:
  - {{name: server, os: debian, {_SERVER}}}
  - {{name: database, os: ubuntu, {_SERVER}}}
  - {{name: other, os: fedora, {_SERVER}}}
logins: [{{name: default, user: root, key: "agent:"}}]
budgets: [{{name: pair, hosts: [web1, crit1, db1], most_out: 1}}]
dependencies: [{{name: data-first, first: role=data, then: role=web}}]
hosts:
  - {{name: web1, tenant: acme, address: 192.0.2.1,
     labels: {{os: debian, device: server, role: web}}}}
  - {{name: crit1, tenant: acme, address: 192.0.2.2, critical: true,
     labels: {{os: debian, device: server, role: web}}}}
  - {{name: p1, tenant: acme, address: 192.0.2.3, labels: {{os: debian, device: server}}}}
  - {{name: p2, tenant: acme, address: 192.0.2.4, labels: {{os: debian, device: server}}}}
  - {{name: db1, tenant: acme, address: 192.0.2.5, labels: {{os: ubuntu, device: server}}}}
  - {{name: db2, tenant: acme, address: 192.0.2.6,
     labels: {{os: ubuntu, device: server, role: data}}}}
  - {{name: o1, tenant: acme, address: 192.0.2.7, labels: {{os: fedora, device: server}}}}
  - {{name: x1, tenant: acme, address: 192.0.2.8, labels: {{os: plan9, device: server}}}}
feeds: {{source: "directory:feeds"}}
"""


@cache
def _declared() -> Fleet:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yaml"
        path.write_text(FLEET)
        return load_fleet(path)


@cache
def _ledger(path: Path) -> Ledger:
    """One for all worlds of a folder: an engine of its own has to compile each query anew."""
    return quick_ledger(path)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()


@dataclass(frozen=True)
class Keys:
    """Alice's key, made once, and who may sign."""

    private: Path
    signers: Path
    nights: dict[date, str] = field(default_factory=dict)
    """Her signatures for mornings: the same ones serve every world."""


def make_keys(folder: Path) -> Keys:
    """Make a key pair and a signers file."""
    private = folder / "alice"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(private)]
    subprocess.run(argv, check=True, capture_output=True)
    public = " ".join(private.with_suffix(".pub").read_text().split()[:2])
    signers = folder / "signers"
    signers.write_text(f'{ALICE} namespaces="patch-approval,{NAMESPACE}" {public}\n')
    return Keys(private, signers)


@dataclass
class World:
    """One ledger, one fleet, one moment; changes are made for real."""

    folder: Path
    keys: Keys
    ledger: Ledger
    now: datetime
    target: str = "web1"
    fleet: Fleet = field(default_factory=_declared)
    almanac: Almanac = field(default_factory=lambda: Almanac(read_at=START))
    plans: dict[str, Plan] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """What was built in, for whoever reads a failure."""

    def hands(self, at: datetime) -> Hands:
        """Return the executor's means at a moment."""
        site = Site(home=self.folder, signers=str(self.keys.signers))
        hands = hands_of(site, self.ledger, self.fleet)
        return replace(hands, clock=lambda: at, almanac=lambda: self.almanac)

    def explained(self, at: datetime | None = None) -> Decision:
        """Ask why (not) now."""
        return decide(look_into(self.hands(at or self.now), self.fleet, self.target))

    def copied(self, folder: Path) -> "World":
        """Return the same world with a ledger of its own."""
        _empty(folder)
        shutil.copy(self.folder / "ledger.db", folder / "ledger.db")
        if (self.folder / "STOP").exists():
            shutil.copy(self.folder / "STOP", folder / "STOP")
        return replace(
            self,
            folder=folder,
            ledger=_ledger(folder / "ledger.db"),
            plans=dict(self.plans),
            names=list(self.names),
        )

    # --- building ---------------------------------------------------------------------------

    def freeze(
        self, rollout: str, plan: Plan, *, profile: str, kind: str = "patch", at: datetime = START
    ) -> Lease:
        """Open a rollout of this company and freeze a plan in it."""
        made = replace(plan, profile=profile, kind=kind, rollout=rollout, excluded=plan.excluded)
        key = RolloutKey(tenant="acme", profile=profile, window="night", kind=kind)
        opening = Occurrence(
            window="night",
            start=made.window_start,
            end=made.window_end,
            last_start=made.last_start,
        )
        with self.ledger.writing() as book:
            rollouts.open_rollout(book, rollout, key, opening, requester="olga", now=NOON)
            lease = rollouts.take_lease(book, rollout, "w", at, owner_is_dead=True)
            rollouts.store_plan(book, lease, made, NOON)
        self.plans[rollout] = made
        return lease

    def lease(self, rollout: str, at: datetime) -> Lease:
        """Take the lease of a rollout."""
        with self.ledger.writing() as book:
            return rollouts.take_lease(book, rollout, "w", at, owner_is_dead=True)

    def begin(self, rollout: str, host: str, at: datetime) -> None:
        """Begin a host of a rollout, as if nothing had kept it back."""
        plan, lease = self.plans[rollout], self.lease(rollout, at)
        with self.ledger.writing() as book:
            rollouts.begin_wave(book, lease, plan.wave_of(host), at)
            answer = attempts.intend(
                book,
                lease,
                plan,
                host,
                attempt_id=f"a-{rollout}-{host}",
                nonce="n" * 32,
                now=at,
                local_stop="",
            )
        assert isinstance(answer, Granted), answer

    def end(
        self, rollout: str, host: str, at: datetime, outcome: Outcome = Outcome.PATCHED
    ) -> None:
        """Give a host that was begun its outcome."""
        lease = self.lease(rollout, at)
        with self.ledger.writing() as book:
            attempts.end_attempt(
                book,
                lease,
                f"a-{rollout}-{host}",
                outcome=outcome,
                reason="",
                packages=(),
                evidence=None,
                now=at,
            )

    def gate(self, rollout: str, number: int, at: datetime, *, passed: bool) -> None:
        """Judge a gate."""
        lease, found = self.lease(rollout, at), self.plans[rollout].waves[number - 1]
        numbers = GateNumbers(passed=passed, observed=1, good=1, errors=0, reason="judged")
        with self.ledger.writing() as book:
            rollouts.record_gate(book, lease, found, numbers, at)

    def look(self, *, well: bool, at: datetime, rollout: str = "") -> None:
        """Look at the target."""
        seen = facts(self.target)
        room = FreeSpace("/", 10**10 if well else 10**6, 10**6)
        here = InstalledPackage(
            name="wm-fine", version="1.0", arch="all", source="wm-fine", source_version="1.0"
        )
        seen = replace(seen, free_space=(room,), installed=(here,))
        look = Look(host=self.target, at=at, facts=seen, peer_key=KEY)
        with self.ledger.writing() as book:
            host = self.fleet.host(self.target)
            record_look(book, host, look, purpose="intent", rollout_id=rollout)

    def decide(self, rollout: str, at: datetime, decision: str = "approve") -> None:
        """Let Alice answer the request for this rollout's plan, signed with her key."""
        hands, lease = self.hands(at), self.lease(rollout, at)
        request = deciding.ask(hands, lease, "flow").request
        signature = sign(statement(request, decision, ALICE, "fit"), self.keys.private)
        answer = Answer(decision=decision, identity=ALICE, reason="fit", signature=signature)
        tenant = self.fleet.tenant("acme")
        assert deciding.take_answer(hands, request, answer, tenant, "olga") == ""

    # --- the real answer --------------------------------------------------------------------

    def really(self, at: datetime, *, signs: bool = False) -> str:
        """Return why the executor does not start the host at that moment; empty: it starts it.

        What a run does: close what is over, open what is due, look, ask for the right to start.
        """
        host = self.fleet.host(self.target)
        if not host.profile:
            return "unmanaged: no rollout has it"
        if (rollout := self._rollout(at)) in self.plans:
            plan = self.plans[rollout]
        else:
            return rollout
        if self.target not in {item.name for item in plan.hosts}:
            return "it is in no wave"
        if signs and plan.needs_signature(self.target):
            self.decide(rollout, at)
        hands = self.hands(at)
        order = self._order(plan, self.lease(rollout, at))
        with self.ledger.reading() as book:
            view = rollouts.read_view(book, rollout)
            if self.target in view.attempts:
                return "it has had its turn"
            if isinstance(action := next_action(plan, view, at), Close | Verify | Report | Done):
                return f"the run goes on with {action}"
            seen = newest_look(book, self.target, rollout_id=rollout)
        if seen and isinstance(found := compare(order, seen[1]), Obstacle):
            return found.reason
        if reason := start.may_begin(hands, order):
            return reason
        answer = start.intend(hands, order)
        return "" if isinstance(answer, Granted) else answer.reason

    def close_old(self, at: datetime) -> None:
        """Finish a rollout whose window is over, as its next run does."""
        with self.ledger.reading() as book:
            row = rollouts.unfinished_of(book, OURS)
        if row is not None and row.window_end <= at:
            lease = self.lease(row.id, at)
            with self.ledger.writing() as book:
                rollouts.finish_rollout(book, lease, "over", at)

    def _rollout(self, at: datetime) -> str:
        """Return the rollout that works at that moment; a sentence when there is none."""
        hands = self.hands(at)
        self.close_old(at)
        with self.ledger.reading() as book:
            row = rollouts.unfinished_of(book, OURS)
        if row is not None:
            return row.id
        opening = occurrence_at(self.fleet.window("night"), at)
        if opening is None:
            return "window: closed"
        judged = judge_night(hands, self.fleet.calendar_of("acme"), opening)
        if judged.verdict is not None or judged.wait > timedelta(0):
            return f"night: {judged.reason or judged.wait}"
        with self.ledger.reading() as book:
            if rollouts.of_opening(book, OURS, opening) is not None:
                return "the rollout of this opening has ended"
        self.freeze("r-new", self._new_plan(opening), profile="server", at=at)
        self._look_again(at)
        if opening.start > self.now:
            self.database_night(opening)
        return "r-new"

    def database_night(self, opening: Occurrence) -> None:
        """Open the databases' rollout of a night, and end it: nothing is pending there."""
        key = replace(OURS, profile="database")
        with self.ledger.writing() as book:
            if rollouts.of_opening(book, key, opening) is None:
                row = f"r-x{opening.start:%m%d}"
                rollouts.open_rollout(book, row, key, opening, requester="olga", now=NOON)
                lease = rollouts.take_lease(book, row, "w", NOON, owner_is_dead=True)
                rollouts.finish_rollout(book, lease, "nothing to do", NOON)

    def _look_again(self, at: datetime) -> None:
        """Look at the target before its start: it is as it was when it was seen last."""
        with self.ledger.reading() as book:
            seen = newest_look(book, self.target)
        if seen is not None and seen[1].facts is not None:
            well = seen[1].facts.free_space[0].free_bytes > 10**9
            self.look(well=well, at=at, rollout="r-new")

    def _new_plan(self, opening: Occurrence) -> Plan:
        critical = self.fleet.host(self.target).critical
        plan = plan_of(wave(1, self.target, kind="critical" if critical else "broad"))
        return replace(
            plan,
            window_start=opening.start,
            window_end=opening.end,
            last_start=opening.last_start,
            excluded=(),
        )

    def _order(self, plan: Plan, lease: Lease) -> Order:
        tenant = self.fleet.tenant("acme")
        return Order(
            lease=lease,
            plan=plan,
            host=self.fleet.host(self.target),
            profile=self.fleet.profile("server"),
            tenant=tenant,
            ask=lambda: InForce(
                tenant=tenant,
                calendar=self.fleet.calendar_of("acme"),
                limits=FleetLimits(self.fleet).of(self.target),
                fleet_drift=fleet_drift(plan, self.target, self.fleet),
            ),
        )

    # --- making changes for real ------------------------------------------------------------

    def apply(self, changes: tuple[Change, ...]) -> datetime:
        """Make these changes; returns the moment at which they are all made."""
        at = self.now
        for change in changes:
            if change.kind is ChangeKind.WAIT:
                assert change.at is not None
                at = change.at
            elif change.kind in _DO:
                _DO[change.kind](self, change)
            else:
                assert change.kind in {ChangeKind.SIGN, ChangeKind.LIFT}
        return at


def _release(world: World, change: Change) -> None:
    if change.about.endswith("STOP"):
        (world.folder / "STOP").unlink()
        return
    with world.ledger.writing() as book:
        rollouts.turn_switch(
            book, change.about, engaged=False, actor="olga", reason="go", now=world.now
        )


def _sign_night(world: World, change: Change) -> None:
    for text in change.about.split(","):
        morning = date.fromisoformat(text)
        said = NightStatement(tenant="acme", morning=morning, identity=ALICE, reason="I am there")
        if morning not in world.keys.nights:
            made = sign_text(said.text(), world.keys.private, NAMESPACE)
            world.keys.nights[morning] = made
        signed = nights.SignedNight(
            said=said,
            signature=world.keys.nights[morning],
            fingerprint="",
            signed_at=world.now,
        )
        with world.ledger.writing() as book:
            nights.record_override(book, signed, row_id=f"n-{text}")


def _others(world: World, change: Change) -> None:
    """Let exactly those hosts end or get well that the rule is about."""
    _OTHERS[change.of](world)


def _end_if_begun(world: World, rollout: str, host: str) -> None:
    with world.ledger.reading() as book:
        begun = host in rollouts.read_view(book, rollout).attempts
    if not begun:
        world.begin(rollout, host, world.now)
    world.end(rollout, host, world.now)


def _pass_gate(world: World) -> None:
    _end_if_begun(world, "r-t", "p1")
    world.gate("r-t", 1, world.now, passed=True)


def _pair_well(world: World) -> None:
    with world.ledger.reading() as book:
        sick = limits.unwell(book, ("db1",))
    if not sick:
        world.end("r-d", "db1", world.now)
        return
    with world.ledger.writing() as book:
        limits.say_well(book, "db1", actor="olga", reason="mended", now=world.now)


def _data_done(world: World) -> None:
    if "r-e" not in world.plans:
        world.database_night(TONIGHT)
        return
    with world.ledger.reading() as book:
        sick = limits.unwell(book, ("db2",))
    if not sick:
        _end_if_begun(world, "r-e", "db2")
        return
    with world.ledger.writing() as book:
        limits.say_well(book, "db2", actor="olga", reason="mended", now=world.now)


def _all_at_work(world: World) -> None:
    """Let whatever of the company's other groups is at work come to its end."""
    for rollout, plan in world.plans.items():
        with world.ledger.reading() as book:
            known = rollouts.read_view(book, rollout).attempts
            row = rollouts.get_rollout(book, rollout)
        if rollout != "r-t" and row.state == rollouts.OPEN:
            for host in plan.hosts:
                if host.name in known and known[host.name].outcome is None:
                    world.end(rollout, host.name, world.now)


_OTHERS: Mapping[Rule, Callable[[World], None]] = {
    Rule.GATES: _pass_gate,
    Rule.WAVE: lambda world: world.end("r-t", "p2", world.now),
    Rule.IN_USE: lambda world: _end_if_open(world, "r-u", world.target),
    Rule.GAP: _all_at_work,
    Rule.BUDGET: lambda world: _unless_done(world, _pair_well),
    Rule.ORDER: lambda world: _unless_done(world, _data_done),
    Rule.ROLLOUT: lambda world: world.close_old(world.now),
}


def _unless_done(world: World, work: Callable[[World], None]) -> None:
    """The gap's end may have ended the same host before."""
    try:
        work(world)
    except LedgerConflict:
        return


def _end_if_open(world: World, rollout: str, host: str) -> None:
    _unless_done(world, lambda found: found.end(rollout, host, found.now))


def _mend(world: World, change: Change) -> None:
    if change.of is Rule.READY:
        rollout = "r-t" if "r-t" in world.plans else ""
        world.look(well=True, at=world.now, rollout=rollout)
        return
    dark = [item.name for item in world.fleet.freezes if item.calendar == change.about]
    world.almanac = replace(
        world.almanac, unreadable={}, freezes={**world.almanac.freezes, **dict.fromkeys(dark, ())}
    )


def _assign(world: World, change: Change) -> None:
    hosts = tuple(
        replace(host, profile="server", window="night") if host.name == change.about else host
        for host in world.fleet.hosts
    )
    world.fleet = replace(world.fleet, hosts=hosts)


_DO: Mapping[ChangeKind, Callable[[World, Change], None]] = {
    ChangeKind.RELEASE: _release,
    ChangeKind.SIGN_NIGHT: _sign_night,
    ChangeKind.OTHER: _others,
    ChangeKind.MEND: _mend,
    ChangeKind.ASSIGN: _assign,
}
"""Two are made by `really`: a plan is signed once it is there, and the next one takes the host."""


# --- random worlds ------------------------------------------------------------------------------


def random_world(chance: random.Random, folder: Path, keys: Keys) -> World:
    """Return a world in which some things forbid a start, and maybe none does.

    The world that was in this folder before is gone.
    """
    _empty(folder)
    new_ledger(folder)
    now = START + chance.randint(5, 235) * MINUTE
    if chance.random() < 0.25:
        now = START - chance.randint(1, 60 * 60) * MINUTE
    target = chance.choices(["web1", "crit1", "x1"], [14, 5, 1])[0]
    world = World(folder, keys, _ledger(folder / "ledger.db"), now, target)
    if chance.random() < 0.15:  # a quiet night
        if now > START:
            _rollout(chance, world, "passed")
            world.database_night(TONIGHT)
        return world
    _calendars(chance, world)
    if chance.random() < 0.5:
        gap = timedelta(minutes=chance.choice([30, 60, 90]))
        tenants = tuple(replace(tenant, gap=gap) for tenant in world.fleet.tenants)
        world.fleet = replace(world.fleet, tenants=tenants)
        world.names.append(f"gap {gap}")
    if now > START:
        _rollout(chance, world)
        if now < LAST_START:
            _neighbours(chance, world)
        _database_night(chance, world)
    elif chance.random() < 0.2:
        _old_rollout(world)
    _switches(chance, world)
    if chance.random() < 0.3:
        well = chance.random() < 0.5
        world.look(well=well, at=now, rollout="r-t" if "r-t" in world.plans else "")
        world.names.append(f"look {well}")
    return world


def _calendars(chance: random.Random, world: World) -> None:
    freezes: list[Freeze] = []
    almanac = Almanac(read_at=START, days_off={"acme": {}}, shifts={"office": ()})
    if chance.random() < 0.25:
        begin = world.now - chance.randint(-60, 300) * MINUTE
        end = begin + chance.choice([90, 400, 1440, 20_000]) * MINUTE
        freezes.append(Freeze(name="frost", tenant="acme", start=begin, end=end))
        world.names.append(f"freeze until {end}")
    if chance.random() < 0.06:
        freezes.append(Freeze(name="dark", tenant="acme", calendar="cal"))
        almanac = replace(almanac, unreadable={"cal": "the file is damaged"})
        world.names.append("unreadable freeze")
    tenants = world.fleet.tenants
    if chance.random() < 0.35:
        rule = DutyRule(
            roster="office", hours_from=time(7), hours_until=time(9), days_off=frozenset()
        )
        tenants = tuple(replace(tenant, duty=rule) for tenant in tenants)
        share = chance.choice([0.0, 0.2, 0.7])
        day = START.replace(hour=0) - timedelta(days=3)
        shifts = [
            Shift(start=begin, end=begin + timedelta(days=1), person="Anna")
            for begin in (day + timedelta(days=n) for n in range(60))
            if chance.random() < share
        ]
        almanac = replace(almanac, shifts={"office": tuple(shifts)})
        world.names.append(f"duty {share}")
    world.almanac = almanac
    world.fleet = replace(world.fleet, freezes=tuple(freezes), tenants=tenants)


_NIGHTS = (
    *("none", "none", "none", "none", "passed", "passed", "passed", "second", "failed"),
    *("excluded", "done", "errors", "full", "halted", "closed", "finished"),
)
"""What the target's own rollout may be like: most nights are plain."""


def _rollout(chance: random.Random, world: World, what: str = "") -> None:
    """Build the target's own rollout, in one of the states a night can have."""
    what = what or chance.choice(_NIGHTS)
    target = world.target
    if what == "none" or target == "x1":
        return
    world.names.append(f"rollout {what}")
    critical = world.fleet.host(target).critical
    kind = "critical" if critical else "broad"
    first = wave(1, "p1", kind="pilot", gap=10 * MINUTE)
    if what == "excluded":
        left = ExcludedHost(name=target, outcome=Outcome.SKIPPED, reason="openssl on hold")
        plan = replace(plan_of(first), excluded=(left,))
    else:
        seats = 1 if what == "full" else 2
        second = wave(2, target, "p2", kind=kind, concurrency=seats)
        plan = replace(plan_of(first, second), excluded=())
        takes = chance.choice([0, 0, 600, 7200])
        hosts = tuple(
            replace(item, critical=False if item.name == "p2" else item.critical)
            for item in plan.hosts
        )
        hosts = tuple(
            replace(item, at_most_seconds=takes) if item.name == target else item for item in hosts
        )
        plan = replace(plan, hosts=hosts)
        world.names.append(f"takes {takes}")
    lease = world.freeze("r-t", plan, profile="server")
    if what == "excluded":
        return
    if critical and chance.random() < 0.7:
        answer = chance.choice(["approve", "approve", "reject"])
        world.decide("r-t", START, answer)
        world.names.append(answer)
    early = START + MINUTE
    if what != "second":
        world.begin("r-t", "p1", early)
        world.end("r-t", "p1", early)
        world.gate("r-t", 1, early, passed=what != "failed")
    _inside(what, world, lease)


def _inside(what: str, world: World, lease: Lease) -> None:
    plan, target = world.plans["r-t"], world.target
    at = min(world.now, LAST_START - MINUTE)
    if what in {"errors", "full"} and at < START + 11 * MINUTE:
        return  # still inside the gap after the first wave
    if what == "errors":
        world.begin("r-t", "p2", at)
        world.end("r-t", "p2", at, Outcome.FAILED)
    if what == "full":
        world.begin("r-t", "p2", at)
    if what == "done":
        with world.ledger.writing() as book:
            new = rollouts.take_lease(book, "r-t", "w", START, owner_is_dead=True)
            attempts.settle(
                book,
                new,
                plan,
                target,
                attempt_id="a-done",
                outcome=Outcome.NOTHING_TO_DO,
                reason="",
                now=START,
            )
    if what in {"halted", "closed"}:
        again = world.lease("r-t", START)
        with world.ledger.writing() as book:
            rollouts.record_step(book, again, what, START, detail="three hosts were lost")
    if what == "finished":
        again = world.lease("r-t", START)
        with world.ledger.writing() as book:
            rollouts.finish_rollout(book, again, "yes", at)


def _database_night(chance: random.Random, world: World) -> None:
    """The databases come first: mostly their rollout was opened, as its schedule says."""
    if chance.random() < 0.9:
        world.database_night(TONIGHT)
    else:
        world.names.append("databases not opened")


def _old_rollout(world: World) -> None:
    """Leave last Saturday's rollout unfinished."""
    back = timedelta(days=3)
    plan = plan_of(wave(1, "p1"))
    old = replace(
        plan,
        window_start=plan.window_start - back,
        window_end=plan.window_end - back,
        last_start=plan.last_start - back,
        excluded=(),
    )
    if world.now < old.window_end:
        return
    world.freeze("r-old", old, profile="server", at=START - back)
    world.names.append("old rollout")


def _neighbours(chance: random.Random, world: World) -> None:
    """Let other rollouts of the night be at work, done, or ill."""
    at = START + chance.randint(0, int((world.now - START) / MINUTE) - 1) * MINUTE
    for rollout, host, profile in (
        ("r-o", "o1", "other"),
        ("r-d", "db1", "database"),
        ("r-u", world.target, "server"),
    ):
        if chance.random() < 0.65 or (rollout == "r-u" and world.target == "x1"):
            continue
        kind = RolloutKind.RESTART if rollout == "r-u" else RolloutKind.PATCH
        _one(chance, world, rollout, host, profile, str(kind), at)
    if chance.random() < 0.2:
        key = "database" if "r-d" not in world.plans else "other"
        if key == "database" or "r-o" not in world.plans:
            world.freeze("r-e", _plan_of_one("db2"), profile=key)
            became = chance.choice(["due", "busy", "sick", "done"])
            world.names.append(f"data {became}")
            if became != "due":
                world.begin("r-e", "db2", at)
            if became in {"sick", "done"}:
                outcome = Outcome.FAILED if became == "sick" else Outcome.PATCHED
                world.end("r-e", "db2", at, outcome)


def _one(
    chance: random.Random,
    world: World,
    rollout: str,
    host: str,
    profile: str,
    kind: str,
    at: datetime,
) -> None:
    try:
        world.freeze(rollout, _plan_of_one(host), profile=profile, kind=kind)
        world.begin(rollout, host, at)
    except AssertionError:
        return  # its own rollout has it already
    became = chance.choice(["busy", "done", "sick"])
    world.names.append(f"{rollout} {host} {became} at {at:%H:%M}")
    if became != "busy":
        outcome = Outcome.FAILED if became == "sick" else Outcome.PATCHED
        world.end(rollout, host, min(world.now, at + 5 * MINUTE), outcome)


def _plan_of_one(host: str) -> Plan:
    return replace(plan_of(wave(1, host)), excluded=())


def _switches(chance: random.Random, world: World) -> None:
    for name in ("", "acme"):
        if chance.random() < 0.12:
            world.names.append(f"stop {name or 'all'}")
            with world.ledger.writing() as book:
                rollouts.turn_switch(
                    book, name, engaged=True, actor="olga", reason="a storm", now=world.now
                )
    if chance.random() < 0.08:
        (world.folder / "STOP").write_text("maintenance of this machine")
        world.names.append("stop file")
