"""Each fault a feed can have (F1 to F20) meets its answer, in bounded time and memory.

Every fault is played by a real server on this machine against `refresh` in a process of its own,
whose peak memory is read from the kernel when it ends.

| fault | what is played | test |
|---|---|---|
| F1 | unknown name, closed port, a hole, a silent server | `FAULTS`, test_feeds_http |
| F2 | 403, 429, 503, Retry-After short, long, a date | `FAULTS`, test_feeds_http |
| F3 | body cut anywhere, wrong length | `FAULTS`, test_f3_… |
| F4 | a byte at a time: status, headers, interim answers, body, chunk size, TLS | test_feeds_http |
| F5 | 5 GB announced, unannounced, in a redirect; small things, rows, a long name | `FAULTS` |
| F6 | bombs: gzip, gzip in gzip, xz, bzip2, zip, tar | `FAULTS` |
| F7 | deep nesting | `FAULTS` |
| F8 | NaN, Infinity, 1e999, keys twice, scores out of range | `FAULTS`, test_feeds_refresh |
| F9 | keys renamed | `FAULTS`, test_feeds_refresh |
| F10 | the same answer for ever | test_f10_… |
| F11 | an older catalogue | `FAULTS`, test_feed_overrides |
| F12 | the year 2099 | test_f12_… |
| F13 | half of it gone; single entries gone | `FAULTS`, test_feed_overrides |
| F14 | one page of many fails | test_feeds_refresh |
| F15 | feeds of different days | test_f15_… |
| F16 | a login page with status 200 | `FAULTS` |
| F17 | sources that disagree about the due date | test_f17_… |
| F18 | own authority, wrong name, no TLS | `FAULTS`, test_feeds_http |
| F19 | entities in XML | test_f19_… |
| F20 | text that commands a terminal, a spreadsheet, a browser | test_f20_… |
"""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import sleep

import pytest
from rich.console import Console

