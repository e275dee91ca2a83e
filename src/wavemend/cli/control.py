"""`wavemend stop`, `go` and `audit`: the kill switch and the proof."""

import re
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.cli.here import has_ledger, here, ledger_here, operator
from wavemend.cli.played import hosts_in_force
from wavemend.cli.shown import say, spelled
from wavemend.cli.view import refuse_everybody
from wavemend.errors import EnvironmentUnfit, LedgerError
from wavemend.ledger import audit, rollouts
from wavemend.ledger.intake import current_fleet
from wavemend.simulated import SIMULATED
from wavemend.site import Site, utc_now

audit_app = cyclopts.App(name="audit", help="The hash-chained record of every state change.")

_OWN = "name the company: --tenant"

Tenant = Annotated[str, Parameter(help="Only this company; all of them without it.")]


def stop(reason: str, *, tenant: Tenant = "") -> int:
    """Stop all new starts now. What runs on hosts is never killed: it ends and is collected."""
    if not tenant:
        refuse_everybody("stop", hint=_OWN)
    site = here()
    trouble = "" if tenant else _write_stop_file(site, reason)
    try:
        _switch(tenant, engaged=True, reason=reason)
    except LedgerError as error:
        if tenant or trouble:
            raise
        say(f"the ledger could not be told: {error}; the file in {site.home} stops this machine")
    if trouble:
        say(f"{trouble}; the ledger was told, which stops every worker that reaches it")
    again = f"wavemend go --tenant {tenant}" if tenant else "wavemend go"
    say(f"stopped: {tenant or 'everything'} of {site.home}; `{again}` releases it")
    return 0


def go(*, tenant: Tenant = "", reason: str = "released") -> int:
    """Release the kill switch. Closed rollouts stay closed; new ones may start."""
    if not tenant:
        refuse_everybody("go", hint=_OWN)
    site = here()
    _switch(tenant, engaged=False, reason=reason)
    if not tenant:
        site.stop_file.unlink(missing_ok=True)
    say(f"released: {tenant or 'everything'} of {site.home}")
    for line in stops_of(site):
        say(f"still stopped: {line}")
    return 0


def stops_of(site: Site) -> list[str]:
    """Return what is stopped in an installation, by whom, since when and why."""
    lines = []
    if site.stop_file.exists():
        lines.append(f"this machine, by {site.stop_file}: {_said_in(site.stop_file)}")
    if not has_ledger():
        return lines
    with ledger_here().reading() as book:
        for row in rollouts.engaged_switches(book):
            since = f"{row.at:%Y-%m-%d %H:%MZ}"
            lines.append(f"{row.tenant or 'everything'}: {row.reason} ({row.actor}, since {since})")
    return lines


def _said_in(stop_file: Path) -> str:
    """Return the reason in the file; one that cannot be read stops this machine all the same."""
    try:
        return stop_file.read_text(errors="replace").strip()
    except OSError as error:
        return f"its reason cannot be read: {error.strerror}"


def _write_stop_file(site: Site, reason: str) -> str:
    """Write the file that stops this machine even without a ledger; return what went wrong."""
    if not site.home.is_dir():
        raise EnvironmentUnfit(f"no installation in {site.home}", hint="set WAVEMEND_HOME")
    try:
        site.stop_file.write_text(f"{reason} (by {operator()})\n")
    except OSError as error:
        return f"the file {site.stop_file} could not be written: {error.strerror}"
    return ""


@audit_app.command
def verify() -> int:
    """Hash the whole chain again; exit status 13 and the place where it breaks, if it does."""
    with ledger_here().reading() as book:
        head = audit.verify(book)
    print(f"{head.events} events, chain intact, head {head.digest}")
    return 0


@audit_app.command
def show(subject: str) -> int:
    """Print the events about one rollout (or `fleet`, or a feed), oldest first."""
    with ledger_here().reading() as book:
        found = audit.events(book, subject)
        hosts = hosts_in_force(book)
    if not found:
        raise LedgerError(f"there are no events about {subject}")
    words = frozenset(re.findall(r"[\w.-]+", " ".join(row.body for row in found)))
    if played := sorted(host.name for host in hosts if host.simulated and host.name in words):
        say(f"{SIMULATED}: {', '.join(played)}")
    for row in found:
        print(spelled(f"{row.seq:6} {row.at} {row.kind:24} {row.actor}  {row.body}"))
    return 0


def _switch(tenant: str, *, engaged: bool, reason: str) -> None:
    with ledger_here().writing() as book:
        fleet = current_fleet(book)
        if tenant:
            fleet.tenant(tenant)  # a misspelt company would stop nobody
        rollouts.turn_switch(
            book, tenant, engaged=engaged, actor=operator(), reason=reason, now=utc_now()
        )
