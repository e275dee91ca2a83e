"""Compare Debian versions as deb-version(7) says, small enough for a tool that starts often."""

from functools import cmp_to_key


def _order(sign: str) -> int:
    if sign == "~":
        return -1
    if not sign or sign.isdigit():
        return 0
    return ord(sign) if sign.isalpha() else ord(sign) + 256


def _compare_part(left: str, right: str) -> int:
    while left or right:
        while (left and not left[0].isdigit()) or (right and not right[0].isdigit()):
            difference = _order(left[:1]) - _order(right[:1])
            if difference:
                return difference
            left, right = left[1:], right[1:]
        ours = left[: len(left) - len(left.lstrip("0123456789"))]
        theirs = right[: len(right) - len(right.lstrip("0123456789"))]
        if int(ours or 0) != int(theirs or 0):
            return int(ours or 0) - int(theirs or 0)
        left, right = left[len(ours) :], right[len(theirs) :]
    return 0


def _split(version: str) -> tuple[int, str, str]:
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-")
    return int(epoch or 0), upstream or rest, revision if upstream else ""


def compare(left: str, right: str) -> int:
    """Return a number below, equal to or above zero."""
    ours, theirs = _split(left), _split(right)
    if ours[0] != theirs[0]:
        return ours[0] - theirs[0]
    return _compare_part(ours[1], theirs[1]) or _compare_part(ours[2], theirs[2])


VERSION_ORDER = cmp_to_key(compare)
"""Key for `sorted` and `max`."""
