"""`wavemend rollout`: start, list, show, resume, report."""

import sys
from collections.abc import Sequence
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console

from wavemend.calendar.windows import next_occurrences, occurrence_at
from wavemend.cli.here import here, ledger_here, operator, prefect_here
from wavemend.cli.played import companies
from wavemend.cli.resume import resume_orphans, start_run
from wavemend.cli.shown import add_row, say, spelled_lines, visible
from wavemend.cli.tables import is_wide, keep_whole, plain_table, screen
from wavemend.errors import FleetError
from wavemend.expected_times import expected_waves, in_words
from wavemend.fleet import Fleet, RolloutKey, RolloutKind
from wavemend.ledger import attempts, permits, rollbacks, rollouts
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.readiness import accept_unready
from wavemend.reporting import fleet_of_night, write_rollout_report
from wavemend.simulated import naming
from wavemend.site import utc_now
from wavemend.windows.titles import misspelt

app = cyclopts.App(name="rollout", help="Start, watch and report rollouts.")


@app.command
def start(
    tenant: str,
    *,
    profile: Annotated[str, Parameter(help="Needed where the company has several.")] = "",
    window: Annotated[str, Parameter(help="Needed where the company has several.")] = "",
    as_: Annotated[
        str, Parameter(name="--as", help="Your name in the list of signers, for four eyes.")
    ] = "",
    restarts: Annotated[
        bool, Parameter(negative=(), help="The restarts that have a window of their own.")
    ] = False,
    take: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="A rule with action manual, or a package that waits: its next plan takes it. "
            "Can be given several times.",
        ),
    ] = (),
) -> int:
    """Start a company's rollout now. Outside its maintenance window it starts nothing."""
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
    known = fleet.restarts() if restarts else fleet.rollouts()
    keys = [
        key
        for key in known
        if key.tenant == tenant and profile in {"", key.profile} and window in {"", key.window}
    ]
    if len(keys) != 1:
        names = ", ".join(str(key) for key in known) or "none"
        raise FleetError(
            f"{len(keys)} rollouts match company {tenant!r}, one is needed", hint=f"known: {names}"
        )
    if take:
        _take(keys[0], take)
    ask_for(fleet, keys[0], as_ or operator())
    return 0


def _take(key: RolloutKey, names: Sequence[str]) -> None:
    """Note what the next plan of a rollout takes; the audit chain says who wanted it."""
    if key.kind != RolloutKind.PATCH:
        raise FleetError("a restart installs nothing, so it can take nothing", hint="leave --take")
    if fault := next(filter(None, map(misspelt, names)), ""):
        raise FleetError(fault)
    with ledger_here().writing() as book:
        permits.take(book, key, names, actor=operator(), now=utc_now())
        row = rollouts.unfinished_of(book, key)
    frozen = row is not None and bool(row.plan_digest)
    which = "the plan after the one that is frozen already" if frozen else "its next plan"
    say(f"{which} takes {', '.join(names)}, where a policy leaves that to a person")


def ask_for(fleet: Fleet, key: RolloutKey, requester: str) -> None:
    """Ask Prefect for a run of this key, and say what it will find. Raises EnvironmentUnfit."""
    api = prefect_here()
    if note := _prospect(fleet, key):
        say(note)
    run = start_run(api, key, requester)
    say(f"`wavemend rollout list` says what becomes of it; asked for {key} as run {run}")


def _prospect(fleet: Fleet, key: RolloutKey) -> str:
    """Say what a run of this key finds now, where that is not a fresh rollout."""
    now = utc_now()
    window = fleet.window(key.window)
    opening = occurrence_at(window, now)
    with ledger_here().reading() as book:
        row = rollouts.unfinished_of(book, key)
        over = rollouts.of_opening(book, key, opening) if opening else None
    if row is not None:
        return f"rollout {row.id} is not finished: the run goes on with it, unless another one does"
    if over is not None:
        return f"rollout {over.id} of this opening is finished: the run will start nothing"
    if opening is None:
        (following,) = next_occurrences(window, now, 1)
        opens = f"{following.start:%Y-%m-%d %H:%M} UTC"
        return f"the window {key.window} is closed until {opens}: the run will start nothing"
    return ""


