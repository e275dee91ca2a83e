"""A freeze that is written into a calendar during a rollout stops it at its next start.

Real hosts, the real steps of a rollout in a process of its own; only the calendar changes while it
runs: a hook on the first host's way out writes the event.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.cases.calendars import calendar, event
from tests.contract.crash_world import CrashWorld
from tests.world.fleet import WorldHost
from wavemend.inventory.fleet_file import load_fleet
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.intake import apply_fleet

HOSTS = (
    WorldHost("first1", "acme"),
    WorldHost("later1", "acme", ring="broad"),
    WorldHost("second1", "globex"),
    WorldHost("second2", "globex"),
    WorldHost("free1", "initech"),
    WorldHost("free2", "initech", ring="broad"),
)
"""Two waves of one; one wave of two, one after the other; and a company it is not about."""


def freeze_now() -> bytes:
    """Return a calendar with a freeze that began an hour ago and lasts a day."""
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(days=1)
    times = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}")
    return calendar(event(*times, summary="incident in the payment system"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashWorld]:
    home = tmp_path_factory.mktemp("freeze")
    made = CrashWorld(home, HOSTS, concurrency=1)
    try:
        declare_freezes(made)
        yield made
    finally:
        made.close()


def declare_freezes(world: CrashWorld) -> None:
    """Give two companies a freeze calendar, and each host's end a hook that writes an event."""
    home = world.home
    (home / "freezes.ics").write_bytes(calendar())
    (home / "freeze-now.ics").write_bytes(freeze_now())
    path = home / "fleet.yaml"
    hook = ["cp", str(home / "freeze-now.ics"), str(home / "freezes.ics")]
    first = "    hooks:\n"
    text = path.read_text().replace(
        first, f"{first}      - {{name: calendar, when: after, argv: {json.dumps(hook)}}}\n", 1
    )
    path.write_text(
        f"{text}calendars:\n  - {{name: incidents, source: 'file:freezes.ics'}}\nfreezes:\n"
        "  - {name: acme-freeze, scope: company, tenant: acme, calendar: incidents}\n"
        "  - {name: globex-freeze, scope: company, tenant: globex, calendar: incidents}\n"
    )
    with world.ledger.writing() as book:
        apply_fleet(book, load_fleet(path), actor="olga", now=datetime.now(UTC))


def carried_out(world: CrashWorld, tenant: str) -> dict[str, tuple[str, str]]:
    """Return how each host ended, and why, in a rollout that begins with an empty calendar."""
    (world.home / "freezes.ics").write_bytes(calendar())
    process = world.controller(tenant=tenant)
    process.join(240)
    assert process.exitcode == 0, world.story()
    assert world.finished
    with world.ledger.reading() as book:
        ids = [row.id for row in rollouts.list_rollouts(book) if row.tenant == tenant]
        rows = [row for id_ in ids for row in attempts.of_rollout(book, id_)]
        return {row.host: (row.outcome, row.reason) for row in rows}


REASON = 'freeze: {name} "incident in the payment system" holds until '


def test_ac_16_an_event_added_after_the_first_wave_blocks_the_next_one(world: CrashWorld) -> None:
    found = carried_out(world, "acme")

    assert found["first1"][0] == "patched", found
    assert found["later1"][0] == "not_attempted", found
    assert REASON.format(name="acme-freeze") in found["later1"][1]
    assert (len(world.begun("first1")), world.begun("later1")) == (1, [])


def test_ac_16_it_blocks_every_further_start_within_a_wave_too(world: CrashWorld) -> None:
    found = carried_out(world, "globex")

    assert sorted(outcome for outcome, _ in found.values()) == ["not_attempted", "patched"], found
    (reason,) = (reason for outcome, reason in found.values() if outcome == "not_attempted")
    assert REASON.format(name="globex-freeze") in reason
    assert len(world.begun("second1")) + len(world.begun("second2")) == 1


def test_ac_16_a_freeze_of_one_company_is_none_of_another(world: CrashWorld) -> None:
    found = carried_out(world, "initech")

    assert {outcome for outcome, _ in found.values()} == {"patched"}, found
    assert b"incident" in (world.home / "freezes.ics").read_bytes()
