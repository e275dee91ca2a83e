"""The reference of the fleet file, written from its schema: never by hand."""

import json
from collections.abc import Iterator
from typing import Any

from wavemend.inventory.fleet_schema import json_schema

_HEAD = """\
# The fleet file

One YAML file (UTF-8, at most 5 MB) declares companies, windows, profiles, logins, hosts and groups.
`wavemend fleet check FILE` reads it whole or refuses it whole, with one line for every problem.
Unknown and doubled keys are refused, and nothing is converted: `port: "22"` is a mistake.
Lists are mappings with a `name` each; names are unique within their list.

*This page is written from the schema in `fleet.schema.json`: `wavemend fleet schema --markdown`.*

## Kinds of values

| value | form |
|---|---|
| duration | `45s`, `90m`, `6h`, `1h30m`, `2d`: elapsed time, at most a year |
| selector | Kubernetes form: `role in (web,api), env!=dev, tier=gold, !legacy, ring`. All parts \
must hold. `!=` and `notin` also hold for hosts without the label. Empty is refused, and so is a \
selector that matches no host |
| reference | `file:/path` (relative paths start at the fleet file), `env:NAME`, \
`command:program arguments` (its output), `agent:` (SSH keys only). Secrets themselves are refused |
| name | at most 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit |
"""


def fleet_reference() -> str:
    """Return `docs/reference/fleet.md`."""
    return reference(_HEAD, json_schema())


def reference(head: str, schema: dict[str, Any]) -> str:
    """Return a page: what stands at its head, then one table for each form of the schema."""
    tables = ["".join(f"{line}\n" for line in _table("The whole file", schema))]
    places: dict[str, list[str]] = {}
    for form, place in _forms_in_order(schema):
        places.setdefault(form, []).append(place)
    for form, found in places.items():
        heading = ", ".join(found)
        tables.append("".join(f"{line}\n" for line in _table(heading, schema["$defs"][form])))
    return "\n".join([head, *tables])


def fleet_schema_text() -> str:
    """Return `docs/reference/fleet.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _forms_in_order(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every form in the order in which a file uses them, with its path."""
    waiting = [("", schema)]
    while waiting:
        path, node = waiting.pop(0)
        inner: list[tuple[str, dict[str, Any]]] = []
        for key, field in node["properties"].items():
            if form := _form_of(field):
                at = f"{path}{key}[]" if "items" in field else f"{path}{key}"
                yield form, f"`{at}`"
                inner.append((f"{at}.", schema["$defs"][form]))
        waiting = inner + waiting


def _form_of(field: dict[str, Any]) -> str:
    reference = field.get("$ref") or field.get("items", {}).get("$ref", "")
    return str(reference).rpartition("/")[2]


def _table(heading: str, node: dict[str, Any]) -> Iterator[str]:
    yield f"## {heading}"
    yield ""
    yield " ".join(str(node.get("description", "")).split())
    yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    required = set(node.get("required", ()))
    for key, field in node["properties"].items():
        default = "**required**" if key in required else _default(field)
        cells = (f"`{key}`", _kind(field), default, str(field.get("description", "")))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: dict[str, Any]) -> str:
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _kind(field: dict[str, Any]) -> str:
    if _form_of(field):
        return "list of mappings" if "items" in field else "mapping"
    if choices := field.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return " or ".join(_kind(choice) for choice in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    return _plain_kind(field)


def _plain_kind(field: dict[str, Any]) -> str:
    kind = str(field.get("type", "value"))
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    text = {"object": "mapping of text to text"}.get(kind, words.get(kind, kind))
    if "pattern" in field and "examples" not in field:
        text += f", `{field['pattern']}`"
    least, most = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum")
    if least is not None and most is not None:
        text += f", {least} to {most}"
    elif least is not None:
        text += f", at least {least}"
    return text + "".join(f", e.g. `{example}`" for example in field.get("examples", ())[:1])
