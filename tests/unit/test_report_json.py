"""The JSON report keeps its promised form, byte for byte."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cases.reports.build import host
from tests.cases.reports.example import acme_night, good_night
from wavemend.errors import LedgerError
from wavemend.outcomes import Outcome
from wavemend.reports import render_json
from wavemend.reports.rollout_json import JSON_TEXT_BOUND, schema_text

GOLDEN = Path(__file__).parents[1] / "cases/reports/rollout-R-2026-03-10-acme-prod.json"
SCHEMA: dict[str, Any] = json.loads(schema_text())
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def violations(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """Check the part of JSON Schema our schema uses; a property it does not name is one too."""
    if "$ref" in schema:
        return violations(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], place)
    if "anyOf" in schema:
        tried = [violations(value, option, place) for option in schema["anyOf"]]
        return [] if any(not found for found in tried) else tried[0]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{place}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place}: {value!r} is not in the list")
    wanted = schema.get("type")
    if wanted and (
        not isinstance(value, _TYPES[wanted])
        or (isinstance(value, bool) and wanted in {"integer", "number"})
    ):
        return [*found, f"{place}: not {wanted}"]
    return found + _inner_violations(value, schema, place)


def _inner_violations(value: Any, schema: dict[str, Any], place: str) -> list[str]:
    found = []
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{place}: {value!r} does not match")
    if isinstance(value, int | float):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        found += [] if low <= value <= high else [f"{place}: {value} is out of range"]
    if isinstance(value, dict):
        declared = schema["properties"]
        found += [f"{place}: lacks {name}" for name in schema["required"] if name not in value]
        found += [f"{place}: undeclared {name}" for name in value if name not in declared]
        for name in value.keys() & declared.keys():
            found += violations(value[name], declared[name], f"{place}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(item, schema["items"], f"{place}[{number}]")
    return found


def test_the_golden_report_is_unchanged() -> None:
    assert render_json(acme_night()) == GOLDEN.read_bytes()


@pytest.mark.parametrize("night", [acme_night(), good_night()])
def test_a_report_keeps_to_its_schema(night: Any) -> None:
    assert violations(json.loads(render_json(night)), SCHEMA) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "wavemend.report/2"),
        (("hosts", 0, "outcome"), "fine"),
        (("hosts", 0, "attempt_id"), None),
        (("generated_at",), "2026-03-10 05:20"),
        (("findings", "top", 0, "epss"), 31.27),
        (("counts", "failed"), -1),
        (("expected",), True),
    ],
)
def test_the_schema_refuses_what_a_report_never_says(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(render_json(acme_night()))
    *outer, last = path
    inner = document
    for step in outer:
        inner = inner[step]
    inner[last] = value

    assert violations(document, SCHEMA)


def test_equal_reports_give_equal_bytes_in_canonical_form() -> None:
    first, second = render_json(acme_night()), render_json(acme_night())
    document = json.loads(first)

    assert first == second
    assert first.endswith(b"}\n")
    assert list(document) == sorted(document)


def test_the_json_carries_the_same_numbers_as_the_verdict() -> None:
    document = json.loads(render_json(acme_night()))

    assert document["verdict"]["answer"] == "partly"
    assert sum(document["counts"].values()) == document["expected"] == len(document["hosts"])
    assert set(document["counts"]) == {outcome.value for outcome in Outcome}
    assert document["simulated"] is True


def test_hostile_text_stays_exact_but_cannot_act_on_a_terminal() -> None:
    name = "web1\x1b]0;owned\x07\x9b2J\u202e\udc80"
    report = replace(acme_night(), hosts=(host(name),), waves=(), expected=1)
    rendered = render_json(report)

    assert json.loads(rendered)["hosts"][0]["name"] == name
    text = rendered.decode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_a_flood_of_text_is_bounded_and_says_so() -> None:
    flood = "x" * 5_000_000
    report = replace(acme_night(), hosts=(host(reason=flood, log_tail=flood),), expected=1)
    rendered = render_json(report)
    document = json.loads(rendered)

    assert len(rendered) < 80_000
    assert f"(+{5_000_000 - JSON_TEXT_BOUND:,} characters)" in document["hosts"][0]["reason"]
    assert "earlier characters are not shown" in document["hosts"][0]["log_tail"]


def test_a_score_that_is_not_a_number_is_refused() -> None:
    night = acme_night()
    top = (replace(night.findings.top[0], cvss=float("nan")),)

    with pytest.raises(LedgerError, match="no word for"):
        render_json(replace(night, findings=replace(night.findings, top=top)))
