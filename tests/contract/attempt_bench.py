"""What the attempt tests share: real rollouts of one host, and deaths at any chosen line."""

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from tests.cases.rollouts.build import PROFILE
from tests.cases.rollouts.build import plan_of as any_plan
from tests.cases.rollouts.build import wave as any_wave
from tests.cases.rollouts.ledgers import KEY, new_ledger
from wavemend.calendar.windows import Occurrence
from wavemend.errors import ConnectionLost
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.execution.order import Order
from wavemend.fleet import Tenant
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    AttemptRow,
)
from wavemend.managers.apt import APT
from wavemend.outcomes import PackageOutcome
from wavemend.plans import Plan, PlannedHost, PlannedPackage
from wavemend.policy.profiles import Profile
from wavemend.transport import OUTPUT_BOUND, CommandResult, Transport

HOUR = timedelta(hours=1)
TENANT = Tenant(name="acme", title="Acme", zone="UTC", approvers=("alice",))


class Death(BaseException):
    """The controller's process ends here; nothing catches it."""


@dataclass
class Fate:
    """Counts every place where the controller touches the ledger or the host, and strikes one."""

    at: int = -1
    lose: bool = False
    """Instead of a death: the connection is lost at that command, before or after its effect."""
    places: list[str] = field(default_factory=list)
    struck: str = ""

    def pass_by(self, place: str, *, on_host: bool) -> None:
        """Go on, or strike when this is the place."""
        if self.lose and not on_host:
            return
        number = len(self.places)
        self.places.append(place)
        if number == self.at:
            self.struck = place
            if self.lose:
                raise ConnectionLost(f"the line was cut {place}")
            raise Death(place)


class MortalLedger(Ledger):
    """The real ledger; its user may die before a transaction begins or right after its commit."""

    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self.fate = fate

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield the real write transaction, between two places to die."""
        self.fate.pass_by("before a write", on_host=False)
        with super().writing() as session:
            yield session
        self.fate.pass_by("after a write", on_host=False)


@dataclass
class MortalTransport:
    """A real connection; its user may die, or lose it, before or after each command."""

    inner: Transport
    fate: Fate

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run the real command between two places to die."""
        return self._between(
            argv, lambda: self.inner.run(argv, stdin=stdin, deadline=deadline, bound=bound)
        )

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run the real command between two places to die."""
        return self._between(
            argv,
            lambda: self.inner.run_as_root(argv, stdin=stdin, deadline=deadline, bound=bound),
        )

    def _between(self, argv: Sequence[str], command: Callable[[], CommandResult]) -> CommandResult:
        name = " ".join(argv[:3])[:40]
        self.fate.pass_by(f"before {name}", on_host=True)
        result = command()
        self.fate.pass_by(f"after {name}", on_host=True)
        return result

    @property
    def peer_key(self) -> str:
        """The real connection's."""
        return self.inner.peer_key

    def close(self) -> None:
        """Close the real connection."""
        self.inner.close()


@dataclass
class Bench:
    """One rollout of one host: its ledger, its plan, and a clock that can be moved."""

    folder: Path
    host: Host
    connect: Callable[[Host], Transport]
    profile: Profile = field(
        default_factory=lambda: replace(PROFILE, host_deadline=timedelta(seconds=60))
    )
    tenant: Tenant = TENANT
    shift: timedelta = timedelta(0)
    fleet_digest: str = "sha256:fleet"
    plan: Plan = field(default_factory=any_plan)
    owners: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.ledger = new_ledger(self.folder)
        self.path = self.folder / "ledger.db"
        self.opened_at = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the wall clock's time, moved by `shift`."""
        return datetime.now(UTC) + self.shift

    def hands(self, fate: Fate | None = None) -> Hands:
        """Return the executor's means: real ones, which a fate may strike."""
        ledger, connect = self.ledger, self.connect
        if fate is not None:
            struck = fate
            ledger = MortalLedger(f"sqlite:///{self.path}", struck)

            def connect(host: Host) -> Transport:
                return MortalTransport(self.connect(host), struck)

        return Hands(
            ledger=ledger,
            connect=connect,
            manager=lambda _: APT,
            clock=self.now,
            monotonic=time.monotonic,
            sleep=lambda seconds: time.sleep(min(seconds, 0.3)),
            token=lambda: secrets.token_hex(16),
            stop_file=self.folder / "stop",
            signers_file=self.folder / "signers",
        )

    def freeze(self, *packages: str, **changes: object) -> Plan:
        """Look at the host, plan these of its pending updates, and freeze the plan."""
        seen = look(self.hands(), self.host, refresh=False)
        assert seen.facts is not None, seen.detail
        offered = {update.name: update for update in seen.facts.pending}
        chosen = tuple(
            PlannedPackage(
                name=name,
                arch=offered[name].arch,
                installed=offered[name].installed,
                target=offered[name].candidate,
                origin=offered[name].origin,
                lane="routine",
            )
            for name in packages
        )
        planned = PlannedHost(
            name=self.host.name,
            address=f"{self.host.address}:{self.host.port}",
            critical=False,
            exposed=False,
            simulated=True,
            machine_id=seen.facts.machine_id,
            host_key=seen.peer_key,
            packages=chosen,
            reboot=self.profile.reboot,
        )
        self.plan = replace(
            any_plan(),
            fleet_digest=self.fleet_digest,
            window_start=self.opened_at - HOUR,
            window_end=self.opened_at + 2 * HOUR,
            last_start=self.opened_at + HOUR,
            hosts=(replace(planned, **changes),),  # type: ignore[arg-type]
            waves=(any_wave(1, self.host.name),),
        )
        self._open()
        return self.plan

    def _open(self) -> None:
        night = Occurrence(
            window="night",
            start=self.plan.window_start,
            end=self.plan.window_end,
            last_start=self.plan.last_start,
        )
        with self.ledger.writing() as book:
            rollouts.open_rollout(book, "r-1", KEY, night, requester="olga", now=self.opened_at)
        lease = self.take_lease()
        with self.ledger.writing() as book:
            rollouts.store_plan(book, lease, self.plan, self.opened_at)

    def take_lease(self) -> Lease:
        """Become the owner of the rollout, as a new process whose predecessor is gone."""
        with self.ledger.writing() as book:
            return rollouts.take_lease(
                book, "r-1", f"owner-{next(self.owners)}", self.now(), owner_is_dead=True
            )

    def order(self) -> Order:
        """Return the order for the host, under a new lease."""
        return Order(
            lease=self.take_lease(),
            plan=self.plan,
            host=self.host,
            profile=self.profile,
            tenant=self.tenant,
        )

    def row(self) -> AttemptRow:
        """Return the host's only attempt."""
        with self.ledger.reading() as book:
            (row,) = attempts.of_rollout(book, "r-1")
        return row

    def packages(self) -> dict[str, PackageOutcome]:
        """Return what became of each package."""
        return {result.name: result.outcome for result in attempts.packages_of(self.row())}
