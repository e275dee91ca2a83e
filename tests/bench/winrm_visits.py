"""One visit of a Windows host by wavemend, and the same by pywinrm alone.

A look (facts, a search as a job of the host's scheduler until it has ended) and one command. By
pywinrm alone the same scripts go the same way in the same order: its own `run_ps` cannot send them,
more than some 3,000 characters of script do not fit its command line. Otherwise as `run_ps` does
it: a `Protocol` per host, no deadline, whatever comes is believed.
"""

import base64
import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from winrm.protocol import Protocol

from tests.bench.winrm_hosts import machine_of, name_of, revision_of
from wavemend.hosts import DEFAULT_OPTIONS, Host
from wavemend.managers.windows_update import WINDOWS_UPDATE
from wavemend.managers.windows_update.looking import HISTORY
from wavemend.managers.windows_update.targets import search_params
from wavemend.transport import Login
from wavemend.transports.winrm import connect
from wavemend.transports.winrm_http import url_of
from wavemend.windows.calling import BOOTSTRAP_ARGV, request, script_text, worker_text

SECONDS = 120.0
"""Bound of every question; the machine may be busy."""

Run = Callable[[Sequence[str], bytes], bytes]
"""Run a command with its input; return what it prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What tells a host's answers from all others'."""

    machine: str
    computer: str
    revisions: tuple[str, ...]


def due(number: int) -> Seen:
    """Return what a visit of the host of this number has to see."""
    revision = f"r{revision_of(number)}"
    return Seen(machine=machine_of(number), computer=name_of(number), revisions=(revision,) * 3)


def visit(host: Host, login: Login) -> Seen:
    """Visit a host as wavemend does."""
    with closing(connect(host, login)) as transport:
        now = datetime.now(UTC)
        facts = WINDOWS_UPDATE.read_facts(host, transport, now, refresh=False, deadline=SECONDS)
        printed = transport.run(("hostname",), deadline=SECONDS).stdout
    return Seen(
        machine=facts.machine_id,
        computer=printed.decode().strip(),
        revisions=tuple(update.candidate for update in facts.pending),
    )


def visit_bare(host: Host, login: Login, *, ca: str, keep: bool) -> Seen:
    """Visit a host by pywinrm alone. `ca`: path of the authority.

    `keep` one shell for the visit; else each script has its own, and with it a new connection and
    login, as in `run_ps`.
    """
    protocol = Protocol(
        url_of(host, login),
        transport="ntlm",
        username=login.user,
        password=login.password,
        ca_trust_path=ca,
        server_cert_validation="validate",
        message_encryption="auto",
        send_cbt=True,
        proxy=None,
    )
    with _shell(protocol) if keep else nullcontext("") as kept:

        def run(argv: Sequence[str], stdin: bytes) -> bytes:
            with nullcontext(kept) if kept else _shell(protocol) as shell:
                return _printed(protocol, shell, argv, stdin)

        facts, status = _ask(run, "facts"), _searched(run)
        computer = run(("hostname",), b"").decode().strip()
    offered = json.loads(status)["result"]["updates"]
    return Seen(
        machine=facts["os"]["machine_id"],
        computer=computer,
        revisions=tuple(f"r{update['revision']}" for update in offered),
    )


@contextlib.contextmanager
def _shell(protocol: Protocol) -> Iterator[str]:
    shell = protocol.open_shell(codepage=65001, noprofile=True)
    try:
        yield shell
    finally:
        protocol.close_shell(shell)


def _printed(protocol: Protocol, shell: str, argv: Sequence[str], stdin: bytes) -> bytes:
    command = protocol.run_command(
        shell, argv[0], argv[1:], console_mode_stdin=False, skip_cmd_shell=True
    )
    protocol.send_command_input(shell, command, stdin, end=True)
    stdout, _, _ = protocol.get_command_output(shell, command)
    protocol.cleanup_command(shell, command)
    return bytes(stdout)


def _ask(run: Run, script: str, **params: object) -> Any:
    printed = run(BOOTSTRAP_ARGV, request(script_text(script), params))
    line = printed.rpartition(b"WM1:")[2]
    return json.loads(base64.b64decode(line))["data"]


def _searched(run: Run) -> str:
    """Start a search and wait for its end; return its last status."""
    nonce = secrets.token_hex(16)
    job_id = f"scan-{nonce}"
    job = _ask(
        run,
        "start_job",
        job_id=job_id,
        kind="scan",
        worker=worker_text("scan"),
        params_json=search_params(DEFAULT_OPTIONS.update_kinds, history=HISTORY),
        time_limit_minutes=60,
        nonce=nonce,
        fence=-1,
        not_after=None,
        mutating=False,
    )["job"]
    while job["exit_status"] is None:
        job = _ask(run, "job_status", job_id=job_id, log_bytes=65_536, wait_seconds=20)
    return str(job["status_json"])
