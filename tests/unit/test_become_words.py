"""What sudo, in either of its forms, says when it does not make a login root is a refused login."""

from collections.abc import Sequence

import pytest

from wavemend.errors import LoginRefused
from wavemend.transport import OUTPUT_BOUND, CommandResult, Login
from wavemend.transports.become import Root, become_argv


def root_that_says(words: str, password: str = "") -> Root:
    def run(
        argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        said = f"{words}\n".encode()
        return CommandResult(exit_status=1, stdout=b"", stderr=said, dropped_bytes=0, seconds=0.1)

    login = Login(name="fleet", user="wmuser", become_password=password)
    return Root(host=words, run_plain=run, become=become_argv(login), login=login)


@pytest.mark.parametrize(
    "words",
    [
        "sudo: a password is required",
        "sudo: interactive authentication is required",
        "sudo: I'm sorry wmuser. I'm afraid I can't do that",
    ],
)
def test_a_sudo_that_asks_or_forbids_is_a_refused_login_in_its_words(words: str) -> None:
    root = root_that_says(words)
    with pytest.raises(LoginRefused, match="sudo does not make the login root") as caught:
        root.run(["true"], stdin=b"", deadline=5, bound=OUTPUT_BOUND)
    assert words in str(caught.value)


def test_a_sudo_that_forbids_the_user_does_not_count_as_a_wrong_password() -> None:
    root = root_that_says("sudo: I'm sorry wmuser. I'm afraid I can't do that", "right")
    for _ in range(3):
        with pytest.raises(LoginRefused, match="sudo does not make the login root"):
            root.run(["true"], stdin=b"", deadline=5, bound=OUTPUT_BOUND)
