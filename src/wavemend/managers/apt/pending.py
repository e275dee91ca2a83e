"""Which updates are pending, and why some of them would not come with a plain upgrade. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wavemend.hosts import PendingUpdate, is_turned
from wavemend.managers.apt.bonds import Key, bound
from wavemend.managers.apt.parse import (
    PolicyTable,
    Simulation,
    Step,
    read_companions,
    read_policy,
    read_simulation,
    read_upgradable,
    says_security,
)
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.packages import Target
from wavemend.versions import deb_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offers:
    """The answers that are laid over each other."""

    plain: Mapping[Key, Step]
    """What comes without adding or removing packages."""
    phased: frozenset[Key]
    """What the distribution has not released to this host yet."""
    held: frozenset[Key]
    companions: Mapping[str, Simulation]
    policy: Mapping[str, PolicyTable]
    bound: Mapping[Key, frozenset[Key]]
    """Which of the plain ones need each other."""


def pending_updates(
    sections: Mapping[str, Section], held: frozenset[Key], withheld: Sequence[PendingUpdate]
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    """Return the updates of installed packages, sorted, and the lines that could not be read.

    Five answers are laid over each other. `upgrade` is what comes without adding or removing
    packages; `full-upgrade` what comes at all; `phasing-ignored` minus that is phased; with holds
    ignored too, `everything` names what is held; `upgradable` has what no upgrade can take. To
    them comes what apt would not take at all, `withheld`. New packages are no updates of this
    host: those that an update needs are named with it.
    """
    plain, full, unphased, everything = (
        read_simulation(lines_of(sections, name)).installs()
        for name in ("upgrade", "full-upgrade", "phasing-ignored", "everything")
    )
    listed = read_upgradable(lines_of(sections, "upgradable"))
    offers = _Offers(
        plain=plain,
        phased=frozenset(unphased) - set(full) - set(plain),
        held=held,
        companions=read_companions(lines_of(sections, "companions")),
        policy=read_policy(lines_of(sections, "policy")),
        bound=bound(lines_of(sections, "bonds"), plain),
    )
    steps = {**everything, **unphased, **full, **plain}
    steps = {**_only_listed(listed, steps), **steps}
    found = {
        key: _update(key, step, offers) for key, step in sorted(steps.items()) if step.installed
    }
    for update in withheld:
        found.setdefault((update.name, update.arch), update)
    unread = [*listed.unread]
    for word, simulation in offers.companions.items():
        unread += [f"simulated {word}: {line}" for line in simulation.unread]
    return tuple(found[key] for key in sorted(found)), tuple(unread)


def _only_listed(listed: Simulation, simulated: Mapping[Key, Step]) -> Mapping[Key, Step]:
    """Return what is in no simulation.

    A list names the architecture that is installed, a simulation the one that comes.
    """
    coming: dict[tuple[str, str], set[str]] = {}
    for step in simulated.values():
        coming.setdefault((step.name, step.candidate), set()).add(step.arch)
    return {
        key: step
        for key, step in listed.installs().items()
        if not any(
            is_turned(arch, step.arch) for arch in coming.get((step.name, step.candidate), ())
        )
    }


def _update(key: Key, step: Step, offers: _Offers) -> PendingUpdate:
    is_held = key in offers.held or any(
        name == step.name and is_turned(arch, step.arch) for name, arch in offers.held
    )
    is_phased = key in offers.phased and not is_held
    kept_back = key not in offers.plain and not is_held and not is_phased
    alone = _alone(step, offers.companions) if kept_back else Simulation()
    return PendingUpdate(
        name=step.name,
        arch=step.arch,
        installed=step.installed,
        candidate=step.candidate,
        origin=step.origin,
        security=says_security(step.origin) or _skips_security(step, offers.policy),
        held=is_held,
        phased=is_phased,
        kept_back=kept_back,
        withheld=_backwards(step),
        brings=tuple(
            sorted(
                Target(name=other.name, arch=other.arch, version=other.candidate)
                for other in _beside(key, alone, offers)
            )
        ),
        removes=tuple(sorted(other.name for other in alone.steps if other.removes)),
    )


def _beside(key: Key, alone: Simulation, offers: _Offers) -> Iterator[Step]:
    """Yield what comes in with an update: nothing else may bring it there."""
    yield from (other for other_key, other in alone.installs().items() if other_key != key)
    yield from (offers.plain[other] for other in offers.bound.get(key, ()))


def _alone(step: Step, companions: Mapping[str, Simulation]) -> Simulation:
    """Return what would be done for this update alone, or nothing when it cannot come alone."""
    for called in (step.name, f"{step.name}:{step.arch}"):
        simulation = companions.get(f"{called}={step.candidate}")
        if simulation is not None and not simulation.unread:
            return simulation
    return Simulation()


def _backwards(step: Step) -> str:
    try:
        older = deb_key(step.candidate) < deb_key(step.installed)
    except ValueError:
        return ""
    return f"the host's preferences ask for the older {step.candidate}" if older else ""


def _skips_security(step: Step, policy: Mapping[str, PolicyTable]) -> bool:
    """True when the candidate passes over a security version: its fixes come with it.

    Ubuntu's `-updates` often holds a newer version than `-security`, and only that one is offered.
    """
    table = policy.get(step.name) or policy.get(f"{step.name}:{step.arch}")
    try:
        return table is not None and any(
            row.security
            and deb_key(step.installed)
            < deb_key(row.version)
            # What is passed over lies between: the candidate's own row says the same of itself.
            <= deb_key(step.candidate)
            for row in table.rows
        )
    except ValueError:
        return False
