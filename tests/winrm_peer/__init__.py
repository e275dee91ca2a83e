"""A WS-Management service for tests: the protocol of WinRM, faithfully, and no Windows behind it.

It speaks HTTP as http.sys does (authentication belongs to the TCP connection), does real NTLM,
SPNEGO and TLS, seals messages, and runs the seven operations of a Windows Remote Shell with their
faults, quotas and limits. What a command does is the runner's business. It proves protocol and
failure handling, not that Windows accepts a script; `tests/cases/winrm_recordings` keeps it honest.
"""

from tests.winrm_peer.certificates import (
    Authority,
    TlsFiles,
    other_authority,
    run_authority,
    run_tls,
)
from tests.winrm_peer.commands import PENDING_BOUND, RECEIVE_BOUND, TERMINATED, Command
from tests.winrm_peer.peer import Counters, Peer
from tests.winrm_peer.security import Cbt
from tests.winrm_peer.shells import Runner
from tests.winrm_peer.wsman_faults import FAULTS, FaultHook, Injection, Trouble

__all__ = [
    "FAULTS",
    "PENDING_BOUND",
    "RECEIVE_BOUND",
    "TERMINATED",
    "Authority",
    "Cbt",
    "Command",
    "Counters",
    "FaultHook",
    "Injection",
    "Peer",
    "Runner",
    "TlsFiles",
    "Trouble",
    "other_authority",
    "run_authority",
    "run_tls",
]
