"""A web site kept in memory, for the tests of feeds of the RPM family that fetch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from wavemend.feeds import Document


@dataclass(slots=True)
class Site:
    """Implements `wavemend.feeds.Downloads`; what it was asked for is in `asked`."""

    pages: Mapping[str, list[bytes]]
    """By address: what it answers the first time, the second time, and from then on."""
    folder: Path
    now: datetime = datetime(2026, 7, 15, tzinfo=UTC)
    since: datetime | None = None
    api_key: str = ""
    asked: list[str] = field(default_factory=list)

    def get(
        self,
        url: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - it has one answer for all
        fresh: bool = False,  # noqa: ARG002 - and keeps nothing
    ) -> Document:
        """Store the next answer of an address."""
        answers = self.pages[url]
        body = answers[min(self.asked.count(url), len(answers) - 1)]
        self.asked.append(url)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return Document(name=name, path=path)

    def earlier(self, source: str) -> tuple[Document, ...]:  # noqa: ARG002 - nothing was stored
        """Return the documents of the copy in use: there is none."""
        return ()

    def keep(self, name: str) -> Document:
        """Fail: there is no earlier copy."""
        raise AssertionError(f"{name} was never stored")

    def discard(self, name: str) -> None:
        """Take a document out again."""
        (self.folder / name).unlink()

    def pause(self, seconds: float) -> None:
        """Fail: a mirror needs no pauses."""
        raise AssertionError(f"waits {seconds} seconds for no reason")
