"""What Windows Update calls its updates: a number like KB5075906 tells an approver nothing."""

import re

_UPDATE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def title_of(arch: str, origin: str) -> str:
    """Return an update's title, which is kept as its origin; empty for every other package.

    Updates of Windows have an update id where packages have an architecture.
    """
    return " ".join(origin.split()) if _UPDATE_ID.fullmatch(arch) else ""


_ALMOST = re.compile(r"\s*(?:kb)?\s*([0-9]{5,8})\s*", re.IGNORECASE)


def misspelt(name: str) -> str:
    """Say how a KB's number should be written where a package is named; empty for all else.

    Packages are told apart to the letter: a rule about `kb5075906` would never apply, unnoticed.
    """
    found = _ALMOST.fullmatch(name)
    if found is None or name == f"KB{found[1]}":
        return ""
    return f"{name!r} names no package; updates of Windows are called KB{found[1]}"
