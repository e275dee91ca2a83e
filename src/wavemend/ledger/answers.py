"""What the ledger answers when somebody asks for the right to change a host."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Granted:
    """The intent is written: the host may be started, once, under this fence."""

    attempt_id: str
    nonce: str
    fence: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: others are out, or come first."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not in this rollout: the reason becomes the outcome's."""

    reason: str


Answer: TypeAlias = Granted | Wait | Refused
