"""What a host's services look like from the worker: a port that opens, an address that answers.

Both return why it does not count, in one sentence, and nothing when it does. Neither takes longer
than it is given, whatever name service and server do.
"""

import socket
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import requests

MOST_REDIRECTS = 5


def port_trouble(address: str, port: int, seconds: float) -> str:
    """Say why a TCP port cannot be opened from here; empty when it can."""
    from wavemend.feeds.reading.connections import Line, TimeIsOver, bounded

    def open_it(line: Line) -> str:
        try:
            with socket.create_connection((address, port), seconds) as opened:
                line.hold(opened)
        except OSError as error:
            return f"port {port} of {address}: {error.strerror or error}"
        return ""

    try:
        return bounded(open_it, seconds)
    except TimeIsOver:
        return f"port {port} of {address} did not open within {seconds:.0f} s"


def url_trouble(url: str, seconds: float) -> str:
    """Say why an address does not answer well; empty when it answers below 400.

    Certificates are verified. Redirects are followed on the same host only: another host's answer
    says nothing about this one. No body is read.
    """
    from wavemend.feeds.reading.connections import TimeIsOver, bounded, open_session

    try:
        return bounded(lambda line: _answer(open_session(line), url, seconds), seconds)
    except TimeIsOver:
        return f"no answer within {seconds:.0f} s"


def _answer(session: "requests.Session", url: str, seconds: float) -> str:
    import requests

    host = urlsplit(url).hostname
    for _ in range(MOST_REDIRECTS + 1):
        try:
            with session.get(url, timeout=seconds, stream=True, allow_redirects=False) as answer:
                status, place = answer.status_code, answer.headers.get("Location", "")
        except requests.RequestException as error:
            return f"{type(error).__name__}: {error}"[:300]
        if status >= 400:
            return f"it answers with status {status}"
        if not place or status < 300:
            return ""
        leads = urlsplit(urljoin(url, place))
        if leads.hostname != host:
            return f"it leads to another host, {leads.hostname}"
        url = leads.geturl()
    return f"it leads on more than {MOST_REDIRECTS} times"
