"""How hosts are logged in to, as declared: references to secrets, never a secret."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSpec:
    """How to log in. References only: secrets are resolved where the work is done."""

    name: str
    user: str
    key: str = ""
    """Reference to the private key, or `agent:`; empty over WinRM."""
    known_hosts: str = ""
    ssh_config: str = ""
    become: tuple[str, ...] = ("sudo", "-n", "--")
    become_password: str = ""
    """Reference to the password that sudo asks for; empty: it asks for none."""
    auth: str = ""
    """How it logs in over WinRM: a value of `transport.WinrmAuth`; empty: it is for SSH."""
    password: str = ""
    """Reference, as the next three: to the password for `ntlm` and `basic`."""
    ca: str = ""
    certificate: str = ""
    certificate_key: str = ""
    plain_http: bool = False
    connect_seconds: float = 15.0
