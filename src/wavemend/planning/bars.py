"""What policies say of one host's updates and of all that they bring along. Pure.

What stays out must not come in beside something that needs it: neither under its own name, nor in
another version or architecture, nor over a chain of updates that need each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from wavemend.packages import Target
from wavemend.planning.rules import (
    Permits,
    Refusal,
    Seen,
    Version,
    refused_by_policy,
    ruling_of,
    version_of,
    waits_for_pilot,
)
from wavemend.policy.resolving import Settings
from wavemend.policy.settings import RuleAction
from wavemend.scoring import RankedUpdate

Key: TypeAlias = tuple[str, str]
"""Name and architecture of a package."""


def key_of(update: RankedUpdate) -> Key:
    """Return under which key an update is known on its host."""
    return update.update.name, update.update.arch


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """Everything that decides about the updates of one host, and all that is pending there."""

    settings: Settings
    seen: Seen
    permits: Permits
    others: Mapping[Version, str]
    """Versions that this rollout does not install, and why."""
    pending: Sequence[RankedUpdate]
    """With those that the plan is not about: what is said of them holds when they come along."""

    def refusal(self, ranked: RankedUpdate) -> Refusal | None:
        """Return why policies, or the rollout's one set of versions, leave an update out."""
        if refusal := refused_by_policy(ranked, self.settings, self.seen, self.permits):
            return refusal
        if reason := self.others.get(version_of(ranked.update)):
            return Refusal(reason=reason, holds_others=True)
        return None

    def waits(self, ranked: RankedUpdate) -> bool:
        """Say whether an update is planned because a pilot of the same plan is to try it."""
        return waits_for_pilot(ranked, self.settings, self.seen, self.permits)

    def brought_waits(self, ranked: RankedUpdate, target: Target) -> bool:
        """Say the same of what an update brings along."""
        if not self.permits.planned:
            return False
        return any(self.waits(each) for each in _as_update(ranked, target, self._own()))

    def kept_out(self) -> dict[Key, str]:
        """Return the updates that would bring in what stays out, and why they stay out, too."""
        if not self.settings.rules and not self.others:
            return {}
        own = self._own()
        kept = {key_of(each): bar for each in self.pending if (bar := self._bar(each, own))}
        names = {name: reason for (name, _), reason in kept.items()}
        grown = bool(kept)
        while grown:
            grown = False
            for each in self.pending:
                needs = next((t.name for t in each.update.brings if t.name in names), "")
                if needs and key_of(each) not in kept:
                    reason = f"it needs {needs}, which stays out: {names[needs]}"
                    kept[key_of(each)] = reason
                    names.setdefault(each.update.name, reason)
                    grown = True
        return kept

    def _own(self) -> dict[str, list[RankedUpdate]]:
        own: dict[str, list[RankedUpdate]] = {}
        for each in self.pending:
            own.setdefault(each.update.name, []).append(each)
        return own

    def _bar(self, ranked: RankedUpdate, own: Mapping[str, list[RankedUpdate]]) -> str:
        """Say which of what an update brings must stay out; empty when all of it may come in."""
        if not ranked.update.brings:
            return ""
        asked = replace(self, permits=self._permits_beside(ranked))
        for target in ranked.update.brings:
            for each in _as_update(ranked, target, own):
                refusal = asked.refusal(each)
                if refusal and refusal.holds_others:
                    return f"it needs {target.name}, which stays out: {refusal.reason}"
        return ""

    def _permits_beside(self, ranked: RankedUpdate) -> Permits:
        """Who takes an update out of a rule's hands takes what it needs of the same rule, too."""
        ruling = ruling_of(ranked, self.settings, self.seen)
        if ruling is None or ruling.action is not RuleAction.MANUAL or self.refusal(ranked):
            return self.permits
        return replace(self.permits, taken=self.permits.taken | {ruling.rule})


def _as_update(
    ranked: RankedUpdate, target: Target, own: Mapping[str, list[RankedUpdate]]
) -> Iterator[RankedUpdate]:
    """Yield what comes along as updates that rules can be asked about.

    Where it is pending itself it is judged as what it is: its own class, lane and CVEs. What is
    not, like a new package, is judged as the update that brings it, under its own name.
    """
    pending = own.get(target.name, [])
    same = [each for each in pending if each.update.arch == target.arch]
    for each in same or pending or [ranked]:
        update = replace(
            each.update, name=target.name, arch=target.arch, candidate=target.version, brings=()
        )
        yield replace(each, update=update)
