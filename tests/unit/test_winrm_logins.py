"""A Windows host in a fleet file has its transport's port, a login with `auth`, and its secrets
resolved only where the work is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from wavemend.errors import SecretMissing
from wavemend.fleet import Fleet, fleet_from_document
from wavemend.inventory.fleet_file import load_fleet
from wavemend.site import _resolved
from wavemend.transport import WinrmAuth

RIGHT = (Path(__file__).parents[2] / "tests/cases/fleet/right.yaml").read_text()
LOGINS = """logins:
  - name: domain
    user: patch@acme.example
    auth: kerberos
  - name: workgroup
    user: ACME\\patch
    auth: ntlm
    password: file:password
    ca: file:ca.pem
  - name: opted-in
    user: Wartung Süd
    auth: ntlm
    password: file:password
    plain_http: true
"""


def load(folder: Path, hosts: str) -> Fleet:
    text = RIGHT.replace("logins:\n", LOGINS).replace("manager: apt", "manager: windows_update")
    text = text.replace("host_deadline: 45m", "host_deadline: 4h")
    path = folder / "fleet.yaml"
    path.write_text(text[: text.index("hosts:")] + hosts)
    return load_fleet(path)


HOSTS = """hosts:
  - {name: w1, tenant: acme, address: w1.acme.example, transport: winrm, login: domain,
     labels: {os: debian, device: server, ring: pilot}}
  - {name: w2, tenant: acme, address: 2001:db8::7, transport: winrm, login: workgroup,
     labels: {os: debian, device: server}}
  - {name: w3, tenant: acme, address: 192.0.2.3, transport: winrm, login: opted-in,
     labels: {os: debian, device: server}}
  - {name: w4, tenant: acme, address: 192.0.2.4, transport: winrm, login: opted-in, port: 8080,
     labels: {os: debian, device: server}}
  - {name: l1, tenant: acme, address: 192.0.2.5, labels: {os: hpux}}
"""


def test_a_host_without_a_port_gets_that_of_its_transport_and_login(tmp_path: Path) -> None:
    fleet = load(tmp_path, HOSTS)

    ports = {host.name: host.port for host in fleet.hosts}
    assert ports == {"w1": 5986, "w2": 5986, "w3": 5985, "w4": 8080, "l1": 22}
    assert {host.transport for host in fleet.hosts} == {"winrm", "ssh"}
    assert fleet.login("opted-in").user == "Wartung Süd"
    stored = fleet_from_document(fleet.document(), fleet.digest, source_path=fleet.source_path)
    assert stored == fleet


def test_secrets_of_a_login_are_read_where_the_work_is_done_and_never_shown(
    tmp_path: Path,
) -> None:
    spec = load(tmp_path, HOSTS).login("workgroup")
    with pytest.raises(SecretMissing, match="password cannot be read"):
        _resolved(spec, tmp_path)
    (tmp_path / "password").write_text("correct horse\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")

    login = _resolved(spec, tmp_path)

    assert (login.auth, login.password) == (WinrmAuth.NTLM, "correct horse")
    assert login.ca.startswith("-----BEGIN")
    assert "horse" not in repr(login)
    assert _resolved(replace(spec, auth="kerberos"), tmp_path).auth is WinrmAuth.KERBEROS
