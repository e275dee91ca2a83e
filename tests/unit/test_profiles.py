"""Every host of a rollout is in exactly one wave, and critical hosts are in the last one only."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import FleetError
from wavemend.hosts import Host
from wavemend.policy.profiles import (
    CRITICAL_WAVE,
    Profile,
    RebootRule,
    Size,
    Updates,
    WaveKind,
    WaveRule,
    place,
)
from wavemend.selectors import parse_selector

REST = WaveRule(name="rest", kind=WaveKind.BROAD)


def host(name: str, ring: str = "broad", *, critical: bool = False) -> Host:
    return Host(
        name=name, tenant="acme", address="192.0.2.1", labels={"ring": ring}, critical=critical
    )


def profile(*waves: WaveRule) -> Profile:
    return Profile(
        name="debian-server",
        device="server",
        os="debian",
        manager="apt",
        updates=Updates.SECURITY,
        reboot=RebootRule.NEVER,
        waves=waves,
        host_deadline=timedelta(minutes=45),
    )


def names(some: Profile, *hosts: Host) -> list[list[str]]:
    return [[host.name for host in placement.hosts] for placement in place(some, hosts)]


def pilot(select: str = "", size: Size | None = None) -> WaveRule:
    chosen = parse_selector(select) if select else None
    return WaveRule(name="pilot", kind=WaveKind.PILOT, select=chosen, size=size)


def test_hosts_go_to_the_first_wave_that_takes_them() -> None:
    some = profile(pilot("ring=pilot"), REST, CRITICAL_WAVE)
    hosts = (host("web3"), host("web1", "pilot"), host("db1", "pilot", critical=True), host("app1"))

    assert names(some, *hosts) == [["web1"], ["app1", "web3"], ["db1"]]


@pytest.mark.parametrize(
    ("size", "remaining", "taken"),
    [
        (Size(value=50, percent=True), 3, 1),  # rounded down
        (Size(value=10, percent=True), 9, 1),  # but at least one
        (Size(value=10, percent=True), 0, 0),  # of none there is none
        (Size(value=100, percent=True), 7, 7),
        (Size(value=5, percent=False), 3, 3),
        (Size(value=2, percent=False), 3, 2),
    ],
)
def test_sizes_round_down_and_take_at_least_one(size: Size, remaining: int, taken: int) -> None:
    assert size.of(remaining) == taken


def test_a_percentage_is_of_the_hosts_not_yet_placed() -> None:
    half = Size(value=50, percent=True)
    second = WaveRule(name="second", kind=WaveKind.BROAD, size=half)
    some = profile(pilot(size=half), second, REST, CRITICAL_WAVE)

    placed = names(some, *(host(f"web{n}") for n in range(8)))

    assert [len(wave) for wave in placed] == [4, 2, 2, 0]


def test_hosts_that_no_wave_takes_are_named() -> None:
    with pytest.raises(FleetError, match="no wave for web1"):
        place(profile(pilot("ring=pilot"), CRITICAL_WAVE), (host("web1"),))
    with pytest.raises(FleetError, match="no wave for db1"):
        place(profile(REST), (host("db1", critical=True),))


hosts = st.lists(
    st.builds(
        host,
        st.from_regex(r"[a-z]{1,3}[0-9]", fullmatch=True),
        st.sampled_from(["pilot", "broad"]),
        critical=st.booleans(),
    ),
    unique_by=lambda some: some.name,
    max_size=20,
)
sizes = st.builds(Size, value=st.integers(1, 100), percent=st.booleans())


@given(hosts, st.lists(sizes, max_size=3))
def test_each_host_is_placed_exactly_once_whatever_the_order(
    some: list[Host], steps: list[Size]
) -> None:
    waves = [WaveRule(name=f"b{n}", kind=WaveKind.BROAD, size=s) for n, s in enumerate(steps)]
    rule = profile(pilot("ring=pilot"), *waves, REST, CRITICAL_WAVE)
    placements = place(rule, tuple(some))
    placed = [host.name for placement in placements for host in placement.hosts]

    assert sorted(placed) == sorted(host.name for host in some)
    assert {host.name for host in placements[-1].hosts} == {h.name for h in some if h.critical}
    assert place(rule, tuple(reversed(some))) == placements
