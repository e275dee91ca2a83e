"""A controller as a process of its own: it carries out one rollout, as the flow does, and may die.

The same steps in the same order as flows/patch_rollout.py, without Prefect; what it cannot bring
is a server that believes in dead runs, which tests/rollouts/test_crash.py plays.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlmodel import Session

from flows.patch_rollout import HOOKED, HOSTS_AT_ONCE
from tasks.host_steps import _in_force
from tasks.opening import (
    finish,
    hooks_of,
    hosts_left,
    note_step,
    note_wave,
    open_for,
    read_plan,
    steps_done,
    what_next,
)
from tasks.workbench import Running, Workbench
from tests.contract.crash_places import Fate, Struck
from wavemend.approvals import Answer, sign, statement
from wavemend.execution.attempt import attempt_host
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.rollback import roll_back_host
from wavemend.fleet import RolloutKey
from wavemend.hosts import Host
from wavemend.ledger import rollouts
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.readiness import Occasion
from wavemend.ledger.rollouts import FINISHED, Lease
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import RolloutRow
from wavemend.operations import Operation, OperationEnd, run_here
from wavemend.plans import Plan
from wavemend.reporting import write_rollout_report
from wavemend.rollbacks import RollbackRequest
from wavemend.rollout import (
    Action,
    AskApproval,
    CheckWave,
    Close,
    Done,
    Gap,
    JudgeGate,
    Prepare,
    ProbeWave,
    Report,
    RollBackWave,
    RunWave,
    Soak,
    Verify,
)
from wavemend.site import Site, hands_of
from wavemend.steps import decide, waves
from wavemend.steps.freeze import freeze_plan
from wavemend.steps.lease import hold
from wavemend.steps.preflight import preflight_host
from wavemend.steps.prepare import prepare_host
from wavemend.steps.readiness import check_host
from wavemend.transport import OUTPUT_BOUND, CommandResult, Transport

APPROVER = "alice@example.org"

HURRY = 12
"""How much faster these controllers' patience runs out: that a host is not well takes 5 s."""


class MortalLedger(Ledger):
    """The real ledger; its process may die before a transaction, or right after its commit."""

    def __init__(self, url: str, struck: Struck) -> None:
        super().__init__(url)
        self._struck = struck

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield the real write transaction, between two places to die."""
        with self._struck.between(), super().writing() as session:
            yield session


@dataclass
class MortalTransport:
    """A real connection; its process may die before or after each command."""

    inner: Transport
    struck: Struck

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run the real command between two places to die."""
        with self.struck.between():
            return self.inner.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run the real command between two places to die."""
        with self.struck.between():
            return self.inner.run_as_root(argv, stdin=stdin, deadline=deadline, bound=bound)

    @property
    def peer_key(self) -> str:
        """The real connection's."""
        return self.inner.peer_key

    def close(self) -> None:
        """Close the real connection."""
        self.inner.close()


