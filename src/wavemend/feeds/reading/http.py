"""Fetching one document over HTTP: bounded in time and bytes, verified, and polite.

A document has a deadline that holds whatever the server does: one that drips a byte a second, of
the body or of its headers, satisfies every timeout per read for days. So each attempt runs in a
thread of its own, and is cut off from outside when its time is over. Certificates are always
verified; there is no switch.
"""

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from wavemend.errors import FeedRejected, FeedUnreachable
from wavemend.feeds.reading.connections import Line, TimeIsOver, bounded, open_session
from wavemend.feeds.reading.documents import MIB, is_full, is_html, reject

USER_AGENT = "wavemend/0.1 (patch orchestrator; vulnerability feeds)"
RETRIED = frozenset({403, 408, 429, 500, 502, 503, 504})
"""403 too: NVD answers it when throttling, and cisa.gov to fetchers it does not know."""
REDIRECTS = 5
_CHUNK = 65_536
_HEAD = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one document may cost."""

    total_seconds: float = 900.0
    """For one document with all its retries. The largest, Debian's dump, takes a minute or two."""
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    max_bytes: int = 1024 * MIB
    """The whole CVE list as a zip had 619 MB in October 2026. Nothing of it is held in memory."""
    max_feed_bytes: int = 4 * 1024 * MIB
    """For all documents of a feed in one refresh: NVD's pages, unpacked, have half of it. A server
    that names a thousand pages must not fill the disk."""
    attempts: int = 4
    backoff_seconds: float = 2.0
    """Before the second attempt; doubled each time, and spread by chance from half to one and a
    half, so that a fleet of workers does not come back at the same second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What the server gave us to ask "still the same?" with."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a download ended: `changed` False means 304, and nothing was written."""

    changed: bool
    final_url: str
    validators: Validators
    size: int = 0


