"""The figures of a simulation as rows: for the terminal, for JSON, for a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from fractions import Fraction

from rich.table import Table
from rich.text import Text

from wavemend.effectiveness.measures import EFFORTS, Days, Measured, Share
from wavemend.effectiveness.simulation import Simulation

SCHEMA = "wavemend.simulated-priorities/1"


def horizon_table(found: Simulation, capacity: Fraction) -> Table:
    """Return what each order reached by the last day, with one capacity."""
    days = (found.last - found.first).days + 1
    table = Table(
        title=f"After {days} days at {float(capacity):,.1f} CVEs a day. Exploited: {found.label}, "
        f"n = {found.positives:,} of {found.population:,} {found.at_stake}"
    )
    for heading in (
        "Order",
        "Effort",
        "Coverage [95 %]",
        "Efficiency",
        "Closed late",
        "Never",
        "Risk-days [95 %]",
        "Known before",
        "Risk-days x EPSS",
        "All open x EPSS",
    ):
        table.add_column(heading, justify="left" if heading == "Order" else "right")
    for item in found.measured:
        if item.capacity == capacity:
            table.add_row(*map(Text, _horizon_row(item)))
    return table


def _horizon_row(item: Measured) -> tuple[str, ...]:
    return (
        item.strategy,
        f"{item.effort:.1%}",
        share_text(item.coverage),
        f"{item.efficiency.value or 0:.3%}",
        f"{item.after:,}",
        f"{item.never:,}",
        days_text(item.risk_days),
        f"{item.known_risk_days.total:,.0f}",
        f"{item.weighted_days.total:,.0f}",
        f"{item.open_probability:,.0f}",
    )


def effort_table(found: Simulation, capacity: Fraction) -> Table:
    """Return coverage and efficiency after fixed shares of the population."""
    table = Table(
        title="Coverage [95 %] / efficiency after a share of all CVEs was closed. Exploited: "
        f"{found.label}, n = {found.positives:,}"
    )
    table.add_column("Order")
    for effort in EFFORTS:
        table.add_column(f"{effort:.0%}", justify="right")
    for item in found.measured:
        if item.capacity == capacity:
            cells = (
                f"{share_text(at.coverage)} / {at.efficiency.value or 0:.2%}"
                if at.day
                else "not reached"
                for at in item.at
            )
            table.add_row(Text(item.strategy), *map(Text, cells))
    return table


def pair_table(found: Simulation) -> Table:
    """Return which of two orders closed the exploited CVEs earlier."""
    table = Table(title=f"The {found.positives:,} exploited CVEs one by one: who closed them first")
    for heading in ("Order", "Against", "Earlier", "Later", "Same day", "Chance"):
        table.add_column(heading, justify="left" if heading in {"Order", "Against"} else "right")
    for pair in found.pairs:
        table.add_row(
            Text(pair.strategy),
            Text(pair.other),
            *(f"{count:,}" for count in (pair.earlier, pair.later, pair.same)),
            f"{pair.chance:.2g}",
        )
    return table


def share_text(share: Share) -> str:
    """Return a share with its counts and interval."""
    if share.value is None:
        return "none"
    return f"{share.part} = {share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def days_text(days: Days) -> str:
    """Return a sum of days with its interval."""
    return f"{days.total:,.0f} [{days.low:,.0f}, {days.high:,.0f}]"


def as_json(found: Simulation) -> str:
    """Return everything, as JSON."""
    document = {"schema": SCHEMA, **asdict(found)}
    return json.dumps(document, indent=1, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def as_csv(found: Simulation) -> str:
    """Return a row per order, capacity and effort, the whole horizon included."""
    text = io.StringIO()
    rows = [row for item in found.measured for row in _rows(found, item)]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(found: Simulation, item: Measured) -> Iterator[Mapping[str, object]]:
    whole = {
        "label": found.label,
        "population": item.population,
        "at_stake": found.at_stake,
        "positives": item.positives,
        "capacity_per_day": float(item.capacity),
        "order": item.strategy,
    }
    for at in item.at:
        yield {
            **whole,
            "effort": at.effort,
            "reached_on_day": at.day or "",
            **_shares(at.closed, at.coverage, at.efficiency),
            "risk_days": "",
            "risk_days_known_before": "",
            "risk_days_by_epss": "",
            "open_by_epss": "",
        }
    yield {
        **whole,
        "effort": item.effort,
        "reached_on_day": (found.last - found.first).days + 1,
        **_shares(item.closed, item.coverage, item.efficiency),
        "risk_days": item.risk_days.total,
        "risk_days_known_before": item.known_risk_days.total,
        "risk_days_by_epss": item.weighted_days.total,
        "open_by_epss": item.open_probability,
    }


def _shares(closed: int, coverage: Share, efficiency: Share) -> Mapping[str, object]:
    return {
        "closed": closed,
        "covered": coverage.part,
        "coverage_low": coverage.low,
        "coverage_high": coverage.high,
        "exploited_closed": efficiency.part,
    }
