"""What a new fleet changes is said thing by thing and field by field, and secrets stay unsaid."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wavemend.fleet import Fleet
from wavemend.fleet_changes import Losses, changes, is_mass_removal, losses
from wavemend.inventory.fleet_file import load_fleet

EXAMPLE = load_fleet(Path(__file__).parents[2] / "examples/fleet.yaml")


def told(new: Fleet) -> list[str]:
    lines = []
    for one in changes(EXAMPLE, new):
        lines += [f"{one.section} +{name}" for name in one.added]
        lines += [f"{one.section} -{name}" for name in one.removed]
        lines += [
            f"{one.section} {name}.{field.field}: {field.old} -> {field.new}"
            for name, fields in one.changed
            for field in fields
        ]
        lines += [f"{one.section} reordered"] if one.reordered else []
    return lines


def test_equal_fleets_differ_in_nothing() -> None:
    assert changes(EXAMPLE, replace(EXAMPLE, source_path="elsewhere")) == ()


def test_hosts_that_come_go_and_change_are_named() -> None:
    first, second, *others = EXAMPLE.hosts
    moved = replace(first, window="sat-night", labels={**first.labels, "ring": "late"})
    new = replace(EXAMPLE, hosts=(moved, *others, replace(second, name="zulu")))

    assert told(new) == [
        "hosts +zulu",
        f"hosts -{second.name}",
        f"hosts {first.name}.window: sun-early -> sat-night",
        f"hosts {first.name}.labels.ring: {first.labels['ring']} -> late",
    ]
    assert losses(EXAMPLE, new).leaving == (second.name,)


def test_hosts_that_nobody_or_somebody_else_cares_for_leave_too() -> None:
    def lost(**fields: Any) -> Losses:
        return losses(EXAMPLE, replace(EXAMPLE, hosts=tuple(replace(h, **fields) for h in known)))

    known = EXAMPLE.hosts
    names = tuple(sorted(host.name for host in known))
    critical = tuple(sorted(host.name for host in known if host.critical))

    assert lost(profile="").unmanaged == lost(profile="").leaving == names
    assert lost(simulated=True).unmanaged == names
    assert lost(tenant="globex2").moved == names
    assert lost(tenant="globex2", profile="").leaving == names
    assert lost(critical=False).uncritical == critical != ()
    assert lost(critical=False, window="sat-night").leaving == ()


def test_a_nested_field_is_named_by_its_path() -> None:
    (profile,) = EXAMPLE.profiles
    pilot = profile.waves[0]
    gate = replace(pilot.gate, soak=timedelta(minutes=5))
    waves = (replace(pilot, gate=gate), *profile.waves[1:])

    assert told(replace(EXAMPLE, profiles=(replace(profile, waves=waves),))) == [
        "profiles debian-server.waves.pilot.gate.soak: 30m -> 5m"
    ]


def test_references_to_secrets_are_compared_and_never_shown() -> None:
    login = replace(EXAMPLE.logins[0], key="command:vault read -token=s3cret", user="other")
    found = told(replace(EXAMPLE, logins=(login, *EXAMPLE.logins[1:])))

    assert f"logins {login.name}.key: (not shown) -> (not shown)" in found
    assert not any("s3cret" in line for line in found)


def test_what_has_no_name_of_its_own_is_compared_too() -> None:
    feeds = replace(EXAMPLE.feeds, max_age_hours=12)

    assert told(replace(EXAMPLE, feeds=feeds)) == ["feeds feeds.max_age_hours: 48 -> 12"]


def test_many_hosts_at_once_are_more_than_five_or_a_tenth() -> None:
    def of(count: int) -> Fleet:
        return replace(EXAMPLE, hosts=EXAMPLE.hosts[:1] * count)

    assert not is_mass_removal(of(100), 5)
    assert is_mass_removal(of(100), 6)
    assert is_mass_removal(of(9), 1)
    assert not is_mass_removal(of(10), 1)
    assert not is_mass_removal(of(1), 0)


@given(st.sets(st.sampled_from([host.name for host in EXAMPLE.hosts])))
def test_every_difference_of_the_digest_is_said(gone: set[str]) -> None:
    hosts = tuple(host for host in EXAMPLE.hosts if host.name not in gone)
    new = replace(EXAMPLE, hosts=hosts).sealed()

    assert bool(told(new)) == (new.digest != EXAMPLE.digest) == bool(gone)