class _Again(Exception):
    """This attempt failed in a way that may pass; `wait` is what the server asked for."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClient:
    """A client with its clock, its sleep and its dice given from outside."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Only to read a Retry-After that is a date."""
    until: float = float("inf")
    """Moment of `clock` at which everything must have ended, all documents together."""

    def within(self, seconds: float) -> "HttpClient":
        """Return a client whose downloads and pauses all end within so many seconds from now."""
        until = min(self.until, self.clock() + seconds)

        def sleep(pause: float) -> None:
            if self.clock() + pause >= until:
                raise FeedUnreachable(
                    f"the {seconds:.0f} seconds for this feed are over.",
                    hint="the last good copy stays in use; try later, or use a folder",
                )
            self.sleep(pause)

        return replace(self, until=until, sleep=sleep)

    def download(
        self,
        url: str,
        target: Path,
        *,
        validators: Validators | None = None,
        headers: Mapping[str, str] | None = None,
        taken: int = 0,
    ) -> Answer:
        """Write what `url` answers to `target`. `taken`: bytes this feed has got already.

        Raises FeedUnreachable after the last attempt or at the deadline, FeedRejected at once for
        what no retry can mend.
        """
        start = self.clock()
        deadline = min(start + self.limits.total_seconds, self.until)
        work = _Download(
            client=self,
            url=url,
            target=target,
            validators=validators,
            headers=_request_headers(validators, headers or {}),
            deadline=deadline,
            most=min(self.limits.max_bytes, self.limits.max_feed_bytes - taken),
        )
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return bounded(work.attempt, deadline - self.clock())
            except TimeIsOver:
                raise FeedUnreachable(
                    f"{url}: not complete within {max(deadline - start, 0.0):.0f} seconds.",
                    hint="the server is too slow; try later or fetch by hand into a folder",
                ) from None
            except _Again as trouble:
                target.unlink(missing_ok=True)
                pause = self._wait(attempt, trouble)
                if attempt == self.limits.attempts or self.clock() + pause >= deadline:
                    raise FeedUnreachable(
                        f"{url}: {trouble.why}, after {attempt} attempts.",
                        hint="the last good copy stays in use; try later, or use a folder",
                    ) from None
                self.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _wait(self, attempt: int, trouble: _Again) -> float:
        own = self.limits.backoff_seconds * 2.0 ** (attempt - 1) * self.dice.uniform(0.5, 1.5)
        return own if trouble.wait is None else max(own, trouble.wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Download:
    """One document on its way."""

    client: HttpClient
    url: str
    target: Path
    validators: Validators | None
    headers: Mapping[str, str] = field(repr=False)
    deadline: float
    most: int
    """Bytes it may have."""

    def attempt(self, line: Line) -> Answer:
        """Ask once. Raises _Again for what may pass, FeedRejected for what will not."""
        try:
            with open_session(line) as session, self._open(session) as response:
                return self._receive(response)
        except requests.exceptions.SSLError as error:
            trouble = _certificate_trouble(error)
            if not trouble:
                raise _Again(f"the protected connection failed ({error})") from None
            raise FeedRejected(
                f"{self.url}: the certificate cannot be verified ({trouble}).",
                hint="somebody may be in between; a company's own CA belongs into the system",
            ) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            if is_full(error):
                raise  # no server did this and no second attempt mends it
            raise _Again(_in_words(error, self.client.limits)) from None

    def _open(self, session: requests.Session) -> requests.Response:
        """Follow redirects by hand: each hop must be secure, and headers of ours stay at home."""
        limits, left = self.client.limits, max(self.deadline - self.client.clock(), 0.001)
        seconds = (min(limits.connect_seconds, left), min(limits.read_seconds, left))
        at, sent = self.url, dict(self.headers)
        for _ in range(REDIRECTS + 1):
            _require_secure(at, before=self.url)
            response = session.get(
                at, headers=sent, timeout=seconds, stream=True, allow_redirects=False
            )
            if not response.is_redirect:
                return response
            response.close()
            onward = _onward(at, response.headers["location"])
            if urlsplit(onward).netloc != urlsplit(at).netloc:
                sent.pop("apiKey", None)
            at = onward
        raise FeedRejected(f"{self.url}: redirects more than {REDIRECTS} times.")

    def _receive(self, response: requests.Response) -> Answer:
        where = response.url
        if response.status_code == 304 and self.validators is not None:
            return Answer(changed=False, final_url=where, validators=self.validators)
        if response.status_code in RETRIED:
            asked = _retry_after(response.headers.get("retry-after", ""), self.client.now())
            blocked = (
                " (it refuses us: blocked or throttled)" if response.status_code == 403 else ""
            )
            raise _Again(f"answered {response.status_code}{blocked}", asked)
        if response.status_code != 200:
            raise FeedUnreachable(
                f"{where}: answered {response.status_code}.", hint="check the address of the feed"
            )
        size = self._save(response)
        found = Validators(
            etag=response.headers.get("etag", ""),
            last_modified=response.headers.get("last-modified", ""),
        )
        return Answer(changed=True, final_url=where, validators=found, size=size)

    def _save(self, response: requests.Response) -> int:
        where, most = response.url, self.most
        whose = "" if most == self.client.limits.max_bytes else self._left_of_feed
        expected = _announced(response.headers.get("content-length", ""))
        if expected is not None and expected > most:
            reject(where, f"announces {expected} bytes; the limit is {most}{whose}.")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        size, head = 0, b""
        with self.target.open("wb") as file:
            for chunk in _chunks(response):
                size += len(chunk)
                head = head or chunk[:_HEAD]
                if size > most:
                    reject(where, f"sends more than {most} bytes{whose}.")
                if self.client.clock() > self.deadline:
                    raise TimeIsOver
                file.write(chunk)
        if expected is not None and size != expected:
            raise _Again(f"sent {size} of {expected} bytes")
        if kind in {"text/html", "application/xhtml+xml"} or is_html(head):
            reject(where, "is a web page, not the feed: a login or block page came instead.")
        if size == 0:
            reject(where, "is empty.")
        return size

    @property
    def _left_of_feed(self) -> str:
        return f", what is left of {self.client.limits.max_feed_bytes} for all of this feed"


def _chunks(response: requests.Response) -> Iterator[bytes]:
    # read1 returns what is there; read would wait for a full chunk and never see the clock.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        yield chunk


def _request_headers(validators: Validators | None, extra: Mapping[str, str]) -> dict[str, str]:
    # gzip is accepted but never unpacked by the client: the document reader does it, with limits.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **extra}
    if validators and validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators and validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    return headers


def _require_secure(url: str, *, before: str) -> None:
    """Refuse an address where somebody could be in between.

    A mirror on the same machine is the one place where nobody can; but no server elsewhere may
    send us there.
    """
    parts = urlsplit(url)
    own_machine = {"127.0.0.1", "::1", "localhost"}
    from_here = urlsplit(before).hostname in own_machine
    if parts.scheme == "https":
        return
    if parts.scheme == "http" and parts.hostname in own_machine and from_here:
        return
    raise FeedRejected(
        f"{url}: feeds are fetched over https only.",
        hint="use https, or a folder with the documents",
    )


def _onward(at: str, location: str) -> str:
    try:
        onward = urljoin(at, location)
        urlsplit(onward)
    except ValueError:
        raise FeedRejected(f"{at}: redirects to {location[:200]!r}, which is no address.") from None
    return onward


def _announced(text: str) -> int | None:
    """Return the length a server announces; None for what is no length."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _certificate_trouble(error: BaseException) -> str:
    """Say what is wrong with who answered; empty when only the connection broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    inner = [*error.args, getattr(error, "reason", None), error.__cause__]
    found = (_certificate_trouble(item) for item in inner if isinstance(item, BaseException))
    return next((trouble for trouble in found if trouble), "")


def _in_words(error: Exception, limits: Limits) -> str:
    """Say what went wrong on the way, as an operator would."""
    first = error.args[0] if error.args else None
    reason = getattr(first, "reason", first) if isinstance(first, Exception) else error
    match reason:
        case NameResolutionError():
            asked = getattr(error, "request", None)
            name = urlsplit(asked.url).hostname if asked is not None else ""
            return f"no complete answer: the name {name} cannot be resolved"
        case NewConnectionError():
            why = str(reason).rpartition(": ")[2]
            return f"no complete answer: no connection ({why})"
        case ConnectTimeoutError():
            return f"no complete answer: no connection within {limits.connect_seconds:g} seconds"
        case ReadTimeoutError():
            return f"no complete answer: silent for {limits.read_seconds:g} seconds"
        case _:
            return f"no complete answer ({type(error).__name__}: {error})"


def _retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds a server asks us to wait; None: it did not say."""
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return max((when - now) / timedelta(seconds=1), 0.0)
