"""`wavemend duty`: who is there in the morning, nights without a rollout, and signing for one."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from wavemend.calendar.almanac import Almanac, NightOverride, Shift
from wavemend.calendar.declared import DutyRule, TenantCalendar
from wavemend.calendar.duty import Morning, has_skill, hours_of, morning_bars, mornings, on_duty
from wavemend.calendar.judging import bars
from wavemend.calendar.openings import openings_between
from wavemend.calendar.preview import first_start
from wavemend.calendar.windows import Occurrence, zone_info
from wavemend.cli.approvals import identity_of
from wavemend.cli.here import here, ledger_here
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import ApprovalRefused, FleetError
from wavemend.fleet import Fleet
from wavemend.ledger import nights
from wavemend.ledger.intake import current_fleet
from wavemend.nights import NAMESPACE, NightStatement, check
from wavemend.signatures import sign_text
from wavemend.site import almanac_of, utc_now

app = cyclopts.App(name="duty", help="Mornings: who is there, and nights that wait for one.")

Company = Annotated[str, Parameter(help="Company, as the fleet file names it.")]
Days = Annotated[int, Parameter(help="How many days.")]
MOST_DAYS = 400
MOST_OPENINGS = 200
"""Openings shown; a window may open every night, and a company may have many windows."""


@app.command
def show(company: Company, *, days: Days = 14) -> int:
    """Show who is there on each of the next mornings, and what that means for the windows."""
    now, days = utc_now(), min(max(days, 1), MOST_DAYS)
    with ledger_here().reading() as book:
        fleet = current_fleet(book)
        rules = fleet.calendar_of(company)
        today = now.astimezone(zone_info(rules.zone)).date()
        overrides = nights.overrides_of(
            book, rules, here().signers_file, first=today, last=today + timedelta(days=days + 8)
        )
    if rules.duty is None:
        raise FleetError(
            f"{company} has no duty rule",
            hint="docs/how-to/quiet-mornings.md says how to write one",
        )
    almanac = almanac_of(here(), fleet)()
    signed = {item.morning: item for item in overrides}
    table = plain_table(f"Mornings of {company} ({rules.zone})", ("Morning", "On duty", "State"))
    for number in range(days):
        morning = hours_of(rules.duty, rules.zone, today + timedelta(days=number))
        add_row(table, *_morning_cells(rules, rules.duty, almanac, morning, signed))
    screen().print(table)
    _show_openings(fleet, rules, almanac, overrides, (now, now + timedelta(days=days)))
    return 0


@app.command
def override(
    company: Company,
    *,
    morning: Annotated[str, Parameter(help="Local date of the morning after, 2026-12-28.")],
    reason: Annotated[str, Parameter(help="Why, in one sentence; it is signed too.")],
    by: Annotated[str, Parameter(help="Your name in the list of signers.")] = "",
    key: Annotated[
        Path | None, Parameter(help="Private key to sign with; an agent or hardware key works.")
    ] = None,
    signature: Annotated[
        Path | None, Parameter(help="File with a signature that was made elsewhere.")
    ] = None,
) -> int:
    """Sign that the night before a morning may be used although the duty rule forbids it.

    Lifts days off, missing staff and an unreadable roster for this company and this morning;
    never a freeze. Without --key and --signature it prints what is to be signed.
    """
    ledger, now = ledger_here(), utc_now()
    with ledger.reading() as book:
        rules = current_fleet(book).calendar_of(company)
    said = NightStatement(
        tenant=company,
        morning=_morning_of(morning, rules, now),
        identity=by or (identity_of(key) if key else ""),
        reason=reason,
    )
    text = said.text()
    if key is None and signature is None:
        say(text.decode())
        say(f"sign exactly these lines: ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE")
        say("and give the signature back with --signature FILE.sig; nothing was recorded")
        return 0
    made = sign_text(text, key, NAMESPACE) if key else _text_of(signature)
    signer = check(said, made, signers_file=here().signers_file, allowed=rules.approvers)
    signed = nights.SignedNight(
        said=said, signature=made, fingerprint=signer.fingerprint, signed_at=now
    )
    with ledger.writing() as book:
        nights.record_override(book, signed, row_id=f"n-{secrets.token_hex(16)}")
    say(f"{said.identity} signed for the morning of {said.morning}: {company}'s rollouts may start")
    say("freezes still hold; an opening that was skipped already is started within ten minutes")
    return 0


@app.command(name="nights")
def nights_(company: Company = "", *, days: Days = 31) -> int:
    """List the nights in which a rollout was due and did not run, and why."""
    since = utc_now() - timedelta(days=min(max(days, 1), MOST_DAYS))
    with ledger_here().reading() as book:
        found = nights.nights_since(book, since, tenant=company)
    if not found:
        say(f"no night was skipped or missed since {since:%Y-%m-%d}")
        return 0
    table = plain_table("Nights without a rollout", ("Opened (UTC)", "Rollout", "What", "Why"))
    for night in found:
        add_row(
            table,
            f"{night.window_start:%Y-%m-%d %H:%M}",
            night.key,
            night.verdict.value,
            night.reason,
        )
    screen().print(table)
    return 0


def _morning_cells(
    rules: TenantCalendar,
    duty: DutyRule,
    almanac: Almanac,
    morning: Morning,
    signed: dict[date, NightOverride],
) -> tuple[str, str, str]:
    """Return date, people and state of one morning."""
    people = on_duty(almanac, duty, morning)
    found = morning_bars(rules, duty, almanac, morning)
    state = "; ".join(bar.reason for bar in found) or "staffed"
    if found and morning.day in signed:
        state = f"signed for by {signed[morning.day].identity}; else: {state}"
    who = "\n".join(_person(rules, duty, shift) for shift in people) or "nobody"
    return f"{morning.day:%a %Y-%m-%d}", who, state


def _person(rules: TenantCalendar, duty: DutyRule, shift: Shift) -> str:
    zone = zone_info(rules.zone)
    hours = f"{shift.start.astimezone(zone):%H:%M}-{shift.end.astimezone(zone):%H:%M}"
    skills = f" ({', '.join(shift.skills)})" if shift.skills else ""
    unfit = "" if has_skill(duty, shift) else ", not the skill"
    return f"{shift.person}{skills} {hours}{unfit}"


def _show_openings(
    fleet: Fleet,
    rules: TenantCalendar,
    almanac: Almanac,
    overrides: Sequence[NightOverride],
    span: tuple[datetime, datetime],
) -> None:
    """Print what becomes of each opening of the company's windows."""
    zone = zone_info(rules.zone)
    table = plain_table("Openings", ("Opens", "Window", "Morning", "What happens"))
    openings = sorted(_openings(fleet, rules.tenant, span), key=lambda each: (each.start, each.id))
    for opening in openings[:MOST_OPENINGS]:
        days = ", ".join(str(each.day) for each in mornings(rules, opening.end))
        opens = f"{opening.start.astimezone(zone):%a %Y-%m-%d %H:%M}"
        told = _prospect(rules, almanac, overrides, opening)
        add_row(table, opens, opening.window, days, told)
    screen().print(table)
    if len(openings) > MOST_OPENINGS:
        say(f"and {len(openings) - MOST_OPENINGS} more; ask for fewer days")


