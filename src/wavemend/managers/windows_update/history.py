"""What the agent's own history proves, and what it only claims. Pure.

History says that an installation succeeded when it ended, and goes on saying so when the next boot
rolls it back. Only a search that does not offer the update again makes that a fact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from wavemend.hosts import InstalledPackage
from wavemend.managers.windows_update.answers import Offered, Past, Search
from wavemend.managers.windows_update.naming import REPLACED, update_name, version_of

Key: TypeAlias = tuple[str, int]
"""Id and revision of an update."""

LOOPS = 2
"""So often an update may have succeeded and been offered again before it is left alone: the second
time is the one retry after a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the history says, beside what is offered now."""

    successes: Mapping[Key, tuple[Past, ...]]
    """By update, oldest first; those before a removal are not among them."""
    booted_at: str
    """UTC, in the form of the history's dates."""
    restart_due: bool

    def waits_for_restart(self, update: Offered) -> bool:
        """Installed in this boot, and the search goes on offering it until the next one."""
        found = self._of(update)
        return self.restart_due and bool(found) and found[-1].date >= self.booted_at

    def loops(self, update: Offered) -> tuple[str, ...]:
        """Return when it succeeded and was rolled back: a boot later it is offered again."""
        if self.waits_for_restart(update):
            return ()
        return tuple(past.date for past in self._of(update) if past.date < self.booted_at)

    def _of(self, update: Offered) -> tuple[Past, ...]:
        return self.successes.get((update.update_id, update.revision), ())


def read_history(past: Sequence[Past], *, booted_at: str, restart_due: bool) -> History:
    """Return the successes of a history that nothing took back."""
    removed: dict[str, str] = {}
    for entry in past:
        if entry.removes and entry.succeeded:
            removed[entry.update_id] = max(entry.date, removed.get(entry.update_id, ""))
    found: dict[Key, tuple[Past, ...]] = {}
    for entry in sorted(past, key=lambda each: each.date):
        is_there = entry.date > removed.get(entry.update_id, "")
        if entry.succeeded and not entry.removes and is_there:
            key = entry.update_id, entry.revision
            found[key] = (*found.get(key, ()), entry)
    return History(successes=found, booted_at=booted_at, restart_due=restart_due)


def installed_updates(search: Search, history: History) -> tuple[InstalledPackage, ...]:
    """Return the updates that are installed: history says so, and they are not offered again.

    None when the search was not whole: nobody can say then what is offered.
    """
    if not search.is_whole:
        return ()
    offered = {update.update_id: update for update in search.offered}
    newest: dict[str, Past] = {}
    for entry in sorted(
        (entries[-1] for entries in history.successes.values()), key=lambda each: each.date
    ):
        update = offered.get(entry.update_id)
        if update is None or history.waits_for_restart(update):
            name = _name(entry)
            newest[name if name in REPLACED else entry.update_id] = entry
    return tuple(_installed(entry) for _, entry in sorted(newest.items()))


def _name(entry: Past) -> str:
    return update_name((entry.kb,) if entry.kb else (), entry.title, entry.update_id)


def _installed(entry: Past) -> InstalledPackage:
    return InstalledPackage(
        name=_name(entry),
        version=version_of(entry.revision),
        arch=entry.update_id,
        source="",
        source_version="",
    )
