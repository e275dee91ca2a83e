"""Every error wavemend raises on purpose: a stable code, one sentence, a way out, an exit code.

Alerts and scripts key on `code`; the wording may change. One exit code per family, so that a
shell script can tell a wrong fleet file from a host that is down. A host's trouble during a
rollout is never raised out of the core: it becomes an outcome (see `outcomes.py`).
"""

from typing import ClassVar


class WavemendError(Exception):
    """Base of all errors that are not bugs."""

    code: ClassVar[str] = "WM000"
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class FleetError(WavemendError):
    """A fleet or policy file that cannot be used; the message names file, line and field."""

    code = "WM100"
    exit_code = 10


class CalendarError(FleetError):
    """A window, zone or duration that means nothing."""

    code = "WM110"


class FeedError(WavemendError):
    """A feed that could not be fetched or was refused; the last good copy stays in use."""

    code = "WM200"
    exit_code = 11


class FeedUnreachable(FeedError):
    """The feed's address did not answer, or answered with an error status."""

    code = "WM201"


class FeedRejected(FeedError):
    """The document came, but is truncated, malformed, too large, shrunken or not what it says."""

    code = "WM202"


class TransportError(WavemendError):
    """Talking to a host failed. `reason` says how, for preflight and for outcomes."""

    code = "WM300"
    exit_code = 12
    reason: ClassVar[str] = "transport"


class HostUnreachable(TransportError):
    """No connection: the host is off, the name does not resolve, or nothing listens."""

    code = "WM301"
    reason = "off"


class HostNameUnknown(HostUnreachable):
    """The host's name does not resolve."""

    code = "WM302"
    reason = "name"


class HostPortClosed(HostUnreachable):
    """The machine answers, the port is closed."""

    code = "WM303"
    reason = "port"


class HostSilent(HostUnreachable):
    """Something accepts the connection and does not speak the agreed protocol in time."""

    code = "WM304"
    reason = "silent"


class HostKeyRefused(TransportError):
    """The host key is unknown, changed or revoked, or the certificate is not to be trusted: no
    credential was sent."""

    code = "WM310"
    reason = "key"


class LoginRefused(TransportError):
    """The host refused the login, or the login may not become root without a password."""

    code = "WM320"
    reason = "login"


class ConnectionLost(TransportError):
    """The connection ended before the command did: what happened on the host is unknown."""

    code = "WM330"
    reason = "lost"


class DeadlinePassed(TransportError):
    """A command did not end within its deadline: what happened on the host is unknown."""

    code = "WM331"
    reason = "deadline"


class HostAnswerInvalid(TransportError):
    """The host answered something that is not in the agreed form."""

    code = "WM340"
    reason = "answer"


class LedgerError(WavemendError):
    """The ledger cannot be read or written, or refuses what would break its rules."""

    code = "WM400"
    exit_code = 13


class LedgerConflict(LedgerError):
    """Somebody else holds the rollout, or a newer owner took it over."""

    code = "WM401"


class AuditBroken(LedgerError):
    """The audit chain does not verify: something was changed, removed or cut off."""

    code = "WM410"


class PlanError(WavemendError):
    """A plan that cannot be made, or no longer fits the hosts it was made for."""

    code = "WM500"
    exit_code = 15


class ApprovalRefused(WavemendError):
    """A decision that does not count; the message says why. The refusal is recorded."""

    code = "WM600"
    exit_code = 14


class RolloutHalted(WavemendError):
    """A rollout stopped itself: gate, kill switch, window or a lost lease."""

    code = "WM700"
    exit_code = 16


class SecretMissing(WavemendError):
    """A reference to a secret (`file:`, `env:`, `agent:`, `command:`) could not be resolved."""

    code = "WM800"
    exit_code = 17


class EnvironmentUnfit(WavemendError):
    """Something this machine lacks: a program, a free port, a permission."""

    code = "WM900"
    exit_code = 18


class ViewRefused(WavemendError):
    """A command that one company's view does not have: it shows or touches other companies."""

    code = "WM910"
    exit_code = 19
