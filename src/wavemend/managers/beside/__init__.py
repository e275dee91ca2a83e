"""Sources beside the package manager: flatpak and snap, joined with it into one manager.

To add one: write `<name>.py` with a `Source` and its scripts, add a line to `SOURCES` and its name
to what profiles accept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from wavemend.errors import PlanError
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.managers import Manager
from wavemend.managers.beside.flatpak import FLATPAK
from wavemend.managers.beside.snap import SNAP
from wavemend.managers.beside.source import Source
from wavemend.managers.reading.judging import judge_targets
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, JobScript, Target, Transaction
from wavemend.transport import Transport

SOURCES: Mapping[str, Source] = MappingProxyType({"flatpak": FLATPAK, "snap": SNAP})

_SOURCE_SECONDS = 120.0
"""What a source gets of a look's deadline: its own round trip comes after the manager's."""


def beside(main: Manager, names: Sequence[str]) -> Manager:
    """Return a manager that also knows these sources. Raises PlanError for an unknown one."""
    if unknown := sorted(set(names) - SOURCES.keys()):
        known = ", ".join(sorted(SOURCES))
        raise PlanError(f"no source is called {unknown[0]!r}", hint=f"there are: {known}")
    return JoinedManager(main=main, sources=tuple(SOURCES[name] for name in sorted(names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedManager:
    """A package manager and its additional sources; implements `wavemend.managers.Manager`."""

    main: Manager
    sources: tuple[Source, ...]

    @property
    def reboot_argv(self) -> tuple[str, ...]:
        """The command that restarts the host."""
        return self.main.reboot_argv

    def read_facts(
        self, host: Host, transport: Transport, now: datetime, *, refresh: bool, deadline: float
    ) -> Facts:
        """Look at the host, in one round trip for the manager and one for each source."""
        share = min(_SOURCE_SECONDS, deadline / (1 + len(self.sources)))
        facts = self.main.read_facts(
            host,
            transport,
            now,
            refresh=refresh,
            deadline=deadline - share * len(self.sources),
        )
        for source in self.sources:
            seen = source.read(transport, host.name, refresh=refresh, deadline=share)
            facts = replace(
                facts,
                installed=_sorted((*facts.installed, *seen.installed)),
                pending=_sorted((*facts.pending, *seen.pending)),
                index_errors=(*facts.index_errors, *seen.index_errors),
                rivals=tuple(sorted((*facts.rivals, *seen.rivals))),
                repositories=(*facts.repositories, *seen.repositories),
            )
        return facts

    def rehearse(
        self, transport: Transport, targets: Sequence[Target], *, deadline: float
    ) -> Transaction:
        """Ask each part what it would do for its own of these targets. Changes nothing."""
        parts = [
            part.rehearse(transport, own, deadline=deadline) for part, own in self._split(targets)
        ]
        return Transaction(
            installs=tuple(sorted(target for part in parts for target in part.installs)),
            removals=tuple(sorted(name for part in parts for name in part.removals)),
            refusal="; ".join(part.refusal for part in parts if part.refusal),
            download_bytes=_sum(part.download_bytes for part in parts),
            install_bytes=_sum(part.install_bytes for part in parts),
        )

    def apply_script(self, targets: Sequence[Target]) -> JobScript:
        """Return one job that runs the parts' jobs one after the other. Pure."""
        return joined([part.apply_script(own) for part, own in self._split(targets)])

    def undo_script(self, targets: Sequence[Target]) -> JobScript:
        """Return one job that runs the parts' ways back one after the other. Pure."""
        return joined([part.undo_script(own) for part, own in self._split(targets)])

    def repair_script(self) -> JobScript:
        """Return the manager's own repair: the sources leave nothing half done."""
        return self.main.repair_script()

    def end_trouble(self, status: int | None) -> str:
        """Say why an exit status is no good end; empty when it is one. Pure.

        The joined job ends with the first part's status that is not 0.
        """
        return self.main.end_trouble(status)

    def judge(
        self, targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
    ) -> tuple[PackageResult, ...]:
        """Say per package what the second look shows. Pure."""
        results: list[PackageResult] = []
        for source in self.sources:
            own = [target for target in targets if _belongs(target, source)]
            results += judge_targets(own, before, after, end, log=source.log)
        results += self.main.judge(self._of_main(targets), before, after, end)
        return tuple(sorted(results, key=lambda result: (result.name, result.arch)))

    def _of_main(self, targets: Sequence[Target]) -> list[Target]:
        return [t for t in targets if not any(_belongs(t, source) for source in self.sources)]

    def _split(self, targets: Sequence[Target]) -> list[tuple[Manager | Source, list[Target]]]:
        """Return the parts that have something to do, the manager first."""
        parts: list[tuple[Manager | Source, list[Target]]] = [(self.main, self._of_main(targets))]
        parts += [(source, [t for t in targets if _belongs(t, source)]) for source in self.sources]
        if not targets:
            raise PlanError("no package is named", hint="an empty list of targets changes nothing")
        return [(part, own) for part, own in parts if own]


_Named = TypeVar("_Named", InstalledPackage, PendingUpdate)


def _sorted(items: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(items, key=lambda item: (item.name, item.arch)))


def _belongs(target: Target, source: Source) -> bool:
    return target.arch.startswith(f"{source.name}/")


def _sum(counts: Iterable[int | None]) -> int | None:
    """Add up sizes; None where one of the parts does not say."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def joined(jobs: Sequence[JobScript]) -> JobScript:
    """Return one job of several, each in a shell of its own; after a failure none follows.

    Its exit status is that of the first that failed. Only positions are written into the text.
    """
    if len(jobs) == 1:
        return jobs[0]
    texts, args = [], list[str]()
    for job in jobs:
        own = " ".join(f'"${{{len(args) + place}}}"' for place in range(1, len(job.args) + 1))
        good = " | ".join(map(str, (0, *job.also_good)))
        after = f"rc=$?\ncase $rc in {good}) ;; *) exit $rc ;; esac\n"
        texts.append(f"(\nset -- {own}\n{job.text}\n)\n{after}")
        args += job.args
    return JobScript(text="".join(texts), args=tuple(args))
