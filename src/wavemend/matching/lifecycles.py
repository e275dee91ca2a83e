"""Ends of life: a release or package that gets no fixes any more, or soon, is a finding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from wavemend.advisories import AdvisoryStatus, Lifecycle, UpdateClass
from wavemend.findings import Because, Finding
from wavemend.hosts import Facts, InstalledPackage
from wavemend.knowledge import Intelligence
from wavemend.versions import Scheme, key_of

SOON = timedelta(days=90)
"""How long before its end a release or package is a finding: time to plan an upgrade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """A release, or a source package in it, whose life cycle is known."""

    package: str
    """Source package; empty: the whole release."""
    installed: str
    """Version of the release or of the package."""
    binaries: tuple[str, ...] = ()


class Ends:
    """Finds the ends of life of hosts by one state of the feeds."""

    def __init__(self, intelligence: Intelligence) -> None:
        """Note of which packages a life cycle is known; there are few."""
        self._intelligence = intelligence
        self._packages: dict[str, set[str]] = {}
        for release, package in intelligence.lifecycles:
            self._packages.setdefault(release, set()).add(package)

    def of(
        self,
        facts: Facts,
        installed: Iterable[InstalledPackage],
        scheme: Scheme | None,
        today: date,
    ) -> list[Finding]:
        """Return the ends of a host's release and of the source packages on it.

        As findings without id, tenant and host: first the release, then by package. `scheme`
        tells the oldest build of a source; None: it is not known how the versions compare.
        """
        keys = [key for key in facts.release_keys if key in self._packages]
        known = {name for key in keys for name in self._packages[key]} - {""}
        aged = [Aged(package="", installed=facts.os_version or facts.codename)]
        builds: dict[str, list[InstalledPackage]] = {}
        for package in installed if known else ():
            source = package.source or package.name
            if source in known:
                builds.setdefault(source, []).append(package)
        aged += [_aged(source, builds[source], scheme) for source in sorted(builds)]
        found = (end_of_life(item, self._lifecycles(keys, item.package), today) for item in aged)
        return [finding for finding in found if finding is not None]

    def _lifecycles(self, keys: Iterable[str], package: str) -> list[Lifecycle]:
        return [item for key in keys for item in self._intelligence.lifecycles_for(key, package)]


def _aged(source: str, builds: Sequence[InstalledPackage], scheme: Scheme | None) -> Aged:
    versions = [item.source_version or item.version for item in builds]
    return Aged(
        package=source,
        installed=_oldest(versions, scheme),
        binaries=tuple(sorted({item.name for item in builds})),
    )


def _oldest(versions: Sequence[str], scheme: Scheme | None) -> str:
    if scheme is not None:
        try:
            return min(versions, key=lambda version: key_of(scheme, version))
        except ValueError:
            pass  # shown, not compared: the end of life holds for every version
    return min(versions)


def end_of_life(aged: Aged, lifecycles: Sequence[Lifecycle], today: date) -> Finding | None:
    """Return the finding, without id, tenant and host, or None while fixes still come. Pure.

    Where feeds differ the earliest end governs.
    """
    ranked = sorted(
        ((_state(item, today), item) for item in lifecycles),
        key=lambda pair: (pair[0], pair[1].ends or date.max, pair[1].feed, pair[1].release),
    )
    if not ranked or ranked[0][0] == _FINE:
        return None
    state, lifecycle = ranked[0]
    paid = lifecycle.paid_ends or max(
        (item.paid_ends for item in lifecycles if item.paid_ends), default=None
    )
    subject = f"{aged.package}:" if aged.package else ""
    name = ":".join(part for part in ("eol", lifecycle.release, aged.package) if part)
    return Finding(
        id="",
        tenant="",
        host="",
        cve="",
        package=aged.package or lifecycle.release,
        binaries=aged.binaries,
        installed=aged.installed,
        fixed=None,
        fix_pending=False,
        because=Because(
            feed=lifecycle.feed,
            document=lifecycle.document,
            compared=_compared(subject, aged, lifecycle, state),
        ),
        advisory=name,
        update_class=UpdateClass.END_OF_LIFE,
        status=AdvisoryStatus.WILL_NOT_FIX if state == _ENDED else AdvisoryStatus.UNFIXED,
        ends=lifecycle.ends,
        note=_note(lifecycle, state, paid, today),
    )


_ENDED, _SOON, _LIMITED, _FINE = range(4)


def _state(lifecycle: Lifecycle, today: date) -> int:
    ends = lifecycle.ends
    if lifecycle.ended or (ends is not None and ends < today):
        return _ENDED
    if ends is not None and ends - today <= SOON:
        return _SOON
    return _LIMITED if lifecycle.limited else _FINE


def _compared(subject: str, aged: Aged, lifecycle: Lifecycle, state: int) -> str:
    """Name no number of days: what is written today must not read differently tomorrow."""
    where = (
        f"{aged.package} {aged.installed} in {lifecycle.release}"
        if subject
        else (f"{lifecycle.release} ({aged.installed})")
    )
    if state == _LIMITED:
        return f"{where}: fixes come for some uses only"
    if lifecycle.ends is None:
        return f"{where}: free fixes have ended"
    return f"{where}: free fixes {'ended' if state == _ENDED else 'end'} on {lifecycle.ends}"


def _note(lifecycle: Lifecycle, state: int, paid: date | None, today: date) -> str:
    said = [lifecycle.note] if lifecycle.note else []
    if state == _SOON:
        said.append(f"Ends within {SOON.days} days.")
    if lifecycle.limited and state != _LIMITED:
        said.append("Until then fixes come for some uses only.")
    if paid is not None:
        word = "ended" if paid < today else "end"
        said.append(f"Fixes for paying machines {word} on {paid}.")
    return " ".join(said)
