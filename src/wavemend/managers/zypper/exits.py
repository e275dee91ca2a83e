"""What zypper's exit statuses mean, as zypper(8) documents them."""

from collections.abc import Mapping

SUCCESS = 0
LOCKED = 7
REBOOT_NEEDED = 102
SKIPPED_REPOSITORIES = 106

GOOD = frozenset({SUCCESS, REBOOT_NEEDED, 103, SKIPPED_REPOSITORIES})
"""Everything that was asked for was done."""

EXIT_MEANING: Mapping[int, str] = {
    SUCCESS: "zypper reports success",
    1: "zypper reports a bug of its own",
    2: "zypper does not take its arguments",
    3: "zypper does not take one of its arguments",
    4: "the ZYpp library reports a problem",
    5: "zypper lacks the right to do this",
    6: "no repository is defined on the host",
    LOCKED: "another process held the ZYpp library for too long, so nothing was begun",
    8: "zypper reports an error while installing, and stopped there",
    REBOOT_NEEDED: "zypper reports success, and asks for a reboot",
    103: "zypper reports success, and asks to be called again after its own update",
    104: "zypper knows no such package",
    105: "zypper was stopped by a signal",
    SKIPPED_REPOSITORIES: "zypper left repositories out that it could not refresh",
    107: "zypper reports success, and a package's script that failed",
    200: "another process changed packages for too long, so nothing was begun",
}
"""100 and 101 are said by `patch-check` alone, and mean nothing here; 200 is apply.sh's own."""
