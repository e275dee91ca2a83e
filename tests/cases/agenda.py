"""Fleets that differ in their windows and calendars only: for previews and simulations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES

_GATE = "gate: {max_errors: 0}"


def agenda_text(
    windows: Mapping[str, str], *, more: Sequence[str] = (), tenant: str = "", deadline: str = "30m"
) -> str:
    """Return a fleet file: a host named on-WINDOW of the company acme in each window.

    `windows`: what follows the name in each; `more`: further sections; `tenant`: further keys.
    """
    lines = [
        "schema: wavemend.fleet/1",
        "tenants:",
        f"  - {{name: acme, title: Acme Works, zone: Europe/Berlin{tenant}}}",
        "windows:",
        *(f"  - {{name: {name}, {how}}}" for name, how in windows.items()),
        "profiles:",
        "  - name: server",
        "    os: debian",
        "    device: server",
        "    manager: apt",
        "    updates: all",
        "    reboot: if_needed",
        f"    host_deadline: {deadline}",
        "    waves:",
        f"      - {{name: rest, kind: broad, {_GATE}}}",
        f"      - {{name: critical, kind: critical, {_GATE}}}",
        'logins: [{name: default, user: root, key: "agent:"}]',
        *more,
        "hosts:",
        *(
            f"  - {{name: on-{name}, tenant: acme, address: {name}.example, "
            f"window: {name}, labels: {{os: debian, device: server}}}}"
            for name in windows
        ),
    ]
    return "\n".join(lines) + "\n"


def agenda_fleet(folder: Path, text: str) -> Fleet:
    """Write a fleet file and read it."""
    file = folder / "fleet.yaml"
    file.write_text(text)
    return INVENTORIES["file"]()(file)
