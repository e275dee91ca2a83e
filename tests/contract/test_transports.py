"""Every transport keeps the same promises: local, real OpenSSH, and the simulated host."""

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator

import pytest

from wavemend.hosts import Host
from wavemend.testing.keys import new_key
from wavemend.testing.openssh import SSHD, OpenSshServer
from wavemend.testing.simulated_hosts import SimulatedLab
from wavemend.testing.transport_contract import CONTRACT
from wavemend.transport import Login, Transport
from wavemend.transports import TRANSPORTS

KEY = new_key()
needs_sshd = pytest.mark.skipif(not SSHD.exists(), reason=f"{SSHD} is missing: openssh-server")


def ssh_host(server: OpenSshServer) -> Host:
    return Host(name="web1", tenant="acme", address="127.0.0.1", port=server.port)


def ssh_login(server: OpenSshServer) -> Login:
    return Login(
        name="fleet",
        user=server.user,
        private_key=KEY.private,
        known_hosts=server.known_hosts_line,
        become=() if os.geteuid() == 0 else ("sudo", "-n", "--"),
    )


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSshServer]:
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), authorized=KEY.public) as server:
        yield server


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    lab = SimulatedLab(tmp_path_factory.mktemp("simulated"))
    lab.up(1)
    yield lab
    lab.down()


@pytest.fixture(params=["local", pytest.param("ssh", marks=needs_sshd), "simulated"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    if request.param == "local":
        host = Host(name="here", tenant="acme", address="localhost", transport="local")
        login = Login(name="here", user=getpass.getuser())
    elif request.param == "ssh":
        server = request.getfixturevalue("sshd")
        host, login = ssh_host(server), ssh_login(server)
    else:
        lab = request.getfixturevalue("lab")
        host, login = lab.hosts()[0], lab.login()
    with contextlib.closing(TRANSPORTS[host.transport](host, login)) as opened:
        yield opened


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_every_transport(promise: Callable[[Transport], None], transport: Transport) -> None:
    promise(transport)
