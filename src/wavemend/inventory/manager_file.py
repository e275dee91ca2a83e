"""Read a declaration file: whole, or not at all, with every problem and its line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex
from pydantic import ValidationError

from wavemend.declarations import (
    INSTALLED,
    NAME,
    PARAMETERS,
    SCHEMA,
    VERSION,
    Action,
    Declaration,
    ExitMeaning,
    Order,
    Reading,
    Rehearsal,
    has_parameter,
)
from wavemend.inventory.manager_schema import (
    ActionForm,
    ManagerFile,
    ReadingForm,
    RehearsalForm,
)
from wavemend.inventory.problems import Place, Problem, raise_if_any, shown
from wavemend.inventory.schema_errors import place_of, sentence
from wavemend.inventory.yaml_source import Source, read_source

_EXAMPLE = "examples/managers"
_GROUPS = frozenset({"name", "version", "origin", "cves"})
_PARAMETER = re.compile(r"\{[a-z_]+\}")
_SHELLS = frozenset(
    {
        "sh",
        "ash",
        "bash",
        "csh",
        "dash",
        "fish",
        "ksh",
        "mksh",
        "rbash",
        "runuser",
        "su",
        "tcsh",
        "zsh",
    }
)
"""What takes `-c` and a text for a shell."""
_OF_A_LOOK = frozenset({"installed", "available", "running", "verify"})
_MOST_SECONDS = 90
"""For all commands of one look together: the look itself has two minutes, refresh apart."""


def load_declaration(path: Path, name: str) -> Declaration:
    """Return what a file declares, under the name that the fleet gives it.

    Raises FleetError; its message has one line for every problem: `path:line: place: what`.
    """
    declaration, problems = read_declaration(path, name)
    raise_if_any(str(path), problems)
    if declaration is None:
        raise AssertionError("neither a declaration nor a problem")
    return declaration


def read_declaration(path: Path, name: str) -> tuple[Declaration | None, tuple[Problem, ...]]:
    """Return what a file declares, or everything that is wrong with it."""
    source = read_source(path, form=SCHEMA, example=_EXAMPLE)
    if not source.readable:
        return None, source.problems
    problems = list(source.problems)
    try:
        form = ManagerFile.model_validate(source.data)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = place_of(fault)
            what = sentence(fault, ManagerFile)
            problems.append(Problem(source.line(place), place, what))
        return None, tuple(problems)
    problems += _check(source, form)
    return (None if problems else _declaration(name, form)), tuple(problems)


def _check(source: Source, form: ManagerFile) -> Iterator[Problem]:
    """Yield what no single value can know: parameters, groups, exit codes, time in all."""

    def problem(place: Place, what: str) -> Problem:
        return Problem(source.line(place), place, what)

    readings = _readings(form)
    for place, reading in readings.items():
        for part, what in _reading_faults(place[0], reading):
            yield problem((*place, *part), what)
    for key, action in _actions(form).items():
        for part, what in _action_faults(key, action):
            yield problem((key, *part), what)
    for number, word in enumerate(form.reboot):
        for what in _word_faults(word, frozenset()):
            yield problem(("reboot", number), what)
    seconds = sum(
        reading.deadline.total_seconds()
        for (key,), reading in readings.items()
        if key in _OF_A_LOOK
    )
    if seconds > _MOST_SECONDS:
        what = f"its commands may take {seconds:.0f} s, and one look has {_MOST_SECONDS} s for them"
        yield problem((), f"{what}; shorten the deadlines")


def _readings(form: ManagerFile) -> Mapping[tuple[str], ReadingForm]:
    found = {
        "installed": form.installed,
        "available": form.available,
        "running": form.running,
        "verify": form.verify,
        "rehearse": form.rehearse,
        "kept": form.kept,
    }
    return {(key,): reading for key, reading in found.items() if reading is not None}


def _actions(form: ManagerFile) -> Mapping[str, ActionForm]:
    found = {"apply": form.apply, "roll_back": form.roll_back, "repair": form.repair}
    return {key: action for key, action in found.items() if action is not None}


_MAY_NAME: Mapping[str, frozenset[str]] = {
    "installed": frozenset(),
    "running": frozenset(),
    "available": frozenset({NAME, INSTALLED}),
    "verify": frozenset({NAME, INSTALLED}),
    "rehearse": frozenset({NAME, VERSION}),
    "kept": frozenset({NAME, VERSION}),
    "apply": frozenset({NAME, VERSION}),
    "roll_back": frozenset({NAME, VERSION}),
    "repair": frozenset(),
}
"""What is known where: before the items are read there is nothing to name."""

Fault = tuple[Place, str]


def _reading_faults(key: str, form: ReadingForm) -> Iterator[Fault]:
    yield from _command_faults(("run",), form.run, _MAY_NAME[key])
    if form.json_ and form.lines:
        yield ("lines",), "json is there too; an output is read in one way"
    if key == "kept":
        yield from _kept_faults(form)
    if key in {"installed", "available", "running"} and not (form.json_ or form.lines):
        yield (), "needs json or lines, to find the versions in what it prints"
    if form.skip and not form.lines:
        yield ("skip",), "belongs to lines"
    if form.lines:
        yield from _group_faults(form)
    for code, meaning in form.exit.items():
        if meaning == "reboot":
            yield ("exit", code), "a command that only looks asks for no restart; see running"
    if "done" not in form.exit.values():
        yield ("exit",), "no code means done, so nothing it prints would ever count"


def _kept_faults(form: ReadingForm) -> Iterator[Fault]:
    if not any(VERSION in word for word in form.run):
        yield ("run",), "does not say {version}, so it cannot tell whether that one is kept"
    if form.json_ or form.lines:
        yield (), "only its exit code counts; take json and lines out"


def _group_faults(form: ReadingForm) -> Iterator[Fault]:
    groups = set(regex.compile(form.lines).groupindex)
    if strange := sorted(groups - _GROUPS):
        known = ", ".join(sorted(_GROUPS))
        yield ("lines",), f"the group {shown(strange[0])} means nothing; known: {known}"
    if "version" not in groups:
        yield ("lines",), "has no group (?P<version>…)"
    named = "name" in groups or form.name
    if not named and NAME not in "".join(form.run):
        yield ("lines",), "has no group (?P<name>…), and name: does not say it either"


def _action_faults(key: str, form: ActionForm) -> Iterator[Fault]:
    for number, step in enumerate(form.steps):
        yield from _command_faults(("steps", number), step, _MAY_NAME[key])
    if VERSION in _MAY_NAME[key] and not any(VERSION in word for s in form.steps for word in s):
        what = (
            "no step says {version}, so it would bring in whatever is newest; what was approved "
            "is what runs"
        )
        yield ("steps",), what
    if not {"done", "reboot"} & set(form.exit.values()):
        yield ("exit",), "no code means done"


def _command_faults(place: Place, words: Sequence[str], known: frozenset[str]) -> Iterator[Fault]:
    for number, word in enumerate(words):
        for what in _word_faults(word, known):
            yield (*place, number), what
    if at := _shell_text_with_parameter(words):
        what = (
            "a parameter inside shell text would be read by that shell; "
            """write sh, -c, 'command "$1"', sh, "{name}\""""
        )
        yield (*place, at), what
    if words[0].startswith(PARAMETERS):
        yield (*place, 0), "the program itself cannot be a parameter"


