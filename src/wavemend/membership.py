"""Which groups a host is in, asked host by host: no host is compared with every group."""

from collections.abc import Iterable, Mapping

from wavemend.fleet import Group
from wavemend.selectors import Operator, Selector


class GroupIndex:
    """Groups, found by host name or by a label their selector asks for."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._listed: dict[str, list[Group]] = {}
        self._asking: dict[tuple[str, str], list[Group]] = {}
        self._others: list[Group] = []
        for group in groups:
            for name in group.hosts:
                self._listed.setdefault(name, []).append(group)
            if group.select is None:
                continue
            labels = _needed(group.select)
            for label in labels:
                self._asking.setdefault(label, []).append(group)
            if not labels:
                self._others.append(group)

    def of(self, name: str, tenant: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of a host's groups, sorted."""
        found = {group.name for group in self._listed.get(name, ()) if group.tenant in {"", tenant}}
        asking = (group for label in labels.items() for group in self._asking.get(label, ()))
        for group in (*asking, *self._others):
            fits = group.select is not None and group.select.matches(labels)
            if fits and group.tenant in {"", tenant}:
                found.add(group.name)
        return tuple(sorted(found))


def _needed(select: Selector) -> tuple[tuple[str, str], ...]:
    """Return labels of which every matching host has one; none where no condition asks for any."""
    for requirement in select.requirements:
        if requirement.operator in {Operator.IN, Operator.EQUALS}:
            return tuple((requirement.key, value) for value in requirement.values)
    return ()
