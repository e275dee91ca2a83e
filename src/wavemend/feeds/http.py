"""Fetching one document over HTTP: bounded in time and bytes, verified, and polite.

One request has a total deadline, not only a timeout per read: a server that drips one byte a
second would satisfy every read for days. Certificates are always verified; there is no switch.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from wavemend.errors import FeedRejected, FeedUnreachable
from wavemend.feeds.documents import MIB, is_html, reject

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
    max_bytes: int = 512 * MIB
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

    def download(
        self,
        url: str,
        target: Path,
        *,
        validators: Validators | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Write what `url` answers to `target`.

        Raises FeedUnreachable after the last attempt or at the deadline, FeedRejected at once for
        what no retry can mend.
        """
        deadline = self.clock() + self.limits.total_seconds
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return self._attempt(url, target, validators, headers or {}, deadline)
            except _Again as trouble:
                target.unlink(missing_ok=True)
                wait = self._wait(attempt, trouble)
                if attempt == self.limits.attempts or self.clock() + wait >= deadline:
                    raise FeedUnreachable(
                        f"{url}: {trouble.why}, after {attempt} attempts.",
                        hint="the last good copy stays in use; try later, or use a folder",
                    ) from None
                self.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _wait(self, attempt: int, trouble: _Again) -> float:
        own = self.limits.backoff_seconds * 2.0 ** (attempt - 1) * self.dice.uniform(0.5, 1.5)
        return own if trouble.wait is None else max(own, trouble.wait)

    def _attempt(
        self,
        url: str,
        target: Path,
        validators: Validators | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Answer:
        try:
            with requests.Session() as session:
                response = self._open(session, url, _request_headers(validators, headers))
                with response:
                    return self._receive(response, target, validators, deadline)
        except requests.exceptions.SSLError as error:
            raise FeedRejected(
                f"{url}: the certificate cannot be verified ({error}).",
                hint="somebody may be in between; a company's own CA belongs into the system",
            ) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _Again(f"no complete answer ({type(error).__name__}: {error})") from None

    def _open(
        self, session: requests.Session, url: str, headers: Mapping[str, str]
    ) -> requests.Response:
        """Follow redirects by hand: each hop must be secure, and headers of ours stay at home."""
        seconds = (self.limits.connect_seconds, self.limits.read_seconds)
        at, sent = url, dict(headers)
        for _ in range(REDIRECTS + 1):
            _require_secure(at)
            response = session.get(
                at, headers=sent, timeout=seconds, stream=True, allow_redirects=False
            )
            if not response.is_redirect:
                return response
            response.close()
            onward = urljoin(at, response.headers["location"])
            if urlsplit(onward).netloc != urlsplit(at).netloc:
                sent.pop("apiKey", None)
            at = onward
        raise FeedRejected(f"{url}: redirects more than {REDIRECTS} times.")

    def _receive(
        self,
        response: requests.Response,
        target: Path,
        validators: Validators | None,
        deadline: float,
    ) -> Answer:
        where = response.url
        if response.status_code == 304 and validators is not None:
            return Answer(changed=False, final_url=where, validators=validators)
        if response.status_code in RETRIED:
            wait = _retry_after(response.headers.get("retry-after", ""), self.now())
            blocked = (
                " (it refuses us: blocked or throttled)" if response.status_code == 403 else ""
            )
            raise _Again(f"answered {response.status_code}{blocked}", wait)
        if response.status_code != 200:
            raise FeedUnreachable(
                f"{where}: answered {response.status_code}.", hint="check the address of the feed"
            )
        size = self._save(response, target, deadline)
        found = Validators(
            etag=response.headers.get("etag", ""),
            last_modified=response.headers.get("last-modified", ""),
        )
        return Answer(changed=True, final_url=where, validators=found, size=size)

    def _save(self, response: requests.Response, target: Path, deadline: float) -> int:
        where = response.url
        declared = response.headers.get("content-length", "")
        expected = int(declared) if declared.isdecimal() else None
        if expected is not None and expected > self.limits.max_bytes:
            reject(where, f"announces {expected} bytes; the limit is {self.limits.max_bytes}.")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        size, head = 0, b""
        with target.open("wb") as file:
            # read1 returns what is there; read would wait for a full chunk and never see the clock.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                size += len(chunk)
                head = head or chunk[:_HEAD]
                if size > self.limits.max_bytes:
                    reject(where, f"sends more than {self.limits.max_bytes} bytes.")
                if self.clock() > deadline:
                    raise FeedUnreachable(
                        f"{where}: not complete within {self.limits.total_seconds:.0f} seconds.",
                        hint="the server is too slow; try later or fetch by hand into a folder",
                    )
                file.write(chunk)
        if expected is not None and size != expected:
            raise _Again(f"sent {size} of {expected} bytes")
        if kind in {"text/html", "application/xhtml+xml"} or is_html(head):
            reject(where, "is a web page, not the feed: a login or block page came instead.")
        if size == 0:
            reject(where, "is empty.")
        return size


def _request_headers(validators: Validators | None, extra: Mapping[str, str]) -> dict[str, str]:
    # gzip is accepted but never unpacked by the client: the document reader does it, with limits.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **extra}
    if validators and validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators and validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    return headers


def _require_secure(url: str) -> None:
    parts = urlsplit(url)
    # A mirror on the same machine is the one place where nobody can be between.
    if parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    ):
        return
    raise FeedRejected(
        f"{url}: feeds are fetched over https only.",
        hint="use https, or a folder with the documents",
    )


def _retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds a server asks us to wait; None: it did not say."""
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return max((when - now) / timedelta(seconds=1), 0.0)