def _word_faults(word: str, known: frozenset[str]) -> Iterator[str]:
    for found in sorted(set(_PARAMETER.findall(word)) - known):
        if found in PARAMETERS:
            yield f"{found} is not known here"
        else:
            yield f"{found} is no parameter; known: {', '.join(sorted(known)) or 'none here'}"


def _shell_text_with_parameter(words: Sequence[str]) -> int:
    """Return the place of a shell's own text that holds a parameter; 0: there is none."""
    in_shell = text_follows = False
    for number, word in enumerate(words):
        if in_shell and word.startswith("--command=") and has_parameter((word,)):
            return number
        if in_shell and (re.fullmatch("-[A-Za-z]*c[A-Za-z]*", word) or word == "--command"):
            text_follows = True
        # More options may stand between `-c` and its text, and `-o` takes a word of its own.
        elif text_follows and word[:1] not in {"-", "+"} and words[number - 1] not in {"-o", "+o"}:
            return number if has_parameter((word,)) else 0
        in_shell = in_shell or word.rpartition("/")[2] in _SHELLS
    return 0


def _declaration(name: str, form: ManagerFile) -> Declaration:
    return Declaration(
        name=name,
        title=form.title,
        account=form.account,
        order=Order(form.versions),
        security=form.security,
        installed=_reading(form.installed),
        available=_reading(form.available),
        running=_reading(form.running) if form.running else None,
        verify=_reading(form.verify) if form.verify else None,
        rehearse=_rehearsal(form.rehearse) if form.rehearse else None,
        apply=_action(form.apply),
        roll_back=_action(form.roll_back) if form.roll_back else None,
        kept=_reading(form.kept) if form.kept else None,
        repair=_action(form.repair) if form.repair else None,
        reboot=tuple(form.reboot),
    )


def _reading(form: ReadingForm) -> Reading:
    return Reading(
        run=tuple(form.run),
        deadline=form.deadline,
        exit=_exits(form.exit),
        lines=form.lines,
        skip=form.skip,
        json=form.json_,
        name=form.name,
    )


def _rehearsal(form: RehearsalForm) -> Rehearsal:
    return Rehearsal(reading=_reading(form), together=form.together)


def _action(form: ActionForm) -> Action:
    return Action(
        steps=tuple(tuple(step) for step in form.steps),
        exit=_exits(form.exit),
        deadline=form.deadline or None,
        together=form.together,
    )


def _exits(table: Mapping[str, Any]) -> Mapping[int, ExitMeaning]:
    return {int(code): ExitMeaning(table[code]) for code in sorted(table, key=int)}
