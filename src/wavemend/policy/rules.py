"""Which rule decides about one update: typed conditions, first match wins. Pure.

The nearest level with an answer decides. Inside a policy the first rule that matches is its
answer; where several policies of one level answer, the most careful one counts, so that `reject`
beats every other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from wavemend.policy.settings import Level, RuleAction, UpdateClass, UpdateRule

URGENT = frozenset({"emergency", "expedited"})
"""Lanes that no age holds back, unless a rule names them."""

_CARE = tuple(RuleAction)
"""From the least careful answer to the most careful one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLayer:
    """The rules of one level: each policy in words, with its rules, in the order of the file."""

    level: Level
    policies: tuple[tuple[str, tuple[UpdateRule, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What rules can ask about one update on one host."""

    package: str
    update_class: UpdateClass
    lane: str
    cvss: float | None
    """Highest base score of its CVEs; None: unscored, which is no score at all."""
    epss: float | None
    kev: bool | None
    """None: it cannot be said whether one of its CVEs is known to be exploited."""
    severities: tuple[str, ...]
    products: tuple[str, ...]
    """The repository's origin and the operating system's id."""
    age: timedelta
    """Zero where nothing is known of it."""
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer of one rule, and whose it is."""

    action: RuleAction
    rule: str
    source: str
    """The policy in words."""

    def __str__(self) -> str:
        return f"rule {self.rule} of {self.source}"


def rule(layers: Sequence[RuleLayer], traits: Traits) -> Ruling | None:
    """Return the ruling about an update; None: no rule speaks of it, so it is planned."""
    for layer in layers:
        answers = [
            Ruling(action=found.action, rule=found.name, source=source)
            for source, rules in layer.policies
            if (found := next((item for item in rules if matches(item, traits)), None))
        ]
        if answers:
            return max(answers, key=lambda answer: _CARE.index(answer.action))
    return None


def ages_asked(layers: Sequence[RuleLayer]) -> frozenset[timedelta]:
    """Return the ages that these rules ask about."""
    return frozenset(
        item.younger_than
        for layer in layers
        for _, rules in layer.policies
        for item in rules
        if item.younger_than is not None
    )


def asks_for(layers: Sequence[RuleLayer], action: RuleAction) -> bool:
    """Say whether any of these rules can give that answer."""
    return any(
        item.action is action for layer in layers for _, rules in layer.policies for item in rules
    )


def matches(item: UpdateRule, traits: Traits) -> bool:
    """Say whether every condition of a rule holds. What is not known fulfils no condition."""
    return (
        _is_among(traits.update_class, item.classes)
        and _is_among(traits.lane, item.lanes)
        and _reaches(traits.cvss, item.cvss_at_least)
        and _reaches(traits.epss, item.epss_at_least)
        and (item.kev is None or traits.kev is item.kev)
        and _fits((traits.package,), item.packages)
        and (not item.severities or not set(item.severities).isdisjoint(traits.severities))
        and _fits(traits.products, item.products)
        and _is_young(item, traits)
        and (item.select is None or item.select.matches(traits.labels))
    )


def _is_among(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted


def _reaches(value: float | None, least: float | None) -> bool:
    return least is None or (value is not None and value >= least)


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, glob) for name in names for glob in patterns)


def _is_young(item: UpdateRule, traits: Traits) -> bool:
    """Say whether the update is as young as the rule asks. An urgent one is not held by its age.

    It would stay open because somebody once wrote "wait a week": a rule must name the lane.
    """
    if item.younger_than is None:
        return True
    if traits.lane in URGENT and traits.lane not in item.lanes:
        return False
    return traits.age < item.younger_than
