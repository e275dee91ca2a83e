"""A script takes the parameters and answers the keys of its contract, read off its own text."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.powershell.contracts import (
    answer_keys,
    entries,
    function_keys,
    parameter_names,
    unrolled_lists,
)
from tests.powershell.tree import functions, parse, walk
from wavemend.windows.calling import SCRIPTS, WORKERS, script_text, worker_text

FOLDER = files("wavemend").joinpath("windows", "contracts")
SCHEMAS: dict[str, Any] = {
    file.name.removesuffix(".json"): json.loads(file.read_text(encoding="ascii"))
    for file in FOLDER.iterdir()
}
SHARED: dict[str, Any] = SCHEMAS["shared"]["$defs"]


def named(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, or the shared one it stands for."""
    found: dict[str, Any] = SHARED[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    return found


def text_of(name: str) -> str:
    return script_text(name) if name in SCRIPTS else worker_text(name.removeprefix("worker_"))


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_contract_is_a_schema_that_allows_nothing_unsaid(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    stack = [SCHEMAS[name]]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if "properties" in part:
                assert part["additionalProperties"] is False
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def test_every_script_and_worker_has_both_contracts() -> None:
    wanted = {f"{name}.{way}" for name in (*SCRIPTS, *WORKERS) for way in ("in", "out")}
    assert set(SCHEMAS) == wanted | {"shared"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_takes_exactly_the_parameters_of_its_contract(name: str) -> None:
    taken = parameter_names(parse(name, script_text(name)))
    assert sorted(taken) == sorted(SCHEMAS[f"{name}.in"].get("properties", {}))


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_reads_no_parameter_that_its_contract_lacks(name: str) -> None:
    text = worker_text(name)
    assert parameter_names(parse(name, text)) == ("job_dir",)
    read = set(re.findall(r"\$Parameters\.(\w+)", text))
    assert read <= set(SCHEMAS[f"{name}.in"].get("properties", {}))


ANSWERS = sorted(set(SCRIPTS) - {"job_status", "forbid_job"})


@pytest.mark.parametrize("name", ANSWERS)
def test_a_script_answers_exactly_the_keys_of_its_contract(name: str) -> None:
    keys = answer_keys(parse(name, script_text(name)))
    assert sorted(keys) == sorted(SCHEMAS[f"{name}.out"]["properties"])


OBJECTS = [
    ("start_job", "Get-JobView", "job"),
    ("facts", "Get-Os", "os"),
    ("facts", "Get-Policy", "policy"),
    ("facts", "Get-RebootPending", "reboot"),
    ("facts", "Get-CbsPackages", "cbs_package"),
    ("facts", "Get-Hotfixes", "hotfix"),
    ("facts", "Get-Products", "name_version"),
    ("worker_scan", "New-Status", "status"),
    ("worker_scan", "ConvertTo-Update", "update"),
    ("worker_scan", "New-Fault", "fault"),
    ("worker_install", "New-InstallItem", "install_item"),
    ("worker_install", "New-PackageItem", "package_item"),
    ("list_points", "Get-RestorePoints", "point"),
    ("list_points", "Get-ShadowPoints", "point"),
]


@pytest.mark.parametrize(("name", "function", "definition"), OBJECTS)
def test_a_function_fills_exactly_the_keys_of_its_object(
    name: str, function: str, definition: str
) -> None:
    script = parse(name, text_of(name))
    node = functions(script)[function]
    literals = [
        tuple(key for key, _ in entries(found)) for found in walk(node, "hash_literal_expression")
    ]
    wanted = sorted(set(SHARED[definition]["properties"]) - {"simulated"})
    assert wanted in [sorted(keys) for keys in literals]


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_result_has_exactly_the_keys_of_its_contract(name: str) -> None:
    found = re.search(
        r"\$script:Status\.result = (\[ordered\])?@\{(.*?)\n?\s*\}\n", worker_text(name), re.S
    )
    assert found is not None
    keys = re.findall(r"(?:^|[;{]|\n)\s*([a-z_]+) = ", found[2])
    assert sorted(keys) == sorted(SCHEMAS[f"{name}.out"].get("properties", {}))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_list_is_never_left_to_be_unrolled(name: str) -> None:
    script = parse(name, script_text(name))
    last = [
        node for node in walk(script.root, "pipeline") if "[ordered]" in (node.text or b"").decode()
    ]
    assert list(unrolled_lists(last[-1], named(SCHEMAS[f"{name}.out"]))) == []


def test_a_list_that_is_left_to_be_unrolled_is_seen() -> None:
    text = script_text("facts").replace("disks = @(Get-Disks)", "disks = Get-Disks")
    literals = walk(parse("facts", text).root, "hash_literal_expression")
    schema = SCHEMAS["facts.out"]
    assert "disks" in [name for node in literals for name in unrolled_lists(node, schema)]


def test_a_key_that_is_left_out_is_seen() -> None:
    text = script_text("boot").replace("    boot_id = Get-BootId\n", "")
    assert "boot_id" not in answer_keys(parse("boot", text))
    assert "boot_id" in function_keys(parse("facts", script_text("facts")), "Get-Os")
