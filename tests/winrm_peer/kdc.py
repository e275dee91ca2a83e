"""A Kerberos realm of one test run: MIT's KDC on a local port, an account, a service key.

Needs Debian's krb5-kdc, krb5-admin-server and krb5-user; nothing is installed or changed outside
the folder it is given.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

REALM = "WAVEMEND.TEST"
PROGRAMS = {
    "krb5kdc": "krb5-kdc",
    "kdb5_util": "krb5-kdc",
    "kadmin.local": "krb5-admin-server",
    "kinit": "krb5-user",
}
"""Program and the Debian package it is in."""
_SEARCHED = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_DEADLINE = 30.0


def missing_packages() -> list[str]:
    """Debian packages without which there is no realm."""
    return sorted({p for name, p in PROGRAMS.items() if shutil.which(name, path=_SEARCHED) is None})


class Kdc:
    """A realm with one account (`user`, `password`) and the service `HTTP/localhost`."""

    user = f"patch@{REALM}"
    password = "Ein langes Passwort 1"
    service_host = "localhost"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What libkrb5 of client and acceptor finds realm, tickets and key by."""
        return {
            "KRB5_CONFIG": str(self._folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self._folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self._folder / 'tickets'}",
            "KRB5_KTNAME": f"FILE:{self._folder / 'service.keytab'}",
            "KRB5RCACHEDIR": str(self._folder),
        }

    def get_ticket(self) -> None:
        """As an operator does with kinit; the password goes by stdin."""
        self._run("kinit", self.user, stdin=f"{self.password}\n")

    def drop_ticket(self) -> None:
        (self._folder / "tickets").unlink(missing_ok=True)

    def __enter__(self) -> Self:
        (self._folder / "krb5.conf").write_text(_client_profile(self._port))
        (self._folder / "kdc.conf").write_text(_kdc_profile(self._folder, self._port))
        self._run("kdb5_util", "create", "-s", "-r", REALM, stdin="master\nmaster\n")
        service = f"HTTP/{self.service_host}@{REALM}"
        commands = (
            f'add_principal -pw "{self.password}" {self.user}',
            f"add_principal -randkey {service}",
            f"ktadd -k {self._folder / 'service.keytab'} {service}",
        )
        self._run("kadmin.local", "-r", REALM, stdin="\n".join((*commands, "quit", "")))
        self._process = subprocess.Popen(
            [_found("krb5kdc"), "-n", "-r", REALM],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_for_port()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_DEADLINE)

    def _wait_for_port(self) -> None:
        ends_at = time.monotonic() + _DEADLINE
        while time.monotonic() < ends_at:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return
        log = self._folder / "kdc.log"
        raise RuntimeError(f"the KDC does not listen: {log.read_text() if log.exists() else ''}")

    def _run(self, program: str, *words: str, stdin: str = "") -> None:
        done = subprocess.run(
            [_found(program), *words],
            input=stdin,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}")


def _found(program: str) -> str:
    path = shutil.which(program, path=_SEARCHED)
    if path is None:
        raise RuntimeError(f"{program} is missing: install {PROGRAMS[program]}")
    return path


def _client_profile(port: int) -> str:
    return f"""[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {REALM} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {REALM}
"""


def _kdc_profile(folder: Path, port: int) -> str:
    return f"""[kdcdefaults]
    kdc_listen = ""
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {REALM} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/kadm5.acl
        supported_enctypes = aes256-cts-hmac-sha1-96:normal
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
    admin_server = FILE:{folder}/kadmin.log
"""
