"""The project's own rules for its PowerShell: 5.1 only, one answer, no surprise.

Each rule reads one whole text (shared parts inlined) and returns its faults. What a linter with an
engine would add (types, versions of cmdlets) is out of reach here, so the cmdlets are listed.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from tree_sitter import Node

from tests.powershell.tree import (
    Fault,
    Script,
    child,
    command_name,
    functions,
    member_names,
    parameters,
    text,
    walk,
)
from tests.powershell.words import AUTOMATIC, CMDLETS, NEWER_PARAMETERS, VOID_METHODS

Rule = Callable[[Script], Iterator[tuple[Node, str]]]

REGISTRY_WRITERS: Mapping[str, frozenset[str]] = {
    "worker_snapshot": frozenset({"CreateSubKey", "SetValue", "DeleteValue"}),
    "reboot": frozenset({"DeleteSubKeyTree"}),
}
"""Who may write to the registry: System Restore's frequency, put back at once; the logon mark."""


def newer_operators(script: Script) -> Iterator[tuple[Node, str]]:
    """PowerShell 7's operators do not parse in 5.1."""
    kinds = ("ternary_expression", "null_coalesce_expression", "pipeline_chain_tail", "??=", "?.")
    for node in walk(script.root, *kinds):
        yield node, f"{text(node)[:60]!r} is not in 5.1"


def newer_parameters(script: Script) -> Iterator[tuple[Node, str]]:
    """PowerShell 7's parameters fail when they are reached, on the host."""
    for node in walk(script.root, "command"):
        for parameter in parameters(node):
            if parameter.lower() in NEWER_PARAMETERS:
                yield node, f"{parameter} is not in 5.1"


def no_exit(script: Script) -> Iterator[tuple[Node, str]]:
    """`exit` ends the bootstrap before its answer line."""
    for node in walk(script.root, "exit"):
        yield node, "exit"


def no_restart(script: Script) -> Iterator[tuple[Node, str]]:
    """A restart is the executor's alone: windows and counts are checked there."""
    if script.name == "reboot":
        return
    pattern = (
        r"Restart-Computer|Stop-Computer|shutdown\.exe|\bshutdown\s+/|Win32Shutdown|InitiateSystem"
    )
    for node in walk(script.root, "command_name", "string_literal", "member_name", "generic_token"):
        if re.search(pattern, text(node), re.IGNORECASE):
            yield node, text(node)[:60]


def strict(script: Script) -> Iterator[tuple[Node, str]]:
    """Without these a typing error is an empty value, and a failed step is followed by the next."""
    body = child(script.root, "statement_list")
    statements = [text(node) for node in body.children] if body is not None else []
    for wanted in ("Set-StrictMode -Version 2", "$ErrorActionPreference = 'Stop'"):
        if wanted not in statements:
            yield script.root, f"{wanted} is missing"


def no_other_output(script: Script) -> Iterator[tuple[Node, str]]:
    """One value comes out of a script: what it returns. Nothing is printed."""
    for node in walk(script.root, "command"):
        if re.fullmatch(
            r"(?i)Write-(Host|Output|Information|Verbose|Warning|Error)|Out-\w+", command_name(node)
        ):
            yield node, text(node)[:60]


def no_text_as_code(script: Script) -> Iterator[tuple[Node, str]]:
    """Parameters are data; no text becomes a program. Added types are constants."""
    for node in walk(script.root, "command", "invocation_expression"):
        said = text(node)
        if child(node, "command_invocation_operator") is not None:
            yield node, f"{said[:60]!r} runs what a variable holds"
        elif re.match(r"(?i)(iex|Invoke-Expression|Invoke-Command)\b", said) or re.search(
            r"(?i)^\[(\w+\.)*ScriptBlock\]::Create|\.(AddScript|InvokeScript|NewScriptBlock)\(",
            said,
        ):
            yield node, said[:60]
        elif command_name(node) == "Add-Type" and not _constant_type(script, said):
            yield node, "Add-Type takes a variable that holds a verbatim here-string"


