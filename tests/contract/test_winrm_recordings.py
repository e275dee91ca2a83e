"""The test peer answers what real Windows hosts were recorded answering, element by element."""

import base64
import http.client
import queue
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from ruamel.yaml import YAML

from tests.winrm_peer import Command, Peer, run_tls
from tests.winrm_peer.envelopes import SPACES

RECORDINGS = sorted((Path(__file__).parents[1] / "cases" / "winrm_recordings").glob("*.yml"))
COMMAND_SHELL = [
    path
    for path in RECORDINGS
    if not path.name.startswith(("test_psrp_", "test_client_execute_ps"))
]
POWERSHELL = [path for path in RECORDINGS if path not in COMMAND_SHELL]

OPTIONAL = {f"{{{SPACES['p']}}}ActivityId"}
"""Elements a host may send and the peer does not."""
OF_ONE_HOST = {
    f"{{{SPACES[prefix]}}}{name}"
    for prefix, name in (
        ("a", "MessageID"),
        ("a", "RelatesTo"),
        ("w", "Selector"),
        ("rsp", "ShellId"),
        ("rsp", "CommandId"),
        ("rsp", "Owner"),
        ("rsp", "ClientIP"),
    )
}
"""Elements whose text is an id or an address: present in both, never equal."""
ATTRIBUTES_OF_ONE_HOST = {"CommandId", "Machine"}
VARIABLE = f"{{{SPACES['rsp']}}}Variable"
"""An echoed variable: one recorded name has lost its backslash on the way back, ours has not."""
PROVIDER_FAULT = "{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}ProviderFault"
_IDS = re.compile(r"<(?:w:Selector Name=\"ShellId\"|rsp:CommandId)>([0-9A-F-]{36})<")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    request: str
    status: int
    response: str


@dataclass(slots=True, kw_only=True)
class Play:
    """Output a recorded host gave at one Receive."""

    chunks: list[tuple[str, bytes]]
    exit_code: int | None
    written: threading.Event = field(default_factory=threading.Event)


def exchanges_of(path: Path) -> list[Exchange]:
    document = YAML(typ="safe").load(path)
    return [
        Exchange(
            request=message["request"],
            status=message.get("transport_error", {}).get("code", 200),
            response=message["response"],
        )
        for message in document["messages"]
        if message.get("response")
    ]


def skeleton(element: Element, optional: set[str]) -> object:
    """Everything of an answer but what belongs to one host and one moment."""
    attributes = {
        name: "*" if name in ATTRIBUTES_OF_ONE_HOST or element.tag == VARIABLE else value
        for name, value in element.attrib.items()
    }
    text = "*" if element.tag in OF_ONE_HOST else (element.text or "")
    children = [skeleton(child, optional) for child in element if child.tag not in optional]
    return element.tag, attributes, text, children


class Replay:
    """A peer whose commands print what the recorded host printed, when it did."""

    def __init__(self) -> None:
        self._plays: queue.SimpleQueue[Play | None] = queue.SimpleQueue()
        self._new_ids: dict[str, str] = {}
        self.peer = Peer(
            users={"admin": "secret"},
            runner=self._run,
            tls=run_tls(),
            # The recorded 2008 R2 host looks for no program in PATH when cmd.exe is skipped.
            knows=lambda program: "\\" in program or program != "powershell.exe" or not self.skip,
        )
        self.skip = False

    def _run(self, command: Command) -> None:
        while not command.exited and (play := self._plays.get()) is not None:
            for stream, data in play.chunks:
                (command.write_stdout if stream == "stdout" else command.write_stderr)(data)
            if play.exit_code is not None:
                command.exit(play.exit_code)
            play.written.set()

    def end(self) -> None:
        """A command that was never received from ends too."""
        self._plays.put(None)

    def answer(self, exchange: Exchange) -> tuple[int, str]:
        request = exchange.request
        for old, new in self._new_ids.items():
            request = request.replace(old, new)
        self.skip = ">True</wsman:Option>" in request
        if "shell/ReceiveResponse" in exchange.response:
            self._play(exchange.response)
        elif 'Code="2150858793"' in exchange.response:
            request = re.sub(r"PT\d+S(?=</wsman:OperationTimeout>)", "PT0.1S", request)
        status, response = posted(self.peer, request)
        olds, news = (_IDS.findall(text) for text in (exchange.response, response))
        self._new_ids.update(zip(olds, news, strict=True))
        return status, response

    def _play(self, response: str) -> None:
        root = fromstring(response)
        code = root.findtext(".//rsp:ExitCode", None, SPACES)
        play = Play(
            chunks=[
                (stream.attrib["Name"], base64.b64decode(stream.text or ""))
                for stream in root.iterfind(".//rsp:Stream", SPACES)
                if stream.get("End") != "true"
            ],
            exit_code=None if code is None else int(code),
        )
        self._plays.put(play)
        assert play.written.wait(10)


