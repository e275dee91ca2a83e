"""Reading what a run published in Prefect."""

import json
from dataclasses import dataclass
from typing import Any

from tests.world.world import World


@dataclass(frozen=True, slots=True)
class Shown:
    """One artifact."""

    key: str
    data: Any

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        rows: list[dict[str, Any]] = json.loads(self.data)
        return rows


def by_key(world: World, run: str) -> dict[str, Shown]:
    """Return a run's artifacts, by key; of a key that was written again, the newest."""
    body = {"artifacts": {"flow_run_id": {"any_": [run]}}, "sort": "CREATED_DESC", "limit": 200}
    found: dict[str, Shown] = {}
    for each in world.api.post("/artifacts/filter", body):
        found.setdefault(each["key"], Shown(each["key"], each["data"]))
    return found
