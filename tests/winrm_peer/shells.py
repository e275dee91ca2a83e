"""The shells of one host and the operations on them."""

import binascii
import threading
import uuid
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.winrm_peer.commands import Command
from tests.winrm_peer.envelopes import (
    CMD_SHELL,
    SENT_BODY,
    SIGNALLED_BODY,
    SPACES,
    Request,
    ShellForm,
    command_body,
    created_body,
    receive_body,
    seconds_of,
)
from tests.winrm_peer.wsman_faults import WsmanFault

Runner = Callable[[Command], None]
IDLE_SECONDS = 7200.0
CMD_LINE_BOUND = 8191
"""Characters cmd.exe reads, its own `cmd /c ""` included."""
PROCESS_LINE_BOUND = 32766
"""Characters CreateProcess takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and whether there is still somebody to answer."""

    user: str
    address: str
    connected: Callable[[], bool]


@dataclass(slots=True, kw_only=True)
class Shell:
    form: ShellForm
    used_at: float
    commands: dict[str, Command] = field(default_factory=dict)

    def terminate(self) -> None:
        for command in self.commands.values():
            command.terminate()


class Shells:
    """All shells of a host. Operations may come on any thread."""

    def __init__(
        self,
        *,
        start: Callable[[Command], None],
        quota: int,
        knows: Callable[[str], bool] | None,
        clock: Callable[[], float],
    ) -> None:
        self.quota = quota
        self._start = start
        self._knows = knows or (lambda _program: True)
        self._clock = clock
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}

    def answer(self, request: Request, caller: Caller) -> str:
        """The body of the answer. Raises: WsmanFault."""
        if request.resource != CMD_SHELL:
            raise WsmanFault("resource_not_found")
        if not request.operation:
            raise WsmanFault("action_not_supported")
        if request.timeout <= 0:
            message = (
                "The WS-Management service cannot process the request. The XML contains an invalid"
                f" timeout field in the SOAP header: {request.timeout_text}. "
            )
            raise WsmanFault("invalid_timeout", message=message)
        if request.operation == "Create":
            return self._create(request, caller)
        shell = self._shell(request, caller)
        match request.operation:
            case "Command":
                return self._command(shell, request, caller)
            case "Send":
                return self._send(shell, request)
            case "Receive":
                return self._receive(shell, request, caller)
            case "Signal":
                return self._signal(shell, request)
            case _:
                return self._delete(shell)

    def open(self) -> int:
        with self._lock:
            self._expire()
            return len(self._shells)

    def running(self) -> int:
        return sum(not command.exited for command in self._commands())

    def wake(self) -> None:
        """Waiting receivers look whether their caller is still connected."""
        for command in self._commands():
            command.wake()

    def forget(self) -> None:
        """As a reboot does: every command ends, no shell is known any more."""
        with self._lock:
            forgotten = list(self._shells.values())
            self._shells.clear()
        for shell in forgotten:
            shell.terminate()

    def _commands(self) -> list[Command]:
        with self._lock:
            return [one for shell in self._shells.values() for one in shell.commands.values()]

    def _expire(self) -> None:
        now = self._clock()
        for shell_id, shell in list(self._shells.items()):
            if now - shell.used_at > shell.form.idle_seconds:
                shell.terminate()
                del self._shells[shell_id]

    def _shell(self, request: Request, caller: Caller) -> Shell:
        """Shells belong to the user who made them; others see none."""
        with self._lock:
            self._expire()
            shell = self._shells.get(request.selectors.get("ShellId", "").upper())
            if shell is None or shell.form.owner.casefold() != caller.user.casefold():
                raise WsmanFault("invalid_selectors")
            shell.used_at = self._clock()
            return shell

    def _create(self, request: Request, caller: Caller) -> str:
        idle_text = request.text("rsp:Shell/rsp:IdleTimeOut")
        idle = seconds_of(idle_text) if idle_text else IDLE_SECONDS
        if idle is None or idle <= 0 or request.body.find("rsp:Shell", SPACES) is None:
            raise WsmanFault("schema")
        form = ShellForm(
            shell_id=str(uuid.uuid4()).upper(),
            owner=caller.user,
            client=caller.address,
            idle_seconds=idle,
            working_directory=request.text("rsp:Shell/rsp:WorkingDirectory"),
            environment={
                one.get("Name", ""): one.text or ""
                for one in request.body.findall("rsp:Shell/rsp:Environment/rsp:Variable", SPACES)
            },
            input_streams=request.text("rsp:Shell/rsp:InputStreams"),
            output_streams=request.text("rsp:Shell/rsp:OutputStreams"),
        )
        with self._lock:
            self._expire()
            owners = [shell.form.owner.casefold() for shell in self._shells.values()]
            if owners.count(caller.user.casefold()) >= self.quota:
                raise WsmanFault("shell_quota")
            if not caller.connected():
                # Dropped by a reboot that has forgotten all shells already.
                raise WsmanFault("operation_timeout")
            self._shells[form.shell_id] = Shell(form=form, used_at=self._clock())
        return created_body(request, form)

    def _command(self, shell: Shell, request: Request, caller: Caller) -> str:
        words = [request.text("rsp:CommandLine/rsp:Command")]
        arguments = request.body.findall("rsp:CommandLine/rsp:Arguments", SPACES)
        words += [one.text or "" for one in arguments]
        command = Command(
            line=" ".join(words),
            user=caller.user,
            skip_cmd_shell=request.skip_cmd_shell,
            environment=shell.form.environment,
            working_directory=shell.form.working_directory,
        )
        refused = self._refused_by_cmd(command)
        command_id = str(uuid.uuid4()).upper()
        with self._lock:
            if self._shells.get(shell.form.shell_id) is not shell:
                raise WsmanFault("invalid_selectors")
            shell.commands[command_id] = command
        if refused:
            command.write_stderr(refused)
            command.exit(1)
        else:
            self._start(command)
        return command_body(command_id)

    def _refused_by_cmd(self, command: Command) -> bytes:
        """What cmd.exe says instead of running it. Raises: WsmanFault where there is no cmd.exe."""
        program = command.line.removeprefix('"').split('"' if command.line[:1] == '"' else " ")[0]
        if command.skip_cmd_shell:
            if len(command.line) > PROCESS_LINE_BOUND:
                raise WsmanFault("name_too_long")
            if not self._knows(program):
                raise WsmanFault("file_not_found")
            return b""
        if len(f'cmd /c "{command.line}"') > CMD_LINE_BOUND:
            return b"The command line is too long.\r\n"
        if not self._knows(program):
            return (
                f"'{program}' is not recognized as an internal or external command,\r\n"
                "operable program or batch file.\r\n"
            ).encode()
        return b""

    def _named(self, shell: Shell, command_id: str | None) -> Command:
        if not command_id:
            raise WsmanFault("invalid_parameter")
        command = shell.commands.get(command_id.upper())
        if command is None:
            raise WsmanFault("unknown_command")
        return command

    def _send(self, shell: Shell, request: Request) -> str:
        stream = request.body.find("rsp:Send/rsp:Stream", SPACES)
        if stream is None:
            raise WsmanFault("schema")
        command = self._named(shell, stream.get("CommandId"))
        try:
            data = b64decode(stream.text or "", validate=True)
        except binascii.Error as error:
            raise WsmanFault("schema") from error
        command.stdin.put(data, end=stream.get("End", "").casefold() == "true")
        return SENT_BODY

    def _receive(self, shell: Shell, request: Request, caller: Caller) -> str:
        wanted = request.body.find("rsp:Receive/rsp:DesiredStream", SPACES)
        command_id = None if wanted is None else wanted.get("CommandId")
        command = self._named(shell, command_id)
        received = command.receive(request.timeout, caller.connected)
        if received is None:
            raise WsmanFault("operation_timeout")
        chunks, exit_code = received
        return receive_body(str(command_id), chunks, exit_code)

    def _signal(self, shell: Shell, request: Request) -> str:
        signal = request.body.find("rsp:Signal", SPACES)
        command = self._named(shell, None if signal is None else signal.get("CommandId"))
        code = request.text("rsp:Signal/rsp:Code").rsplit("/", 1)[-1].casefold()
        if code not in {"terminate", "ctrl_c", "ctrl_break"}:
            raise WsmanFault("invalid_parameter")
        command.terminate()
        return SIGNALLED_BODY

    def _delete(self, shell: Shell) -> str:
        with self._lock:
            self._shells.pop(shell.form.shell_id, None)
        shell.terminate()
        return ""
