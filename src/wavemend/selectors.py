"""Label selectors in the Kubernetes form, e.g. `role in (web,api), env!=dev, !legacy, ring`.

Parsing is exact: what is not understood is refused with its position, and an empty selector is
an error, because "nothing written" must never mean "every host".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from wavemend.errors import FleetError

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:{_NAME}/)?{_NAME}")
_VALUE = re.compile(_NAME)
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z0-9._/-]+)|(?P<sign>!=|==|=|!|\(|\)|,)|(?P<end>$))")

_LONGEST_NAME = 63
"""Kubernetes' limit, so that labels can be taken over from there and given back."""


class Operator(StrEnum):
    """How one requirement compares a label."""

    IN = "in"
    NOT_IN = "notin"
    EQUALS = "="
    DIFFERS = "!="
    EXISTS = "exists"
    ABSENT = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition of a selector. As in Kubernetes, `!=` and `notin` hold without the label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()
    """Sorted and without repeats; empty for `exists` and `!`."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels fulfil the condition."""
        present = self.key in labels
        match self.operator:
            case Operator.EXISTS:
                return present
            case Operator.ABSENT:
                return not present
            case Operator.IN | Operator.EQUALS:
                return present and labels[self.key] in self.values
            case Operator.NOT_IN | Operator.DIFFERS:
                return not present or labels[self.key] not in self.values

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case Operator.EQUALS | Operator.DIFFERS:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Conditions that must all hold. There is always at least one."""

    requirements: tuple[Requirement, ...]

    def __post_init__(self) -> None:
        if not self.requirements:
            raise FleetError("an empty selector selects nothing", hint="name at least one label")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels fulfil every condition."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ", ".join(str(requirement) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Return the selector that `text` says.

    Raises FleetError with the character (counted from 1) where the text stops making sense.
    """
    if not text.strip():
        raise FleetError(
            "the selector is empty, and empty is not everything", hint="name at least one label"
        )
    parser = _Parser(text)
    requirements = [parser.requirement()]
    while parser.kind != "end":
        parser.take(",", 'expected ","')
        requirements.append(parser.requirement())
    return Selector(requirements=tuple(requirements))


def label_key_fault(key: str) -> str:
    """Say what is wrong with a label's key, or return an empty string."""
    if not _KEY.fullmatch(key):
        return "a label's name is letters, digits, '-', '_' and '.', with an optional prefix/"
    if len(key.rpartition("/")[2]) > _LONGEST_NAME:
        return f"a label's name has at most {_LONGEST_NAME} characters"
    return ""


def label_value_fault(value: str) -> str:
    """Say what is wrong with a label's value, or return an empty string."""
    if not value:
        return "a label's value cannot be empty"
    if not _VALUE.fullmatch(value):
        return "a label's value is letters, digits, '-', '_' and '.', and begins and ends plainly"
    if len(value) > _LONGEST_NAME:
        return f"a label's value has at most {_LONGEST_NAME} characters"
    return ""


class _Parser:
    """Reads one token ahead; `kind` is `word`, `sign` or `end`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = 0
        self._advance()

    def requirement(self) -> Requirement:
        if self._accept("!"):
            return Requirement(key=self._key(), operator=Operator.ABSENT)
        key = self._key()
        for sign, operator in (
            ("==", Operator.EQUALS),
            ("=", Operator.EQUALS),
            ("!=", Operator.DIFFERS),
        ):
            if self._accept(sign):
                return Requirement(key=key, operator=operator, values=(self._value(),))
        for operator in (Operator.IN, Operator.NOT_IN):
            if self._accept(operator):
                return Requirement(key=key, operator=operator, values=self._values())
        if self.kind == "word":
            raise self._fault('expected "=", "!=", "in", "notin" or ","')
        return Requirement(key=key, operator=Operator.EXISTS)

    def take(self, token: str, expected: str) -> None:
        if not self._accept(token):
            raise self._fault(expected)

    def _accept(self, token: str) -> bool:
        if self.kind == "end" or self._token != token:
            return False
        self._advance()
        return True

    def _key(self) -> str:
        return self._word("a label's name", label_key_fault)

    def _value(self) -> str:
        return self._word("a value", label_value_fault)

    def _values(self) -> tuple[str, ...]:
        self.take("(", 'expected "("')
        values = {self._value()}
        while self._accept(","):
            values.add(self._value())
        self.take(")", 'expected "," or ")"')
        return tuple(sorted(values))

    def _word(self, what: str, fault_of: Callable[[str], str]) -> str:
        if self.kind != "word":
            raise self._fault(f"expected {what}")
        if fault := fault_of(self._token):
            raise self._fault(fault)
        word = self._token
        self._advance()
        return word

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            self._token = self._text[self._next :].lstrip()[:1]
            self._at = self._text.index(self._token, self._next)
            raise self._fault("this character has no meaning in a selector")
        self.kind = found.lastgroup or "end"
        self._token = found.group(self.kind)
        self._at = found.start(self.kind)
        self._next = found.end()

    def _fault(self, why: str) -> FleetError:
        found = f'found "{self._token}"' if self._token else "found the end"
        return FleetError(f'selector "{self._text}": character {self._at + 1}: {why}, {found}')
