"""Hand Prefect the openings of the months to come, as the fleet in force has them."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.renewing import renew


@flow(
    name="renew-schedules",
    flow_run_name="renew schedules · {site}",
    description="Prefect holds every opening of the next twelve months as an instant. This hands "
    "it those of one more month when a month has begun, and what changed in the fleet since. "
    "Changes no host.",
)
def renew_schedules(site: str = "default") -> State:
    """Run `wavemend deploy` once more.

    Args:
        site: Name of the `Wavemend Site` block.
    """
    end = renew(site)
    if not end.ok:
        return Failed(name="NotRenewed", message=f"the deployments were not renewed: {end.trouble}")
    return Completed(message=end.output.strip()[-1000:])
