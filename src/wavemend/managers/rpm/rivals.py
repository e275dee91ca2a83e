"""Other updaters of a host with RPM, from what `software.sh` found of them. Pure."""

from collections.abc import Sequence

_ONLY_IF_TOLD = ("dnf-automatic.timer", "dnf5-automatic.timer", "yum-cron.service")
"""They download or notify only, unless their configuration says `apply_updates = yes`."""


def rivals(lines: Sequence[str]) -> tuple[str, ...]:
    """Return what else may change the host's packages, sorted, without repeats."""
    applies = any(line.lower() in {"applies yes", "applies true", "applies 1"} for line in lines)
    found = set()
    for line in lines:
        kind, _, what = line.partition(" ")
        if kind == "running" or (kind == "enabled" and (applies or what not in _ONLY_IF_TOLD)):
            found.add(what)
    return tuple(sorted(found))