def _constant_type(script: Script, command: str) -> bool:
    named = re.search(r"-MemberDefinition (\$[\w:]+)", command)
    return named is not None and f"{named[1]} = @'\n" in script.text


def known_commands(script: Script) -> Iterator[tuple[Node, str]]:
    """Aliases, programs by bare name, cmdlets of other versions and typing errors."""
    own = functions(script)
    for node in walk(script.root, "command"):
        name = command_name(node)
        if name not in own and name not in CMDLETS and name:
            yield node, f"{name} is neither ours nor a listed cmdlet of 5.1"


def known_parameters(script: Script) -> Iterator[tuple[Node, str]]:
    """A call of ours names parameters that are there, and no more values than it takes."""
    own = {name: _declared(node) for name, node in functions(script).items()}
    for node in walk(script.root, "command"):
        if command_name(node) not in own:
            continue
        declared = own[command_name(node)]
        given = [found.lstrip("-").lower() for found in parameters(node)]
        for name in given:
            if name not in declared:
                yield node, f"{command_name(node)} has no -{name}"
        elements = child(node, "command_elements")
        values = [found for found in elements.children if found.is_named] if elements else []
        plain = [
            found
            for found in values
            if found.type not in {"command_argument_sep", "command_parameter"}
        ]
        if len(plain) > len(declared):
            yield node, f"{command_name(node)} takes {len(declared)} values, {len(plain)} are given"


def _declared(function: Node) -> list[str]:
    declaration = child(function, "function_parameter_declaration")
    if declaration is None:
        return []
    return [
        text(child(found, "variable")).lstrip("$").lower()
        for found in walk(declaration, "script_parameter")
    ]


def known_variables(script: Script) -> Iterator[tuple[Node, str]]:
    """Under strict mode a variable that nobody set ends the script, on the host."""
    known = {
        _bare(text(node))
        for found in walk(script.root, "script_parameter")
        for node in [child(found, "variable")]
    }
    known |= {
        _bare(text(found))
        for node in walk(script.root, "left_assignment_expression")
        for found in walk(node, "variable")
    }
    known |= {
        _bare(text(child(node, "variable"))) for node in walk(script.root, "foreach_statement")
    }
    for node in walk(script.root, "variable"):
        name = _bare(text(node))
        if name not in known and name not in AUTOMATIC and not name.startswith("env:"):
            yield node, f"${name} is set nowhere"


def _bare(variable: str) -> str:
    return variable.lstrip("$@").strip("{}").lower().removeprefix("script:")


def no_null_text(script: Script) -> Iterator[tuple[Node, str]]:
    """$null reaches a .NET string parameter as "": [NullString]::Value is what is meant."""
    for node in walk(script.root, "invocation_expression"):
        static = child(node, "type_literal")
        if static is None or text(static) == "[Microsoft.Win32.Registry]":  # takes any object
            continue
        arguments = child(node, "argument_list")
        if arguments is not None and "$null" in [
            text(found) for found in walk(arguments, "argument_expression")
        ]:
            yield node, text(node)[:60]


def utc_only(script: Script) -> Iterator[tuple[Node, str]]:
    """Times of day without a zone: the host's own zone gets into evidence."""
    for node in walk(script.root, "command"):
        if command_name(node).lower() == "get-date" and not _made_utc(node):
            yield node, text(node)[:60]
    for node in walk(script.root, "member_access"):
        if re.fullmatch(r"(?i)\[(System\.)?DateTime(Offset)?\]::(Now|Today)", text(node)):
            yield node, text(node)


def _made_utc(command: Node) -> bool:
    around = command.parent.parent if command.parent else None
    outer = around.parent if around is not None else None
    call = outer.parent if outer is not None else None
    return call is not None and member_names(call) == "ToUniversalTime"


