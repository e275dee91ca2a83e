"""What the forms of a fleet file and of a declaration file have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Form(BaseModel):
    """Unknown keys are refused, and nothing is converted: `port: "22"` is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def schema_of(form: type[Form], schema: str, title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) that editors check a file of this form with."""
    body = _tidy(form.model_json_schema(by_alias=True))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": schema}
    return {**head, **body, "title": title}


def _tidy(node: Any) -> Any:
    """Drop what says nothing: titles made from key names, and defaults that mean "not given"."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = _without_null(node)
    is_property = "description" in node and "properties" not in node
    empty = is_property and node.get("default", 0) in (None, "", [], {}, ())
    dropped = {"title"} if isinstance(node.get("title"), str) else set()
    dropped |= {"default"} if empty else set()
    return {key: _tidy(value) for key, value in node.items() if key not in dropped}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out is left out; nobody writes `null`."""
    choices = [item for item in node.get("anyOf", ()) if item != {"type": "null"}]
    if len(choices) != 1:
        return node
    return {**{key: value for key, value in node.items() if key != "anyOf"}, **choices[0]}
