"""A host's restore point, asked for where its commands run: on the host, or on the worker."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from wavemend.errors import PlanError, TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.execution.windows_points import by_script
from wavemend.hosts import Host
from wavemend.managers import KnowsOldVersions, Manager, TakesUpdatesBack
from wavemend.operations import OUTPUT_BOUND, Operation
from wavemend.packages import Target
from wavemend.plans import Plan, PlannedPackage
from wavemend.policy.care import Place, RestorePointRule
from wavemend.snapshots import (
    PREFIX,
    SNAPSHOTS,
    Ask,
    Command,
    Found,
    Missing,
    RestorePoint,
    Said,
    Snapshotter,
    Subject,
)
from wavemend.transport import Transport, WindowsTransport


def subject_of(hands: Hands, plan: Plan, host: Host) -> Subject:
    """Return a planned host as its restore point sees it."""
    name, question = f"{PREFIX}{plan.rollout}-{host.name}", None
    manager = hands.manager(host)
    found = (_before(manager, package) for package in plan.host(host.name).packages)
    before = sorted(target for target in found if target is not None)
    if isinstance(manager, KnowsOldVersions):
        with suppress(PlanError):
            question = manager.old_versions_script(before)
    return Subject(host=host, name=name, before=tuple(before), question=question)


def _before(manager: Manager, package: PlannedPackage) -> Target | None:
    """Return what a package goes back to. A new one had no version before, and stays."""
    if package.installed:
        return Target(name=package.name, arch=package.arch, version=package.installed)
    return manager.before_update(package) if isinstance(manager, TakesUpdatesBack) else None


def snapshotter(rule: RestorePointRule) -> Snapshotter:
    """Return who makes the points of a rule. Raises PlanError for a kind that there is not."""
    if rule.kind not in SNAPSHOTS:
        raise PlanError(
            f"there is no restore point of kind {rule.kind!r}",
            hint=f"known: {', '.join(sorted(SNAPSHOTS))}",
        )
    return SNAPSHOTS[rule.kind](rule)


def prove_point(hands: Hands, subject: Subject, rule: RestorePointRule) -> RestorePoint:
    """Make a host's restore point unless it is there, and list it back."""
    kind, restores, trouble = rule.kind, "nothing", ""
    found: Found | Missing
    with asking(hands, subject.host) as ask:
        try:
            taker = snapshotter(rule)
            restores = taker.restores
            trouble = taker.make(ask, subject)
            found = taker.find(ask, subject)
        except PlanError as error:
            found = Missing(str(error))
    if isinstance(found, Missing):
        # The first trouble is the cause; that the point is not listed follows from it.
        detail = trouble or found.reason
        return RestorePoint(
            kind=kind, name=subject.name, proven=False, restores=restores, detail=detail
        )
    return RestorePoint(
        kind=kind,
        name=subject.name,
        proven=True,
        restores=restores,
        detail=found.detail or "made, and listed back",
        reference=found.reference,
    )


def restore_point_gone(hands: Hands, order: Order) -> str:
    """List a required restore point back, right before the intent; say why it does not count.

    Empty: it is there, or the profile does not ask for one.
    """
    rule = order.profile.restore_point
    if not rule.required:
        return ""
    found = find_point(hands, order)
    return found.reason if isinstance(found, Missing) else ""


def find_point(hands: Hands, order: Order) -> Found | Missing:
    """List the restore point of a host's attempt back, now."""
    subject = subject_of(hands, order.plan, order.host)
    with asking(hands, order.host) as ask:
        try:
            return snapshotter(order.profile.restore_point).find(ask, subject)
        except PlanError as error:
            return Missing(str(error))


@contextmanager
def asking(hands: Hands, host: Host) -> Iterator[Ask]:
    """Yield what runs commands at their place; the host is connected to when it is needed first.

    A virtual machine that does not boot any more is brought back without a connection to it.
    """
    asked = _Asking(hands, host)
    try:
        yield asked
    finally:
        asked.close()


class _Asking:
    def __init__(self, hands: Hands, host: Host) -> None:
        self._hands = hands
        self._host = host
        self._transport: Transport | None = None

    def __call__(self, command: Command) -> Said:
        if command.place is Place.WORKER:
            return self._on_worker(command)
        try:
            return self._on_host(command)
        except TransportError as error:
            self.close()
            return Said(trouble=f"{command.title}: {error.reason}: {error}")

    def _on_host(self, command: Command) -> Said:
        if self._transport is None:
            self._transport = self._hands.connect(self._host)
        on_windows = isinstance(self._transport, WindowsTransport)
        if on_windows != (command.script is not None):
            systems = ("Linux", "Windows") if on_windows else ("Windows", "Linux")
            reason = "this kind of restore point is for {} hosts, and this is one of {}"
            return Said(trouble=f"{command.title}: {reason.format(*systems)}")
        if command.script is not None:
            token = self._hands.token()
            return by_script(self._transport, command, command.script, token)
        done = self._transport.run_as_root(
            command.argv, stdin=command.stdin, deadline=command.seconds
        )
        if done.dropped_bytes:
            return Said(trouble=f"{command.title}: the answer is longer than can be read")
        if done.exit_status != 0:
            words = (done.stderr or done.stdout).decode(errors="replace").strip()[-300:]
            return Said(trouble=f"{command.title}: exit status {done.exit_status}: {words}")
        return Said(text=done.stdout.decode(errors="replace"))

    def _on_worker(self, command: Command) -> Said:
        end = self._hands.operate(operation_of(command))
        if end.trouble:
            return Said(trouble=f"{command.title}: it {end.trouble}")
        # In bytes, as it was cut: its beginning may be missing.
        if len(end.output.encode()) >= OUTPUT_BOUND:
            return Said(trouble=f"{command.title}: the answer is longer than can be read")
        return Said(text=end.output)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._transport is not None:
            self._transport.close()
        self._transport = None


def operation_of(command: Command) -> Operation:
    """Return a command of the worker's as what `Hands.operate` takes."""
    return Operation(
        title=command.title,
        argv=command.argv,
        environment=command.environment,
        seconds=command.seconds,
    )


def age_words(age: timedelta) -> str:
    """Say how old a restore point is, in days, hours and minutes: what was written since."""
    minutes = int(age.total_seconds() // 60)
    days, hours = divmod(minutes // 60, 24)
    parts = ((days, "d"), (hours, "h"), (minutes % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "less than a minute"