def encoding_said(script: Script) -> Iterator[tuple[Node, str]]:
    """5.1 writes UTF-16 or the machine's code page where nobody says otherwise."""
    for node in walk(script.root, "command"):
        name = command_name(node).lower()
        wants = name in {
            "out-file",
            "set-content",
            "add-content",
            "get-content",
            "export-csv",
            "import-csv",
        }
        if wants and "-encoding" not in [found.lower() for found in parameters(node)]:
            yield node, text(node)[:60]
    for node in walk(script.root, "redirection"):
        yield node, f"{text(node)[:60]} writes UTF-16"
    for node in walk(script.root, "invocation_expression"):
        if re.match(
            r"(?i)\[(System\.)?IO\.File\]::(Read|Write|Append)All(Text|Lines)", text(node)
        ) and "Encoding" not in text(node):
            yield node, text(node)[:60]


def json_whole(script: Script) -> Iterator[tuple[Node, str]]:
    """Below -Depth 2, the default, objects become their type's name; a pipe unrolls arrays."""
    for node in walk(script.root, "command"):
        if command_name(node) == "ConvertTo-Json":
            missing = {"-depth", "-inputobject"} - {found.lower() for found in parameters(node)}
            if missing:
                yield node, f"ConvertTo-Json without {', '.join(sorted(missing))}"


def no_leaks(script: Script) -> Iterator[tuple[Node, str]]:
    """What a method returns in passing becomes part of the result, if nobody takes it."""
    for node in walk(script.root, "pipeline"):
        if node.parent is None or node.parent.type != "statement_list" or _is_result(node):
            continue
        call = _sole(node)
        if call is None or call.type != "invocation_expression":
            continue
        if member_names(call) not in VOID_METHODS:
            yield node, f"{text(node)[:60]} leaves its value behind"


_TAKES = {"function_statement", "script_block_expression", "array_expression", "sub_expression"}


def _is_result(statement: Node) -> bool:
    """Whether a statement ends its function or expression, so that its value is meant."""
    node: Node | None = statement
    while node is not None and node.type not in _TAKES | {"program", "assignment_expression"}:
        around = node.parent
        if around is not None and around.type == "statement_list":
            rows = [row for row in around.children if row.is_named and row.type != "comment"]
            if rows[-1] != node:
                return False
        node = around
    return True


def _sole(statement: Node) -> Node | None:
    """The expression that a statement consists of; None where it is more."""
    node = statement
    while node.type in {"pipeline", "pipeline_chain", "unary_expression"}:
        if node.named_child_count != 1:
            return None
        node = node.named_children[0]
    return node


def registry_untouched(script: Script) -> Iterator[tuple[Node, str]]:
    """Update policy is never edited, no update is ever hidden."""
    allowed = REGISTRY_WRITERS.get(script.name, frozenset())
    writing = {"CreateSubKey", "SetValue", "DeleteValue", "DeleteSubKey", "DeleteSubKeyTree"}
    for node in walk(script.root, "invocation_expression"):
        if member_names(node) in writing - allowed:
            yield node, text(node)[:60]
    for node in walk(script.root, "left_assignment_expression"):
        if text(node).lower().endswith(".ishidden"):
            yield node, text(node)


def colon_after_variable(script: Script) -> Iterator[tuple[Node, str]]:
    """In a text "$name:" names a drive: 5.1 refuses the whole script, this grammar does not."""
    for node in walk(script.root, "expandable_string_literal"):
        if re.search(r"(?<!`)\$\w+:(?![\w])", text(node)):
            yield node, text(node)[:60]


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(newer_operators, newer_parameters, no_exit, no_restart, strict, no_other_output),
        *(no_text_as_code, known_commands, known_parameters, known_variables, no_null_text),
        *(utc_only, encoding_said, json_whole, no_leaks, registry_untouched, colon_after_variable),
    )
}


def faults(script: Script, *names: str) -> list[Fault]:
    """Return the breaches of these rules, of all where none is named."""
    return [
        Fault(name, node.start_point[0] + 1, said)
        for name in names or RULES
        for node, said in RULES[name](script)
    ]
