"""Ask a host the declared questions: the fixed ones first, then those that need an item's name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.declarations import Declaration, Reading
from wavemend.errors import HostAnswerInvalid
from wavemend.managers.declared.commands import Words, filled, step_arguments, values_installed
from wavemend.managers.declared.rows import Row
from wavemend.managers.reading.asking import ask, script
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Asked
from wavemend.transport import Transport

MOST_ITEMS = 64
"""Items that are asked about one by one: more of them need a command that lists them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one command answered."""

    item: str
    """The item it was asked about; empty: about all of them."""
    section: Section


Answers = Mapping[str, tuple[Answer, ...]]
"""By the key of the declaration file: `installed`, `available` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One command to run."""

    key: str
    words: Words
    seconds: int
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one round trip brought."""

    sections: Mapping[str, Section]
    """What any host is asked; see reading/frame.sh."""
    asked: Asked
    answers: Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and over what."""

    declaration: Declaration
    transport: Transport
    host: str
    nonce: Callable[[], str]
    now: datetime

    def ask(self, questions: Sequence[Question], *, deadline: float) -> Visit:
        """Run commands on the host, all in one round trip."""
        words: list[str] = [self.declaration.name]
        for number, question in enumerate(questions):
            words.append(f"declared-{number}")
            words += step_arguments(self.declaration.account, question.seconds, question.words)
        sections, asked = ask(
            self.transport,
            script("reading", "frame.sh")
            + script("declared", "words.sh")
            + script("declared", "facts.sh"),
            self.host,
            self.now,
            args=(self.nonce(), "0", *words),
            deadline=deadline,
        )
        answers: dict[str, list[Answer]] = {}
        for number, question in enumerate(questions):
            section = sections.get(f"declared-{number}")
            if section is None:
                raise HostAnswerInvalid(f"{self.host}: the answer lacks {question.key}")
            answers.setdefault(question.key, []).append(Answer(item=question.item, section=section))
        told = {key: tuple(found) for key, found in answers.items()}
        return Visit(sections=sections, asked=asked, answers=told)


def fixed_questions(declaration: Declaration) -> tuple[Question, ...]:
    """Return the commands that name no item."""
    return tuple(
        _question(key, reading, reading.run)
        for key, reading in _readings(declaration)
        if not reading.per_item
    )


def item_questions(declaration: Declaration, installed: Sequence[Row]) -> tuple[Question, ...]:
    """Return the commands that name an item, once for each.

    Raises HostAnswerInvalid for more items than that is fit for.
    """
    asking = [(key, reading) for key, reading in _readings(declaration) if reading.per_item]
    if asking and len(installed) > MOST_ITEMS:
        raise HostAnswerInvalid(
            f"{len(installed)} items would be asked about one by one; the most are {MOST_ITEMS}",
            hint=f"declare a command for {asking[0][0]} that names no item and lists them all",
        )
    return tuple(
        _question(key, reading, filled(reading.run, values_installed(row.name, row.version)), row)
        for key, reading in asking
        for row in installed
    )


def _question(key: str, reading: Reading, words: Words, row: Row | None = None) -> Question:
    return Question(
        key=key,
        words=words,
        seconds=max(1, int(reading.deadline.total_seconds())),
        item=row.name if row else "",
    )


def _readings(declaration: Declaration) -> tuple[tuple[str, Reading], ...]:
    found = (
        ("installed", declaration.installed),
        ("available", declaration.available),
        ("running", declaration.running),
        ("verify", declaration.verify),
    )
    return tuple((key, reading) for key, reading in found if reading is not None)
