"""Words of other files as the values a fleet file holds: numbers, yes and no, labels."""

from collections.abc import Callable, Mapping

from wavemend.inventory.problems import shown

TEXTS = ("tenant", "address", "transport", "login", "profile", "window", "zone", "mac")
NUMBERS = ("port",)
SWITCHES = ("critical", "exposed", "simulated")
LABELS = "labels"
KEYS = "host_keys"

_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


class Misread(Exception):
    """A word that is no value of its kind; its text says what is wrong and the way out."""


def number(value: object) -> int:
    """Return a whole number, or raise Misread."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    raise Misread(f"{shown(value)} is no whole number")


def switch(value: object) -> bool:
    """Return yes or no, or raise Misread."""
    word = str(value).strip().lower()
    if word in _YES | _NO:
        return word in _YES
    raise Misread(f"{shown(value)} is neither true nor false")


def text(value: object) -> str:
    """Return text as it stands; numbers are written out."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise Misread(f"{shown(value)} is no text")


def labels(value: object) -> dict[str, str]:
    """Return labels of a mapping, or of `os=debian;device=server`; raise Misread."""
    if isinstance(value, Mapping):
        return {text(key): text(item) for key, item in value.items()}
    found: dict[str, str] = {}
    for part in (part.strip() for part in text(value).split(";")):
        key, equals, word = (piece.strip() for piece in part.partition("="))
        if not part:
            continue
        if not equals or key in found:
            why = "is here twice" if key in found else "is no label"
            raise Misread(f"{shown(part)} {why}; write os=debian;device=server")
        found[key] = word
    return found


def host_keys(value: object) -> list[str]:
    """Return public keys of a list, or of text with `|` between them."""
    parts = value if isinstance(value, list) else text(value).split("|")
    return [text(part).strip() for part in parts]


READ: Mapping[str, Callable[[object], object]] = {
    **dict.fromkeys(TEXTS, text),
    **dict.fromkeys(NUMBERS, number),
    **dict.fromkeys(SWITCHES, switch),
    LABELS: labels,
    KEYS: host_keys,
}
"""By key of a host in a fleet file: how a word of another file becomes its value."""
