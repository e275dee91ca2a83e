"""What became of each package source when the index was renewed. Pure.

A source is named as apt names it, `<address> <release>`. What apt says of one decides: nothing
is believed about a source that it does not mention.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wavemend.hosts import Repository
from wavemend.managers.apt.parse import ageing_signatures, all_messages
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of

_ITEM = re.compile(
    r"(?P<verb>Hit|Get|Ign|Err):[0-9]+ (?P<uri>\S+) (?P<release>\S+) (?P<item>.+?)(?: \[[^]]*\])?"
)
_BAD_SIGNATURE = re.compile(
    r"not signed|no longer signed|GPG error|signature|NO_PUBKEY|KEYSIG|BADSIG|keyring", re.I
)
_LOOKS_AWAY = re.compile(r"trusted|allow-insecure|allow-weak|allow-downgrade", re.I)
"""Options of a source that take its packages unsigned; the others leave out checks of its date."""

_OPTION = re.compile(r'(?P<name>\S+) "(?P<value>[^"]*)";')
_FALSE = frozenset({"no", "false", "without", "off", "disable", "0"})
"""What apt reads as false."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One source that apt has an index of."""

    name: str
    trusted: bool
    place: str
    """Where it is declared, `<file>:<line>`, or `<file>:<paragraph>` in a .sources file."""


def repositories(sections: Mapping[str, Section]) -> tuple[Repository, ...]:
    """Return the host's sources, sorted by name; none when the index was not renewed."""
    refresh = sections.get("refresh")
    if refresh is None:
        return ()
    targets = {target.name: target for target in _targets(lines_of(sections, "targets"))}
    weak, everywhere = _weakened(lines_of(sections, "weakened"))
    dates = dict(line.partition(" ")[::2] for line in lines_of(sections, "release-dates"))
    said, items = all_messages(refresh), _items(refresh.lines)
    ageing = ageing_signatures(refresh)
    found = []
    for name in sorted({*targets, *(item.of for item in items if item.is_release)}):
        target = targets.get(name)
        own = [item for item in items if item.of == name or item.of.startswith(f"{name}/")]
        trouble = [message for message in said if _concerns(message, name)]
        # Errors of one source silence apt's last words about the others.
        trouble = trouble or [item.reason for item in own if item.failed]
        forged = [message for message in trouble if _BAD_SIGNATURE.search(message)]
        answered = refresh.status == 0 or any(item.came for item in own)
        option = weak.get(target.place, "") if target else ""
        warned = [message for message in ageing if _concerns(message, name)]
        declared = [*([option] if option else []), *everywhere]
        detail = [*trouble[:2], *warned[:1], *declared, *_dated(name, dates)]
        found.append(
            Repository(
                name=name,
                reachable=len(forged) == len(trouble) and (answered or bool(forged)),
                signed=not forged
                and (target is None or target.trusted)
                and not _LOOKS_AWAY.search(option.partition(": ")[2]),
                detail="; ".join(detail),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Item:
    """One file that apt asked a source for, and what came of it last."""

    of: str
    """`<address> <release>`, and for an index also its component: `<address> <release>/main`."""
    name: str
    verb: str
    reason: str

    @property
    def is_release(self) -> bool:
        return self.name in {"InRelease", "Release"}

    @property
    def came(self) -> bool:
        return self.verb in {"Hit", "Get"}

    @property
    def failed(self) -> bool:
        return self.verb == "Err"


def _items(lines: Sequence[str]) -> Sequence[_Item]:
    """Read what apt-get update says of each file; a file is asked for more than once."""
    items: dict[tuple[str, str], _Item] = {}
    for line, after in pairwise((*lines, "")):
        if found := _ITEM.fullmatch(line.rstrip()):
            of = f"{found['uri'].rstrip('/')} {found['release']}"
            reason = after.strip() if after.startswith("  ") else line
            items[of, found["item"]] = _Item(of, found["item"], found["verb"], reason)
    return tuple(items.values())


def _targets(lines: Sequence[str]) -> Iterator[_Target]:
    for line in lines:
        fields = line.split("\t")
        if len(fields) == 4:
            uri, release, trusted, place = fields
            yield _Target(f"{uri.rstrip('/')} {release}", trusted == "yes", place)


def _concerns(message: str, name: str) -> bool:
    uri, _, release = name.partition(" ")
    if f"{uri}/dists/{release}/" in message or (release == "./" and f"{uri}/./" in message):
        return True
    return re.search(rf"{re.escape(name)}(?:$|[\s':])", message) is not None


def _weakened(lines: Sequence[str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return which sources leave checks out, by place, and what the configuration leaves out.

    The configuration's own weaknesses change nothing of what is done here: every command overrules
    them. They are told because other programs on the host follow them.
    """
    places: dict[str, str] = {}
    everywhere = []
    for line in lines:
        if found := _OPTION.fullmatch(line):
            is_check = "check-" in found["name"].casefold()
            if found["value"] and (found["value"].casefold() in _FALSE) == is_check:
                everywhere.append(f"the host's apt.conf has {found['name']} {found['value']!r}")
        else:
            place, _, option = line.partition(" ")
            options = re.search(r"\[[^]]*\]", option)
            text = options[0] if options else option.strip()
            places[place] = f"{places.get(place, place)}: {text}"
    return places, tuple(everywhere)


def _dated(name: str, dates: Mapping[str, str]) -> Iterable[str]:
    """Say of when the metadata is that the host really used."""
    uri, _, release = name.partition(" ")
    stem = f"{re.sub('^[a-z+]+://', '', uri)}/dists/{release}/".replace("_", "%5f")
    for suffix in ("InRelease", "Release"):
        if date := dates.get((stem + suffix).replace("/", "_")):
            return (f"as of {date}",)
    return ()
