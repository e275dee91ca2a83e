"""Hosts that vanish together: one cause, and no reason to try the next one. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from wavemend.rollout import AttemptView

LOST_TOGETHER = 3
LOST_WITHIN = timedelta(seconds=60)
"""Hosts that vanish independently do not do so three in a minute: it is the bastion, the network
or the update itself, and the next host would be the fourth."""


def common_cause(attempts: Mapping[str, AttemptView]) -> str:
    """Name the hosts that were lost together, within a minute; empty when there are not three.

    A lost host counts when its job runs, and when it ended unreachable: before its start too.
    """
    lost = sorted((view.lost_at, name) for name, view in attempts.items() if view.lost_at)
    for (first, _), (last, _) in zip(lost, lost[LOST_TOGETHER - 1 :], strict=False):
        if last - first <= LOST_WITHIN:
            names = [name for at, name in lost if first <= at <= first + LOST_WITHIN]
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            return f"common cause: lost within a minute: {', '.join(sorted(names)[:10])}{more}"
    return ""
