"""Pydantic's errors in an operator's words: what is wrong, and the way out."""

from collections.abc import Callable, Mapping
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from wavemend.inventory.fields import OURS
from wavemend.inventory.fleet_schema import FleetFile
from wavemend.inventory.problems import Place, shown, suggestion

_WANTED: Mapping[str, str] = {
    "string_type": "text; put it in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}
_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def place_of(error: ErrorDetails) -> Place:
    """Return where an error is, as the document is written."""
    return tuple(part for part in error["loc"] if part != "[key]")


def sentence(error: ErrorDetails, form: type[BaseModel] = FleetFile) -> str:
    """Return what is wrong and the way out. Values that may be secrets are never quoted.

    `form`: what the whole file is; its keys are what can be suggested.
    """
    kind = error["type"]
    if kind == OURS:
        return error["msg"]
    if error["input"] is None and kind != "missing":
        return "has no value; write one, or take the key out"
    if kind in _WANTED:
        found = _KINDS.get(type(error["input"]), "something else")
        return f"must be {_WANTED[kind]} (it is {found})"
    if kind in {"extra_forbidden", "missing"}:
        return _wrong_key(error, form)
    tell = _SENTENCES.get(kind)
    return tell(error) if tell else f"{error['msg']} ({kind})"


def _wrong_key(error: ErrorDetails, form: type[BaseModel]) -> str:
    *around, key = place_of(error)
    model = _model_at(tuple(around), form)
    keys = _keys(model) if model else {}
    if error["type"] == "extra_forbidden":
        return f"unknown key; {suggestion(str(key), keys)}"
    meaning = keys.get(str(key), "")
    return f"is missing; add it ({meaning.rstrip('.')})" if meaning else "is missing"


def _not_listed(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    known = [word.strip("'\"") for word in str(context.get("expected", "")).split(" or ")]
    words = [word.strip("'\" ") for item in known for word in item.split(",")]
    found = str(error["input"])
    return f"{shown(found)} is not among the choices; {suggestion(found, words)}"


def _bound(word: str, key: str) -> Callable[[ErrorDetails], str]:
    def tell(error: ErrorDetails) -> str:
        return f"{error['input']} is out of range; it must be {word} {error.get('ctx', {})[key]}"

    return tell


def _too_short(_error: ErrorDetails) -> str:
    return "is empty, and empty is not everything; write at least one entry"


_SENTENCES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "literal_error": _not_listed,
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "too_short": _too_short,
}


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Return each key of a mapping as it is written, with its meaning."""
    fields = model.model_fields.items()
    return {field.alias or name: field.description or "" for name, field in fields}


def _model_at(place: Place, form: type[BaseModel]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = form
    for part in place:
        if isinstance(part, int):
            continue
        fields = {f.alias or name: f for name, f in model.model_fields.items()} if model else {}
        model = _model_in(fields[part].annotation) if part in fields else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        if found := _model_in(inner):
            return found
    return None
