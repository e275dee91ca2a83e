"""JSON Schemas as functions that let through what is surely in form, fast.

A host's history and its packages are thousands of values, and a library that finds words for what
is wrong takes longer over them than the whole way to the host. So it is asked only about what is
refused here: `check_of` may refuse too much, and never lets through what the library would not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

Check = Callable[[Any], bool]

LARGEST_INTEGER = 2**53
"""Beyond it JSON's readers do not agree; times and sizes that are counted with are far below."""


def is_integer(value: object) -> bool:
    """Say whether a value is a whole number within bounds; 1.0 and True are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -LARGEST_INTEGER <= value <= LARGEST_INTEGER


_TYPES: Mapping[str, Check] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}
_SAYS_NOTHING = frozenset({"$defs", "$id", "$schema", "description"})


def check_of(schema: Mapping[str, Any]) -> Check:
    """Return whether a value is surely in form, as a function.

    Knows the keywords that the contracts use, without `$ref`; KeyError for any other.
    """
    if "additionalProperties" in schema:  # whatever it allows: `_properties` lets nothing through
        schema = {"properties": {}, **schema}
    keywords = [key for key in schema if key not in _SAYS_NOTHING]
    return _all([_KEYWORDS[key](schema[key]) for key in keywords])


def _all(checks: Sequence[Check]) -> Check:
    return reduce(_both, checks) if checks else lambda _: True


def _both(first: Check, second: Check) -> Check:
    return lambda value: first(value) and second(value)


def _type(names: str | list[str]) -> Check:
    if isinstance(names, str):
        return _TYPES[names]
    return _any_of([{"type": name} for name in names])


def _any_of(schemas: list[Mapping[str, Any]]) -> Check:
    checks = [check_of(schema) for schema in schemas]
    return lambda value: any(check(value) for check in checks)


def _enum(values: list[Any]) -> Check:
    # True is 1 for Python, and not for JSON.
    kept = tuple((type(value), value) for value in values)
    return lambda value: (type(value), value) in kept


def _pattern(pattern: str) -> Check:
    matches = re.compile(pattern.removesuffix("$")).fullmatch
    return lambda value: isinstance(value, str) and matches(value) is not None


def _items(schema: Mapping[str, Any]) -> Check:
    check = check_of(schema)
    return lambda value: isinstance(value, list) and all(map(check, value))


def _properties(schemas: Mapping[str, Mapping[str, Any]]) -> Check:
    checks = {name: check_of(schema) for name, schema in schemas.items()}

    def holds(value: Any) -> bool:
        """False for what is not named, too: so objects are closed, whatever stands beside."""
        if not isinstance(value, dict):
            return False
        for name, item in value.items():
            check = checks.get(name)
            if check is None or not check(item):
                return False
        return True

    return holds


def _required(names: list[str]) -> Check:
    needed = frozenset(names)
    return lambda value: isinstance(value, dict) and needed <= value.keys()


_KEYWORDS: Mapping[str, Callable[[Any], Check]] = {
    "additionalProperties": lambda _: lambda _value: True,
    "allOf": lambda schemas: _all([check_of(schema) for schema in schemas]),
    "anyOf": _any_of,
    "const": lambda value: _enum([value]),
    "enum": _enum,
    "items": _items,
    "maxItems": lambda most: lambda value: isinstance(value, list) and len(value) <= most,
    "maxLength": lambda most: lambda value: isinstance(value, str) and len(value) <= most,
    "maximum": lambda most: lambda value: isinstance(value, int) and value <= most,
    "minLength": lambda least: lambda value: isinstance(value, str) and len(value) >= least,
    "minimum": lambda least: lambda value: isinstance(value, int) and value >= least,
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "type": _type,
}