from wavemend.advisories import KevEntry, Ssvc, Vulnerability
from wavemend.cli.feed_tables import result_table, snapshot_table
from wavemend.cli.findings import _cell
from wavemend.cli.shown import say
from wavemend.errors import FeedRejected
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.readers.msrc_xml import require_safe_expat
from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.scoring import Priority, prioritise
from wavemend.testing.feed_server import (
    FeedServer,
    Reply,
    black_hole,
    closed_port,
    feed_server,
    make_certificate,
    silent_port,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOST_MEMORY = 256 * 1024 * 1024
MIB = 1024 * 1024

# Not getrusage: its peak survives fork and exec, so it would be that of the test's own process.
CHILD = """
import json, re, sys, time
from datetime import datetime
from pathlib import Path
from wavemend.feeds.reading.http import HttpClient, Limits
from wavemend.feeds.refresh import RefreshConfig, refresh

asked = json.loads(sys.argv[1])
config = RefreshConfig(
    feeds=(asked["feed"],),
    directory=Path(asked["folder"]) if asked["folder"] else None,
    sources={asked["feed"]: asked["url"]} if asked["url"] else {},
)
limits = Limits(**asked["limits"])
start = time.monotonic()
(result,) = refresh(
    config,
    Path(asked["cache"]),
    datetime.fromisoformat(asked["now"]),
    client=HttpClient(limits=limits),
)
print(json.dumps({
    "status": result.status,
    "reason": result.reason,
    "seconds": time.monotonic() - start,
    "memory": 1024 * int(re.search("VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]),
}))
"""


def epss(day: str = "2026-11-20", count: int = 100) -> bytes:
    rows = "".join(f"CVE-2026-{10_000 + number},0.{number:05},0.5\n" for number in range(count))
    head = f"#model_version:v2026.06.15,score_date:{day}T12:55:00Z\ncve,epss,percentile\n"
    return gzip.compress((head + rows).encode())


def kev(count: int = 100, released: str = "2026-11-19T17:00:00Z", name: str = "A name") -> bytes:
    entry = {
        "dateAdded": "2026-01-02",
        "dueDate": "2026-01-23",
        "vulnerabilityName": name,
        "knownRansomwareCampaignUse": "Unknown",
    }
    lines = [{"cveID": f"CVE-2026-{10_000 + number}", **entry} for number in range(count)]
    catalogue = {"catalogVersion": "2026.11.19", "dateReleased": released, "count": count}
    return json.dumps({**catalogue, "vulnerabilities": lines}).encode()


@dataclass(frozen=True)
class Fault:
    """What is played (an answer, an address, or a file in a folder), and what is said about it."""

    feed: str
    reason: str
    reply: Reply | None = None
    place: Callable[[], AbstractContextManager[str]] | None = None
    file: tuple[str, Callable[[], bytes]] | None = None


def endless(piece: bytes) -> Callable[[], Iterator[bytes]]:
    """Return a body of 5 GB that is made while it is sent."""
    return lambda: (piece for _ in range(5 * 1024 * MIB // len(piece)))


def small_things() -> Iterator[bytes]:
    """Make 7 MiB of JSON that would take 190 MB as Python values."""
    yield b'{"count": 0, "vulnerabilities": [[]'
    for _ in range(7):
        yield b",[]" * (MIB // 3)
    yield b"]}"


def just_allowed() -> Iterator[bytes]:
    """Make as much of it as is not refused before it is built; objects take the most memory."""
    yield b'{"count": 0, "vulnerabilities": [{"a":1}'
    for _ in range(499):
        yield b',{"a":1}' * 1000
    yield b"]}"


def many_rows() -> Iterator[bytes]:
    """Make a table of four million rows, ten times the real one; packed it has 10 MB."""
    packer = zlib.compressobj(1, wbits=31)
    yield packer.compress(b"#model_version:v2026.06.15,score_date:2026-11-20T12:55:00Z\n")
    yield packer.compress(b"cve,epss,percentile\n")
    for start in range(0, 4_000_000, 10_000):
        rows = (f"CVE-2026-{number:07},0.5,0.5\n" for number in range(start, start + 10_000))
        yield packer.compress("".join(rows).encode())
    yield packer.flush()


def zip_bomb() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CVE-2026-0001.json", b"0" * 200 * MIB)
    return held.getvalue()


def tar_bomb() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:xz") as archive:
        member = tarfile.TarInfo("CVE-2026-0001.json")
        member.size = 400 * MIB
        archive.addfile(member, _Zeros(member.size))
    return held.getvalue()


def long_name() -> bytes:
    """Make a tar whose one file has a name of 256 MiB: tar readers hold names whole."""
    held = io.BytesIO()
    dice = random.Random(7)
    with gzip.GzipFile(fileobj=held, mode="wb", compresslevel=1) as packed:
        head = tarfile.TarInfo("././@LongLink")
        head.type, head.size = b"L", 256 * MIB
        packed.write(head.tobuf())
        for _ in range(256 * 64):  # squeezes 60 times: far below what is called a bomb
            packed.write(dice.randbytes(200) + bytes(MIB // 64 - 200))
    return held.getvalue()


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def read(self, size: int = -1) -> bytes:
        given = min(size, self._left)
        self._left -= given
        return bytes(given)


@contextmanager
def unknown_name() -> Iterator[str]:
    yield "https://feeds.invalid"


@contextmanager
def own_authority() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        feed_server(make_certificate(Path(folder))) as server,
    ):
        yield server.base


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE cvrfdoc [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))
    + "]><cvrfdoc>&a10;</cvrfdoc>"
).encode()
PEEKS = (
    b'<?xml version="1.0"?><!DOCTYPE cvrfdoc [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    b"<cvrfdoc>&e;</cvrfdoc>"
)
HTML = {"Content-Type": "text/html"}
UNSAID = {"Content-Length": ""}
FAULTS = {
    "f1 unknown name": Fault("kev", "feeds.invalid cannot be resolved", place=unknown_name),
    "f1 closed port": Fault("kev", "Connection refused", place=closed_port),
    "f1 hole": Fault("kev", "no connection within 1 seconds", place=black_hole),
    "f1 silence": Fault("kev", "silent for 1 seconds", place=silent_port),
    "f2 blocked": Fault("kev", "it refuses us: blocked", Reply(b"no", status=403)),
    "f2 wait for a day": Fault(
        "kev", "answered 429, after 1 attempts", Reply(status=429, headers={"Retry-After": "86400"})
    ),
    "f3 cut": Fault("kev", "no complete answer", Reply(kev(), cut=500)),
    "f4 drip": Fault("kev", "not complete within 8 seconds", Reply(kev(), drip=lambda: sleep(0.2))),
    "f5 announced": Fault(
        "kev", "announces 5368709120 bytes", Reply(headers={"Content-Length": str(5 * 1024 * MIB)})
    ),
    "f5 unannounced": Fault(
        "kev", "sends more than", Reply(headers=UNSAID, pieces=endless(b" " * MIB))
    ),
    "f5 unannounced and packed": Fault(
        "epss",
        "sends more than",
        Reply(headers=UNSAID, pieces=endless(gzip.compress(b"0" * MIB, 0))),
    ),
    "f5 small things": Fault(
        "kev", "holds more than 1000000 values", Reply(headers=UNSAID, pieces=small_things)
    ),
    "f5 as many things as are allowed": Fault(
        "kev", "says it has 0 entries", Reply(headers=UNSAID, pieces=just_allowed)
    ),
    "f5 rows": Fault("epss", "epss_scores.csv.gz", Reply(headers=UNSAID, pieces=many_rows)),
    "f5 long name": Fault("cve", "", file=("all.tar.gz", long_name)),
    "f6 gzip": Fault("nvd", "a bomb", Reply(gzip.compress(b"[" + b" " * 200 * MIB, 9))),
    "f6 gzip twice": Fault("kev", "", Reply(gzip.compress(gzip.compress(b"0" * 200 * MIB, 9), 9))),
    "f6 xz": Fault("kev", "", file=("kev.json.xz", lambda: lzma.compress(b"0" * 400 * MIB))),
    "f6 bzip2": Fault(
        "exploitdb", "", file=("files_exploits.csv.bz2", lambda: bz2.compress(b"0" * 400 * MIB))
    ),
    "f6 zip": Fault("debian", "", file=("all.zip", zip_bomb)),
    "f6 tar": Fault("cve", "", file=("vulnrichment.tar.xz", tar_bomb)),
    "f7 nesting": Fault("kev", "nested too deeply", Reply(b"[" * 200_000)),
    "f7 nesting in a stream": Fault(
        "nvd", "", file=("page-0.json", lambda: b'{"vulnerabilities":' + b"[" * 200_000)
    ),
    "f8 not a number": Fault("kev", "NaN is not a number", Reply(b'{"count": NaN}')),
    "f9 renamed": Fault("kev", "cannot be read", Reply(kev().replace(b"dueDate", b"dueOn"))),
    "f12 year 2099": Fault("kev", "in the future", Reply(kev(released="2099-01-01T00:00:00Z"))),
    "f13 empty": Fault("kev", "not a world without", Reply(kev(0))),
    "f16 login page": Fault("kev", "is a web page", Reply(b"<html>log in", headers=HTML)),
    "f19 entities": Fault("msrc", "cvrf-2026-Feb.xml", file=("cvrf-2026-Feb.xml", lambda: LAUGHS)),
    "f19 an entity of this machine": Fault(
        "msrc", "cvrf-2026-Feb.xml", file=("cvrf-2026-Feb.xml", lambda: PEEKS)
    ),
    "f18 own authority": Fault("kev", "certificate cannot be verified", place=own_authority),
}


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as served:
        yield served


@dataclass(frozen=True)
class Told:
    """What the process that refreshed said, and what it took."""

    status: str
    reason: str
    seconds: float
    memory: int


def refreshed_apart(cache: Path, feed: str, *, url: str = "", folder: Path | None = None) -> Told:
    """Refresh one feed in a process of its own."""
    limits = {
        "attempts": 2,
        "total_seconds": 8,
        "connect_seconds": 1,
        "read_seconds": 1,
        "max_bytes": 64 * MIB,
        "backoff_seconds": 0.1,
    }
    asked = {"feed": feed, "url": url, "folder": str(folder or ""), "cache": str(cache)}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CHILD,
            json.dumps({**asked, "limits": limits, "now": NOW.isoformat()}),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return Told(**json.loads(done.stdout))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_refused_within_its_time_and_256_mib(
    server: FeedServer, tmp_path: Path, name: str
) -> None:
    fault = FAULTS[name]
    folder: Path | None = None
    with contextlib.ExitStack() as open_ones:
        url = f"{server.base}/doc"
        if fault.reply is not None:
            server.answer("/doc", fault.reply)
        elif fault.place is not None:
            url = f"{open_ones.enter_context(fault.place())}/doc"
        elif fault.file is not None:
            folder, url = tmp_path / "in", ""
            (folder / fault.feed).mkdir(parents=True)
            (folder / fault.feed / fault.file[0]).write_bytes(fault.file[1]())
        told = refreshed_apart(tmp_path / "cache", fault.feed, url=url, folder=folder)

    print(f"{name}: {told.memory / MIB:.0f} MiB, {told.seconds:.1f} s: {told.reason[:150]}")
    assert told.status == "missing"  # never "nothing is vulnerable"
    assert fault.reason in told.reason
    assert "fault in the reader" not in told.reason
    assert told.memory < MOST_MEMORY, f"{told.memory / MIB:.0f} MiB"
    assert told.seconds < 30
    assert not list((tmp_path / "cache").glob("*/.new-*"))


@dataclass
class World:
    """A server, a cache and refreshes against them, in this process."""

    server: FeedServer
    cache: Path

    def refresh(self, feed: str, *replies: Reply, now: datetime = NOW) -> FeedResult:
        url = self.server.answer(f"/{feed}", *replies) if replies else f"{self.server.base}/{feed}"
        config = RefreshConfig(sources={feed: url}, feeds=(feed,))
        client = HttpClient(limits=Limits(attempts=1))
        (result,) = refresh(config, self.cache, now, client=client)
        return result


@pytest.fixture
def world(server: FeedServer, tmp_path: Path) -> World:
    return World(server, tmp_path / "cache")


def test_f3_a_table_cut_anywhere_is_refused_whole(world: World) -> None:
    whole = epss()
    assert world.refresh("epss", Reply(whole)).status is FeedStatus.REFRESHED

    for percent in range(1, 100):  # also with a length that agrees: the file itself was cut
        part = whole[: len(whole) * percent // 100]
        assert world.refresh("epss", Reply(part)).status is FeedStatus.KEPT_OLD, percent
    for percent in range(1, 100, 7):
        cut = Reply(whole, cut=len(whole) * percent // 100)
        assert world.refresh("epss", cut).status is FeedStatus.KEPT_OLD, percent


def test_f10_a_server_that_says_unchanged_for_ever_does_not_keep_a_feed_fresh(
    world: World,
) -> None:
    world.refresh("epss", Reply(epss(), headers={"ETag": '"1"'}))
    late = NOW + timedelta(days=10)

    assert world.refresh("epss", now=late).status is FeedStatus.UNCHANGED

    known = load_intelligence(world.cache, late, feeds=("epss",))
    assert known.stale
    assert known.warnings == ("epss: stale: the data is of 2026-11-20, 10 days old.",)


def test_f12_a_copy_from_the_future_is_not_even_remembered_as_a_date(world: World) -> None:
    world.refresh("kev", Reply(kev()))
    future = world.refresh("kev", Reply(kev(released="2099-01-01T00:00:00Z")))
    true = world.refresh("kev", Reply(kev(released="2026-11-20T09:00:00Z")))

    assert future.status is FeedStatus.KEPT_OLD
    assert "override" not in future.reason  # nobody can sign for this
    assert true.status is FeedStatus.REFRESHED


def test_f15_today_of_one_feed_and_last_month_of_another_are_one_state_that_says_its_skew(
    world: World,
) -> None:
    world.refresh("kev", Reply(kev()))
    world.refresh("epss", Reply(epss("2026-10-20")))
    apart = load_intelligence(world.cache, NOW, feeds=("epss", "kev"))
    world.refresh("epss", Reply(epss("2026-11-20")))
    together = load_intelligence(world.cache, NOW, feeds=("epss", "kev"))

    assert apart.skew.days == 30
    assert any("The feeds are 30 days apart" in warning for warning in apart.warnings)
    assert together.skew.days == 0
    assert together.warnings == ()
    assert apart.id != together.id


def test_f17_of_two_due_dates_the_earlier_governs_and_the_other_is_shown() -> None:
    listed = KevEntry(
        date_added=date(2026, 11, 1), due_date=date(2026, 11, 22), ransomware=None, name="Named"
    )
    total = Ssvc(exploitation="active", automatable=True, impact_total=True, source="cisa-adp")
    outside = Host(name="web1", tenant="acme", address="192.0.2.1", exposed=True)
    found = Finding(
        id="f",
        tenant="acme",
        host="web1",
        cve="CVE-2026-0001",
        package="zip",
        binaries=("zip",),
        installed="1",
        fixed="2",
        fix_pending=True,
        because=Because(feed="debian", document="d", compared="1 < 2"),
    )

    def decided(due: date) -> Priority:
        entry = replace(listed, due_date=due)
        known = Vulnerability(cve=found.cve, kev=entry, ssvc=total)
        return prioritise(found, outside, known, NOW, first_seen=NOW)

    table_first, kev_first = decided(date(2026, 12, 24)), decided(date(2026, 11, 22))

    assert table_first.due == NOW + timedelta(days=3)
    assert any("2026-12-24" in item.text for item in table_first.contributions)
    assert kev_first.due is not None
    assert kev_first.due.date() == date(2026, 11, 22)
    assert "KEV" in kev_first.due_reason


def test_f19_the_xml_parser_of_this_machine_is_one_that_stops_entity_bombs() -> None:
    require_safe_expat()
    with pytest.raises(FeedRejected, match="is unsafe"):
        require_safe_expat((2, 4, 0))


HOSTILE = 'a";rm -rf /\x1b[2J\x07 \u202egpj.exe <script>alert(1)</script> =HYPERLINK("x") [bold]'


def test_f20_text_of_a_feed_is_stored_raw_and_commands_nothing_where_it_is_shown(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    world.refresh("kev", Reply(kev(name=HOSTILE)))
    known = load_intelligence(world.cache, NOW, feeds=("kev",))
    entry = known.vulnerability("CVE-2026-10001").kev
    bad = json.loads(kev())
    bad["vulnerabilities"][5]["cveID"] = HOSTILE
    refused = world.refresh("kev", Reply(json.dumps({**bad, "count": HOSTILE}).encode()))

    console = Console(force_terminal=True)
    console.print(result_table([refused]))
    console.print(snapshot_table([replace(known.snapshots[0], note=HOSTILE, model=HOSTILE)], NOW))
    say(f"{HOSTILE}\n")
    shown = capsys.readouterr().out

    assert entry is not None
    assert entry.name == HOSTILE
    # What colours the table itself is rich's own; nothing of the feed's is left as it came.
    assert "\u202e" not in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "[bold]" in shown  # as text, not as a style
    assert _cell('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
