"""From the sections of the rehearsal to a Transaction. Pure."""

import re
from collections.abc import Mapping, Sequence

from wavemend.managers.pacman.pending import bonds_of, read_upgradable
from wavemend.managers.pacman.records import Record, Records, conflicts, read_records
from wavemend.managers.pacman.wording import explain_exit
from wavemend.managers.reading.sections import Section
from wavemend.packages import Target, Transaction

_PLAN = re.compile(
    r"step (?P<name>\S+) (?P<version>\S+) (?P<bytes>[0-9]{1,15}) "
    r"\S*-(?P<arch>[a-z0-9_]+)\.pkg\.tar(?:\.[a-z0-9]+)?"
)


def read_rehearsal(targets: Sequence[Target], sections: Mapping[str, Section]) -> Transaction:
    """Return what pacman would do for exactly these targets, or why it is refused.

    `pacman --print` says what would come, and looks at no conflict: that is done here.
    """
    plan = sections["plan"]
    rows = [(line, _PLAN.fullmatch(line)) for line in plan.lines if line.startswith("step ")]
    steps = [found for _, found in rows if found]
    unread = [line for line, found in rows if not found]
    installs = tuple(
        sorted(
            Target(name=step["name"], arch=step["arch"], version=step["version"]) for step in steps
        )
    )
    installed = read_records(sections["installed"])
    offered = read_records(sections["offered"]).by_name() if "offered" in sections else {}
    refusal = _not_possible(sections, unread, installed)
    refusal = refusal or _partial(targets, installed.by_name(), offered, sections)
    staying = [record for record in installed.packages if record.name not in {*_names(installs)}]
    arriving = [offered[target.name] for target in installs if target.name in offered]
    removals = {name for record in arriving for name in conflicts(record, staying)}
    if removals and not refusal:
        refusal = f"it conflicts with installed packages: {', '.join(sorted(removals))}"
    return Transaction(
        installs=() if refusal else installs,
        removals=tuple(sorted(removals)),
        refusal=refusal,
        download_bytes=sum(int(step["bytes"]) for step in steps) if steps else None,
        install_bytes=_growth(installs, installed.by_name(), offered),
    )


def _names(targets: Sequence[Target]) -> set[str]:
    return {target.name for target in targets}


def _not_possible(
    sections: Mapping[str, Section], unread: Sequence[str], installed: Records
) -> str:
    plan, absent = sections["plan"], sections["absent"].lines
    if absent:
        return f"not in a repository and not in the cache: {', '.join(absent)}"
    if plan.status != 0:
        said = [
            line[:300] for line in (*plan.errors, *plan.lines) if line.startswith(("err", "::"))
        ]
        return f"{explain_exit(plan.status)}: {'; '.join(said[:10]) or 'without a word'}"
    if sections["copy"].status != 0 or installed.status != 0:
        return f"its databases cannot be read: {'; '.join(sections['copy'].errors[-3:])}"
    return f"its answer could not be read: {unread[0]!r}" if unread else ""


def _partial(
    targets: Sequence[Target],
    installed: Mapping[str, Record],
    offered: Mapping[str, Record],
    sections: Mapping[str, Section],
) -> str:
    """Say which update belongs to a chosen one and was left out; empty when none does."""
    newer, _ = read_upgradable(sections["upgradable"])
    bound = bonds_of(newer, installed, offered)
    # A target that goes back to an older version binds nobody.
    chosen = {target.name for target in targets}.intersection(
        row.name for row in newer if (row.name, row.new) in {(t.name, t.version) for t in targets}
    )
    words = [
        f"{name} needs the new {bound.barred[name]}, which is on hold"
        for name in sorted(chosen & bound.barred.keys())
    ]
    for name in sorted(chosen & bound.groups.keys()):
        words += [f"{name} goes with {other}" for other in sorted(bound.groups[name] - chosen)]
    if not words:
        return ""
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return f"a partial upgrade, which Arch does not support: {', '.join(words[:5])}{more}"


def _growth(
    installs: Sequence[Target], installed: Mapping[str, Record], offered: Mapping[str, Record]
) -> int | None:
    """Return how much more the packages take afterwards; None where pacman does not say."""
    growth = 0
    for target in installs:
        fresh, old = offered.get(target.name), installed.get(target.name)
        if fresh is None or fresh.size is None or fresh.version != target.version:
            return None
        growth += fresh.size - (old.size or 0 if old else 0)
    return growth