def _openings(fleet: Fleet, tenant: str, span: tuple[datetime, datetime]) -> Iterator[Occurrence]:
    keys = [key for key in (*fleet.rollouts(), *fleet.restarts()) if key.tenant == tenant]
    for name in sorted({key.window for key in keys}):
        yield from openings_between(fleet.window(name), *span)


def _prospect(
    rules: TenantCalendar,
    almanac: Almanac,
    overrides: Sequence[NightOverride],
    opening: Occurrence,
) -> str:
    begins = first_start(opening, rules, almanac, opening.start, overrides=overrides)
    if begins == opening.start:
        return "runs"
    found = bars(rules, almanac, window_end=opening.end, now=opening.start, overrides=overrides)
    reasons = "; ".join(str(bar) for bar in found)
    if begins is None:
        return f"skipped: {reasons}"
    return f"from {begins.astimezone(zone_info(rules.zone)):%H:%M}: {reasons}"


def _morning_of(text: str, rules: TenantCalendar, now: datetime) -> date:
    """Return the date that was named. Raises ApprovalRefused for none, or one that is over."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ApprovalRefused(f"{text!r} is no date", hint="write 2026-12-28") from error
    if day < now.astimezone(zone_info(rules.zone)).date():
        raise ApprovalRefused(f"the morning of {day} is over")
    if rules.duty is None:
        raise ApprovalRefused(f"{rules.tenant} has no duty rule: nothing forbids its nights")
    return day


def _text_of(path: Path | None) -> str:
    if path is None:
        raise AssertionError("neither a key nor a signature")
    try:
        with path.open("rb") as file:
            return file.read(10_000).decode("ascii", errors="replace")
    except OSError as error:
        raise ApprovalRefused(f"{path} cannot be read: {error.strerror}") from error
