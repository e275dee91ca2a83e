"""What an emergency changes of a company's rules: its own opening, soak and gate. Pure.

The signature of critical hosts, the budgets, the order, the kill switch and the company's gap
between groups hold as on every other night.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.windows import Occurrence
from wavemend.hosts import Host
from wavemend.policy.limits import EmergencyRule
from wavemend.policy.profiles import Profile, Size, WaveKind, WaveRule, place

NOBODY_ELSE = timedelta(0)

FIRST_HOST = WaveRule(name="pilot", kind=WaveKind.PILOT, size=Size(value=1, percent=False))


def opening_for(rule: EmergencyRule, window: str, now: datetime) -> Occurrence:
    """Return the opening that an emergency rollout makes for itself, from `now` (UTC) on."""
    start = now.replace(microsecond=0)
    end = start + rule.duration
    return Occurrence(window=window, start=start, end=end, last_start=end - rule.cutoff)


def profile_for(profile: Profile, rule: EmergencyRule, hosts: tuple[Host, ...]) -> Profile:
    """Return a profile whose waves keep the emergency's soak, gap and gates.

    `hosts`: those that are touched. Where the profile's pilots are none of them, one of the
    touched hosts is the pilot: nobody else may be the first.
    """
    waves = tuple(_hurried(wave, rule) for wave in profile.waves)
    hurried = replace(profile, waves=waves)
    placed = place(hurried, hosts)
    tried = any(item.hosts for item in placed if item.wave.kind is WaveKind.PILOT)
    if tried or all(host.critical for host in hosts):
        return hurried
    others = tuple(wave for wave in waves if wave.kind is not WaveKind.PILOT)
    return replace(hurried, waves=(_hurried(FIRST_HOST, rule), *others))


def _hurried(wave: WaveRule, rule: EmergencyRule) -> WaveRule:
    soak = rule.soak if wave.kind is WaveKind.PILOT else NOBODY_ELSE
    return replace(wave, gap=rule.gap, gate=replace(rule.gate, soak=soak))


def calendar_for(calendar: TenantCalendar, rule: EmergencyRule) -> TenantCalendar:
    """Return what can close an emergency's opening, as far as the company lets it."""
    return replace(
        calendar,
        freezes=() if rule.ignores_freezes else calendar.freezes,
        duty=None if rule.ignores_duty else calendar.duty,
    )