@app.command(name="list")
def list_() -> int:
    """List the rollouts, newest first."""
    with ledger_here().reading() as book:
        rows, company = rollouts.list_rollouts(book), companies(book)
    console = screen()
    more = ("Result",) if is_wide(console) else ()
    headings = ("Rollout", "Company", "Profile", "Window", "Opened", "State", *more)
    # The id is copied from here.
    table = keep_whole(plain_table("Rollouts", headings, tight=not more), "Rollout", "State")
    for row in rows:
        opened = f"{row.created_at:%Y-%m-%d %H:%MZ}"
        cells = (row.id, company(row), row.profile, row.window, opened, row.state)
        add_row(table, *cells, *((row.reason,) if more else ()))
    console.print(table)
    if not more:
        for row in rows:
            if row.reason:
                say(f"{row.id}: {row.reason}")
    return 0


@app.command
def show(rollout: str) -> int:
    """Show every host of a rollout with its outcome and reason."""
    with ledger_here().reading() as book:
        row = rollouts.get_rollout(book, rollout)
        plan = rollouts.read_plan(book, rollout)
        ended = attempts.of_rollout(book, rollout)
        back = rollbacks.of_rollout(book, rollout)
        last_look = rollouts.detail_of(book, rollout, "verified")
    console = screen()
    console.print(visible(f"{row.id}  {row.key}  {row.state}  {row.reason}"))
    if plan is None:
        console.print("No plan was frozen yet.")
        return 0
    console.print(visible(f"plan {plan.digest}"))
    known = {attempt.host: attempt for attempt in ended}
    called = naming((*plan.hosts, *plan.excluded))
    rows: list[tuple[str, str, str, str]] = []
    for wave in plan.waves:
        for name in wave.hosts:
            attempt = known.get(name)
            outcome = (attempt.outcome or attempt.state) if attempt else "waiting"
            rows.append((wave.name, called(name), outcome, attempt.reason if attempt else ""))
    rows += [("–", called(left.name), left.outcome, left.reason) for left in plan.excluded]
    _show_hosts(console, rows)
    for expected in expected_waves(plan, utc_now()) if not ended else ():
        say(in_words(expected))
    for line in last_look.splitlines():
        say(f"at the last look: {line}")
    for taken in back:
        how = f"{taken.outcome}: {taken.detail}" if taken.outcome else taken.state
        say(f"{called(taken.host)}: rollback by {taken.requested_by} ({taken.reason}): {how}")
    return 0


def _show_hosts(console: Console, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Print a line per host; on a narrow terminal the reasons as lines below."""
    more = ("Reason",) if is_wide(console) else ()
    table = plain_table("Hosts", ("Wave", "Host", "Outcome", *more))
    for row in rows:
        add_row(table, *(row if more else row[:3]))
    console.print(table)
    if not more:
        for _, host, _, reason in rows:
            if reason:
                say(f"{host}: {reason}")


@app.command
def resume() -> int:
    """Take up unfinished rollouts that nobody works for any more."""
    for line in resume_orphans(ledger_here(), prefect_here().url, utc_now()):
        say(line)
    return 0


@app.command(name="go-on")
def go_on(rollout: str, *, reason: str) -> int:
    """Let a rollout that is held for hosts that are not ready go on without them."""
    with ledger_here().writing() as book:
        accept_unready(book, rollout, actor=operator(), reason=reason, now=utc_now())
    say(f"{rollout} goes on without the hosts that are not ready, within a minute")
    return 0


@app.command
def report(rollout: str) -> int:
    """Write a rollout's report again, from the ledger, and print its few lines."""
    site = here()
    ledger = ledger_here()
    with ledger.reading() as book:
        fleet, instead = fleet_of_night(book, rollout)
    if instead:
        print(spelled_lines(f"in the words of today's fleet: {instead}"), file=sys.stderr)
    print(write_rollout_report(ledger, fleet, rollout, site.reports, utc_now()).summary, end="")
    return 0
