"""What was said of hosts in the detail of a step: one line each, `host: what is not as it was`."""

from collections.abc import Mapping

from wavemend.rollout_actions import PROBED


def by_host(detail: str) -> dict[str, str]:
    """Return what a step says of each host; hooks that failed have lines of the same form."""
    return {name: said for name, _, said in (line.partition(": ") for line in detail.splitlines())}


def unwell_before_gates(steps: Mapping[str, str]) -> dict[str, str]:
    """Return what the probes of hosts said that were not well any more before their gates."""
    unwell: dict[str, str] = {}
    for step, detail in steps.items():
        if step.startswith(PROBED):
            unwell |= by_host(detail)
    return unwell
