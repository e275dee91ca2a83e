"""A plan is its document: what is stored, hashed and approved is what is read back, or nothing."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases.rollouts.build import BROAD, CRITICAL, PILOT, PLAN, plan_of, planned, wave
from wavemend.documents import canonical, sha256, to_data
from wavemend.errors import LedgerError, PlanError
from wavemend.outcomes import PackageOutcome
from wavemend.plans import LeftOut, Plan, load_plan

LEFT = LeftOut(
    name="zip",
    arch="amd64",
    installed="1",
    candidate="2",
    outcome=PackageOutcome.HELD,
    reason="on hold on the host",
)
FULL = dataclasses.replace(
    PLAN, hosts=(dataclasses.replace(PLAN.hosts[0], left_out=(LEFT,)), *PLAN.hosts[1:])
)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document that holds a value of its own."""
    if isinstance(data, dict | list):
        for key, inner in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(inner, (*path, key))
    else:
        yield path


PLACES = sorted(places(json.loads(FULL.document())), key=str)


def test_a_stored_plan_is_read_back_equal_and_with_the_same_bytes() -> None:
    read = load_plan(FULL.document(), FULL.digest)

    assert read == FULL
    assert read.document() == FULL.document()
    assert FULL.digest.startswith("sha256:")
    assert len(FULL.digest) == 7 + 64


def test_equal_plans_have_equal_digests_and_the_document_is_canonical() -> None:
    assert plan_of(PILOT, BROAD, CRITICAL).digest == PLAN.digest
    assert canonical(json.loads(FULL.document())) == FULL.document()


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_a_change_in_any_place_of_the_document_is_refused(path: tuple[Any, ...]) -> None:
    data = json.loads(FULL.document())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = _other(inner[path[-1]])

    with pytest.raises(PlanError, match="is not the one called"):
        load_plan(canonical(data), FULL.digest)


def _other(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


@given(st.integers(0, len(FULL.document()) - 1), st.integers(0, 7))
def test_a_flip_of_any_single_bit_is_refused(place: int, bit: int) -> None:
    document = bytearray(FULL.document())
    document[place] ^= 1 << bit

    with pytest.raises(PlanError):
        load_plan(bytes(document), FULL.digest)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Plan)])
def test_every_field_of_a_plan_is_in_its_digest(name: str) -> None:
    if name == "waves":
        changed = plan_of(dataclasses.replace(PILOT, concurrency=9), BROAD, CRITICAL)
    elif name == "hosts":
        changed = FULL
    else:
        changed = dataclasses.replace(PLAN, **{name: _changed(getattr(PLAN, name))})

    assert changed.digest != PLAN.digest


def _changed(value: Any) -> Any:
    match value:
        case datetime():
            return value + timedelta(microseconds=1)
        case tuple():
            return () if value else ("CVE-2026-1",)
        case bool():
            return not value
        case _:
            return f"{value}x"


def test_the_order_of_hosts_in_a_wave_is_part_of_what_is_approved() -> None:
    turned = plan_of(dataclasses.replace(PILOT, hosts=PILOT.hosts[::-1]), BROAD, CRITICAL)

    assert turned.digest != PLAN.digest


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[]", b"null", b"\xff", b'{"schema":"wavemend.plan/1"}']
)
def test_what_is_no_plan_is_refused_in_our_own_words(document: bytes) -> None:
    with pytest.raises(LedgerError, match="a stored Plan cannot be read"):
        load_plan(document, sha256(document))


@pytest.mark.parametrize(
    "waves",
    [
        (wave(1, "web1", "web1"),),
        (wave(1, "web1"), wave(2, "web1")),
        (wave(1, "web1", "nobody"),),
        (),
    ],
    ids=["twice in a wave", "in two waves", "unknown host", "in no wave"],
)
def test_waves_that_do_not_hold_each_host_once_are_no_plan(waves: tuple[Any, ...]) -> None:
    with pytest.raises(PlanError, match="do not hold each planned host exactly once"):
        dataclasses.replace(plan_of(), hosts=(planned("web1"),), waves=waves)


def test_an_empty_wave_and_a_wave_without_room_cannot_be_made() -> None:
    with pytest.raises(PlanError, match="broad-7 has no hosts"):
        wave(7)
    with pytest.raises(PlanError, match="concurrency 0"):
        wave(1, "web1", concurrency=0)


def test_what_a_plan_does_not_have_is_said() -> None:
    with pytest.raises(PlanError, match="no host web9"):
        PLAN.host("web9")
    with pytest.raises(PlanError, match="has the host web9"):
        PLAN.wave_of("web9")
    assert PLAN.expected() == ("db1", "old1", "web1", "web2", "web3", "web4", "web5")


def test_a_plan_stored_before_a_field_was_added_keeps_the_digest_it_was_approved_under() -> None:
    data = to_data(FULL)
    for host in data["hosts"]:
        for package in host["packages"]:
            del package["builds"], package["restart"]
    old = canonical(data)
    read = load_plan(old, sha256(old))

    assert read.hosts == FULL.hosts
    assert read.digest == sha256(old) != FULL.digest
