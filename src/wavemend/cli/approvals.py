"""`wavemend approve`, `reject`, `waiting`: sign a decision over exactly one plan, and send it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wavemend.approvals import sign, statement
from wavemend.cli.here import here, ledger_here, prefect_here
from wavemend.cli.played import companies, hosts_in_force
from wavemend.cli.resume import flow_run_state
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import is_wide, keep_whole, plain_table, screen
from wavemend.errors import ApprovalRefused
from wavemend.ledger import approvals, rollback_approvals, rollouts
from wavemend.ledger.approvals import OpenRequest
from wavemend.plans import Plan
from wavemend.signatures import load_signers
from wavemend.simulated import named, naming
from wavemend.site import utc_now

Key = Annotated[Path, Parameter(help="Private key to sign with; an agent or hardware key works.")]
Reason = Annotated[str, Parameter(help="Why, in one sentence; it is signed too.")]
Name = Annotated[str, Parameter(name="--as", help="Your name in the list of signers.")]
Print = Annotated[
    bool, Parameter(name="--print", help="Print the signature for the form instead of sending it.")
]


def approve(
    rollout: str, *, key: Key, reason: Reason, as_: Name = "", print_: Print = False
) -> int:
    """Approve a rollout's critical hosts: shows the plan, signs it, resumes the run."""
    return _decide(rollout, "approve", key, reason, as_, print_)


def reject(rollout: str, *, key: Key, reason: Reason, as_: Name = "", print_: Print = False) -> int:
    """Reject a rollout's critical hosts: nothing is changed on them."""
    return _decide(rollout, "reject", key, reason, as_, print_)


def waiting() -> int:
    """List the rollouts and the rollbacks that wait for an approver."""
    ledger = ledger_here()
    console = screen()
    more = ("Plan",) if is_wide(console) else ()
    headings = ("Rollout", "Company", *more, "Answer before", "Asked", "Last answer")
    # The id is copied from here.
    table = keep_whole(plain_table("Waiting for approval", headings), "Rollout", "Answer before")
    with ledger.reading() as book:
        company, called = companies(book), naming(hosts_in_force(book))
        for row in rollouts.list_rollouts(book, only_open=True):
            asked = approvals.newest(book, row.id)
            if asked is not None and not approvals.answered(book, asked.request.id):
                expires = f"{asked.request.expires_at:%Y-%m-%d %H:%MZ}"
                digest = (asked.request.plan_digest,) if more else ()
                known = approvals.decisions(book, row.id)
                last = f"refused: {known[-1].refusal}" if known else "none yet"
                cells = (row.id, company(row), *digest, expires, f"no. {asked.asking}", last)
                add_row(table, *cells)
        rollbacks = rollback_approvals.waiting(book, utc_now())
    if table.row_count:
        console.print(table)
    elif not rollbacks:
        say("nothing waits for an approver")
    for request, case in rollbacks:
        hosts = ", ".join(called(host.host) for host in case.hosts)
        when = " outside its window" if case.outside_window else ""
        until = f"until {request.expires_at:%H:%MZ}"
        say(f"rollback {request.id}: {hosts} of {case.rollout}{when}, {until}")
        say(f"  asked for by {case.requested_by}: {case.reason}")
    return 0


def _decide(rollout: str, decision: str, key: Path, reason: str, name: str, only: bool) -> int:
    asked, plan, flow_run_id = _open_request(rollout)
    identity = name or identity_of(key)
    text = statement(asked.request, decision, identity, reason)
    _show(plan)
    say(text.decode())
    signature = sign(text, key)
    if only:
        print(signature)
        return 0
    api = prefect_here()
    if flow_run_state(api, flow_run_id) != "PAUSED":
        raise ApprovalRefused(
            f"the run of rollout {rollout} is not waiting right now",
            hint="an answer may be on its way: see `wavemend waiting` in a minute; "
            "if the run died, `wavemend rollout resume` takes it up again",
        )
    answer = {
        "decision": decision,
        "approver": identity,
        "reason": reason,
        "signature": signature,
    }
    result = api.post(f"/flow_runs/{flow_run_id}/resume", {"run_input": answer})
    if result.get("status") != "ACCEPT":
        raise ApprovalRefused(f"Prefect did not resume the run: {result}")
    say(f"{decision}: signed as {identity} and sent; the run checks it before it goes on")
    say("`wavemend waiting` shows the rollout again if the answer did not count, and why")
    return 0


def _open_request(rollout: str) -> tuple[OpenRequest, Plan, str]:
    with ledger_here().reading() as book:
        row = rollouts.get_rollout(book, rollout)
        plan = rollouts.read_plan(book, rollout)
        asked = approvals.newest(book, rollout)
        answered = asked is not None and approvals.answered(book, asked.request.id)
    if plan is None or asked is None or answered:
        raise ApprovalRefused(
            f"rollout {rollout} does not wait for an approval", hint="`wavemend waiting` lists them"
        )
    if plan.digest != asked.request.plan_digest:
        # What is shown must be what is signed.
        raise ApprovalRefused(
            f"the plan of rollout {rollout} was changed after this request was made",
            hint="a frozen plan never changes by itself: see `wavemend audit verify`",
        )
    return asked, plan, row.flow_run_id


def identity_of(key: Path) -> str:
    """Find the signer whose public key belongs to this private key."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        ours = " ".join(public.read_text().split()[:2])
    except OSError as error:
        raise ApprovalRefused(
            f"{public} cannot be read: {error.strerror}", hint="name yourself with --as"
        ) from error
    for signer in load_signers(here().signers_file):
        if signer.key == ours:
            return signer.identity
    raise ApprovalRefused(
        f"the key {public} is not in {here().signers_file}", hint="ask for it to be listed"
    )


def _show(plan: Plan) -> None:
    headings = ("Host", "Package", "From", "To", "Lane", "CVEs")
    # Whatever the terminal's width, cells fold and are never cut: what is seen here is signed.
    table = plain_table(f"Critical hosts of plan {plan.digest}", headings, right=("CVEs",))
    for wave in plan.waves:
        if wave.kind == "critical":
            for name in wave.hosts:
                called = named(name, simulated=plan.host(name).simulated)
                for package in plan.host(name).packages:
                    add_row(
                        table,
                        called,
                        f"{package.name}: {package.title}" if package.title else package.name,
                        package.installed,
                        package.target,
                        package.lane,
                        str(len(package.cves)),
                    )
                for defect in plan.host(name).repairs:
                    add_row(table, called, f"repair: {defect}", "", "", "", "")
    screen().print(table)
