"""Our order of pacman's versions is that of the vercmp installed here, on 12,000 made-up pairs."""

import random
import shutil
import subprocess

import pytest

from wavemend.versions import pacman_key

NUMBERS = ("0", "00", "1", "01", "9", "10")
LETTERS = ("a", "b", "aa", "A", "Z", "rc", "git", "pre", "arch1")
SIGNS = (".", "_", "+", "..", ".+", "~", "^", "=")
PAIRS = 12_000


def part(dice: random.Random) -> str:
    words = dice.choices((*NUMBERS, *LETTERS, *SIGNS), k=dice.randint(0, 5))
    return "".join((*words, dice.choice((*NUMBERS, *LETTERS))))


def version(dice: random.Random) -> str:
    epoch = dice.choice(("", "", "0:", "1:", "10:"))
    pkgrel = dice.choice(("1", "2", "10", "1.1", "1.10", part(dice)))
    return f"{epoch}{part(dice)}-{pkgrel}"


def near(dice: random.Random, other: str) -> str:
    """Return a version that begins as another one does: chance alone rarely gets that far."""
    head, _, pkgrel = other.rpartition("-")
    return f"{head[: dice.randint(0, len(head))]}{part(dice)}-{pkgrel}"


def sign(first: str, second: str) -> int:
    one, two = pacman_key(first), pacman_key(second)
    return (one > two) - (one < two)


@pytest.mark.skipif(shutil.which("vercmp") is None, reason="vercmp (pacman) is not installed here")
def test_made_up_versions_compare_as_vercmp_compares_them() -> None:
    dice = random.Random(20261120)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < PAIRS:
        first = version(dice)
        pairs.append((first, near(dice, first) if dice.random() < 0.6 else version(dice)))
    asked = "".join(f"{first} {second}\n" for first, second in pairs)
    said = subprocess.run(
        ["sh", "-c", 'while read -r one two; do vercmp "$one" "$two"; done'],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    wrong = [
        (first, second, answer)
        for (first, second), answer in zip(pairs, said, strict=True)
        if sign(first, second) != int(answer)
    ]

    assert wrong == []
    assert set(said) == {"-1", "0", "1"}
