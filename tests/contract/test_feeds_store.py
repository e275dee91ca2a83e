"""A state is adopted whole or not at all, and what has not changed is neither read nor copied."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.told_feed import NOW, ToldFeed, adopted, one
from wavemend.advisories import KevEntry
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Heading, Sink
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.store.compiled import compile_state, open_state
from wavemend.feeds.store.snapshots import (
    adopt,
    confirm,
    keep,
    previous_states,
    read_current,
    repair,
    staging,
)
from wavemend.feeds.store.snapshots_history import history, kept_days
from wavemend.testing.feed_server import Reply, feed_server

ENTRY = KevEntry(date_added=date(2026, 1, 2), due_date=None, ransomware=True, name="A name")


def said(text: str) -> ToldFeed:
    def say(sink: Sink) -> None:
        one(sink)
        sink.summary("CVE-2026-1", text)

    return ToldFeed(say=say)


def kev(text: str) -> ToldFeed:
    return replace(said(text), name="kev")


def summary(cache: Path, feed: str = "told") -> str:
    stored = read_current(cache, feed)
    assert stored is not None
    return open_state(stored.compiled).summaries["CVE-2026-1"]


def test_documents_that_did_not_change_are_linked_from_the_state_in_use(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("old"), {"a": b"same", "b": b"1"})
    before = read_current(cache, "told")

    adopted(cache, said("new"), {"b": b"22"})  # only `b` is offered: `a` is gone
    with staging(cache, "told", HttpClient(), before, now=NOW) as fresh:
        fresh.keep("a")
        fresh.keep("b")
        assert not fresh.changed
        fresh.discard("b")
        assert fresh.changed

    assert before is not None
    assert summary(cache) == "new"
    after = read_current(cache, "told")
    assert after is not None
    assert [item.name for item in after.documents] == ["b"]


def test_a_linked_document_is_the_same_file_and_costs_no_second_copy(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("old"), {"a": b"same", "b": b"1"})
    before = read_current(cache, "told")
    assert before is not None
    folder = Path(before.snapshot.source)
    (folder / "b").write_bytes(b"22")

    with staging(cache, "told", HttpClient(), before, now=NOW) as fresh:
        for name in ("a", "b"):
            fresh.copy(folder / name, name)
        inode = next(item.path.stat().st_ino for item in fresh.documents if item.name == "a")
        assert fresh.fetched == {"b"}
        assert fresh.changed

    assert inode == before.documents[0].path.stat().st_ino


def test_a_file_with_the_same_size_and_another_time_is_read_again_and_then_known(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("old"), {"a": b"1"})
    before = read_current(cache, "told")
    assert before is not None
    source = Path(before.snapshot.source) / "a"
    source.touch()

    with staging(cache, "told", HttpClient(), before, now=NOW) as fresh:
        fresh.copy(source, "a")
        assert (fresh.fetched, fresh.changed) == ({"a"}, False)
        confirm(cache, "told", before.snapshot.digest, NOW, fresh)

    again = read_current(cache, "told")
    with staging(cache, "told", HttpClient(), again, now=NOW) as fresh:
        fresh.copy(source, "a")
        assert fresh.fetched == set()


def test_a_document_in_use_that_was_altered_is_not_compiled_into_a_new_state(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("old"), {"a": b"same", "b": b"1"})
    before = read_current(cache, "told")
    assert before is not None
    before.documents[0].path.write_bytes(b"sane")

    with staging(cache, "told", HttpClient(), before, now=NOW) as fresh:
        fresh.keep("a")
        with pytest.raises(FeedRejected, match="a of the copy in use is not what was accepted"):
            compile_state(said("new"), fresh)


UNREAD = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wavemend.feeds.reading.http import HttpClient
from wavemend.feeds.store.snapshots import confirm, read_current, staging

cache, now = Path(sys.argv[1]), datetime(2026, 11, 21, tzinfo=UTC)
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
stored = read_current(cache, "told")
with staging(cache, "told", HttpClient(), stored, now=now) as fresh:
    for item in stored.manifest.documents:
        fresh.copy(Path(stored.snapshot.source) / item.name, item.name)
    assert not fresh.changed
    confirm(cache, "told", stored.snapshot.digest, now, fresh)
print(json.dumps(opened))
"""


def python(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )


