"""SOAP as Windows Remote Shell speaks it: a request is read, an answer is rendered.

The answers have the elements, order and words of recordings of real hosts; what those carry more
(`p:ActivityId`) is listed in the test that replays them.
"""

import re
import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.ElementTree import fromstring

from tests.winrm_peer.wsman_faults import WsmanFault

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CMD_SHELL = f"{SHELL}/cmd"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
_FAULT_ACTIONS = {
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
}
"""By the namespace of the subcode."""
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
SPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "x": _TRANSFER,
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": SHELL,
}
_DECLARED = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in SPACES.items())
_ACTIONS = {
    f"{_TRANSFER}/Create": "Create",
    f"{_TRANSFER}/Delete": "Delete",
    f"{SHELL}/Command": "Command",
    f"{SHELL}/Send": "Send",
    f"{SHELL}/Receive": "Receive",
    f"{SHELL}/Signal": "Signal",
}
_DURATION = re.compile(
    r"(-?)P(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)


def seconds_of(duration: str) -> float | None:
    """Seconds of an xs:duration without years and months; None: it is not one."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()[1:]):
        return None
    sign, days, hours, minutes, seconds = match.groups()
    total = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes or 0) * 60
    return (total + float(seconds or 0)) * (-1 if sign else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks for. `operation` is empty for an action the service does not know."""

    action: str
    operation: str
    message_id: str
    to: str
    resource: str
    selectors: Mapping[str, str]
    options: Mapping[str, str]
    timeout: float
    """OperationTimeout in seconds; without one 60, as Windows does."""
    timeout_text: str
    body: Element

    def text(self, path: str) -> str:
        """Text of the element at `path` below the body; empty where there is none."""
        return self.body.findtext(path, "", SPACES)

    @property
    def skip_cmd_shell(self) -> bool:
        return self.options.get("WINRS_SKIP_CMD_SHELL", "").upper() == "TRUE"


def read_request(document: bytes) -> Request:
    """Raises: WsmanFault for what is no envelope of WS-Management."""
    try:
        root: Element = fromstring(document)
    except (ParseError, ValueError) as error:
        raise WsmanFault("schema") from error
    header, body = root.find("s:Header", SPACES), root.find("s:Body", SPACES)
    if header is None or body is None:
        raise WsmanFault("schema")
    action = header.findtext("a:Action", "", SPACES)
    timeout_text = header.findtext("w:OperationTimeout", "PT60S", SPACES)
    return Request(
        action=action,
        operation=_ACTIONS.get(action, ""),
        message_id=header.findtext("a:MessageID", "", SPACES),
        to=header.findtext("a:To", "", SPACES),
        resource=header.findtext("w:ResourceURI", "", SPACES),
        selectors=_named(header, "w:SelectorSet/w:Selector"),
        options=_named(header, "w:OptionSet/w:Option"),
        timeout=seconds_of(timeout_text) or 0.0,
        timeout_text=timeout_text,
        body=body,
    )


def _named(header: Element, path: str) -> dict[str, str]:
    return {one.get("Name", ""): one.text or "" for one in header.findall(path, SPACES)}


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    head = "".join(
        f"<a:{name}>{escape(text)}</a:{name}>"
        for name, text in (
            ("Action", action),
            ("MessageID", f"uuid:{str(uuid.uuid4()).upper()}"),
            ("To", _ANONYMOUS),
            ("RelatesTo", relates_to),
        )
    )
    return (
        f'<s:Envelope xml:lang="en-US" {_DECLARED}><s:Header>{head}</s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def answer(request: Request, body: str = "") -> bytes:
    return _envelope(f"{request.action}Response", request.message_id, body)


def fault_answer(fault: WsmanFault, message_id: str, machine: str) -> bytes:
    kind = fault.kind
    message = escape(fault.message)
    if kind.provider is not None:
        name, path = (quoteattr(text) for text in kind.provider)
        message = f"<f:ProviderFault provider={name} path={path}>{message}</f:ProviderFault>"
    detail = f"<w:FaultDetail>{kind.detail}</w:FaultDetail>" if kind.detail else ""
    return _envelope(
        _FAULT_ACTIONS[kind.subcode[0]],
        message_id,
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if kind.sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{kind.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(kind.reason)}</s:Text></s:Reason>'
        f'<s:Detail>{detail}<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/'
        f'wsmanfault" Code="{kind.code}" Machine={quoteattr(machine)}>'
        f"<f:Message>{message}</f:Message></f:WSManFault></s:Detail></s:Fault>",
    )


def identify_answer() -> bytes:
    """The answer to an unauthenticated Identify, which names no version of Windows."""
    return (
        f'<s:Envelope xml:lang="" xmlns:s="{SPACES["s"]}"><s:Header/><s:Body>'
        '<wsmid:IdentifyResponse xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/'
        'wsmanidentity.xsd"><wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'
        "</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>"
        "<wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellForm:
    """A shell as the answer to Create shows it."""

    shell_id: str
    owner: str
    client: str
    idle_seconds: float
    working_directory: str
    environment: Mapping[str, str]
    input_streams: str
    output_streams: str


def created_body(request: Request, shell: ShellForm) -> str:
    directory = variables = ""
    if shell.working_directory:
        directory = _tag("WorkingDirectory", shell.working_directory)
    if shell.environment:
        variables = "".join(
            f"<rsp:Variable Name={quoteattr(name)}>{escape(value)}</rsp:Variable>"
            for name, value in shell.environment.items()
        )
        variables = f"<rsp:Environment>{variables}</rsp:Environment>"
    return (
        f"<x:ResourceCreated><a:Address>{escape(request.to)}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{CMD_SHELL}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell.shell_id}</w:Selector></w:SelectorSet>'
        "</a:ReferenceParameters></x:ResourceCreated><rsp:Shell>"
        + _tag("ShellId", shell.shell_id)
        + _tag("ResourceUri", CMD_SHELL)
        + _tag("Owner", shell.owner)
        + _tag("ClientIP", shell.client)
        + directory
        + variables
        + _tag("IdleTimeOut", f"PT{shell.idle_seconds:.3f}S")
        + _tag("InputStreams", shell.input_streams)
        + _tag("OutputStreams", shell.output_streams)
        + _tag("ShellRunTime", "P0DT0H0M0S")
        + _tag("ShellInactivity", "P0DT0H0M0S")
        + "</rsp:Shell>"
    )


def _tag(name: str, text: str) -> str:
    return f"<rsp:{name}>{escape(text)}</rsp:{name}>"


def command_body(command_id: str) -> str:
    return f"<rsp:CommandResponse>{_tag('CommandId', command_id)}</rsp:CommandResponse>"


def receive_body(
    command_id: str, chunks: Sequence[tuple[str, bytes]], exit_code: int | None
) -> str:
    """One Stream element for each chunk; with an exit code the streams are closed."""
    streams = "".join(
        f'<rsp:Stream Name="{name}" CommandId="{command_id}">{b64encode(data).decode()}'
        "</rsp:Stream>"
        for name, data in chunks
    )
    if exit_code is None:
        state = f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Running"/>'
    else:
        streams += "".join(
            f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>'
            for name in ("stdout", "stderr")
        )
        state = (
            f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Done">'
            f"<rsp:ExitCode>{exit_code}</rsp:ExitCode></rsp:CommandState>"
        )
    return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"


SENT_BODY = "<rsp:SendResponse/>"
SIGNALLED_BODY = "<rsp:SignalResponse/>"
