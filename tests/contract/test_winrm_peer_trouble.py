"""Trouble ordered of the test peer strikes where it was ordered, once, with its true aftermath."""

import math
import threading
import time
from collections.abc import Callable

import pytest
import requests
from winrm.exceptions import (
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from tests.contract.winrm_peer_bench import (
    USERS,
    pywinrm_on,
    ran_by_pywinrm,
    repeats,
    trusted,
    waits,
)
from tests.winrm_peer import FAULTS, Command, Peer, Trouble, run_tls

OPERATIONS = ("Create", "Command", "Send", "Receive", "Signal", "Delete")


class Visit:
    """One command from its shell to the end of it, an operation at a time."""

    def __init__(self, client: Protocol) -> None:
        self.client = client
        self.shell = self.command = ""
        self.output = b""
        self.steps: dict[str, Callable[[], None]] = {
            "Create": self._create,
            "Command": self._command,
            "Send": lambda: client.send_command_input(self.shell, self.command, b"in", end=True),
            "Receive": self._receive,
            "Signal": lambda: client.cleanup_command(self.shell, self.command),
            "Delete": lambda: client.close_shell(self.shell),
        }

    def _create(self) -> None:
        self.shell = self.client.open_shell()

    def _command(self) -> None:
        self.command = self.client.run_command(self.shell, "tool.exe", ["0"], skip_cmd_shell=True)

    def _receive(self) -> None:
        self.output = self.client.get_command_output(self.shell, self.command)[0]

    def until(self, operation: str) -> None:
        for name in OPERATIONS[: OPERATIONS.index(operation)]:
            self.steps[name]()

    def mend(self) -> None:
        """The cure for a broken connection under sealed messages."""
        self.client.transport.close_session()
        self.client.transport.encryption = None


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_drop_comes_before_or_after_the_operation_took_effect(
    operation: str, *, after: bool
) -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        visit = Visit(pywinrm_on(peer))
        visit.until(operation)
        trouble = Trouble(operation, "drop", after=after)
        peer.faults.append(trouble)
        with pytest.raises(requests.exceptions.ConnectionError):
            visit.steps[operation]()
        counters = peer.counters()
        assert (trouble.done, counters.injected) == (1, {"drop": 1})
        expected = {"Create": int(after), "Delete": int(not after)}.get(operation, 1)
        assert counters.open_shells == expected
        visit.mend()
        if operation == "Receive":
            visit.steps["Receive"]()
            assert visit.output == (b"" if after else b"tool.exe 0|in")
        peer.forget_shells()


@pytest.mark.parametrize("operation", ["Connect", "Authenticate", *OPERATIONS])
def test_a_stall_answers_nothing_for_as_long_as_the_client_waits(operation: str) -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        visit = Visit(pywinrm_on(peer, operation_timeout_sec=1, read_timeout_sec=2))
        if operation in OPERATIONS:
            visit.until(operation)
        peer.faults.append(Trouble(operation, "stall"))
        visit.client.transport.read_timeout_sec = 0.3  # type: ignore[assignment]
        with pytest.raises(requests.exceptions.ReadTimeout):
            visit.steps[operation if operation in OPERATIONS else "Create"]()
        assert peer.counters().injected == {"stall": 1}
        peer.forget_shells()


@pytest.mark.parametrize("key", sorted(FAULTS))
@pytest.mark.parametrize("operation", ["Create", "Send", "Delete"])
def test_every_fault_can_be_ordered_and_is_read_by_a_client(operation: str, key: str) -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        visit = Visit(pywinrm_on(peer))
        visit.until(operation)
        peer.faults.append(Trouble(operation, key))
        with pytest.raises((WSManFaultError, WinRMOperationTimeoutError)) as refused:
            visit.steps[operation]()
        if isinstance(refused.value, WSManFaultError):
            assert refused.value.wsman_fault_code == FAULTS[key].code
        else:
            assert key == "operation_timeout"
        assert peer.counters().faults == {FAULTS[key].code: 1}
        peer.forget_shells()


@pytest.mark.parametrize("status", [400, 413, 500, 502, 503])
def test_a_bare_status_has_no_body(status: int) -> None:
    with Peer(users=USERS, runner=repeats, faults=[Trouble("Create", f"http_{status}")]) as peer:
        client = pywinrm_on(peer)
        with pytest.raises(WinRMTransportError) as refused:
            client.open_shell()
        assert (refused.value.code, refused.value.response_text) == (status, "")


def test_trouble_passes_some_by_and_ends_after_its_times() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        peer.faults.append(Trouble("Create", "shell_quota", skip=1, times=2))
        client = pywinrm_on(peer)
        codes: list[int | None] = []
        for _ in range(4):
            try:
                client.close_shell(client.open_shell(), close_session=False)
                codes.append(0)
            except WSManFaultError as fault:
                codes.append(fault.wsman_fault_code)
        assert codes == [0, 2150859173, 2150859173, 0]


def test_trouble_that_is_not_known_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no such trouble: drpo"):
        Trouble("Create", "drpo")


def test_a_sealed_client_stays_wedged_after_an_idle_drop_until_its_session_is_closed() -> None:
    with Peer(users=USERS, runner=repeats, idle_seconds=0.2) as peer:
        visit = Visit(pywinrm_on(peer))
        visit.until("Send")
        time.sleep(0.5)
        for _ in range(2):
            with pytest.raises(WinRMTransportError) as wedged:
                visit.steps["Send"]()
            assert (wedged.value.code, wedged.value.response_text) == (400, "")
        assert peer.counters().decrypt_failures == 2
        visit.mend()
        for operation in ("Send", "Receive", "Signal", "Delete"):
            visit.steps[operation]()
        assert visit.output == b"tool.exe 0|in"


def test_a_client_without_sealing_gets_over_a_drop_by_itself(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ca = trusted(tmp_path_factory.mktemp("ca"))
    with Peer(users=USERS, runner=repeats, tls=run_tls()) as peer:
        visit = Visit(pywinrm_on(peer, ca))
        visit.until("Send")
        peer.drop_all()
        time.sleep(0.1)
        for operation in ("Send", "Receive", "Signal", "Delete"):
            visit.steps[operation]()
        assert visit.output == b"tool.exe 0|in"
        assert peer.counters().connections == 2


def test_dropping_all_connections_leaves_output_to_who_comes_back() -> None:
    def prints_when_sent(command: Command) -> None:
        command.write_stdout(command.stdin.read())

    with Peer(users=USERS, runner=prints_when_sent) as peer:
        waiting = Visit(pywinrm_on(peer))
        waiting.until("Send")
        broken: list[BaseException] = []

        def receive() -> None:
            try:
                waiting.steps["Receive"]()
            except requests.exceptions.ConnectionError as error:
                broken.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        while "Receive" not in peer.counters().operations:
            time.sleep(0.01)
        peer.drop_all()
        thread.join(5)
        assert len(broken) == 1
        waiting.mend()
        for operation in ("Send", "Receive", "Delete"):
            waiting.steps[operation]()
        assert waiting.output == b"in"


def test_a_reboot_ends_commands_forgets_shells_and_comes_back_on_the_same_port() -> None:
    ended: list[Command] = []

    def watches(command: Command) -> None:
        waits(command)
        ended.append(command)

    with Peer(users=USERS, runner=watches) as peer:
        visit = Visit(pywinrm_on(peer))
        visit.until("Send")
        url = peer.url
        peer.reboot(0.4)
        with pytest.raises(requests.exceptions.ConnectionError):
            visit.steps["Send"]()
        with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
            pywinrm_on(peer).open_shell()
        time.sleep(0.6)
        assert (peer.url, peer.counters().boots, len(ended)) == (url, 1, 1)
        visit.mend()
        with pytest.raises(WSManFaultError) as forgotten:
            visit.steps["Send"]()
        assert forgotten.value.wsman_fault_code == 2150858843
        visit.client.close_shell(visit.client.open_shell())


def test_a_runner_may_reboot_its_own_host() -> None:
    def restarts(command: Command) -> None:
        peer.reboot(0.2)

    with Peer(users=USERS, runner=restarts) as peer:
        with pytest.raises(requests.exceptions.ConnectionError):
            ran_by_pywinrm(pywinrm_on(peer), "shutdown.exe /r")
        time.sleep(0.4)
        peer.runner = repeats
        assert ran_by_pywinrm(pywinrm_on(peer), "tool.exe 0").code == 0


def test_a_host_that_never_comes_back_keeps_its_port_closed() -> None:
    with Peer(users=USERS, runner=repeats) as peer, Peer(users=USERS, runner=repeats) as other:
        peer.reboot(math.inf)
        assert other.port != peer.port
        for _ in range(3):
            with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
                pywinrm_on(peer).open_shell()
        peer.refuse()
        peer.reboot(math.inf)
        peer.listen()
        assert ran_by_pywinrm(pywinrm_on(peer), "tool.exe 0").code == 0


def test_output_is_not_given_to_a_connection_that_is_gone_already() -> None:
    command = Command(line="", user="", skip_cmd_shell=True, environment={}, working_directory="")
    command.write_stdout(b"kept")
    assert command.receive(1, lambda: False) is None
    assert command.receive(1, lambda: True) == ([("stdout", b"kept")], None)
