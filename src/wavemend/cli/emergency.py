"""`wavemend emergency`: one patch to one company or to all of them, now, with a plan for each."""

from collections.abc import Sequence
from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter
from sqlmodel import Session

from wavemend.calendar.durations import format_duration
from wavemend.cli.here import ledger_here, operator, prefect_here
from wavemend.cli.resume import deployment_for, start_run
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import FleetError, WavemendError
from wavemend.fleet import Fleet
from wavemend.ledger import rollouts
from wavemend.ledger.assessments import judged_hosts
from wavemend.ledger.intake import current_fleet
from wavemend.reports.text import counted
from wavemend.simulated import named, naming
from wavemend.site import utc_now
from wavemend.steps import emergencies
from wavemend.steps.emergencies import Case

NAMED = 8
"""Hosts named in a cell."""


def emergency(
    *names: str,
    company: Annotated[
        tuple[str, ...], Parameter(negative=(), help="Only this company; can be given again.")
    ] = (),
    all_companies: Annotated[
        bool, Parameter(negative=(), help="Every company that is touched.")
    ] = False,
    go: Annotated[
        bool, Parameter(negative=(), help="Open and start the rollouts; without it only the plan.")
    ] = False,
    as_: Annotated[
        str, Parameter(name="--as", help="Your name in the list of signers, for four eyes.")
    ] = "",
) -> int:
    """Send the fix of CVEs or packages to one company or to all, outside their windows.

    Goes by the newest judgement of each host. Shows the plan of each company; with --go each gets a
    rollout with its own pilot and gates: at once under the company's standing rule, else after a
    signature over its exact plan.
    """
    if not names:
        raise FleetError("no CVE or package was named", hint="wavemend emergency CVE-2026-1234 …")
    if bool(company) == all_companies:
        raise FleetError("for whom?", hint="name --company NAME, or say --all-companies")
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        wanted = {fleet.tenant(name).name for name in company}
        cases = [
            case
            for case in emergencies.cases_of(fleet, emergencies.named(book, fleet, names))
            if all_companies or case.key.tenant in wanted
        ]
        unseen = _unseen(book, fleet, wanted)
    _say_of_others(names, cases, unseen)
    if not cases:
        return 0
    _show(fleet, cases)
    if not go:
        say("nothing was started; --go opens a rollout for each line")
        return 0
    begun = [_begin(fleet, case, as_ or operator()) for case in cases]
    return 0 if all(begun) else 1


def _unseen(book: Session, fleet: Fleet, wanted: set[str]) -> list[str]:
    """Return the managed hosts that nobody has judged yet: whether they are touched is unknown."""
    judged = judged_hosts(book)
    return [
        named(host.name, simulated=host.simulated)
        for host in fleet.hosts
        if host.profile and host.name not in judged and (not wanted or host.tenant in wanted)
    ]


def _say_of_others(names: Sequence[str], cases: Sequence[Case], unseen: Sequence[str]) -> None:
    found = {item.name for case in cases for item in case.touched}
    missing = [name for name in names if not found & {name, name.upper()}]
    if missing:
        say(
            f"nothing of {', '.join(missing)} waits on these hosts as they were last seen; waived "
            "and ignored findings, and those without a fix, are not sent"
        )
    if unseen:
        more = f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
        say(f"never judged, so nobody knows: {', '.join(unseen[:NAMED])}{more}")


def _show(fleet: Fleet, cases: Sequence[Case]) -> None:
    called = naming(fleet.hosts)
    for tenant, mine in emergencies.by_company(cases).items():
        rule = fleet.tenant(tenant).emergency
        lets = "at once, by its standing rule" if rule.standing else "after a signature"
        table = plain_table(
            f"{fleet.tenant(tenant).title}: {lets}, within {format_duration(rule.duration)}, "
            f"soak {format_duration(rule.soak)}",
            ("Profile", "Hosts", "What", "Which hosts"),
            right=("Hosts",),
        )
        for case in mine:
            packages = sorted({f"{item.package} {item.version}" for item in case.touched})
            more = f" and {len(case.hosts) - NAMED} more" if len(case.hosts) > NAMED else ""
            add_row(
                table,
                case.key.profile,
                str(len(case.hosts)),
                f"{', '.join(case.names)}: {', '.join(packages)}",
                ", ".join(called(host) for host in case.hosts[:NAMED]) + more,
            )
        screen().print(table)


def _begin(fleet: Fleet, case: Case, requester: str) -> bool:
    """Open and start one rollout; one company's trouble stops no other."""
    where = f"{case.key.tenant}/{case.key.profile}"
    if why := emergencies.cannot_be_signed(fleet, case):
        say(f"{where}: {why}")
        return False
    try:
        api = prefect_here()
        deployment_for(api, case.key)  # before a rollout is opened that nobody could run
        with ledger_here().writing() as book:
            row = emergencies.open_case(
                book,
                fleet,
                case,
                rollout_id=f"r-{uuid4().hex[:12]}",
                requester=requester,
                now=utc_now(),
            )
            rollout_id = row.id
        run = start_run(api, case.key, requester)
        with ledger_here().writing() as book:
            rollouts.note_run(book, rollout_id, run)
    except WavemendError as error:
        say(f"{where}: {error.message}; {error.hint}")
        return False
    say(f"{where}: rollout {rollout_id} for {counted(len(case.hosts), 'host')}, run {run}")
    return True
