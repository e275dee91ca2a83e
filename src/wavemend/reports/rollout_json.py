"""The report as canonical JSON: sorted keys, UTF-8, one newline at the end.

Equal reports give equal bytes, so a digest of the file is a digest of what it says. Its form is
`rollout.schema.json`; verdict, balance and counts are derived here and stored with the rest, so
that a reader without wavemend need not derive them.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from importlib.resources import files
from typing import TypeAlias

from wavemend.errors import LedgerError
from wavemend.reports.model import SCHEMA, RolloutReport
from wavemend.reports.text import bounded, bounded_tail, json_escaped, utc_text
from wavemend.reports.verdict import balance_of, verdict_of

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

JSON_TEXT_BOUND = 10_000
"""Characters of any one text; the ledger keeps the whole, the report says how much it left out."""


def render_json(report: RolloutReport) -> bytes:
    """Return the report as canonical JSON.

    Raises LedgerError for a time without a zone or a number that is not one.
    """
    balance = balance_of(report)
    document = {
        **_record(report),
        "schema": SCHEMA,
        "simulated": report.any_simulated,
        "verdict": _plain(verdict_of(report)),
        "counts": {outcome.value: count for outcome, count in balance.counts},
        "balance": {
            "expected": balance.expected,
            "good": balance.good,
            "doubted": balance.doubted,
            "open": balance.open,
            "holds": balance.holds,
            "faults": _plain(balance.faults),
        },
    }
    try:
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    except ValueError as error:
        raise LedgerError(
            f"report {report.rollout_id} holds a number JSON has no word for: {error}",
            hint="a score or percentage is NaN or infinite; unknown numbers are None",
        ) from error
    return f"{json_escaped(text)}\n".encode()


def schema_text() -> str:
    """Return the JSON Schema of the report, for documentation and for readers of the files."""
    return files("wavemend.reports").joinpath("rollout.schema.json").read_text(encoding="utf-8")


def _record(value: object) -> dict[str, Json]:
    """Return a dataclass as a JSON object, by field name."""
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} has no place in a report")
    return {
        field.name: bounded_tail(getattr(value, field.name))
        if field.name == "log_tail"
        else _plain(getattr(value, field.name))
        for field in fields(value)
    }


def _plain(value: object) -> Json:
    match value:
        case str():
            return bounded(str(value), JSON_TEXT_BOUND)
        case None | int() | float():  # a bool is an int
            return value
        case datetime():
            return utc_text(value)
        case tuple() | list():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            return _record(value)
