"""What the exit statuses of dnf4, dnf5 and yum mean: one table per tool, as each documents them."""

from collections.abc import Mapping

LOCKED = 200
"""Somebody else changes packages. apply.sh says it for all three: dnf5 has no number for it."""

LOCK_WORDS = "another process changed packages for too long, so nothing was begun"

EXIT_MEANING: Mapping[str, Mapping[int, str]] = {
    "dnf4": {
        0: "dnf reports success",
        1: "dnf reports an error that it handled",
        3: "dnf reports an error that it did not handle",
        LOCKED: LOCK_WORDS,
    },
    "dnf5": {
        0: "dnf5 reports success",
        1: "dnf5 reports an error",
        2: "dnf5 does not take its arguments",
        LOCKED: LOCK_WORDS,
    },
    "yum": {
        0: "yum reports success",
        1: "yum reports an error",
        LOCKED: LOCK_WORDS,
    },
    "none": {1: "the host has neither dnf nor yum"},
}
"""dnf(8), dnf5(8), yum(8). 100 is said by `check-update` alone, and means nothing here."""

NOTHING, UPDATES = 0, 100
"""What `check-update` ends with when it could look."""
