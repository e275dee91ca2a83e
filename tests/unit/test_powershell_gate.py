"""Every PowerShell text that is sent to a host parses, and keeps the project's rules for 5.1."""

import re
from importlib.resources import files

import pytest

from tests.powershell.rules import RULES, faults
from tests.powershell.tree import Script, parse, syntax_faults
from wavemend.windows.calling import SCRIPTS, WORKERS, script_text, worker_text

FOLDER = files("wavemend").joinpath("windows", "scripts")
FILES = sorted(file.name for file in FOLDER.iterdir() if file.name.endswith(".ps1"))


def read(file: str) -> str:
    return FOLDER.joinpath(file).read_text(encoding="ascii")


def shipped() -> list[Script]:
    scripts = [parse(name, script_text(name)) for name in SCRIPTS]
    return scripts + [parse(f"worker_{name}", worker_text(name)) for name in WORKERS]


@pytest.mark.parametrize("script", shipped(), ids=lambda script: str(script.name))
def test_a_text_as_it_is_sent_has_no_fault(script: Script) -> None:
    assert [str(fault) for fault in syntax_faults(script) + faults(script)] == []


@pytest.mark.parametrize("file", FILES)
def test_a_file_alone_parses_and_is_plain(file: str) -> None:
    text = read(file)
    assert syntax_faults(parse(file, text)) == []
    assert "\t" not in text
    assert "\r" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert max(len(line) for line in text.splitlines()) <= 120
    assert len(text.splitlines()) <= 350


def test_only_the_bootstrap_makes_a_script_of_text_and_ends_with_exit() -> None:
    found = faults(parse("bootstrap", read("bootstrap.ps1")))
    assert [(fault.rule, fault.said) for fault in found] == [
        ("no_exit", "exit"),
        ("no_exit", "exit"),
        ("no_text_as_code", "[ScriptBlock]::Create($request.script)"),
        ("no_text_as_code", "'& $script @named' runs what a variable holds"),
    ]


def test_every_file_is_a_script_a_worker_or_a_part_that_some_text_includes() -> None:
    included = {
        name for file in FILES for name in re.findall(r"^# include: (\S+)$", read(file), re.M)
    }
    sent = {f"{name}.ps1" for name in SCRIPTS} | {f"worker_{name}.ps1" for name in WORKERS}
    assert sent | included | {"bootstrap.ps1"} == set(FILES)


def test_no_text_is_sent_with_an_include_left_in_it() -> None:
    assert [script.name for script in shipped() if "# include:" in script.text] == []


def test_functions_stay_short() -> None:
    for script in shipped():
        for match in re.finditer(r"^function (\S+?)[\s(].*?\n\}$", script.text, re.M | re.S):
            assert len(match[0].splitlines()) <= 45, match[1]


def test_every_rule_says_what_it_is_for() -> None:
    assert [name for name, rule in RULES.items() if not rule.__doc__] == []
