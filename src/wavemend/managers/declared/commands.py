"""From declared words and items to the words of commands: data all the way. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence

from wavemend.declarations import (
    GOES_ON,
    INSTALLED,
    NAME,
    VERSION,
    Action,
    Declaration,
    ExitMeaning,
    Reading,
    has_parameter,
)
from wavemend.errors import PlanError
from wavemend.managers.declared.rows import can_be_words
from wavemend.packages import Target

Words = tuple[str, ...]
Values = Mapping[str, str]
"""What a parameter stands for, by the parameter as it is written."""

_PARAMETER = re.compile(r"\{(?:name|version|installed)\}")


def values_installed(name: str, version: str) -> Values:
    """Return what stands for the parameters of a look at one item."""
    return {NAME: name, INSTALLED: version}


def commands_for(
    steps: Sequence[Words], targets: Sequence[Target], *, together: bool
) -> tuple[Words, ...]:
    """Return the commands that are run for these targets, in order.

    Raises PlanError for no target, for one that is named twice, and for a name or version that
    cannot be the word of a command.
    """
    items = [_values_of(target) for target in sorted(targets)]
    if not items:
        raise PlanError("nothing is named", hint="an empty list of targets changes nothing")
    if len({item[NAME] for item in items}) != len(items):
        raise PlanError("an item is named twice in one change")
    if together:
        return tuple(_filled_together(words, items) for words in steps)
    return tuple(filled(words, item) for item in items for words in steps)


def _values_of(target: Target) -> Values:
    if not can_be_words(target.name, target.version):
        raise PlanError(f"{target.name!r} {target.version!r} cannot be words of a command")
    return {NAME: target.name, VERSION: target.version}


def filled(words: Words, values: Values) -> Words:
    """Return a command with its parameters filled in."""
    return tuple(_fill(word, values) for word in words)


def _filled_together(words: Words, items: Sequence[Values]) -> Words:
    made: list[str] = []
    for word in words:
        made += [_fill(word, item) for item in items] if has_parameter((word,)) else [word]
    return tuple(made)


def _fill(word: str, values: Values) -> str:
    # In one pass: a value that looks like a parameter stays a value.
    return _PARAMETER.sub(lambda found: values.get(found[0], found[0]), word)


def step_arguments(account: str, seconds: int, words: Words) -> Words:
    """Return what `first` of words.sh takes for one command; 0 seconds: no bound."""
    return (account, str(seconds), str(len(words)), *map(_escaped, words))


def job_arguments(
    declaration: Declaration, action: Action, commands: Sequence[Words]
) -> tuple[str, ...]:
    """Return the arguments of apply.sh."""
    seconds = int(action.deadline.total_seconds()) if action.deadline else 0
    steps = (step_arguments(declaration.account, seconds, words) for words in commands)
    return (
        declaration.name,
        _codes(action.exit, GOES_ON),
        _codes(action.exit, {ExitMeaning.REBOOT}),
        *(argument for step in steps for argument in step),
    )


def kept_arguments(
    declaration: Declaration, kept: Reading, commands: Sequence[Words]
) -> tuple[str, ...]:
    """Return the arguments of kept.sh."""
    seconds = int(kept.deadline.total_seconds())
    steps = (step_arguments(declaration.account, seconds, words) for words in commands)
    return (
        _codes(kept.exit, {ExitMeaning.DONE}),
        *(argument for step in steps for argument in step),
    )


def _codes(table: Mapping[int, ExitMeaning], meanings: Collection[ExitMeaning]) -> str:
    return " ".join(str(code) for code, meaning in table.items() if meaning in meanings)


def _escaped(word: str) -> str:
    """Write a word on one line: a job's arguments are lines."""
    return word.replace("\\", "\\\\").replace("\n", "\\n")
