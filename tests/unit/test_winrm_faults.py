"""What a failed operation over WinRM says: whether it happened, whether it may be repeated, and
what the operator is told."""

import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from wavemend.errors import (
    HostAnswerInvalid,
    HostPortClosed,
    HostSilent,
    HostUnreachable,
    LoginRefused,
    TransportError,
)
from wavemend.hosts import Host
from wavemend.transport import Login, WinrmAuth
from wavemend.transports.winrm_auth import check_login, credential_id
from wavemend.transports.winrm_faults import (
    FAILURES,
    ConnectionOver,
    Trouble,
    not_started,
    trouble_of,
    words_of,
)
from wavemend.transports.winrm_http import url_of
from wavemend.transports.winrm_shell import RETRYABLE, Operation
from wavemend.transports.winrm_tls import tls_of


def fault(code: int, reason: str = "Because.") -> WSManFaultError:
    return WSManFaultError(
        code=500, message="", response="<secret/>", reason=reason, wsman_fault_code=code
    )


SEEN: tuple[tuple[Exception, Trouble, type[TransportError]], ...] = (
    (ConnectionOver(), Trouble.UNSENT, HostSilent),
    (WinRMTransportError("http", 400, ""), Trouble.UNREAD, HostAnswerInvalid),
    (WinRMTransportError("http", 503, ""), Trouble.BUSY, HostUnreachable),
    (WinRMTransportError("http", 404, ""), Trouble.REFUSED, HostAnswerInvalid),
    (WinRMTransportError("http", 302, ""), Trouble.REFUSED, HostAnswerInvalid),
    (WinRMOperationTimeoutError(), Trouble.TIMED_OUT, HostSilent),
    (requests.ConnectionError("10.0.0.1"), Trouble.UNKNOWN, HostSilent),
    (requests.ReadTimeout(), Trouble.UNKNOWN, HostSilent),
    (fault(5), Trouble.DENIED, LoginRefused),
    (fault(2147942405), Trouble.DENIED, LoginRefused),
    (fault(1115), Trouble.BUSY, HostUnreachable),
    (fault(2150859173), Trouble.QUOTA, TransportError),
    (fault(2150858843), Trouble.SHELL_GONE, HostAnswerInvalid),
    (fault(2147942402), Trouble.NO_PROGRAM, HostAnswerInvalid),
    (fault(87), Trouble.REFUSED, HostAnswerInvalid),
    (fault(2150858817), Trouble.REFUSED, HostAnswerInvalid),
    (HostPortClosed("closed"), Trouble.UNREACHED, HostPortClosed),
    (LoginRefused("no"), Trouble.OURS, LoginRefused),
    (StopIteration(), Trouble.NONSENSE, HostAnswerInvalid),
    (KeyError("Name"), Trouble.NONSENSE, HostAnswerInvalid),
)


@pytest.mark.parametrize(("error", "trouble", "told"), SEEN)
def test_each_failure_is_understood_and_told_in_one_line(
    error: Exception, trouble: Trouble, told: type[TransportError]
) -> None:
    assert isinstance(error, FAILURES)
    assert trouble_of(error) is trouble
    assert type(not_started("w1", error)) is told
    assert "\n" not in words_of(error)
    assert "secret" not in words_of(error)


def test_words_of_a_host_cannot_repaint_a_screen() -> None:
    assert words_of(fault(87, "\x1b[2Jall\nis well")) == "fault 87: [2Jall is well"


def test_a_command_is_started_again_only_where_it_was_certainly_not() -> None:
    assert RETRYABLE[Operation.COMMAND] == {Trouble.UNSENT, Trouble.QUOTA}
    assert RETRYABLE[Operation.SEND] == {Trouble.UNSENT, Trouble.UNREAD}


def test_a_refused_login_is_never_repeated() -> None:
    never = {Trouble.OURS, Trouble.DENIED, Trouble.REFUSED, Trouble.NONSENSE}
    assert all(not never & again for again in RETRYABLE.values())


@pytest.mark.parametrize(
    ("address", "port", "plain", "url"),
    [
        ("w1.acme.example", 5986, False, "https://w1.acme.example:5986/wsman"),
        ("192.0.2.7", 5985, True, "http://192.0.2.7:5985/wsman"),
        ("2001:db8::7", 5986, False, "https://[2001:db8::7]:5986/wsman"),
    ],
)
def test_the_whole_address_is_ours(address: str, port: int, plain: bool, url: str) -> None:
    host = Host(name="w1", tenant="acme", address=address, port=port, transport="winrm")
    assert url_of(host, Login(name="win", user="u", plain_http=plain)) == url


def login(**fields: object) -> Login:
    return Login(name="win", user="patch", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (login(), "has no password, which ntlm needs"),
        (login(auth=WinrmAuth.BASIC), "has no password, which basic needs"),
        (login(auth=WinrmAuth.CERTIFICATE, certificate="x"), "has no certificate and key"),
        (login(auth=WinrmAuth.BASIC, password="p", plain_http=True), "basic over plain HTTP"),
    ],
)
def test_a_login_that_cannot_work_is_refused_before_anything_is_sent(
    wrong: Login, words: str
) -> None:
    with pytest.raises(LoginRefused, match=words):
        check_login(wrong)


def test_a_changed_password_is_another_credential() -> None:
    one, two = login(password="one"), login(password="two")
    assert credential_id(one) != credential_id(two)
    assert "one" not in credential_id(one)


def test_authorities_or_a_key_that_cannot_be_read_are_not_quoted() -> None:
    with pytest.raises(LoginRefused, match="`ca` holds no certificate"):
        tls_of(login(ca="secret-sauce"))
    with pytest.raises(LoginRefused, match="cannot be used together") as caught:
        tls_of(login(certificate="secret-sauce", certificate_key="secret-sauce"))
    assert "sauce" not in str(caught.value)