def carry_out(home: Path, fate: Fate, tenant: str) -> None:
    """Bring the rollout of a company to its end: the main function of a controller's process.

    Whatever goes wrong is written to `controllers.log`, and ends the process with an exit code.
    """
    log = os.open(home / "controllers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    key = RolloutKey(tenant=tenant, profile="server", window="now")
    site, struck = Site(home=home), fate.controller()
    ledger = MortalLedger(f"sqlite:///{home / 'ledger.db'}", struck)
    with ledger.reading() as book:
        fleet = current_fleet(book)
    hands = _mortal(hands_of(site, ledger, fleet), struck)
    bench = Workbench(site, fleet, hands)
    row = open_for.fn(bench, key, "olga", f"run-{os.getpid()}")
    if not isinstance(row, RolloutRow) or row.state == FINISHED:
        return
    with hold(hands, row.id) as lease:
        plan = read_plan(bench, row.id) or _frozen(bench, lease, key)
        running = Running(bench, lease, plan)
        running.bench.hands = hands
        while not isinstance(action := what_next(running), Done):
            _take(running, action)
        finish(running)


def _mortal(hands: Hands, struck: Struck) -> Hands:
    def connect(host: Host) -> Transport:
        return MortalTransport(hands.connect(host), struck)

    def operate(operation: Operation) -> OperationEnd:
        with struck.between():
            return run_here(operation)

    def monotonic() -> float:
        return HURRY * hands.monotonic()

    return replace(hands, connect=connect, operate=operate, monotonic=monotonic)


def _each(names: Sequence[str], work: Callable[[str], object]) -> None:
    """Do one thing for each host, as many at a time as the flow's tasks; threads are so named."""

    def one(name: str) -> None:
        threading.current_thread().name = name
        work(name)

    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        list(pool.map(one, names))


def _frozen(bench: Workbench, lease: Lease, key: RolloutKey) -> Plan:
    names = [host.name for host in bench.fleet.members(key)]
    _each(names, lambda name: preflight_host(bench.hands, bench.fleet.host(name), lease.rollout_id))
    with bench.hands.ledger.reading() as book:
        row = rollouts.get_rollout(book, lease.rollout_id)
    return freeze_plan(bench.hands, lease, row, bench.fleet, bench.assessor())


def _take(running: Running, action: Action) -> None:  # noqa: C901, PLR0912 - one case each
    bench, lease, plan = running.bench, running.lease, running.plan
    hands = bench.hands
    match action:
        case Prepare(hosts):
            note_step(running, HOOKED)
            _hooks(running, "before")
            profile = bench.fleet.profile(plan.profile)
            _each(hosts, lambda n: prepare_host(hands, lease, plan, bench.fleet.host(n), profile))
            note_step(running, action.step)
        case CheckWave(wave, hosts):
            _check(running, wave.name, hosts)
            note_step(running, action.step)
        case RollBackWave(_, hosts, reason):
            request = RollbackRequest(requested_by=f"profile {plan.profile}", reason=reason)
            _each(hosts, lambda name: roll_back_host(hands, _order(running, name), request))
            note_step(running, action.step, reason)
        case RunWave(wave, hosts):
            note_wave(running, wave)
            _each(hosts, lambda name: attempt_host(hands, _order(running, name)))
        case Soak(_, until) | Gap(_, until):
            while (left := (until - hands.clock()).total_seconds()) > 0:
                hands.sleep(min(left, 0.2))
        case ProbeWave(_, hosts):
            probes = bench.fleet.profile(plan.profile).probes
            said = {n: waves.probe_host(hands, plan, bench.fleet.host(n), probes) for n in hosts}
            lines = (f"{name}: {trouble}" for name, trouble in said.items() if trouble)
            note_step(running, action.step, "\n".join(lines))
        case JudgeGate(wave):
            waves.decide_gate(hands, lease, wave)
        case AskApproval():
            _approve(running)
        case Close(reason, hosts):
            waves.close(hands, lease, plan, hosts, reason)
        case Verify(hosts):
            told, probes = bench.assessor(), bench.fleet.profile(plan.profile).probes
            _each(
                hosts, lambda n: waves.verify_host(hands, plan, bench.fleet.host(n), told, probes)
            )
            _hooks(running, "after")
            note_step(running, "verified")
        case Report():
            write_rollout_report(
                hands.ledger, bench.fleet, plan.rollout, bench.site.reports, hands.clock()
            )
            note_step(running, "reported")
        case Done():
            pass


def _hooks(running: Running, when: str) -> None:
    for number, argv in enumerate(hooks_of(running, when), start=1):
        title = f"{when} hook {number}"
        if title not in steps_done(running):
            # As tasks.rollout_steps.run_hook does, with the same operation.
            ended = running.bench.hands.operate(Operation(title=title, argv=argv))
            if not ended.ok:
                raise RuntimeError(f"{title} {ended.trouble}; left: {hosts_left(running)}")
            note_step(running, title)


def _check(running: Running, wave: str, hosts: Sequence[str]) -> None:
    bench, plan = running.bench, running.plan
    profile = bench.fleet.profile(plan.profile)
    occasion = Occasion(
        tenant=plan.tenant,
        profile=plan.profile,
        window=plan.window,
        window_start=plan.window_start,
        name=f"wave {wave}",
    )

    def check(name: str) -> None:
        check_host(bench.hands, bench.fleet.host(name), profile, occasion, deep=False)

    _each(hosts, check)


def _order(running: Running, name: str) -> Order:
    fleet, plan = running.bench.fleet, running.plan
    return Order(
        lease=running.lease,
        plan=plan,
        host=fleet.host(name),
        profile=fleet.profile(plan.profile),
        tenant=running.tenant,
        ask=partial(_in_force, running, name),
    )


def _approve(running: Running) -> None:
    """Ask, and answer at once: the approver's part is played here, with a real signature."""
    hands, reason = running.bench.hands, "the pilot went well"
    request = decide.ask(hands, running.lease, f"run-{os.getpid()}").request
    signature = sign(
        statement(request, "approve", APPROVER, reason), running.bench.site.home / "alice_ed25519"
    )
    answer = Answer(decision="approve", identity=APPROVER, reason=reason, signature=signature)
    refusal = decide.take_answer(hands, request, answer, running.tenant, running.plan.requester)
    if refusal:
        raise RuntimeError(f"the approval does not count: {refusal}")
