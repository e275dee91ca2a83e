"""The form of a login: over SSH, or with `auth` over WinRM. What each may hold is checked apart."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from wavemend.inventory.fields import Argument, Name, Reference, TextReference, refuse
from wavemend.inventory.form import Form
from wavemend.inventory.problems import shown, suggestion
from wavemend.transport import WinrmAuth

_ACCOUNT = re.compile(
    r"(?:\w[\w.-]{0,62}\\)?\w(?:[\w .-]{0,62}[\w.-])?\$?(?:@[A-Za-z0-9][A-Za-z0-9.-]{0,252})?"
)


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise refuse(f"{shown(text)}: no account name")
    return text


def _auth(value: object) -> WinrmAuth:
    known = [auth.value for auth in WinrmAuth]
    if value == "credssp":
        way_out = "write kerberos, ntlm or certificate"
        raise refuse(f"credssp would hand the password itself to the host; {way_out}")
    if not isinstance(value, str) or value not in known:
        way_out = suggestion(str(value), known)
        raise refuse(f"{shown(str(value))} is not among the choices; {way_out}")
    return WinrmAuth(value)


Account = Annotated[str, AfterValidator(_account), Field(examples=["patch"])]
Auth = Annotated[
    WinrmAuth | None,
    PlainValidator(_auth),
    WithJsonSchema({"type": "string", "enum": [auth.value for auth in WinrmAuth]}),
]


class LoginForm(Form):
    """How to log in to hosts. References only, never a secret."""

    name: Name = Field(description="`default` serves hosts that name none.")
    user: Account = Field(
        description="Account on the host; over WinRM also `DOMAIN\\user` and `user@domain`."
    )
    key: Reference = Field(
        default="",
        description=(
            'Private key: `file:` (relative to this file), `env:`, `command:`, or `"agent:"`, '
            "which needs the quotes. Every login has one but those with `auth`."
        ),
    )
    known_hosts: TextReference = Field(
        default="", description="OpenSSH known_hosts. A host neither here nor pinned is refused."
    )
    ssh_config: TextReference = Field(
        default="", description="OpenSSH client configuration, for jump hosts."
    )
    become: list[Argument] = Field(
        default=["sudo", "-n", "--"], description="Argv prefix that runs as root; [] as root."
    )
    become_password: Reference = Field(
        default="",
        description="Password that sudo asks for; then `become` is `[sudo]` without `-n`.",
    )
    auth: Auth = Field(
        default=None,
        description=(
            "Makes it a login over WinRM: `kerberos` (ticket cache of the worker), `ntlm`, "
            "`certificate`, or `basic`. The account is an administrator of its hosts."
        ),
    )
    password: TextReference = Field(default="", description="For `ntlm` and `basic`.")
    ca: TextReference = Field(
        default="",
        description=(
            "Authorities of the hosts' certificates, as PEM; without it, those this machine "
            "trusts. Certificates are always checked."
        ),
    )
    certificate: TextReference = Field(
        default="", description="The client's certificate, as PEM, for `certificate`."
    )
    certificate_key: TextReference = Field(default="", description="Its key, as PEM.")
    plain_http: bool = Field(
        default=False,
        description=(
            "HTTP instead of HTTPS, each message encrypted; with `ntlm` nothing proves who the "
            "host is. Only for `ntlm` and `kerberos`."
        ),
    )
    connect_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Bound on connection and login together."
    )
