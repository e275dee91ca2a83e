"""The deployments of prefect.yaml: those that come from no window.

To give a flow one, add a block there; each of its schedules needs a slug of its own.
"""

from collections.abc import Iterator
from pathlib import Path

from prefect.client.schemas.schedules import CronSchedule
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from deployments.forms import STANDING_TAG, Form

FILE = Path(__file__).resolve().parent.parent / "prefect.yaml"


class _Cron(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slug: str
    cron: str
    timezone: str = "UTC"


class _Deployment(BaseModel):
    """What is read of a block; Prefect's own command reads the rest of it."""

    name: str
    entrypoint: str
    description: str
    tags: list[str] = []
    schedules: list[_Cron] = []
    parameters: dict[str, str | bool] = {}
    concurrency_limit: object = None


class _File(BaseModel):
    deployments: list[_Deployment]


def standing_forms(site: str, file: Path = FILE) -> Iterator[Form]:
    """Yield the deployments of the file, for the Site block of this name, in its order."""
    for block in _File.model_validate(YAML(typ="safe").load(file)).deployments:
        yield Form(
            entrypoint=block.entrypoint,
            name=block.name,
            parameters={**block.parameters, "site": site},
            tags=(*block.tags, STANDING_TAG),
            description=block.description,
            schedules={
                each.slug: CronSchedule(cron=each.cron, timezone=each.timezone)
                for each in block.schedules
            },
            one_at_a_time=block.concurrency_limit is not None,
        )