def test_a_refresh_in_which_nothing_changed_opens_no_document(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    names = ("first.json", "second.json")
    adopted(cache, said("text"), dict.fromkeys(names, b"1" * 5_000))

    run = python(UNREAD, str(cache))

    assert run.returncode == 0, run.stderr
    opened = [Path(name).name for name in json.loads(run.stdout)]
    assert "snapshot.json" in opened
    assert not set(names) & set(opened)
    confirmed = read_current(cache, "told")
    assert confirmed is not None
    assert confirmed.snapshot.fetched_at == NOW.replace(day=21, hour=0)


def test_what_stays_in_force_cannot_be_taken_out_of_the_manifest_unseen(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, kev("listed"), kept={"CVE-2026-1": ENTRY})
    stored = read_current(cache, "kev")
    assert stored is not None
    manifest = stored.compiled.parent / "snapshot.json"
    whole = json.loads(manifest.read_bytes())

    manifest.write_text(json.dumps({**whole, "kept": []}))

    with pytest.raises(FeedRejected, match=r"snapshot\.json is not what was accepted"):
        read_current(cache, "kev")


@pytest.mark.parametrize("damage", ["altered", "cut", "missing"])
def test_a_damaged_compiled_file_is_refused_and_compiled_again_from_its_documents(
    tmp_path: Path, damage: str
) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("text"), kept={"CVE-2026-9": ENTRY})
    stored = read_current(cache, "told")
    assert stored is not None
    body = stored.compiled.read_bytes()
    if damage == "missing":
        stored.compiled.unlink()
    else:
        changed = body[:-1] if damage == "cut" else bytes([*body[:-1], body[-1] ^ 1])
        stored.compiled.write_bytes(changed)

    with pytest.raises(FeedRejected, match="run `wavemend feeds refresh --online`") as caught:
        read_current(cache, "told")
    assert "content.sqlite is" in caught.value.message

    mended = repair(cache, said("text"))
    assert mended is not None
    assert summary(cache) == "text"
    assert mended.kept == {"CVE-2026-9": ENTRY}
    assert mended.snapshot.digest == stored.snapshot.digest
    assert read_current(cache, "told") == mended


def test_a_state_of_an_older_version_is_compiled_again_at_the_next_refresh(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("text"))
    stored = read_current(cache, "told")
    assert stored is not None
    manifest = stored.compiled.with_name("snapshot.json")
    old = json.loads(manifest.read_text())
    del old["compiled"], old["kept"]
    manifest.write_text(json.dumps({**old, "schema": "wavemend.feed-snapshot/1"}))
    stored.compiled.unlink()

    with pytest.raises(FeedRejected, match="another version of wavemend"):
        read_current(cache, "told")
    repair(cache, said("text"))

    assert summary(cache) == "text"


def test_what_cannot_be_compiled_again_is_said_with_the_way_out(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("text"))
    stored = read_current(cache, "told")
    assert stored is not None
    stored.compiled.unlink()
    stored.documents[0].path.write_bytes(b"2")

    with pytest.raises(FeedRejected, match="is not what was accepted") as caught:
        repair(cache, said("text"))

    assert "run `wavemend feeds refresh --online`" in caught.value.hint