@contextmanager
def replaying() -> Iterator[Replay]:
    replay = Replay()
    with replay.peer:
        yield replay
        replay.end()


def posted(peer: Peer, request: str) -> tuple[int, str]:
    """Over TLS with Basic, by nothing but the standard library."""
    trusted = ssl.create_default_context(cadata=peer.ca_pem)
    credentials = base64.b64encode(b"admin:secret").decode()
    link = http.client.HTTPSConnection("127.0.0.1", peer.port, timeout=10, context=trusted)
    with closing(link):
        link.request(
            "POST",
            "/wsman",
            request.encode(),
            {
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/soap+xml;charset=UTF-8",
            },
        )
        answered = link.getresponse()
        return answered.status, answered.read().decode()


def message_id(document: str, name: str) -> str:
    return str(fromstring(document).findtext(f"s:Header/a:{name}", "", SPACES))


def test_all_recordings_are_there_and_of_one_kind_or_the_other() -> None:
    assert (len(COMMAND_SHELL), len(POWERSHELL)) == (14, 7)


@pytest.mark.parametrize("path", COMMAND_SHELL, ids=lambda path: path.stem)
def test_a_recorded_command_shell_is_answered_as_the_host_did(path: Path) -> None:
    with replaying() as replay:
        for exchange in exchanges_of(path):
            status, response = replay.answer(exchange)
            assert status == exchange.status
            expected = skeleton(fromstring(exchange.response), OPTIONAL)
            assert skeleton(fromstring(response), OPTIONAL) == expected
            assert message_id(response, "RelatesTo") == message_id(exchange.request, "MessageID")


@pytest.mark.parametrize("path", POWERSHELL, ids=lambda path: path.stem)
def test_the_powershell_resource_is_refused_and_never_taken_for_a_command_shell(path: Path) -> None:
    with replaying() as replay:
        for exchange in exchanges_of(path):
            status, response = posted(replay.peer, exchange.request)
            fault = fromstring(response).find(".//{*}WSManFault")
            assert (status, None if fault is None else fault.get("Code")) == (500, "2150858752")
        assert replay.peer.counters().open_shells == 0


FAULTED = [
    pytest.param(exchange, id=f"{path.stem}-{number}")
    for path in POWERSHELL
    for number, exchange in enumerate(exchanges_of(path))
    if exchange.status == 500
]


@pytest.mark.parametrize("exchange", FAULTED)
def test_a_fault_recorded_of_another_resource_has_the_peers_elements(exchange: Exchange) -> None:
    """Asked of the command shell as a Delete: an unknown shell id, and a time-out of PT-1S."""
    request = exchange.request.replace("windows/shell<", "windows/shell/cmd<")
    request = request.replace("transfer/Get<", "transfer/Delete<")
    with replaying() as replay:
        status, response = posted(replay.peer, request)
    optional = {*OPTIONAL, PROVIDER_FAULT}
    expected, answered = (fromstring(text) for text in (exchange.response, response))
    assert status == 500
    for message in expected.iterfind(".//{*}Message"):
        if message.find(PROVIDER_FAULT) is not None:
            # The words of a provider stand one level deeper than ours.
            message.text = message.findtext(".//{*}Message")
    assert skeleton(answered, optional) == skeleton(expected, optional)


def test_there_are_faults_of_another_resource_to_compare() -> None:
    assert len(FAULTED) == 2
