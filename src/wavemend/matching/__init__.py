"""Compare what a host has with what its vendor says: findings, and what could not be judged.

The vendor decides, by its own fixed version; version ranges of NVD are not asked, because
distributions backport fixes without raising the version.

To add an ecosystem: one reader beside `deb.py` that says how its packages are named, versioned and
which kernel runs, one line in `matcher.READERS`, and the order of its versions in `versions.py`.
"""

from wavemend.matching.matcher import Matcher, match

__all__ = ["Matcher", "match"]
