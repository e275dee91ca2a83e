"""Shells of the test peer keep Windows' rules: owners, quotas, limits, and output given once."""

import threading

import pytest
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol

from tests.contract.winrm_peer_bench import (
    USERS,
    pypsrp_on,
    pywinrm_on,
    ran_by_pypsrp,
    ran_by_pywinrm,
    repeats,
    waits,
)
from tests.winrm_peer import PENDING_BOUND, RECEIVE_BOUND, TERMINATED, Command, Peer


def opened(client: Protocol, line: str = "tool.exe 0") -> tuple[str, str]:
    shell = client.open_shell()
    return shell, client.run_command(shell, line, skip_cmd_shell=True)


def fault_code(refused: "pytest.ExceptionInfo[WSManFaultError]") -> int | None:
    return refused.value.wsman_fault_code


def test_a_shell_of_another_user_is_as_unknown_as_one_that_never_was() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        mine = pywinrm_on(peer)
        shell = mine.open_shell()
        user = r"ACME\svc-patch"
        theirs = pywinrm_on(peer, username=user, password=USERS[user])
        for shell_id in (shell, "11111111-1111-1111-1111-111111111111"):
            with pytest.raises(WSManFaultError) as refused:
                theirs.run_command(shell_id, "tool.exe")
            assert fault_code(refused) == 2150858843
        mine.close_shell(shell)


def test_the_quota_counts_shells_of_one_user_and_silent_ones_end() -> None:
    now = [0.0]
    with Peer(users=USERS, runner=repeats, quota=2, clock=lambda: now[0]) as peer:
        client = pywinrm_on(peer)
        for _ in range(2):
            client.open_shell(idle_timeout="PT180S")
        with pytest.raises(WSManFaultError) as refused:
            client.open_shell()
        assert fault_code(refused) == 2150859173
        user = r"ACME\svc-patch"
        other = pywinrm_on(peer, username=user, password=USERS[user])
        other.close_shell(other.open_shell())
        now[0] = 181.0
        assert peer.counters().open_shells == 0
        client.close_shell(client.open_shell())


@pytest.mark.parametrize("idle", [180, "3 minutes", "PT", "PT0S"])
def test_an_idle_time_that_is_no_duration_is_a_schema_fault(idle: int | str) -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        with pytest.raises(WSManFaultError) as refused:
            pywinrm_on(peer).open_shell(idle_timeout=idle)
        assert fault_code(refused) == 2150858817


def test_output_comes_in_pieces_of_32_kib_and_each_once() -> None:
    def prints(command: Command) -> None:
        command.write_stdout(b"x" * (2 * RECEIVE_BOUND + 5))
        command.exit(3)

    with Peer(users=USERS, runner=prints) as peer:
        client = pywinrm_on(peer)
        shell, command = opened(client)
        sizes, done, code = [], False, -1
        while not done:
            stdout, _, code, done = client.get_command_output_raw(shell, command)
            sizes.append(len(stdout))
        again = client.get_command_output_raw(shell, command)
        client.close_shell(shell)
    assert (sizes, code) == ([RECEIVE_BOUND, RECEIVE_BOUND, 5], 3)
    assert again == (b"", b"", 3, True)


def test_three_megabytes_arrive_whole_while_the_runner_waits_on_a_full_pipe() -> None:
    behind = threading.Event()

    def prints(command: Command) -> None:
        command.write_stdout(bytes(range(256)) * 12_000)
        behind.set()
        command.exit(0)

    with Peer(users=USERS, runner=prints) as peer:
        client = pywinrm_on(peer)
        shell, command = opened(client)
        first = client.get_command_output_raw(shell, command)[0]
        assert not behind.is_set()
        rest = client.get_command_output(shell, command)[0]
        client.close_shell(shell)
    assert first + rest == bytes(range(256)) * 12_000
    assert len(first + rest) > 2 * PENDING_BOUND


def test_a_silent_command_times_the_receive_out_and_runs_on() -> None:
    with Peer(users=USERS, runner=waits) as peer:
        client = pywinrm_on(peer, operation_timeout_sec=1, read_timeout_sec=5)
        shell, command = opened(client)
        with pytest.raises(WinRMOperationTimeoutError):
            client.get_command_output_raw(shell, command)
        assert peer.counters().running_commands == 1
        client.cleanup_command(shell, command)
        assert client.get_command_output(shell, command) == (b"", b"", TERMINATED)
        client.close_shell(shell)


def test_deleting_a_shell_ends_its_commands() -> None:
    ended = threading.Event()

    def watches(command: Command) -> None:
        command.terminated.wait()
        ended.set()

    with Peer(users=USERS, runner=watches) as peer:
        client = pywinrm_on(peer)
        shell, _ = opened(client)
        client.close_shell(shell)
        assert ended.wait(5)


def test_a_program_that_is_not_there_is_a_fault_or_what_cmd_says() -> None:
    with Peer(users=USERS, runner=repeats, knows=lambda program: program == "tool.exe") as peer:
        client = pywinrm_on(peer)
        with pytest.raises(WSManFaultError) as refused:
            opened(client, "no.exe /x")
        assert fault_code(refused) == 2147942402
        ran = ran_by_pypsrp(pypsrp_on(peer), "no.exe /x")
        assert (ran.code, ran.stdout) == (1, b"")
        assert b"'no.exe' is not recognized" in ran.stderr
        peer.forget_shells()


@pytest.mark.parametrize(
    ("length", "skip", "code"), [(8182, False, 0), (8183, False, 1), (32766, True, 0)]
)
def test_a_command_line_may_be_as_long_as_windows_takes_it(
    length: int, code: int, *, skip: bool
) -> None:
    line = "tool.exe " + "x" * (length - len("tool.exe  0")) + " 0"
    assert len(line) == length
    with Peer(users=USERS, runner=repeats) as peer:
        ran = ran_by_pywinrm(pywinrm_on(peer), line, skip_cmd_shell=skip)
    assert ran.code == code
    assert (ran.stderr == b"The command line is too long.\r\n") is (code == 1)


def test_a_longer_line_without_cmd_is_a_fault() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        with pytest.raises(WSManFaultError) as refused:
            opened(pywinrm_on(peer), "tool.exe " + "x" * 32758)
        assert fault_code(refused) == 2147942606
        peer.forget_shells()


def test_an_envelope_over_the_limit_is_a_bare_413() -> None:
    with Peer(users=USERS, runner=repeats, envelope_kb=150) as peer:
        client = pywinrm_on(peer)
        shell, command = opened(client)
        client.send_command_input(shell, command, b"x" * 65536)
        with pytest.raises(WinRMTransportError) as refused:
            client.send_command_input(shell, command, b"x" * 131072, end=True)
        assert refused.value.code == 413
        client.close_shell(shell)


def test_variables_and_directory_of_a_shell_reach_its_commands() -> None:
    seen: list[Command] = []

    def looks(command: Command) -> None:
        seen.append(command)

    with Peer(users=USERS, runner=looks) as peer:
        client = pywinrm_on(peer)
        shell = client.open_shell(working_directory=r"C:\Temp & <x>", env_vars={"A": "ä<&"})
        command = client.run_command(shell, "tool.exe")
        client.get_command_output(shell, command)
        client.close_shell(shell)
    assert seen[0].working_directory == r"C:\Temp & <x>"
    assert seen[0].environment == {"A": "ä<&"}
    assert not seen[0].skip_cmd_shell
