"""`wavemend stop`, `go` and `audit`: the kill switch and the proof."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here, operator
from wavemend.errors import LedgerError
from wavemend.ledger import audit, rollouts
from wavemend.site import utc_now

audit_app = cyclopts.App(name="audit", help="The hash-chained record of every state change.")

Tenant = Annotated[str, Parameter(help="Only this company; all of them without it.")]


def stop(reason: str, *, tenant: Tenant = "") -> int:
    """Stop all new starts now. What runs on hosts is never killed: it ends and is collected."""
    if not tenant:
        site = here()
        site.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # First the file: it works when the ledger does not.
        site.stop_file.write_text(f"{reason} (by {operator()})\n")
    _switch(tenant, engaged=True, reason=reason)
    print(f"stopped: {tenant or 'everything'}; `wavemend go` releases it")
    return 0


def go(*, tenant: Tenant = "", reason: str = "released") -> int:
    """Release the kill switch. Closed rollouts stay closed; new ones may start."""
    _switch(tenant, engaged=False, reason=reason)
    if not tenant:
        here().stop_file.unlink(missing_ok=True)
    print(f"released: {tenant or 'everything'}")
    return 0


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
    for row in found:
        print(f"{row.seq:6} {row.at} {row.kind:24} {row.actor}  {row.body}")
    return 0


def _switch(tenant: str, *, engaged: bool, reason: str) -> None:
    try:
        with ledger_here().writing() as book:
            rollouts.turn_switch(
                book, tenant, engaged=engaged, actor=operator(), reason=reason, now=utc_now()
            )
    except LedgerError as error:
        if not engaged or tenant:
            raise
        print(f"the ledger could not be told ({error}); the file on this machine stops starts")
