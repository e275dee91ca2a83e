"""What holds for a host and who says so, in words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from wavemend.calendar.durations import format_duration
from wavemend.fleet import Fleet
from wavemend.hosts import Host
from wavemend.policy.resolving import Decided, FieldValue, Resolved, resolver_of
from wavemend.policy.settings import UpdateRule


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """One field of one host."""

    field: str
    value: str
    source: str
    """Who says it: a policy with its level, an entry of the fleet, the profile, the default."""
    notes: tuple[str, ...] = ()
    """Whom a lock overrules, and what would hold without this word."""


def resolved_for(fleet: Fleet, host: Host) -> Resolved | None:
    """Return what holds for a host; None: it is unmanaged, so nothing does."""
    if not host.profile:
        return None
    return resolver_of(fleet).of(host, fleet.profile(host.profile))


def explain_settings(fleet: Fleet, host: Host) -> tuple[SettingLine, ...]:
    """Return every field that policies can set, with its value and origin; none if unmanaged."""
    resolved = resolved_for(fleet, host)
    return tuple(_line(decided, host) for decided in resolved.fields) if resolved else ()


def _line(decided: Decided, host: Host) -> SettingLine:
    # A window of zone `host` is one window for each zone, and the host is in one of them.
    value = host.window if decided.field == "window" else words(decided.value)
    notes = [
        f"{voice.source} says {words(voice.value)}: overruled, {decided.locked_by} locks it"
        for voice in decided.overruled
    ]
    if decided.locked_by and not decided.overruled:
        notes.append(f"locked by {decided.locked_by}")
    if decided.instead_of and decided.instead_of[0].value != decided.value:
        next_ = decided.instead_of[0]
        notes.append(f"without it {words(next_.value)}, from {next_.source}")
    return SettingLine(field=decided.field, value=value, source=decided.source, notes=tuple(notes))


def rule_lines(resolved: Resolved) -> Iterator[str]:
    """Yield the rules about single updates in the order they are asked, and who is not heard."""
    for layer in resolved.rules:
        for source, rules in layer.policies:
            for rule in rules:
                yield f"{rule.action} {rule.name}, {source}: {conditions(rule)}"
    for source in resolved.silenced:
        yield f"not asked: the rules of {source}; {resolved.rules_locked_by} locks them"


def conditions(rule: UpdateRule) -> str:
    """Return when a rule matches."""
    said = [
        ("class", " or ".join(rule.classes)),
        ("lane", " or ".join(rule.lanes)),
        ("CVSS from", _number(rule.cvss_at_least)),
        ("EPSS from", _number(rule.epss_at_least)),
        ("exploited", "" if rule.kev is None else words(rule.kev)),
        ("package", " or ".join(rule.packages)),
        ("severity", " or ".join(rule.severities)),
        ("product", " or ".join(rule.products)),
        ("younger than", format_duration(rule.younger_than) if rule.younger_than else ""),
        ("hosts with", str(rule.select) if rule.select else ""),
    ]
    return ", ".join(f"{what} {value}" for what, value in said if value) or "every update"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def words(value: FieldValue) -> str:
    """Return a value as the fleet file writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(value) or "none"
