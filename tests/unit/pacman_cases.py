"""Recorded answers of real Arch hosts, and what the pacman manager must read from them."""

from datetime import UTC, datetime
from pathlib import Path

from tests.unit.apt_cases import Replies
from wavemend.hosts import Facts, Host
from wavemend.managers.pacman import PacmanManager

CASES = Path(__file__).parent.parent / "cases" / "pacman"
ARCH = Host(name="arch1", tenant="acme", address="192.0.2.1", manager="pacman")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORDED = PacmanManager(nonce=lambda: "recorded")
"""Reads recordings: they were made with this nonce."""


def recorded(name: str) -> bytes:
    """Return a recording by the first part of its name; the rest is pacman's version and date."""
    (path,) = sorted(CASES.glob(f"{name}-pacman*.txt"))
    return path.read_bytes()


def read(stdout: bytes, *, seconds: float = 1.0) -> Facts:
    """Read facts from an answer."""
    return RECORDED.read_facts(ARCH, Replies(stdout, seconds), NOON, refresh=False, deadline=60)
