"""What `wavemend manager check` does on a host: the checks, and what must hold before a change."""

from collections.abc import Iterator

from wavemend.calendar.windows import occurrence_at
from wavemend.cli.here import here, operator
from wavemend.declarations import Declaration, Order
from wavemend.errors import FleetError, PlanError, RolloutHalted
from wavemend.execution.barring import barred
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.ledger import rollouts
from wavemend.ledger.journals import Stranger, next_fence, record_strangers
from wavemend.ledger.store import Ledger
from wavemend.managers.declared import ARCH, DeclaredManager
from wavemend.packages import Target
from wavemend.site import hands_of, utc_now
from wavemend.testing.manager_contract import (
    Checked,
    Job,
    Trial,
    Verdict,
    check_change,
    check_looks,
)
from wavemend.versions import Scheme, key_of


def try_out(
    ledger: Ledger, fleet: Fleet, host: Host, declaration: Declaration
) -> tuple[Checked, ...]:
    """Return the checks that change nothing."""
    return tuple(check_looks(_trial(ledger, fleet, host, declaration)))


def try_change(
    ledger: Ledger,
    fleet: Fleet,
    host: Host,
    declaration: Declaration,
    *,
    item: str,
    version: str,
) -> Iterator[Checked]:
    """Check the looks, then install a version for real and take it back; yields all checks.

    A host that fails the first ones is not changed.
    """
    trial = _trial(ledger, fleet, host, declaration)
    fit = True
    for checked in check_looks(trial):
        fit = fit and checked.verdict is not Verdict.FAILED
        yield checked
    if fit:
        target = Target(name=_item(trial, item), arch=ARCH, version=version)
        yield from _change(ledger, host, trial, target)


def _trial(ledger: Ledger, fleet: Fleet, host: Host, declaration: Declaration) -> Trial:
    hands = hands_of(here(), ledger, fleet)
    actions = [action for action in (declaration.apply, declaration.roll_back) if action]
    order = declaration.order
    scheme = None if order is Order.OFFERED else Scheme(order)
    return Trial(
        manager=DeclaredManager(declaration=declaration),
        host=host,
        connect=lambda: hands.connect(host),
        clock=utc_now,
        version_key=(lambda version: key_of(scheme, version)) if scheme else None,
        programs=tuple(dict.fromkeys(step[0] for action in actions for step in action.steps)),
        knows_exit=declaration.exits.__contains__,
    )


def may_change(ledger: Ledger, fleet: Fleet, host: Host, confirm: str) -> None:
    """Refuse a change that a rollout would not be allowed either."""
    if confirm != host.name:
        raise PlanError(
            f"--apply changes {host.name} for real",
            hint=f"say it once more: --confirm {host.name}",
        )
    if host.critical:
        raise PlanError(
            f"{host.name} is critical: it changes only by an approved plan",
            hint="try the declaration on another host",
        )
    with ledger.reading() as book:
        stop = rollouts.stopped(book, host.tenant)
        open_ones = [
            row.id
            for row in rollouts.list_rollouts(book, only_open=True)
            if row.tenant == host.tenant
        ]
    hands = hands_of(here(), ledger, fleet)
    stop = hands.local_stop() or stop
    if stop:
        raise RolloutHalted(f"stopped: {stop}", hint="`wavemend go` releases it")
    if open_ones:
        raise RolloutHalted(f"the rollout {open_ones[0]} is under way", hint="wait for its end")
    ends = utc_now()
    if host.window:
        opening = occurrence_at(fleet.window(host.window), utc_now())
        if opening is None or not opening.may_start(utc_now()):
            raise RolloutHalted(
                f"the window {host.window} of {host.name} is closed",
                hint="try it while the window is open, or on a host without one",
            )
        ends = opening.end
    if closed := barred(hands, fleet.calendar_of(host.tenant), ends):
        raise RolloutHalted(f"calendars forbid it: {closed}", hint="try it when they do not")


def _item(trial: Trial, item: str) -> str:
    names = sorted(package.name for package in trial.look().installed)
    if item in names or (not item and len(names) == 1):
        return item or names[0]
    known = ", ".join(names[:10])
    raise FleetError(f"--item {item or 'is needed'}: which of them?", hint=f"there are: {known}")


def _change(ledger: Ledger, host: Host, trial: Trial, target: Target) -> Iterator[Checked]:
    """Change the host for real. Written down first: its journal will name both jobs."""
    with ledger.writing() as book:
        fence = next_fence(book)
        jobs = [Job(fence=fence), Job(fence=fence)]
        record_strangers(
            book,
            host.name,
            [
                Stranger(
                    attempt_id=job.attempt_id,
                    fence=fence,
                    begun_at=None,
                    ended_at=None,
                    exit_status=None,
                )
                for job in jobs
            ],
            actor=operator(),
            reason=f"manager check: {target.name} to {target.version} and back",
            now=utc_now(),
        )
    return check_change(trial, target, there=jobs[0], back=jobs[1])
