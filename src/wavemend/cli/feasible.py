"""`wavemend calendar feasible`: can every due date be met with the rules there are?"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wavemend.calendar.durations import format_duration
from wavemend.cli.calendar import Company, calendars
from wavemend.cli.here import ledger_here
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import CalendarError, EnvironmentUnfit
from wavemend.ledger.demand import demand_of, systems_of
from wavemend.ledger.durations import learned_durations
from wavemend.reports.text import counted
from wavemend.simulated import naming
from wavemend.site import utc_now

if TYPE_CHECKING:
    from wavemend.foresight.assembling import Assembled
    from wavemend.foresight.problem import Feasibility, Problem

MOST_DAYS = 180
NAMED = 10
"""Hosts named in a line."""


def feasible(
    *,
    company: Company = "",
    days: Annotated[int, Parameter(help="How far ahead.")] = 30,
) -> int:
    """Decide whether all due dates can be met with windows, gaps, freezes, duty and budgets.

    If not: the fewest rules that cannot hold together, and the two cheapest ways out. Exit status
    0: they can be met, 1: they cannot, 2: it could not be decided.
    """
    if not 1 <= days <= MOST_DAYS:
        raise CalendarError(f"--days {days} is not between 1 and {MOST_DAYS}")
    # Loaded when asked: every command would begin later for it.
    from wavemend.foresight.assembling import Known, assemble

    decide = _solver()
    now = utc_now()
    fleet, almanac, overrides = calendars(now)
    if company:
        fleet.tenant(company)
    with ledger_here().reading() as book:
        known = Known(
            almanac=almanac,
            demand=demand_of(book),
            durations=learned_durations(book),
            overrides=overrides,
            systems=systems_of(book),
        )
    asked = assemble(fleet, known, now, now + timedelta(days=days), tenant=company)
    answer = decide(asked.problem)
    _say_of_hosts(asked, naming(fleet.hosts))
    if answer.undecided:
        say(f"not decided: {answer.undecided}; ask for fewer --days, or for one --company")
        return 2
    return _say_yes(asked, answer) if answer.feasible else _say_no(answer, days)


def _say_yes(asked: "Assembled", answer: "Feasibility") -> int:
    nights = Counter[tuple[str, str, str]]()
    for placed in answer.schedule:
        night = placed.night
        length = format_duration(night.end - night.start)
        nights[f"{night.start:%Y-%m-%d %H:%M}", night.key, length] += placed.count
    hosts = sum(task.count for task in asked.problem.tasks)
    if not hosts:
        say("nothing to decide: no host that was judged has a due date")
        return 0
    say(f"yes: all due dates of {counted(hosts, 'host')} can be met")
    if nights:
        table = plain_table(
            "One way to do it", ("Night (UTC)", "Rollout", "Length", "Hosts"), right=("Hosts",)
        )
        for (start, key, length), count in sorted(nights.items()):
            add_row(table, start, key, length, str(count))
        screen().print(table)
    return 0


def _say_no(answer: "Feasibility", days: int) -> int:
    say(f"no: not all due dates of the next {counted(days, 'day')} can be met")
    say("These rules cannot hold together; without any one of them the others can:")
    for rule in answer.conflict:
        say(f"  {rule}")
    say("The cheapest ways out:" if answer.repairs else "No way out of the known kinds was found.")
    for number, repair in enumerate(answer.repairs, start=1):
        more = "" if repair.proven else " (a cheaper one of this kind may exist)"
        say(f"  {number}. {repair.sentence} [{repair.cost}]{more}")
    return 1


def _say_of_hosts(asked: "Assembled", called: Callable[[str], str]) -> None:
    told = (
        (asked.overdue, "overdue already: taken as due at the end of the time looked at"),
        (asked.unseen, "never judged, so not in the answer: run the deployment scan-fleet first"),
        (asked.unmanaged, "unmanaged, so never patched"),
        (asked.without_due, "without a due date"),
    )
    for names, what in told:
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            say(f"{len(names)} {what}: {', '.join(map(called, names[:NAMED]))}{more}")


def _solver() -> "Callable[[Problem], Feasibility]":
    """Return the solver, which is an extra. Raises EnvironmentUnfit."""
    try:
        from wavemend.foresight.answering import decide
    except ImportError as error:
        raise EnvironmentUnfit(
            f"the solver is not installed: {error}",
            hint="install the extra: pip install 'wavemend[foresight]'",
        ) from error
    return decide
