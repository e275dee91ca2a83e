"""Which updates are pending, and why some of them would not come with a plain update. Pure."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase

from wavemend.hosts import PendingUpdate
from wavemend.managers.reading.sections import Section
from wavemend.managers.rpm.installed import Database
from wavemend.managers.zypper.answers import (
    Answer,
    Listed,
    Patch,
    Summary,
    read_answer,
    read_patches,
    read_summary,
    read_updates,
)
from wavemend.packages import Target
from wavemend.versions import rpm_key


def pending_updates(
    sections: Mapping[str, Section], database: Database
) -> tuple[PendingUpdate, ...]:
    """Lay the answers over each other.

    `updates` is what a plain update takes, `updates-all` also what is locked, of another vendor or
    cannot be resolved. What `alone <package>` shows to bring or remove others is kept back.
    """
    plain = {row.package for row in read_updates(read_answer(sections.get("updates")))}
    everything = read_updates(read_answer(sections.get("updates-all")))
    patches = read_patches(read_answer(sections.get("patches")), sections.get("patch-infos"))
    locks = _locks(read_answer(sections.get("locks")))
    update = read_summary(read_answer(sections.get("update")))
    by_name: dict[str, list[tuple[Patch, Target]]] = {}
    for patch in patches:
        for below in patch.below:
            by_name.setdefault(below.name, []).append((patch, below))
    found = [
        _update(
            row,
            database,
            by_name.get(row.package.name, ()),
            held=any(fnmatchcase(row.package.name, lock) for lock in locks),
            plain=row.package in plain,
            alone=sections.get(f"alone {word_of(row.package)}"),
        )
        for row in everything
    ]
    accounted = {target.name for offer in found for target in offer.brings}
    found += _successors(update, accounted | {offer.name for offer in found} | database.names)
    return tuple(sorted(found, key=lambda update: (update.name, update.arch)))


def word_of(target: Target) -> str:
    """Return how zypper names exactly one build."""
    return f"{target.name}.{target.arch}={target.version}"


def _update(
    row: Listed,
    database: Database,
    patches: Sequence[tuple[Patch, Target]],
    *,
    held: bool,
    plain: bool,
    alone: Section | None,
) -> PendingUpdate:
    package = row.package
    answer = read_answer(alone)
    summary = read_summary(answer)
    installed = database.replaced_by(package)
    fixes = [patch for patch, below in patches if _on_the_way(below, package, installed)]
    brings = tuple(sorted(set(summary.incoming) - {package}))
    is_held = held and not plain
    kept_back = not is_held and (not plain or bool(brings) or bool(summary.removed))
    withheld = f"it would {summary.unwanted}" if summary.unwanted else ""
    if alone and not summary.complete:
        withheld = f"it cannot be resolved: {answer.words[:200]}"
    return PendingUpdate(
        name=package.name,
        arch=package.arch,
        installed=installed,
        candidate=package.version,
        origin=row.repository,
        security=any(patch.security for patch in fixes),
        held=is_held,
        kept_back=kept_back,
        withheld=withheld if kept_back else "",
        brings=brings,
        # What a lock would have to be lifted for is not asked any further.
        removes=() if is_held else summary.removed,
        cves=tuple(sorted({cve for patch in fixes for cve in patch.cves})),
        advisories=tuple(sorted({patch.name for patch in fixes})),
    )


def _successors(update: Summary, accounted: AbstractSet[str]) -> list[PendingUpdate]:
    """Return the new packages of a plain update that no update of an installed one asks for.

    They take the place of others. zypper does not say which of the removed packages is whose, so
    that all are named: such an update is never planned.
    """
    if not update.removed:
        return []
    return [
        PendingUpdate(
            name=target.name,
            arch=target.arch,
            installed="",
            candidate=target.version,
            origin="",
            kept_back=True,
            removes=update.removed,
        )
        for target in update.incoming
        if target.name not in accounted
    ]


def _on_the_way(below: Target, package: Target, installed: str) -> bool:
    """True when the update passes over the build that a patch asks for: its fix comes with it."""
    if below.arch not in {"", package.arch}:
        return False
    try:
        above = not installed or rpm_key(installed) < rpm_key(below.version)
        return above and rpm_key(below.version) <= rpm_key(package.version)
    except ValueError:
        return False


def _locks(answer: Answer) -> tuple[str, ...]:
    """Return the patterns of locked packages' names."""
    found = []
    for lock in answer.rows("locks", "lock"):
        kinds = [node.text or "" for node in lock.iterfind("type")]
        if not kinds or "package" in kinds:
            found += [node.text or "" for node in lock.iterfind("name")]
    return tuple(found)
