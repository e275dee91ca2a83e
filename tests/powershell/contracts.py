"""What a script's text says about its contract: the keys it answers, the parameters it takes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tree_sitter import Node

from tests.powershell.tree import Script, child, functions, text, walk


def parameter_names(script: Script) -> tuple[str, ...]:
    block = child(script.root, "param_block")
    if block is None:
        return ()
    found = walk(block, "script_parameter")
    return tuple(text(child(node, "variable")).lstrip("$") for node in found)


def answer_keys(script: Script) -> tuple[str, ...]:
    """Keys of the last literal at the top level of a text: what a script returns."""
    body = child(script.root, "statement_list")
    last = [node for node in body.children if node.type == "pipeline"][-1] if body else None
    return keys(last) if last is not None else ()


def function_keys(script: Script, function: str) -> tuple[str, ...]:
    """Keys of the first ordered literal in a function."""
    return keys(functions(script)[function])


def keys(node: Node) -> tuple[str, ...]:
    return tuple(name for name, _ in entries(node))


def entries(node: Node) -> list[tuple[str, Node]]:
    """Key and value of the first hash literal below a node."""
    literal = next(walk(node, "hash_literal_body"), None)
    if literal is None:
        return []
    rows = [found for found in literal.children if found.type == "hash_entry"]
    return [(text(child(row, "key_expression")).strip("'"), row.named_children[-1]) for row in rows]


def unrolled_lists(node: Node, schema: Mapping[str, Any]) -> Iterator[str]:
    """Keys that must be arrays and whose value is a bare call: one row of it would be no array."""
    for name, value in entries(node):
        kind = schema.get("properties", {}).get(name, {}).get("type")
        if kind == "array" and not re.match(r"@\(|\$", text(value)):
            yield name
