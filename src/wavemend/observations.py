"""What was seen of a host, and what was found there: values between looking and deciding."""

from dataclasses import dataclass
from datetime import datetime

from wavemend.advisories import Vulnerability
from wavemend.documents import sha256, to_document
from wavemend.findings import Finding
from wavemend.hosts import Facts
from wavemend.outcomes import Outcome
from wavemend.scoring import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a host: its facts, or the reason why there are none."""

    host: str
    at: datetime
    facts: Facts | None
    reason: str = ""
    """Stable word of the error tree: off, name, port, key, login, silent, lost, deadline…"""
    detail: str = ""
    peer_key: str = ""

    @property
    def facts_digest(self) -> str:
        """The facts' identity in evidence; empty without facts."""
        return sha256(to_document(self.facts)) if self.facts else ""

    @property
    def unseen_outcome(self) -> Outcome:
        """What a look without facts means: a changed key or refused login needs a person."""
        return Outcome.BLOCKED if self.reason in {"key", "login"} else Outcome.UNREACHABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A finding, what the feeds said of its CVE at that moment, and the priority it was given."""

    finding: Finding
    vulnerability: Vulnerability
    priority: Priority
