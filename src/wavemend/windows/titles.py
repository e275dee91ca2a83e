"""What Windows Update calls its updates: a number like KB5075906 tells an approver nothing."""

import re

_UPDATE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def title_of(arch: str, origin: str) -> str:
    """Return an update's title, which is kept as its origin; empty for every other package.

    Updates of Windows have an update id where packages have an architecture.
    """
    return " ".join(origin.split()) if _UPDATE_ID.fullmatch(arch) else ""
