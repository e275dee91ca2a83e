"""What an operation's failure says about the operation: did it happen, and may it be repeated?"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from enum import Enum, auto

import requests
import urllib3
from winrm.exceptions import (
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from wavemend.errors import (
    HostAnswerInvalid,
    HostSilent,
    HostUnreachable,
    LoginRefused,
    TransportError,
)
from wavemend.transports.output import readable


class ConnectionOver(Exception):
    """The connection ended before a message was sent over it: nothing has happened."""


class Trouble(Enum):
    """What is known after an operation failed."""

    UNSENT = auto()
    """The connection had ended before: the host knows nothing of the operation."""
    UNREAD = auto()
    """The host could not read the message (HTTP 400): it did nothing, and the session is of no
    use any more."""
    UNKNOWN = auto()
    """The connection ended, or no answer came: it may have happened."""
    TIMED_OUT = auto()
    """The host gave up waiting: for output that is the rule, for others it may have happened."""
    BUSY = auto()
    """The host cannot now: it is shutting down, or its service is starting."""
    QUOTA = auto()
    """Too many shells or commands of this login are open."""
    SHELL_GONE = auto()
    """The host knows no such shell (any more)."""
    NO_PROGRAM = auto()
    """The command's program is not there: nothing was started."""
    DENIED = auto()
    """The login is right and may not do this."""
    REFUSED = auto()
    """Any other fault: the host says no, with words of its own."""
    NONSENSE = auto()
    """The answer is not in the agreed form."""
    UNREACHED = auto()
    """No new connection could be made: this operation was not sent."""
    OURS = auto()
    """Already one of our errors, made where more was known, such as a refused login."""


FAULTS: Mapping[int, Trouble] = {
    5: Trouble.DENIED,
    995: Trouble.BUSY,  # the operation was aborted by a thread exit: the service restarts
    1115: Trouble.BUSY,  # a shutdown is in progress
    2147942402: Trouble.NO_PROGRAM,  # 0x80070002
    2147942403: Trouble.NO_PROGRAM,  # 0x80070003
    2147942405: Trouble.DENIED,  # 0x80070005
    2147943418: Trouble.BUSY,  # 0x800703FA: the user's registry hive is being unloaded
    2150858793: Trouble.TIMED_OUT,
    2150858843: Trouble.SHELL_GONE,
    2150859173: Trouble.QUOTA,
    2150859174: Trouble.QUOTA,
}
"""WS-Management faults by their code; all others are REFUSED. Retrying is decided elsewhere."""

STATUSES: Mapping[int, Trouble] = {
    400: Trouble.UNREAD,
    502: Trouble.BUSY,
    503: Trouble.BUSY,
}
"""HTTP statuses that come without a fault."""

FAILURES: tuple[type[Exception], ...] = (
    ConnectionOver,
    TransportError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    # What pywinrm's parsing of an answer raises where something is missing in it.
    ET.ParseError,
    StopIteration,
    AssertionError,
    AttributeError,
    LookupError,
    ValueError,
)
"""All that an operation may fail with."""


def trouble_of(error: Exception) -> Trouble:
    """Return what is known after an operation failed with one of FAILURES."""
    match error:
        case HostUnreachable():
            return Trouble.UNREACHED
        case TransportError():
            return Trouble.OURS
        case ConnectionOver():
            return Trouble.UNSENT
        case WinRMOperationTimeoutError():
            return Trouble.TIMED_OUT
        case WSManFaultError():
            return FAULTS.get(error.wsman_fault_code or 0, Trouble.REFUSED)
        case WinRMTransportError():
            return STATUSES.get(error.code, Trouble.REFUSED)
        case requests.RequestException() | urllib3.exceptions.HTTPError() | OSError():
            return Trouble.UNKNOWN
        case _:
            return Trouble.NONSENSE


def words_of(error: Exception) -> str:
    """Return a failure in one short line: the host's words, or ours where it said nothing."""
    match error:
        case TransportError():
            return error.message
        case ConnectionOver():
            return "the connection was over"
        case WinRMOperationTimeoutError():
            return "the host gave up waiting (fault 2150858793)"
        case WSManFaultError():
            return f"fault {error.wsman_fault_code}: {readable(error.reason)}"
        case WinRMTransportError():
            return f"HTTP status {error.code}"
        case requests.Timeout():
            return "no answer in time"
        case requests.RequestException() | urllib3.exceptions.HTTPError() | OSError():
            return "the connection broke"
        case _:
            return f"an answer that is no WS-Management ({type(error).__name__})"


def not_started(host: str, error: Exception) -> TransportError:
    """Return the error for a failure before a command could be started: nothing has happened."""
    words = f"{host}: {words_of(error)}; no command was started"
    match trouble_of(error):
        case Trouble.OURS | Trouble.UNREACHED if isinstance(error, TransportError):
            return error
        case Trouble.DENIED:
            return LoginRefused(
                f"{host}: accepts the login and does not let it run commands ({words_of(error)})",
                hint="the account must be an administrator of the host; a local one other than the"
                " built-in needs LocalAccountTokenFilterPolicy = 1",
            )
        case Trouble.QUOTA:
            return TransportError(
                words,
                hint="too many shells of this login are open; they end after three idle minutes,"
                " or raise MaxShellsPerUser (winrm set winrm/config/winrs)",
            )
        case Trouble.BUSY:
            return HostUnreachable(words, hint="the host is restarting, or its WinRM service is")
        case Trouble.UNKNOWN | Trouble.UNSENT | Trouble.TIMED_OUT:
            return HostSilent(words, hint="an overloaded host, or something else on this port")
        case _:
            return HostAnswerInvalid(words, hint="is this WinRM? (Test-WSMan on the host)")
