"""A download is whole, bounded in bytes and time, polite, and never less than verified."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedIOBase
from pathlib import Path

import pytest

from wavemend.errors import FeedRejected, FeedUnreachable
from wavemend.feeds.reading.connections import THREAD_NAME, Line, TimeIsOver, bounded
from wavemend.feeds.reading.http import Answer, HttpClient, Limits, Validators, _require_secure
from wavemend.feeds.store.snapshots import staging
from wavemend.testing.feed_server import (
    FeedServer,
    Reply,
    black_hole,
    closed_port,
    dripping,
    feed_server,
    make_certificate,
    silent_port,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that moves only when somebody sleeps or a test pushes it."""

    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as served:
        yield served


def client(clock: Clock, total_seconds: float = 900.0) -> HttpClient:
    return HttpClient(
        limits=Limits(max_bytes=1_000_000, read_seconds=5.0, total_seconds=total_seconds),
        clock=clock,
        sleep=clock.sleep,
        dice=random.Random(7),
        now=lambda: NOON,
    )


@contextmanager
def took(*, under: float) -> Iterator[None]:
    """Fail when the block takes longer than so many seconds of real time."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < under


def soon(is_so: Callable[[], bool]) -> bool:
    """Say whether something becomes true within five seconds."""
    for _ in range(100):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def after(head: bytes, then: Callable[[BufferedIOBase], None]) -> Callable[[BufferedIOBase], None]:
    def send(out: BufferedIOBase) -> None:
        out.write(head)
        out.flush()
        then(out)

    return send


def test_a_whole_document_is_written_with_its_validators(
    server: FeedServer, tmp_path: Path
) -> None:
    url = server.answer("/a", Reply(b"x" * 200_000, headers={"ETag": '"v1"'}))

    answer = client(Clock()).download(url, tmp_path / "a")

    assert answer == Answer(
        changed=True, final_url=url, validators=Validators(etag='"v1"'), size=200_000
    )
    assert (tmp_path / "a").stat().st_size == 200_000
    assert server.requests[0][1]["user-agent"].startswith("wavemend/")


def test_an_unchanged_document_is_not_sent_again(server: FeedServer, tmp_path: Path) -> None:
    url = server.answer("/a", Reply(b"x", headers={"ETag": '"v1"'}))
    known = Validators(etag='"v1"')

    answer = client(Clock()).download(url, tmp_path / "a", validators=known)

    assert not answer.changed
    assert not (tmp_path / "a").exists()


def test_f2_retry_after_is_honoured_and_the_second_answer_counts(
    server: FeedServer, tmp_path: Path
) -> None:
    clock = Clock()
    url = server.answer("/a", Reply(status=429, headers={"Retry-After": "40"}), Reply(b"data"))

    client(clock).download(url, tmp_path / "a")

    assert clock.slept == [40.0]


def test_f2_a_retry_after_that_is_a_date_is_honoured(server: FeedServer, tmp_path: Path) -> None:
    clock = Clock()
    late = {"Retry-After": "Fri, 20 Nov 2026 12:01:30 GMT"}
    url = server.answer("/a", Reply(status=503, headers=late), Reply(b"data"))

    client(clock).download(url, tmp_path / "a")

    assert clock.slept == [90.0]


def test_f2_dates_that_no_calendar_holds_are_read_as_none(
    server: FeedServer, tmp_path: Path
) -> None:
    clock, never = Clock(), "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
    busy = Reply(status=503, headers={"Retry-After": never})
    url = server.answer("/a", busy, Reply(b"data", headers={"Last-Modified": never}))

    with staging(tmp_path, "told", client(clock), None, now=NOON) as fresh:
        document = fresh.get(url, "a")
        written = document.path.stat().st_mtime

    assert len(clock.slept) == 1
    assert written == NOON.timestamp()


def test_f2_being_asked_to_wait_past_the_deadline_ends_at_once(
    server: FeedServer, tmp_path: Path
) -> None:
    clock = Clock()
    url = server.answer("/a", Reply(status=503, headers={"Retry-After": "86400"}))

    with pytest.raises(FeedUnreachable, match="answered 503, after 1 attempts"):
        client(clock).download(url, tmp_path / "a")

    assert clock.slept == []


def test_f2_a_refusal_is_said_to_be_a_refusal_and_waits_grow(
    server: FeedServer, tmp_path: Path
) -> None:
    clock = Clock()
    url = server.answer("/a", Reply(status=403))

    with pytest.raises(FeedUnreachable, match=r"403 \(it refuses us.*after 4 attempts"):
        client(clock).download(url, tmp_path / "a")

    first, second, third = clock.slept
    assert 1 <= first <= 3
    assert 2 <= second <= 6
    assert 4 <= third <= 12
    assert len(server.requests) == 4


@pytest.mark.parametrize("percent", range(0, 100, 9))
def test_f3_a_cut_answer_is_tried_again_and_never_kept(
    server: FeedServer, tmp_path: Path, percent: int
) -> None:
    body = b"0123456789" * 100
    url = server.answer("/a", Reply(body, cut=len(body) * percent // 100))

    with pytest.raises(FeedUnreachable, match="after 4 attempts"):
        client(Clock()).download(url, tmp_path / "a")

    assert not (tmp_path / "a").exists()


def test_f4_a_server_that_drips_meets_the_total_deadline(
    server: FeedServer, tmp_path: Path
) -> None:
    clock = Clock()

    def second_passes() -> None:
        clock.at += 1.0

    url = server.answer("/a", Reply(b"x" * 100_000, drip=second_passes))

    with pytest.raises(FeedUnreachable, match="not complete within 30 seconds"):
        client(clock, total_seconds=30.0).download(url, tmp_path / "a")


def test_f5_an_announced_flood_is_refused_before_the_first_byte(
    server: FeedServer, tmp_path: Path
) -> None:
    url = server.answer("/a", Reply(b"", headers={"Content-Length": str(5 * 1024**3)}))

    with pytest.raises(FeedRejected, match="announces 5368709120 bytes"):
        client(Clock()).download(url, tmp_path / "a")


def test_f5_an_unannounced_flood_is_stopped_at_the_limit(
    server: FeedServer, tmp_path: Path
) -> None:
    url = server.answer("/a", Reply(b"x" * 3_000_000, headers={"Content-Length": ""}))

    with pytest.raises(FeedRejected, match="more than 1000000 bytes"):
        client(Clock()).download(url, tmp_path / "a")

    assert (tmp_path / "a").stat().st_size <= 1_000_000


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"please log in"),
        ("application/json", b"\xef\xbb\xbf\n <!DOCTYPE html><title>Access denied</title>"),
    ],
)
def test_f16_a_web_page_with_status_200_is_not_a_feed(
    server: FeedServer, tmp_path: Path, kind: str, body: bytes
) -> None:
    url = server.answer("/a", Reply(body, headers={"Content-Type": kind}))

    with pytest.raises(FeedRejected, match="is a web page"):
        client(Clock()).download(url, tmp_path / "a")


def test_redirects_are_followed_but_never_to_an_unprotected_address(
    server: FeedServer, tmp_path: Path
) -> None:
    server.answer("/b", Reply(b"data"))
    good = server.answer("/a", Reply(status=302, headers={"Location": "/b"}))
    bad = server.answer("/c", Reply(status=301, headers={"Location": "http://192.0.2.1/x"}))

    assert client(Clock()).download(good, tmp_path / "a").final_url == f"{server.base}/b"
    with pytest.raises(FeedRejected, match="over https only"):
        client(Clock()).download(bad, tmp_path / "a")


def test_f5_the_body_of_a_redirect_is_not_even_read(server: FeedServer, tmp_path: Path) -> None:
    server.answer("/b", Reply(b"data"))
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(5 * 1024):  # 5 GB
            sent.append(number)
            yield bytes(1024 * 1024)

    away = {"Location": "/b", "Content-Encoding": "gzip"}
    url = server.answer("/a", Reply(status=302, headers=away, pieces=endless))

    with took(under=10):
        assert client(Clock()).download(url, tmp_path / "a").size == 4
    assert len(sent) < 100


def test_a_redirect_to_something_that_is_no_address_is_refused(
    server: FeedServer, tmp_path: Path
) -> None:
    url = server.answer("/a", Reply(status=302, headers={"Location": "http://[nonsense/"}))

    with pytest.raises(FeedRejected, match="which is no address"):
        client(Clock()).download(url, tmp_path / "a")


def test_redirects_that_never_end_are_refused(server: FeedServer, tmp_path: Path) -> None:
    url = server.answer("/a", Reply(status=302, headers={"Location": "/a"}))

    with pytest.raises(FeedRejected, match="redirects more than 5 times"):
        client(Clock()).download(url, tmp_path / "a")


def test_no_server_elsewhere_may_send_us_to_a_service_of_this_machine() -> None:
    _require_secure("http://127.0.0.1:8080/mirror", before="http://127.0.0.1:8080/mirror")

    with pytest.raises(FeedRejected, match="over https only"):
        _require_secure("http://127.0.0.1:8080/secret", before="https://feeds.example/a")


def test_the_key_of_one_server_is_not_carried_to_another(
    server: FeedServer, tmp_path: Path
) -> None:
    server.answer("/b", Reply(b"data"))
    other = server.base.replace("127.0.0.1", "localhost")
    url = server.answer("/a", Reply(status=302, headers={"Location": f"{other}/b"}))

    client(Clock()).download(url, tmp_path / "a", headers={"apiKey": "secret"})

    assert [("apikey" in headers) for _, headers in server.requests] == [True, False]


def test_f18_a_certificate_nobody_vouches_for_is_refused_at_once(tmp_path: Path) -> None:
    clock = Clock()

    with feed_server(make_certificate(tmp_path)) as server:
        url = server.answer("/a", Reply(b"data"))
        with pytest.raises(FeedRejected, match="certificate cannot be verified"):
            client(clock).download(url, tmp_path / "a")

    assert (server.requests, clock.slept) == ([], [])


def test_f18_a_companys_own_authority_counts_once_the_system_is_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with feed_server(make_certificate(tmp_path)) as server:
        url = server.answer("/a", Reply(b"data"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
        assert client(Clock()).download(url, tmp_path / "a").size == 4

        other = url.replace("127.0.0.1", "localhost")  # not the name it vouches for
        with pytest.raises(FeedRejected, match="certificate cannot be verified"):
            client(Clock()).download(other, tmp_path / "b")


def test_f18_a_broken_tls_connection_is_tried_again_and_never_done_without(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with feed_server() as plain:  # speaks no TLS at all
        url = plain.answer("/a", Reply(b"data")).replace("http:", "https:")
        with pytest.raises(FeedUnreachable, match="after 4 attempts"):
            client(clock).download(url, tmp_path / "a")

    assert (plain.requests, len(clock.slept)) == ([], 3)


def test_f1_a_closed_port_is_unreachable_and_said_so(tmp_path: Path) -> None:
    with closed_port() as base, pytest.raises(FeedUnreachable, match="Connection refused"):
        client(Clock()).download(f"{base}/a", tmp_path / "a")


def test_f1_a_name_that_does_not_resolve_is_said_to_be_one(tmp_path: Path) -> None:
    clock = Clock()

    with pytest.raises(FeedUnreachable, match=r"the name feeds\.invalid cannot be resolved"):
        client(clock).download("https://feeds.invalid/a", tmp_path / "a")

    assert len(clock.slept) == 3


def test_f1_a_name_service_that_hangs_does_not_hold_up_whoever_waits() -> None:
    answer = threading.Event()

    def hang(_: Line) -> bool:  # what the resolver does inside: no connection to cut yet
        return answer.wait(60)

    try:
        with took(under=5), pytest.raises(TimeIsOver):
            bounded(hang, 0.2)
    finally:
        answer.set()


def test_f1_a_hole_that_swallows_connections_ends_at_the_connect_timeout(tmp_path: Path) -> None:
    limits = Limits(attempts=1, connect_seconds=0.3)

    silence = pytest.raises(FeedUnreachable, match=r"no connection within 0\.3 seconds")
    with black_hole() as base, took(under=5), silence:
        HttpClient(limits=limits).download(f"{base}/a", tmp_path / "a")


def test_f1_a_server_that_accepts_and_says_nothing_ends_at_the_read_timeout(
    tmp_path: Path,
) -> None:
    limits = Limits(attempts=1, read_seconds=0.3)

    silence = pytest.raises(FeedUnreachable, match=r"silent for 0\.3 seconds")
    with silent_port() as base, took(under=5), silence:
        url = base.replace("https", "http")
        HttpClient(limits=limits).download(f"{url}/a", tmp_path / "a")


DRIPS = {
    "the status line": b"H",
    "its headers": b"X-Patience: is a virtue\r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n",
    "its body": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000,
    "the size of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 10_000,
}


@pytest.mark.parametrize("what", DRIPS)
def test_f4_a_server_that_drips_for_ever_is_cut_off_when_the_time_is_over(
    server: FeedServer, tmp_path: Path, what: str
) -> None:
    over = threading.Event()
    head = b"HTTP/1.1 200 OK\r\n" if what == "its headers" else b""
    url = server.answer("/a", Reply(raw=after(head, dripping(DRIPS[what], over, 0.02))))

    try:
        with took(under=5), pytest.raises(FeedUnreachable, match="not complete within 1 seconds"):
            HttpClient(limits=Limits(total_seconds=0.8, read_seconds=5)).download(
                url, tmp_path / "a"
            )
        assert soon(lambda: THREAD_NAME not in {thread.name for thread in threading.enumerate()})
    finally:
        over.set()


def test_f4_a_tls_greeting_that_never_comes_is_cut_off_too(tmp_path: Path) -> None:
    limits = Limits(total_seconds=0.5, read_seconds=60, connect_seconds=60)

    late = pytest.raises(FeedUnreachable, match="not complete within")
    with silent_port() as base, took(under=5), late:
        HttpClient(limits=limits).download(f"{base}/a", tmp_path / "a")


def test_f4_all_documents_of_a_feed_share_one_deadline_and_its_pauses_count(
    server: FeedServer, tmp_path: Path
) -> None:
    clock = Clock()
    url = server.answer("/a", Reply(b"data"))
    worker = client(clock).within(100)
    worker.sleep(60)
    assert worker.download(url, tmp_path / "a").changed

    with pytest.raises(FeedUnreachable, match="the 100 seconds for this feed are over"):
        worker.sleep(60)
    clock.at += 60
    with pytest.raises(FeedUnreachable, match="not complete within 0 seconds"):
        worker.download(url, tmp_path / "a")

    assert len(server.requests) == 1


def test_a_missing_document_is_not_asked_for_again(server: FeedServer, tmp_path: Path) -> None:
    with pytest.raises(FeedUnreachable, match="answered 404"):
        client(Clock()).download(f"{server.base}/nothing", tmp_path / "a")

    assert len(server.requests) == 1
