"""What the tests of limits share: a night of several rollouts in one ledger."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from tests.cases.rollouts.build import START, plan_of, wave
from tests.cases.rollouts.ledgers import NIGHT, take
from wavemend.calendar.windows import Window
from wavemend.fleet import RolloutKey
from wavemend.fleet_limits import HostLimits, HostSet
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.attempts import Answer
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.outcomes import Outcome
from wavemend.plans import Plan
from wavemend.rollout import judge_gate

MINUTE = timedelta(minutes=1)
PAIR = HostLimits(sets=(HostSet(name="pair", hosts=("db1", "db2"), most_out=1),))

NIGHT_WINDOW = Window(
    name="night",
    zone="UTC",
    start=time(22),
    days=frozenset(range(7)),
    duration=timedelta(hours=4),
    cutoff=timedelta(hours=1),
)
"""Its opening of the tests' night is `NIGHT`."""


def key_of(rollout: str, tenant: str = "acme") -> RolloutKey:
    """Return the key of a rollout of these tests: each has a profile of its own name."""
    return RolloutKey(tenant=tenant, profile=rollout, window="night")


class Night:
    """A ledger with rollouts of one company; attempts are named after their hosts."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.leases: dict[str, Lease] = {}
        self.plans: dict[str, Plan] = {}

    def open(self, rollout: str, tenant: str = "acme") -> Lease:
        """Open a rollout of a profile of its own and take its lease."""
        key = key_of(rollout, tenant)
        with self.ledger.writing() as book:
            rollouts.open_rollout(book, rollout, key, NIGHT, requester="olga", now=START)
        self.leases[rollout] = take(self.ledger, rollout)
        return self.leases[rollout]

    def freeze(self, rollout: str, *waves: Sequence[str], **plan: object) -> Plan:
        """Freeze a plan whose waves have these hosts."""
        if rollout not in self.leases:
            self.open(rollout)
        made = plan_of(
            *(wave(n, *hosts, concurrency=4) for n, hosts in enumerate(waves, start=1)),
            rollout=rollout,
        )
        made = replace(made, excluded=(), **plan)  # type: ignore[arg-type]
        with self.ledger.writing() as book:
            rollouts.store_plan(book, self.leases[rollout], made, START)
        self.plans[rollout] = made
        return made

    def intend(
        self, rollout: str, host: str, limits: HostLimits = PAIR, now: datetime = START
    ) -> Answer:
        """Ask for the right to change a host."""
        with self.ledger.writing() as book:
            return attempts.intend(
                book,
                self.leases[rollout],
                self.plans[rollout],
                host,
                attempt_id=f"a-{rollout}-{host}",
                nonce="n" * 32,
                now=now,
                local_stop="",
                limits=limits,
            )

    def begin(self, rollout: str, number: int, now: datetime = START) -> None:
        """Note the first start of a wave."""
        with self.ledger.writing() as book:
            found = self.plans[rollout].waves[number - 1]
            rollouts.begin_wave(book, self.leases[rollout], found, now)

    def place(self, rollout: str, host: str, limits: HostLimits = PAIR) -> bool:
        """Ask whether there is room for a host."""
        with self.ledger.reading() as book:
            return attempts.has_place(
                book, self.leases[rollout], self.plans[rollout], host, now=START, limits=limits
            )

    def end(
        self,
        rollout: str,
        host: str,
        outcome: Outcome = Outcome.PATCHED,
        now: datetime = START + MINUTE,
    ) -> None:
        """Give a host that was begun its outcome."""
        with self.ledger.writing() as book:
            attempts.end_attempt(
                book,
                self.leases[rollout],
                f"a-{rollout}-{host}",
                outcome=outcome,
                reason="",
                packages=(),
                evidence=None,
                now=now,
            )

    def settle(self, rollout: str, host: str, outcome: Outcome) -> None:
        """Give a host its outcome without touching it."""
        with self.ledger.writing() as book:
            attempts.settle(
                book,
                self.leases[rollout],
                self.plans[rollout],
                host,
                attempt_id=f"a-{rollout}-{host}",
                outcome=outcome,
                reason="",
                now=START,
            )

    def pass_gate(self, rollout: str, number: int, now: datetime) -> None:
        """Judge the gate of a wave."""
        found = self.plans[rollout].waves[number - 1]
        with self.ledger.writing() as book:
            numbers = judge_gate(found, rollouts.read_view(book, rollout))
            rollouts.record_gate(book, self.leases[rollout], found, numbers, now)

    def finish(self, rollout: str, now: datetime = START + MINUTE) -> None:
        """End a rollout."""
        with self.ledger.writing() as book:
            rollouts.finish_rollout(book, self.leases[rollout], "done", now)
