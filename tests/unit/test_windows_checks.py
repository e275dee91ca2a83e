"""What the fast check of a Windows contract lets through, the JSON Schema library lets through."""

from collections.abc import Iterator
from typing import Any

import pytest

from wavemend.windows import calling
from wavemend.windows.checks import check_of

ATOMS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 5, -1, 1.0, 0.5, 200, 32_768, 10**12),
    *(
        "",
        "x",
        "x\n",
        "7",
        "a" * 64,
        "a" * 5_000,
        "wavemend-r1",
        "0123456789abcdef",
        "job-0001",
        "job-0001\n",
    ),
    *("2026-02-12T20:00:00Z", "2026-02-12T20:00:00Z\n", "0x80240017", "0x8024001g", "KB5075906"),
    *("b6f52c8e-5a7d-4c0b-9a36-507590600001", "10.0.20348.4171", "10.0.20348", "dGV4dA=="),
    *([], ["x"], [None], {}, {"x": 1}),
)
"""Of every kind, for every pattern one that fits and one that nearly does."""

NAMES = sorted(name.removesuffix(".json") for name in calling._schemas() if name != "shared.json")


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    for part in (
        *inner,
        *schema.get("allOf", ()),
        *([schema["items"]] if "items" in schema else ()),
    ):
        yield from parts(part)


def sample(schema: dict[str, Any]) -> Any:
    """Return a value in form."""
    if schema.get("type") == "object":
        return {name: sample(part) for name, part in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [sample(schema["items"])]
    tries = [*schema.get("enum", ()), schema.get("const"), *ATOMS]
    tries += [sample(part) for part in (*schema.get("anyOf", ()), *schema.get("allOf", ()))]
    return next(value for value in tries if calling._strict()(schema).is_valid(value))


def values(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that are in form, nearly, or not at all."""
    yield from ATOMS
    good = sample(schema)
    yield good
    if isinstance(good, list):
        yield from ([*good, atom] for atom in ATOMS)
        yield good * (schema.get("maxItems", 1) + 1)
    elif isinstance(good, dict):
        yield {**good, "more": 1}
        for name in good:
            yield {key: value for key, value in good.items() if key != name}
            yield from ({**good, name: atom} for atom in (None, True, 1.0, "x\n", ["x"]))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_passes_that_the_library_refuses_and_what_is_in_form_passes(name: str) -> None:
    for schema in parts(calling._schema(name)):
        check, library = check_of(schema), calling._strict()(schema)
        passed = [value for value in values(schema) if check(value)]
        assert all(library.is_valid(value) for value in passed)
        assert check(sample(schema))


def test_a_keyword_that_is_not_known_is_no_silent_yes() -> None:
    with pytest.raises(KeyError, match="multipleOf"):
        check_of({"type": "integer", "multipleOf": 2})


def test_true_is_not_one_and_a_closed_object_without_names_is_empty() -> None:
    for schema, value in (
        ({"enum": [1]}, True),
        ({"const": 1}, True),
        ({"type": "object", "additionalProperties": False}, {"x": 1}),
    ):
        assert not check_of(schema)(value)
