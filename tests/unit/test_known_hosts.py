"""A known_hosts text makes known exactly the hosts OpenSSH would take from it, and no others."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import HostKeyRefused, TransportError
from wavemend.hosts import Host
from wavemend.testing.keys import new_key
from wavemend.transport import Login
from wavemend.transports.ssh_known_hosts import (
    fingerprint,
    normal_key,
    parse_known_hosts,
)
from wavemend.transports.ssh_route import Hop, route

A, B = new_key().public, new_key().public


def accepted(text: str, name: str, port: int = 22) -> tuple[str, ...]:
    return parse_known_hosts(text).look_up(name, port).accepted


@pytest.mark.parametrize(
    ("names", "host", "port", "known"),
    [
        ("web1", "web1", 22, True),
        ("web1", "WEB1", 22, True),
        ("web1", "web10", 22, False),
        ("web1", "web1", 2222, False),
        ("[web1]:2222", "web1", 2222, True),
        ("[web1]:2222", "web1", 22, False),
        ("[web1]:22", "web1", 22, True),
        ("web1,10.0.0.1", "10.0.0.1", 22, True),
        ("*.example.org", "db.example.org", 22, True),
        ("*.example.org", "example.org", 22, False),
        ("*.example.org,!db.example.org", "db.example.org", 22, False),
        ("web?", "web7", 22, True),
        ("web?", "web", 22, False),
        ("[*]:2222", "anything", 2222, True),
        ("[ab]", "a", 22, False),
        ("2001:db8::1", "2001:db8::1", 22, True),
    ],
)
def test_a_line_is_for_the_names_it_lists(names: str, host: str, port: int, known: bool) -> None:
    assert accepted(f"{names} {A} a comment\n", host, port) == ((A,) if known else ())


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing")
def test_names_that_openssh_has_hashed_are_found(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"web1 {A}\n[web2]:2222 {B}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
    text = file.read_text()

    assert "web1" not in text
    assert accepted(text, "web1") == (A,)
    assert accepted(text, "web2", 2222) == (B,)
    assert accepted(text, "web2") == accepted(text, "web3") == ()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing")
def test_fingerprints_read_as_openssh_shows_them(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{A}\n")
    argv = ["ssh-keygen", "-lf", str(tmp_path / "key.pub")]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    assert shown.split()[1] == fingerprint(A).split()[1]


def test_several_keys_of_a_host_are_all_known_in_order() -> None:
    assert accepted(f"web1 {B}\nweb1 {A}\nweb1 {B}\n", "web1") == (B, A)


def test_revoked_keys_and_authorities_are_told_apart_from_known_keys() -> None:
    trust = parse_known_hosts(f"@revoked * {A}\n@cert-authority *.org {B}\n").look_up("x.org", 22)

    assert (trust.accepted, trust.revoked, trust.has_authority) == ((), (A,), True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("web1", "a line needs"),
        ("web1 ssh-ed25519", "a line needs"),
        (f"web1 ssh-dss {A.split()[1]}", "ssh-dss is not supported"),
        ("web1 ssh-ed25519 !!!!", "not valid base64"),
        (f"web1 ssh-rsa {A.split()[1]}", "not a whole ssh-rsa key"),
        ("web1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "not a whole"),
        (f"@trusted web1 {A}", "unknown marker @trusted"),
        (f"|1|short|short {A}", "not valid base64"),
        (f"|2|x|y {A}", "form"),
        (f"!web1 {A}", "no name"),
    ],
    ids=lambda value: value.split(" AAAA")[0],  # keys are new in every run
)
def test_a_line_that_is_not_understood_is_counted_and_makes_nobody_known(
    line: str, reason: str
) -> None:
    known = parse_known_hosts(f"# comment\n\n{line}\nweb2 {B}\n")

    assert [bad.number for bad in known.unreadable] == [3]
    assert reason in known.unreadable[0].reason
    assert known.look_up("web1", 22).accepted == ()
    assert known.look_up("web2", 22).accepted == (B,)


def test_a_revocation_that_cannot_be_read_trusts_nobody() -> None:
    with pytest.raises(HostKeyRefused, match="line 2 revokes a key but cannot be read"):
        accepted(f"web1 {A}\n@revoked * ssh-ed25519 broken!\n", "web1")


def test_a_revoked_key_of_a_type_that_is_never_accepted_is_in_nobodys_way() -> None:
    text = f"@revoked * ssh-dss AAAAB3NzaC1kc3MAAACB\nweb1 {A}\n"
    assert accepted(text, "web1") == (A,)
    with pytest.raises(HostKeyRefused, match="line 1 revokes a key but cannot be read"):
        accepted(f"@revoked * ssh-ed25591 AAAA\nweb1 {A}\n", "web1")


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused_in_words(text: str) -> None:
    known = parse_known_hosts(text)
    lines = [line.strip() for line in text.splitlines()]
    meant = [line for line in lines if line and not line.startswith("#")]

    assert len(known.entries) + len(known.unreadable) == len(meant)


def test_a_pinned_key_may_carry_a_comment() -> None:
    assert normal_key(f"  {A} root@web1 ") == A


# --- which way a host is reached -----------------------------------------------------------------


def hops(config: str, address: str = "web1", port: int = 22) -> tuple[Hop, ...]:
    host = Host(name="web1", tenant="acme", address=address, port=port, host_keys=(A,))
    return route(host, Login(name="fleet", user="fleet", ssh_config=config))


def test_without_a_configuration_the_fleet_file_says_the_way() -> None:
    assert hops("") == (Hop("fleet", "web1", 22, (A,)),)


def test_the_configuration_says_name_port_and_user() -> None:
    config = "Host web1\n  HostName 10.0.0.1\n  Port 2222\n  User admin\n"

    assert hops(config) == (Hop("admin", "10.0.0.1", 2222, (A,)),)
    assert hops(config, port=2200)[0].port == 2200
    assert hops(config, "web2") == (Hop("fleet", "web2", 22, (A,)),)


def test_bastions_come_in_order_and_only_the_host_has_the_pins() -> None:
    config = "Host web1\n ProxyJump out,me@in:23\nHost out\n User gate\n Port 2022\n"

    assert hops(config) == (
        Hop("gate", "out", 2022),
        Hop("me", "in", 23),
        Hop("fleet", "web1", 22, (A,)),
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("Host *\n ProxyJump web1\n", "more than 8 bastions"),
        ("Host *\n ProxyJump a:b:c\n", "means nothing"),
        ("Include other\n", "Include"),
        ('Match exec "touch /tmp/x"\n User x\n', "Match"),
        ("Host *\n ProxyCommand nc %h %p\n", "ProxyCommand"),
    ],
)
def test_what_would_loop_read_or_run_something_here_is_refused(config: str, words: str) -> None:
    with pytest.raises(TransportError, match=words):
        hops(config)