def test_a_sound_state_and_a_missing_one_need_no_repair(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert repair(cache, said("text")) is None
    adopted(cache, said("text"))
    before = read_current(cache, "told")

    assert repair(cache, said("another text")) == before
    assert summary(cache) == "text"


def test_tombstones_are_part_of_a_state_and_change_its_name(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    bare = adopted(cache, said("text"))

    held = keep(cache, "told", bare.digest, {"CVE-2026-9": ENTRY})
    stored = read_current(cache, "told")
    assert stored is not None
    assert stored.kept == {"CVE-2026-9": ENTRY}
    assert held.digest == stored.snapshot.digest != bare.digest
    assert summary(cache) == "text"
    assert stored.snapshot.fetched_at == NOW

    with pytest.raises(FeedRejected, match="in use is not"):
        keep(cache, "told", bare.digest, {})
    assert keep(cache, "told", held.digest, {}).digest == bare.digest
    assert keep(cache, "told", bare.digest, {}).digest == bare.digest


def test_the_states_before_are_there_to_compare_with_until_they_are_pruned(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    digests = [adopted(cache, said(str(n)), {"a": str(n).encode()}).digest for n in range(5)]

    states = previous_states(cache, "told")

    assert [state.snapshot.digest for state in states] == [digests[3], digests[2]]
    assert open_state(states[0].compiled).summaries["CVE-2026-1"] == "3"
    folders = {path.name for path in (cache / "told").iterdir() if path.is_dir()}
    assert folders == set(digests[2:])


def test_a_state_that_is_pruned_while_it_is_read_stays_readable(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("first"))
    stored = read_current(cache, "told")
    assert stored is not None
    state = open_state(stored.compiled)

    shutil.rmtree(stored.compiled.parent)

    assert state.summaries["CVE-2026-1"] == "first"


def test_what_a_process_that_died_left_is_removed_by_the_next_refresh(tmp_path: Path) -> None:
    left = tmp_path / "cache" / "told" / ".new-abc" / "documents"
    left.mkdir(parents=True)
    (left / "a").write_bytes(b"half")

    adopted(tmp_path / "cache", said("text"))

    assert list((tmp_path / "cache" / "told").glob(".new-*")) == []


def test_a_source_that_failed_half_way_leaves_nothing_in_the_next_ones_state(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with staging(tmp_path / "cache", "told", HttpClient(), None, now=NOW) as fresh:
        fresh.copy(tmp_path / "a", "of the first source")
        fresh.restart()
        fresh.copy(tmp_path / "a", "a")

        assert [path.name for path in (fresh.home / "documents").iterdir()] == ["a"]
        assert [item.name for item in fresh.stored] == ["a"]
        with pytest.raises(FeedRejected, match="no document 'b' was collected"):
            fresh.discard("b")
        with pytest.raises(FeedRejected, match="has no document 'b'"):
            fresh.keep("b")


def test_a_stored_document_keeps_the_time_upstream_gave_it(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"1")
    os.utime(source, ns=(1_700_000_000_123_456_789,) * 2)

    with staging(tmp_path / "cache", "told", HttpClient(), None, now=NOW) as fresh:
        fresh.copy(source, "a")
        assert fresh.documents[0].path.stat().st_mtime_ns == 1_700_000_000_123_456_789


@pytest.mark.parametrize(
    ("says", "written"),
    [
        ("Thu, 19 Nov 2026 10:00:00 GMT", datetime(2026, 11, 19, 10, tzinfo=UTC)),
        ("", NOW),
        ("yesterday", NOW),
    ],
)
def test_a_fetched_document_is_dated_as_the_server_says_or_else_with_the_refresh(
    tmp_path: Path, says: str, written: datetime
) -> None:
    with feed_server() as server:
        server.answer("/doc", Reply(b"1", headers={"Last-Modified": says} if says else {}))
        with staging(tmp_path / "cache", "told", HttpClient(), None, now=NOW) as fresh:
            document = fresh.get(f"{server.base}/doc", "a")

            assert document.path.stat().st_mtime == written.timestamp()


def test_an_unchanged_answer_links_the_document_in_use_and_another_address_asks_anew(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    with feed_server() as server:
        first = server.answer("/one", Reply(b"1", headers={"ETag": '"1"'}))
        other = server.answer("/two", Reply(b"1", headers={"ETag": '"1"'}))
        with staging(cache, "told", HttpClient(), None, now=NOW) as fresh:
            fresh.get(first, "a")
            content = compile_state(said("text"), fresh)
            adopt(cache, "told", fresh, content, first)
        stored = read_current(cache, "told")
        assert stored is not None

        with staging(cache, "told", HttpClient(), stored, now=NOW) as fresh:
            same = fresh.get(first, "a")
            assert fresh.fetched == set()
            assert same.path.stat().st_ino == stored.documents[0].path.stat().st_ino
            assert fresh.earlier(first) == stored.documents
            assert fresh.earlier(other) == ()
            fresh.get(other, "a")
            assert (fresh.fetched, fresh.changed) == ({"a"}, False)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "", "a/../../b"])
def test_a_document_cannot_be_written_outside_of_its_state(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with (
        staging(tmp_path / "cache", "told", HttpClient(), None, now=NOW) as fresh,
        pytest.raises(FeedRejected, match="is not a name for a document"),
    ):
        fresh.copy(tmp_path / "a", name)


@pytest.mark.parametrize("limit", [8_192, 100_000, 1_000_000])
def test_a_full_disk_is_an_error_with_a_way_out_and_the_old_state_stays(
    tmp_path: Path, limit: int
) -> None:
    cache = tmp_path / "cache"
    adopted(cache, said("old"))
    rows = [(f"CVE-2026-{number}", 0.5, 0.5) for number in range(10_000, 60_000)]
    large = ToldFeed(say=lambda sink: sink.epss(rows, day=NOW.date()))

    with (
        file_limit(limit),
        pytest.raises(FeedError, match=r"cannot be written|too large") as caught,
    ):
        adopted(cache, large, {"a": b"22"})

    assert "disk full" in caught.value.hint
    assert summary(cache) == "old"
    assert list((cache / "told").glob(".new-*")) == []


def test_a_full_disk_while_a_document_is_taken_is_the_same_error(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"1" * 100_000)

    with (
        file_limit(50_000),
        pytest.raises(FeedError, match="too large") as caught,
        staging(tmp_path / "cache", "told", HttpClient(), None, now=NOW) as fresh,
    ):
        fresh.copy(tmp_path / "large", "large")

    assert "disk full" in caught.value.hint


@contextlib.contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_day_of_epss_and_kev_is_remembered_for_replays_and_of_other_feeds_none(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    days = [NOW + timedelta(days=number) for number in range(100)]
    for name in ("kev", "told"):
        for day in days:
            feed = replace(said("text"), name=name, heading=Heading(data_date=day))
            adopted(cache, feed, {"list.json": str(day).encode()}, now=day)

    remembered = history(cache, "kev")

    assert [day for day, _ in remembered] == [
        date(2026, 11, 20),
        date(2026, 12, 1),
        date(2027, 1, 1),
        *(day.date() for day in days[60:]),
    ]
    assert all(document.path.read_text().startswith(str(day)) for day, document in remembered)
    assert {document.name for _, document in remembered} == {"list.json"}
    assert history(cache, "told") == ()


def test_a_second_state_of_a_day_replaces_the_first_in_the_history(tmp_path: Path) -> None:
    feed = replace(said("text"), name="kev")
    adopted(tmp_path, feed, {"list.json": b"1"})
    adopted(tmp_path, feed, {"list.json": b"22"})

    ((day, document),) = history(tmp_path, "kev")

    assert (day, document.path.read_bytes()) == (NOW.date(), b"22")


def test_of_a_month_whose_first_day_was_missed_the_next_one_is_kept() -> None:
    days = [date(2026, 1, 5), date(2026, 1, 9), date(2026, 3, 1), date(2026, 6, 30)]

    assert kept_days(days) == {days[0], days[2], days[3]}
    assert kept_days([]) == set()


DEATHS = """
import json, os, shutil, sys
from pathlib import Path
from tests.contract.test_feeds_store import kev, summary
from tests.contract.told_feed import adopted

place = Path(sys.argv[1])
counted = ("snapshots.py", "snapshots_files.py", "snapshots_staging.py", "snapshots_history.py",
           "compiled.py", "compiled_writer.py")
feed_files = lambda name: name.endswith(counted) and "/feeds/" in name

def watch(limit):
    seen = set()
    def line(frame, event, arg):
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(seen) == limit:
                os._exit(9)
        return line
    sys.settrace(lambda frame, event, arg: line if feed_files(frame.f_code.co_filename) else None)

def once(limit, cache):
    pid = os.fork()
    if pid == 0:
        try:
            watch(limit)
            adopted(cache, kev("new"), {"a": b"same", "b": b"22"})
        except BaseException:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

ends = {"old": 0, "new": 0}
limit = 0
while True:
    limit += 1
    cache = place / str(limit) / "cache"
    cache.parent.mkdir(parents=True)
    adopted(cache, kev("old"), {"a": b"same", "b": b"1"})
    status = once(limit, cache)
    text = summary(cache, "kev")
    ends[text] += 1
    if status == 0:
        break
    assert status == 9, status
    adopted(cache, kev("newest"), {"a": b"same", "b": b"333"})
    assert summary(cache, "kev") == "newest"
    assert not list((cache / "kev").glob(".new-*"))
    shutil.rmtree(place / str(limit))
print(json.dumps({"lines": limit, **ends}))
"""


def test_a_process_that_dies_at_any_line_leaves_the_old_state_or_the_new_one_whole(
    tmp_path: Path,
) -> None:
    run = python(DEATHS, str(tmp_path))

    assert run.returncode == 0, run.stderr
    ends = json.loads(run.stdout)
    assert ends["lines"] > 150
    assert ends["old"] > ends["new"] >= 2
    assert ends["lines"] == ends["old"] + ends["new"]
