"""Played Windows hosts in a process of their own, which remember what was done to them.

`python -m tests.windows_host.serve FOLDER NAME=SCENARIO …` writes `FOLDER/hosts.json` once all of
them can be connected to, keeps each host's state in `FOLDER/NAME/state.json`, and ends with its
stdin. A host whose state is there already goes on from it. They show this machine's time; their
work goes `PACE` times as fast.
"""

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.windows_host.state import HostState, load, scenario
from tests.windows_host.world import World, host_at, login_for, winhost
from wavemend.hosts import Host
from wavemend.transport import Login

PACE = 60.0


def serve(folder: Path, hosts: Mapping[str, str], *, pace: float = PACE) -> None:
    """Play hosts (scenario by name) until stdin ends."""
    with contextlib.ExitStack() as stack:
        worlds = [
            stack.enter_context(
                winhost(
                    _state(folder / name, played),
                    name=name,
                    pace=pace,
                    folder=folder / name,
                    cbt="strict",
                )
            )
            for name, played in sorted(hosts.items())
        ]
        _announce(folder, worlds)
        sys.stdin.read()


def _state(folder: Path, played: str) -> HostState:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "state.json"
    state = load(kept) if kept.exists() else scenario(played)
    state.clock = None
    return state


def _announce(folder: Path, worlds: Sequence[World]) -> None:
    told = {world.host.name: {"port": world.peer.port, "ca": world.peer.ca_pem} for world in worlds}
    beside = folder / "hosts.new"
    beside.write_text(json.dumps(told, indent=1))
    beside.replace(folder / "hosts.json")


def announced(folder: Path) -> tuple[tuple[Host, Login], ...]:
    """Return the hosts that another process plays, by name; none while it is not ready."""
    file = folder / "hosts.json"
    told = json.loads(file.read_text()) if file.exists() else {}
    return tuple(
        (host_at(name, port=item["port"]), login_for(ca=item["ca"]))
        for name, item in sorted(told.items())
    )


if __name__ == "__main__":
    serve(Path(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:]))
