"""What the host would take of exactly these targets now, as its own searches say it. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from wavemend.managers.windows_update.answers import ChocolateyList, Offered, Search
from wavemend.managers.windows_update.facts import search_errors
from wavemend.managers.windows_update.naming import kinds_of, update_name, version_of
from wavemend.managers.windows_update.targets import Sorted
from wavemend.packages import Target, Transaction

_NAMED = 5
"""Reasons that are named in a refusal."""


def transaction_of(
    wanted: Sorted, found: Search, packages: ChocolateyList, kinds: Sequence[str]
) -> Transaction:
    """Return the transaction, or why it would not be this one.

    No sizes: what the agent gives as the size of an update is that of all its parts together.
    """
    troubles = [*_updates(wanted.updates, found, kinds), *_packages(wanted.packages, packages)]
    more = f"; and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
    installs = () if troubles else tuple(sorted((*wanted.updates, *wanted.packages)))
    return Transaction(
        installs=installs, removals=(), refusal=f"{'; '.join(troubles[:_NAMED])}{more}"
    )


def _updates(targets: Sequence[Target], found: Search, kinds: Sequence[str]) -> Iterator[str]:
    if not targets:
        return
    if errors := search_errors(found):
        yield f"what is offered cannot be said: {errors[0]}"
        return
    offered = {update.update_id: update for update in found.offered}
    newer = {older: update for update in found.offered for older in update.supersedes}
    for target in targets:
        if reason := _refused(target, offered, newer, kinds):
            yield f"{target.name}: {reason}"


def _refused(
    target: Target,
    offered: Mapping[str, Offered],
    newer: Mapping[str, Offered],
    kinds: Sequence[str],
) -> str:
    update, instead = offered.get(target.arch), newer.get(target.arch)
    if update is None and instead is not None:
        name = update_name(instead.kbs, instead.title, instead.update_id)
        return f"not offered any more, superseded by {name}"
    if update is None:
        return "not offered any more: superseded, withdrawn, or no longer approved"
    if version_of(update.revision) != target.version:
        return f"offered as {version_of(update.revision)}, planned was {target.version}"
    if update.can_request_input:
        return "it may ask somebody something while it is installed"
    if missing := [kind for kind in kinds_of(update) if kind not in kinds]:
        return f"{' and '.join(missing)} are not among the profile's update_kinds"
    return ""


def _packages(targets: Sequence[Target], packages: ChocolateyList) -> Iterator[str]:
    if targets and packages.troubles:
        yield packages.troubles[0]
        return
    outdated = {row.name.lower(): row for row in packages.outdated}
    for target in targets:
        row = outdated.get(target.name.lower())
        if row is None:
            yield f"{target.name}: Chocolatey offers nothing newer"
        elif row.available != target.version:
            yield f"{target.name}: offered is {row.available}, planned was {target.version}"
        elif row.pinned:
            yield f"{target.name}: pinned on the host"
