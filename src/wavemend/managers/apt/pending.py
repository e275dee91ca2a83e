"""Which updates are pending, and why some of them would not come with a plain upgrade. Pure."""

from collections.abc import Mapping

from wavemend.hosts import PendingUpdate
from wavemend.managers.apt.parse import (
    Section,
    Step,
    read_policy,
    read_simulation,
    read_upgradable,
    says_security,
)
from wavemend.versions import deb_key

Key = tuple[str, str]
"""Name and architecture of a package."""


def pending_updates(
    sections: Mapping[str, Section], held: frozenset[Key]
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    """Return the updates of installed packages, and the lines that could not be read.

    Five answers are laid over each other. `upgrade` is what comes without adding or removing
    packages; `full-upgrade` what comes at all; `phasing-ignored` minus that is phased; with holds
    ignored too, `everything` names what is held; `upgradable` has what no upgrade can take.
    Packages that would be new are not updates of this host: a rehearsal names them.
    """
    plain, full, unphased, everything = (
        _steps(sections, name)
        for name in ("upgrade", "full-upgrade", "phasing-ignored", "everything")
    )
    listed = read_upgradable(sections["upgradable"].lines if "upgradable" in sections else ())
    policy = read_policy(sections["policy"].lines if "policy" in sections else ())
    phased = set(unphased) - set(full) - set(plain)
    offered = {**listed.installs(), **everything, **unphased, **full, **plain}
    held_names = {name for name, _ in held}
    updates = []
    for key in sorted(offered):
        step = offered[key]
        if not step.installed:
            continue
        is_held = key in held or (step.arch == "all" and step.name in held_names)
        is_phased = key in phased and not is_held
        updates.append(
            PendingUpdate(
                name=step.name,
                arch=step.arch,
                installed=step.installed,
                candidate=step.candidate,
                origin=step.origin,
                security=says_security(step.origin) or _skips_security(step, policy),
                held=is_held,
                phased=is_phased,
                kept_back=key not in plain and not is_held and not is_phased,
            )
        )
    return tuple(updates), listed.unread


def _steps(sections: Mapping[str, Section], name: str) -> Mapping[Key, Step]:
    if name not in sections:
        return {}
    return read_simulation(sections[name].lines).installs()


def _skips_security(step: Step, policy: Mapping[str, tuple[tuple[str, bool], ...]]) -> bool:
    """True when the candidate passes over a security version: its fixes come with it.

    Ubuntu's `-updates` often holds a newer version than `-security`, and only that one is offered.
    """
    rows = policy.get(step.name) or policy.get(f"{step.name}:{step.arch}") or ()
    try:
        return any(
            secure and deb_key(step.installed) < deb_key(version) <= deb_key(step.candidate)
            for version, secure in rows
        )
    except ValueError:
        return False
