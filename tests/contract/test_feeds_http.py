"""A download is whole, bounded in bytes and time, polite, and never less than verified."""

import random
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cases.feeds.server import FeedServer, Reply, feed_server
from wavemend.errors import FeedRejected, FeedUnreachable
from wavemend.feeds.http import Answer, HttpClient, Limits, Validators

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


def test_the_key_of_one_server_is_not_carried_to_another(
    server: FeedServer, tmp_path: Path
) -> None:
    server.answer("/b", Reply(b"data"))
    other = server.base.replace("127.0.0.1", "localhost")
    url = server.answer("/a", Reply(status=302, headers={"Location": f"{other}/b"}))

    client(Clock()).download(url, tmp_path / "a", headers={"apiKey": "secret"})

    assert [("apikey" in headers) for _, headers in server.requests] == [True, False]


def test_f18_a_certificate_nobody_vouches_for_is_refused_at_once(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run((*made, *subject, *files), check=True, capture_output=True)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    clock = Clock()

    with feed_server(own) as server:
        url = server.answer("/a", Reply(b"data"))
        with pytest.raises(FeedRejected, match="certificate cannot be verified"):
            client(clock).download(url, tmp_path / "a")

    assert (server.requests, clock.slept) == ([], [])


def test_a_closed_port_is_unreachable_and_said_so(tmp_path: Path) -> None:
    with feed_server() as gone:
        url = gone.answer("/a", Reply(b"data"))

    with pytest.raises(FeedUnreachable, match="no complete answer"):
        client(Clock()).download(url, tmp_path / "a")


def test_a_missing_document_is_not_asked_for_again(server: FeedServer, tmp_path: Path) -> None:
    with pytest.raises(FeedUnreachable, match="answered 404"):
        client(Clock()).download(f"{server.base}/nothing", tmp_path / "a")

    assert len(server.requests) == 1
