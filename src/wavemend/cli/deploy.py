"""`wavemend deploy`: Prefect's deployments and schedules, as the fleet in force has them."""

import os
from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here, prefect_here
from wavemend.cli.stack import (
    checkout_environment,
    checkout_here,
    environment_of,
    noted_port,
    register_deployments,
    schedules_word,
)
from wavemend.ledger.intake import current_fleet


def deploy(
    *,
    schedules: Annotated[
        bool | None,
        Parameter(
            help="Let Prefect start rollouts by itself, when windows open and for what is "
            "exploited, or not; without it, as it is."
        ),
    ] = None,
) -> int:
    """Bring Prefect's deployments and schedules to what the fleet in force and prefect.yaml say.

    Every opening of the next twelve months is handed over; nothing is touched that is as it should
    be, what the fleet no longer has is removed, and a schedule that an operator switched off stays
    off. `wavemend up` does it too.
    """
    site, checkout = here(), checkout_here()
    with ledger_here().reading() as book:
        current_fleet(book)
    if os.environ.get("PREFECT_API_URL"):
        environment = checkout_environment(site, checkout)
    else:
        prefect_here()  # says what to do where no server is known
        environment = environment_of(site, checkout, noted_port(site))
    register_deployments(environment, checkout, schedules_word(schedules))
    return 0
