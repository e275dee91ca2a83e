"""Is a host well? What its profile declares is asked of it, before its change and after."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TypedDict, cast

from wavemend.errors import TransportError
from wavemend.evidence import ProbeResult
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.policy.care import Probe, ProbeKind
from wavemend.transport import CommandResult, Transport, WindowsTransport
from wavemend.windows.calling import call

PROBE_SECONDS = 60.0
"""Longest time of one command or look."""

OUTSIDE_SECONDS = 15.0
"""Longest wait for a port to open or an address to answer."""

_PAUSE = (1.0, 10.0)
"""First and longest pause before probes that failed are asked again."""

_SAID = 200
"""Characters of a command's own words that are kept: what an operator reads first."""


def until_well(
    hands: Hands, host: Host, probes: Sequence[Probe], patience: float
) -> tuple[ProbeResult, ...]:
    """Run the probes until all of them succeed or `patience` seconds have passed.

    A service needs its time to come up after its restart. The last results are returned.
    """
    until, pause = hands.monotonic() + patience, _PAUSE[0]
    while True:
        results = run_probes(hands, host, probes)
        if all(result.ok for result in results) or hands.monotonic() >= until:
            return results
        hands.sleep(pause)
        pause = min(2 * pause, _PAUSE[1])


def run_probes(hands: Hands, host: Host, probes: Sequence[Probe]) -> tuple[ProbeResult, ...]:
    """Run each probe once, in order; those on the host share a connection of their own."""
    visit = _Visit(hands, host)
    try:
        results = []
        for probe in probes:
            trouble = _trouble(hands, visit, probe)
            results.append(ProbeResult(name=probe.name, ok=not trouble, detail=trouble))
        return tuple(results)
    finally:
        visit.close()


class _Visit:
    """A connection that is opened when it is first needed, and anew after it was lost."""

    def __init__(self, hands: Hands, host: Host) -> None:
        self._hands = hands
        self.host = host
        self._transport: Transport | None = None

    def open(self) -> Transport:
        if self._transport is None:
            self._transport = self._hands.connect(self.host)
        return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _trouble(hands: Hands, visit: _Visit, probe: Probe) -> str:
    """Say why a probe fails; empty when it succeeds."""
    address = visit.host.address
    match probe.kind:
        case ProbeKind.PORT:
            return hands.port_trouble(address, probe.port, OUTSIDE_SECONDS)
        case ProbeKind.URL:
            place = f"[{address}]" if ":" in address else address
            return hands.url_trouble(probe.url.replace("{address}", place), OUTSIDE_SECONDS)
        case ProbeKind.COMMAND | ProbeKind.SERVICE:
            return _on_host(visit, probe)


def _on_host(visit: _Visit, probe: Probe) -> str:
    try:
        transport = visit.open()
        if probe.kind is ProbeKind.SERVICE:
            ask = _service_on_windows if isinstance(transport, WindowsTransport) else _service
            trouble = ask(transport, probe.service)
            return trouble and f"{probe.service} is not up: {trouble}"
        return _said(transport.run(probe.argv, deadline=PROBE_SECONDS))
    except TransportError as error:
        visit.close()
        return f"{error.reason}: {error}"


def _service(transport: Transport, name: str) -> str:
    """Say why a service does not count as up; empty when it does."""
    argv = ("/bin/sh", "-s", "--", name)
    return _said(transport.run_as_root(argv, stdin=_script(), deadline=PROBE_SECONDS))


def _service_on_windows(transport: Transport, name: str) -> str:
    asked: dict[str, object] = {key: [] for key in ("tcp_ports", "http", "processes")}
    asked |= {"services": [name], "min_free_mb": 0, "events_since_utc": ""}
    said = cast("_Health", call(transport, "health", asked, deadline=PROBE_SECONDS))
    for check in said["checks"]:
        if check["name"] == f"service {name}":
            return "" if check["ok"] else check["detail"][:_SAID] or "nothing more is said"
    return "the host's answer does not speak of it"


class _Check(TypedDict):
    """A check of contracts/health.out.json."""

    name: str
    ok: bool
    detail: str


class _Health(TypedDict):
    """What is read here of contracts/health.out.json; `call` has checked all of it."""

    checks: list[_Check]


def _said(done: CommandResult) -> str:
    """Return how a command failed and its last words; empty when it did not fail."""
    if done.exit_status == 0:
        return ""
    text = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SAID:]
    return f"exit status {done.exit_status} {text}".strip()


@cache
def _script() -> bytes:
    return files("wavemend").joinpath("execution", "service_up.sh").read_bytes()
