"""Recorded answers of real dnf and zypper hosts, and how they are read."""

from pathlib import Path

from tests.unit.apt_cases import LAB, NOON, Replies
from wavemend.hosts import Facts, PendingUpdate
from wavemend.managers import Manager
from wavemend.managers.dnf import DnfManager
from wavemend.managers.zypper import ZypperManager

CASES = Path(__file__).parent.parent / "cases"
DNF = DnfManager(nonce=lambda: "recorded")
ZYPPER = ZypperManager(nonce=lambda: "recorded")
"""They read recordings: these were made with this nonce."""

TOOLS = {
    "dnf4": ("dnf", "dnf4.14-debian12"),
    "dnf5": ("dnf", "dnf5.4-debian14"),
    "zypper": ("zypper", "zypper1.14.89-debian13"),
}
"""Folder and system of each tool's recordings. All hosts had the same small repositories."""

MANAGERS: dict[str, Manager] = {"dnf4": DNF, "dnf5": DNF, "zypper": ZYPPER}


def recorded(tool: str, name: str) -> bytes:
    """Return what a real host answered."""
    folder, system = TOOLS[tool]
    (path,) = (CASES / folder).glob(f"{name}-{system}-*[tg]")
    return path.read_bytes()


def read(tool: str, answer: bytes) -> Facts:
    """Read facts from an answer."""
    replies = Replies(answer)
    return MANAGERS[tool].read_facts(LAB, replies, NOON, refresh=False, deadline=60)


def updates(facts: Facts) -> dict[str, PendingUpdate]:
    """Return the pending updates by name."""
    return {update.name: update for update in facts.pending}


def without(answer: bytes, section: str) -> bytes:
    """Return an answer in which one section is missing."""
    start = answer.index(f"\nrecorded begin {section}\n".encode())
    end = answer.index(f"\nrecorded end {section} ".encode())
    return answer[:start] + answer[answer.index(b"\n", end + 1) :]


def with_section(answer: bytes, section: str, lines: str, status: int = 0) -> bytes:
    """Return an answer in which one section says something else."""
    head = f"\nrecorded begin {section}\n".encode()
    tail = f"\nrecorded errors {section}\n\nrecorded end {section} {status}\n".encode()
    return without(answer, section).replace(
        b"\nrecorded begin end\n", head + lines.encode() + tail + b"\nrecorded begin end\n"
    )
