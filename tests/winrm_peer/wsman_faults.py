"""The faults a WS-Management service answers with, and how a test orders trouble.

Codes 87, 2147942402, 2150858767, 2150858793 and 2150858843 stand in recordings of real hosts with
the very words and elements below. The other codes are those of wsmerror.h and winerror.h, in
plausible words.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

_DETAILS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
SHELL_PLUGIN = ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """What is told in a SOAP fault besides the ids of one request."""

    code: int
    """`Code` of the WSManFault element: clients decide by it."""
    subcode: str
    reason: str
    sender: bool = True
    """The request is to blame (`s:Sender`), else the service (`s:Receiver`)."""
    detail: str = ""
    message: str = ""
    """Text of the inner message; empty: the reason again."""
    provider: tuple[str, str] | None = None


_SELECTORS = FaultKind(
    code=2150858843,
    subcode="w:InvalidSelectors",
    reason="The WS-Management service cannot process the request because the request contained"
    " invalid selectors for the resource. ",
    detail=f"{_DETAILS}UnexpectedSelectors",
)

FAULTS = {
    "operation_timeout": FaultKind(
        code=2150858793,
        subcode="w:TimedOut",
        reason="The WS-Management service cannot complete the operation within the time specified"
        " in OperationTimeout.  ",
        sender=False,
    ),
    "invalid_selectors": _SELECTORS,
    "unknown_command": FaultKind(
        code=_SELECTORS.code,
        subcode=_SELECTORS.subcode,
        reason=_SELECTORS.reason,
        detail=_SELECTORS.detail,
        message="The Windows Remote Shell received a request to perform an operation on a command"
        " identifier that does not exist. Either the command has completed execution or the"
        " client specified an invalid command identifier. ",
    ),
    "shell_quota": FaultKind(
        code=2150859173,
        subcode="w:QuotaLimit",
        reason="The WS-Management service cannot process the request. This user has reached the"
        " maximum number of concurrent shells. Close existing shells or raise the quota for this"
        " user. ",
    ),
    "operation_quota": FaultKind(
        code=2150859174,
        subcode="w:QuotaLimit",
        reason="The WS-Management service cannot process the request. This user has reached the"
        " maximum number of concurrent operations. ",
    ),
    "access_denied": FaultKind(code=5, subcode="w:AccessDenied", reason="Access is denied. "),
    "invalid_parameter": FaultKind(
        code=87,
        subcode="w:InvalidParameter",
        reason="The parameter is incorrect. ",
        detail=f"{_DETAILS}InvalidValue",
        provider=SHELL_PLUGIN,
    ),
    "file_not_found": FaultKind(
        code=2147942402,
        subcode="w:InternalError",
        reason="The system cannot find the file specified. ",
        sender=False,
        provider=SHELL_PLUGIN,
    ),
    "name_too_long": FaultKind(
        code=2147942606,
        subcode="w:InternalError",
        reason="The filename or extension is too long. ",
        sender=False,
        provider=SHELL_PLUGIN,
    ),
    "shutdown_in_progress": FaultKind(
        code=1115,
        subcode="w:InternalError",
        reason="A system shutdown is in progress. ",
        sender=False,
    ),
    "schema": FaultKind(
        code=2150858817,
        subcode="w:SchemaValidationError",
        reason="The SOAP XML in the message does not match the corresponding XML schema"
        " definition. ",
    ),
    "invalid_timeout": FaultKind(
        code=2150858767,
        subcode="a:InvalidMessageInformationHeader",
        reason="The WS-Management service cannot process the request. The request contains one or"
        " more invalid SOAP headers. ",
    ),
    "action_not_supported": FaultKind(
        code=2150858771,
        subcode="a:ActionNotSupported",
        reason="The WS-Management service does not support the action specified in the request. ",
    ),
    "resource_not_found": FaultKind(
        code=2150858752,
        subcode="a:DestinationUnreachable",
        reason="The WS-Management service cannot process the request. The service cannot find the"
        " resource identified by the resource URI and selectors. ",
        detail=f"{_DETAILS}InvalidResourceURI",
    ),
    "operation_aborted": FaultKind(
        code=995,
        subcode="w:InternalError",
        reason="The I/O operation has been aborted because of either a thread exit or an"
        " application request. ",
        sender=False,
    ),
    "key_deleted": FaultKind(
        code=2147943418,
        subcode="w:InternalError",
        reason="Illegal operation attempted on a registry key that has been marked for deletion. ",
        sender=False,
        provider=SHELL_PLUGIN,
    ),
}

BARE_STATUSES = {f"http_{status}": status for status in (400, 401, 413, 500, 502, 503)}
"""What is answered as a status with no body, below SOAP. 413 is an envelope that is too big:
ansible.windows #391 and #620, masterzen/winrm #156."""


class WsmanFault(Exception):
    """An operation is answered by the fault of this key."""

    def __init__(self, key: str, *, message: str = "") -> None:
        super().__init__(key)
        self.kind = FAULTS[key]
        self.message = message or self.kind.message or self.kind.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """Trouble for one operation."""

    what: str
    """`drop` closes the TCP connection, `stall` answers nothing, a key of `BARE_STATUSES` or of
    `FAULTS` is answered."""
    after: bool = False
    """The operation takes effect first and its answer is lost; False: it never happens."""

    def __post_init__(self) -> None:
        if self.what not in {"drop", "stall", *BARE_STATUSES, *FAULTS}:
            raise ValueError(f"no such trouble: {self.what}")


FaultHook = Callable[[int, str], Injection | None]
"""Asked with the number of the TCP connection (from 1) and the name of the operation: Connect,
Authenticate, Identify, Create, Command, Send, Receive, Signal or Delete."""


class Trouble:
    """A hook that lets `skip` operations of one name pass and spoils the next `times`."""

    def __init__(
        self, operation: str, what: str, *, after: bool = False, times: int = 1, skip: int = 0
    ) -> None:
        self.operation = operation
        self.injection = Injection(what=what, after=after)
        self.done = 0
        """How often it struck."""
        self._skip = skip
        self._times = times
        self._lock = threading.Lock()

    def __call__(self, _connection: int, operation: str) -> Injection | None:
        with self._lock:
            if operation != self.operation or self.done >= self._times:
                return None
            if self._skip > 0:
                self._skip -= 1
                return None
            self.done += 1
            return self.injection
