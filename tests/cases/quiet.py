"""A company whose mornings nobody watches: the fleet that tests of nights are about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES

APPROVER = "alice@acme.example"
NOBODY = "person,skills,start,end\n"
"""A roster that can be read and has nobody in it."""


def quiet_fleet(
    folder: Path, *, opens: datetime, hours: float = 4, roster: str = NOBODY, freeze: str = ""
) -> Fleet:
    """Return a fleet of one host that cannot be reached, and a window that opens daily at `opens`.

    The duty rule asks for somebody with the skill linux from 07:00 to 09:00 in Berlin, every day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roster.csv").write_text(roster)
    (folder / "known_hosts").touch()
    path = folder / "fleet.yaml"
    gate = "gate: {max_errors: 0, min_observed: 1, soak: 1s}"
    path.write_text(
        f"""
schema: wavemend.fleet/1
tenants:
  - name: acme
    title: Acme
    zone: Europe/Berlin
    window: night
    approvers: [{APPROVER}]
    duty: {{roster: office, hours_from: "07:00", hours_until: "09:00", skills: [linux],
           days_off: []}}
approvers: [{{name: {APPROVER}, title: Alice}}]
rosters: [{{name: office, source: "file:roster.csv", zone: Europe/Berlin}}]
windows:
  - {{name: night, zone: UTC, start: "{opens.astimezone(UTC):%H:%M}",
     duration: {int(hours * 60)}m, cutoff: 30m, days: [mon, tue, wed, thu, fri, sat, sun]}}
{freeze}
profiles:
  - {{name: server, os: debian, device: server, manager: apt, updates: all, reboot: if_needed,
     host_deadline: 5m, waves: [{{name: pilot, kind: pilot, size: 1, {gate}}},
                               {{name: broad, kind: broad, {gate}}}]}}
logins: [{{name: default, user: root, key: "agent:", known_hosts: "file:known_hosts",
         connect_seconds: 2}}]
hosts:
  - {{name: a1, tenant: acme, address: 127.0.0.1, port: 1,
     labels: {{os: debian, device: server}}}}
feeds: {{source: "directory:feeds"}}
"""
    )
    return INVENTORIES["file"]()(path)


def staffed(now: datetime, days: int = 4) -> str:
    """Return a roster in which Anna is there around the clock, yesterday and for some days."""
    first = now.astimezone(UTC).replace(tzinfo=None) - timedelta(days=1)
    rows = [
        f"Anna,linux,{first + timedelta(days=n):%Y-%m-%dT00:00}Z,"
        f"{first + timedelta(days=n + 1):%Y-%m-%dT00:00}Z"
        for n in range(days + 2)
    ]
    return NOBODY + "\n".join(rows) + "\n"
