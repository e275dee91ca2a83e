"""A wrong credential stops after three refusals; a right one is not given up for one host."""

import pytest

from wavemend.errors import LoginRefused
from wavemend.transports.login_guard import (
    HOST_PAUSE_SECONDS,
    HOST_REFUSALS_ALLOWED,
    LoginGuard,
)


class Directory:
    """Counts who was really asked; hosts in `shut` refuse."""

    def __init__(self) -> None:
        self.now = 0.0
        self.guard = LoginGuard(clock=lambda: self.now)
        self.asked: list[str] = []
        self.shut: set[str] = set()

    def log_in(self, host: str) -> str:
        try:
            with self.guard.attempt("fleet", "a-key", host=host):
                self._answer(host)
        except LoginRefused as error:
            return str(error)
        return ""

    def _answer(self, host: str) -> None:
        self.asked.append(host)
        if host in self.shut:
            raise LoginRefused(f"{host} refuses")


@pytest.fixture
def directory() -> Directory:
    return Directory()


def test_a_credential_that_nobody_accepted_is_tried_three_times(directory: Directory) -> None:
    directory.shut = {"web1"}
    for _ in range(5):
        directory.log_in("web1")
    assert directory.asked == ["web1"] * 3
    assert "3 times in a row" in directory.log_in("web2")


def test_a_host_that_comes_up_slowly_keeps_no_other_out(directory: Directory) -> None:
    assert directory.log_in("dc1") == directory.log_in("web1") == ""
    directory.shut = {"dc1"}
    for _ in range(60):
        directory.now += 5
        assert directory.log_in("dc1")
    assert directory.asked.count("dc1") <= 1 + 300 / HOST_PAUSE_SECONDS + 1
    assert directory.log_in("web1") == ""

    directory.shut = set()
    directory.now += HOST_PAUSE_SECONDS
    assert directory.log_in("dc1") == ""
    assert directory.log_in("dc1") == ""


def test_a_host_that_goes_on_refusing_is_left_alone(directory: Directory) -> None:
    directory.log_in("dc1")
    directory.shut = {"dc1"}
    for _ in range(50):
        directory.now += HOST_PAUSE_SECONDS
        directory.log_in("dc1")
        assert directory.log_in("web1") == ""
    assert directory.asked.count("dc1") == 1 + HOST_REFUSALS_ALLOWED
    assert "not asked again" in directory.log_in("dc1")


def test_a_password_that_is_changed_in_the_night_is_not_tried_until_the_account_locks(
    directory: Directory,
) -> None:
    directory.log_in("web1")
    directory.shut = {"web1", "web2"}
    for _ in range(200):
        directory.now += 5
        directory.log_in("web1")
        directory.log_in("web2")
    assert len(directory.asked) == 1 + HOST_REFUSALS_ALLOWED


def test_a_password_that_is_changed_in_the_night_stops_after_three_hosts(
    directory: Directory,
) -> None:
    directory.log_in("web1")
    hosts = [f"web{number}" for number in range(1, 9)]
    directory.shut = set(hosts)
    for host in hosts:
        directory.log_in(host)
    assert directory.asked == ["web1", "web1", "web2", "web3"]
    assert "3 times in a row" in directory.log_in("web9")
