"""Recorded answers of real hosts, and what the apt manager must read from them."""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from wavemend.errors import DeadlinePassed
from wavemend.hosts import Facts, Host, InstalledPackage
from wavemend.managers.apt import AptManager
from wavemend.transport import OUTPUT_BOUND, CommandResult

CASES = Path(__file__).parent.parent / "cases" / "apt"
LAB = Host(name="lab", tenant="acme", address="192.0.2.1")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORDED = AptManager(nonce=lambda: "recorded")
"""Reads recordings: they were made with this nonce."""


@dataclasses.dataclass
class Replies:
    """A host that answers every command with the same recorded bytes."""

    stdout: bytes
    seconds: float = 1.0
    dropped: int = 0
    asked: list[tuple[tuple[str, ...], bytes]] = dataclasses.field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Return the recording, as it came after `seconds`."""
        self.asked.append((tuple(argv), stdin))
        if self.seconds > deadline:
            raise DeadlinePassed("the recording took longer")
        return CommandResult(
            exit_status=0,
            stdout=self.stdout[:bound],
            stderr=b"",
            dropped_bytes=self.dropped,
            seconds=self.seconds,
        )

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Like `run`."""
        return self.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    @property
    def peer_key(self) -> str:
        """Empty: nobody else's identity is involved."""
        return ""

    def close(self) -> None:
        """Nothing is held open."""


def recorded(name: str) -> bytes:
    """Return a recording by the first part of its name; the rest is system and date."""
    (path,) = sorted(CASES.glob(f"{name}-debian12-*[tg]"))
    return path.read_bytes()


def read(stdout: bytes, *, now: datetime = NOON, seconds: float = 1.0) -> Facts:
    """Read facts from an answer."""
    return RECORDED.read_facts(LAB, Replies(stdout, seconds), now, refresh=False, deadline=60)


def summary(facts: Facts) -> object:
    """Return facts as JSON values; installed packages as `name:arch version status`."""

    def words(packages: Sequence[InstalledPackage]) -> list[str]:
        return [f"{p.name}:{p.arch} {p.version} {p.status}" for p in packages]

    plain = dataclasses.asdict(facts)
    del plain["clock_skew_seconds"]  # it depends on the moment of reading
    for update in plain["pending"]:  # what only Windows' updates say
        assert (update.pop("builds"), update.pop("restart")) == ((), None)
    for repository in plain["repositories"]:
        assert repository.pop("whole")
    plain |= {
        "collected_at": facts.collected_at.isoformat(),
        "installed": words(facts.installed),
        "broken": words(facts.broken),
    }
    return json.loads(json.dumps(plain))
