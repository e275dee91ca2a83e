"""Whether the waves of a profile make sense: order, sizes, and that nobody is left over."""

from collections.abc import Iterable, Iterator

from wavemend.inventory.forms import Forms
from wavemend.inventory.problems import Place, Problem
from wavemend.inventory.profile_schema import ProfileForm, WaveForm

_ORDER = ("pilot", "broad", "critical")


def check_waves(forms: Forms) -> Iterator[Problem]:
    """Yield what is wrong with the waves of every profile."""
    for number, profile in forms.profiles.items():
        place = ("profiles", number, "waves")
        yield from _names(forms, place, profile)
        yield from _order(forms, place, profile)
        yield from _rest(forms, place, profile)
        for at, wave in enumerate(profile.waves):
            yield from _one(forms, (*place, at), wave)


def _names(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, wave in enumerate(profile.waves):
        if wave.name in seen:
            yield forms.problem((*place, at, "name"), f'"{wave.name}" names an earlier wave too')
        elif wave.name == "critical" and wave.kind != "critical":
            what = '"critical" is the name of the critical wave; choose another'
            yield forms.problem((*place, at, "name"), what)
        seen.add(wave.name)


def _order(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    kinds = [wave.kind for wave in profile.waves]
    for at in range(1, len(kinds)):
        before, kind = kinds[at - 1], kinds[at]
        if _ORDER.index(kind) < _ORDER.index(before):
            what = f"{_a(kind)} wave after {_a(before)} wave; the order is pilot, broad, critical"
            yield forms.problem((*place, at, "kind"), what)
        elif before == kind == "critical":
            what = "a second critical wave; put all critical hosts into one"
            yield forms.problem((*place, at, "kind"), what)


def _a(kind: str) -> str:
    return f"a {kind}"


def _rest(forms: Forms, place: Place, profile: ProfileForm) -> Iterator[Problem]:
    broad = [at for at, wave in enumerate(profile.waves) if wave.kind == "broad"]
    if not broad:
        what = "no broad wave; add one after the pilots that takes the rest"
        yield forms.problem(place, what)
        return
    last = profile.waves[broad[-1]]
    if not _takes_rest(last):
        key = "select" if last.select else "size"
        what = 'the last broad wave must take the rest; write "100%" for size, or neither key'
        yield forms.problem((*place, broad[-1], key), what)
    for at, wave in enumerate(profile.waves[: broad[-1]]):
        if wave.kind != "critical" and _takes_rest(wave):
            what = f"takes every host, so nothing is left for {last.name}; give select or size"
            yield forms.problem((*place, at), what)


def _takes_rest(wave: WaveForm) -> bool:
    return wave.select is None and (wave.size is None or wave.size.takes_all)


def _one(forms: Forms, place: Place, wave: WaveForm) -> Iterator[Problem]:
    chosen = [key for key, value in (("select", wave.select), ("size", wave.size)) if value]
    if wave.kind == "critical":
        for key in chosen:
            what = "the critical wave takes all critical hosts; take this key out"
            yield forms.problem((*place, key), what)
    elif len(chosen) == 2:
        what = "a wave takes what select matches or as many as size says; take one of them out"
        yield forms.problem((*place, "size"), what)
    if wave.size and not wave.size.percent and wave.size.value < wave.gate.min_observed:
        what = (
            f"{wave.gate.min_observed} can never be observed in a wave of {wave.size}; "
            "the gate would stay shut for ever"
        )
        yield forms.problem((*place, "gate", "min_observed"), what)


def empty_waves(
    forms: Forms, labels_of: Iterable[tuple[str, bool, dict[str, str]]]
) -> Iterator[Problem]:
    """Yield the selectors of waves that match no host.

    `labels_of` holds each host's profile, whether it is critical, and its labels.
    """
    for number, profile in forms.profiles.items():
        mine = [(critical, labels) for name, critical, labels in labels_of if name == profile.name]
        for at, wave in enumerate(profile.waves):
            select = wave.select
            if select is None or not mine:
                continue
            if not any(select.matches(labels) for critical, labels in mine if not critical):
                what = (
                    f'"{select}" matches none of the {len(mine)} hosts of {profile.name} '
                    "(critical ones go to the critical wave); correct it or label a host"
                )
                yield forms.problem(("profiles", number, "waves", at, "select"), what)
