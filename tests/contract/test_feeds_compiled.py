"""What a feed said is what its compiled state says: nothing lost or added, and counts add up."""

import pickle
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.told_feed import NOW, ToldFeed, compiled, one
from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    Cvss,
    Exploit,
    KevEntry,
    Lifecycle,
    Ssvc,
    UpdateClass,
)
from wavemend.errors import FeedRejected
from wavemend.feeds import Heading, Sink
from wavemend.feeds.store.compiled import (
    Content,
    compile_documents,
    cvss_frame,
    epss_frame,
    kev_frame,
    open_state,
    ssvc_frame,
)
from wavemend.feeds.store.compiled_counts import MOST_TEXTS
from wavemend.testing.collected import Collected
from wavemend.versions import Scheme

DAY = date(2026, 11, 19)
CVES = st.sampled_from([f"CVE-2026-{number}" for number in range(10_000, 10_012)])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DATES = st.dates(date(1999, 1, 1), date(2100, 1, 1))
MOMENTS = st.datetimes(
    datetime(1980, 1, 1),  # noqa: DTZ001 - the zone is given beside it
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(fold=0))
MAYBE = st.sampled_from([True, False, None])
PLACES = st.sampled_from(["bookworm", "almalinux-9", "sles-15.5"])
PACKAGES = st.sampled_from(["openssl", "linux", "", "日本"])
CVSS = st.builds(
    Cvss,
    version=st.sampled_from(["2.0", "3.0", "3.1", "4.0"]),
    vector=st.sampled_from(["AV:N", "AV:L", "CVSS:3.1/AV:N"]),
    score=st.sampled_from([0.0, 5.0, 9.8]),
    computed_score=st.sampled_from([None, 9.8]),
    source=st.sampled_from(["nvd", "cna:a", "cna:b", "cisa-adp", "distribution:x"]),
)
KEV = st.builds(
    KevEntry,
    date_added=DATES,
    due_date=st.none() | DATES,
    ransomware=st.sampled_from([True, None]),
    name=TEXTS,
)
SSVC = st.builds(Ssvc, exploitation=TEXTS, automatable=MAYBE, impact_total=MAYBE, source=TEXTS)
EXPLOIT = st.builds(
    Exploit,
    kind=st.sampled_from(["exploitdb", "metasploit"]),
    reference=TEXTS,
    published=st.none() | DATES,
)
ADVISORY = st.builds(
    Advisory,
    id=st.sampled_from(["DSA-1-1", "CVE-2026-10000", "ALSA-2026:1"]),
    feed=st.just("told"),
    document=TEXTS,
    release=PLACES,
    package=PACKAGES,
    fixed_version=st.none() | TEXTS,
    status=st.sampled_from(AdvisoryStatus),
    cves=st.lists(CVES, max_size=3).map(tuple),
    scheme=st.sampled_from(Scheme),
    by_source=st.booleans(),
    arch=st.sampled_from(["", "x86_64"]),
    module=st.sampled_from(["", "nodejs:18"]),
    update_class=st.sampled_from(UpdateClass),
    summary=TEXTS,
    urgency=TEXTS,
    published=st.none() | MOMENTS,
    unimportant=st.booleans(),
    note=TEXTS,
    restart=MAYBE,
)
LIFECYCLE = st.builds(
    Lifecycle,
    feed=st.just("told"),
    document=TEXTS,
    release=PLACES,
    package=PACKAGES,
    ends=st.none() | DATES,
    ended=st.booleans(),
    paid_ends=st.none() | DATES,
    limited=st.booleans(),
    note=TEXTS,
)


def call(name: str, *values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.tuples(st.just(name), *values)


CALLS = st.lists(
    st.one_of(
        call("kev", CVES, KEV),
        call("cvss", CVES, st.lists(CVSS, min_size=1, max_size=3).map(tuple)),
        call("ssvc", CVES, SSVC),
        call("exploits", CVES, st.lists(EXPLOIT, min_size=1, max_size=3).map(tuple)),
        call("published", CVES, MOMENTS),
        call("summary", CVES, TEXTS),
        call("advisory", ADVISORY),
        call("lifecycle", LIFECYCLE),
        call("forget", CVES),
    ),
    max_size=40,
)


def said(calls: list[tuple[str, ...]]) -> Callable[[Sink], None]:
    def say(sink: Sink) -> None:
        for name, *values in calls:
            getattr(sink, name)(*values)

    return say


@given(calls=CALLS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_feed_says_in_whatever_order_is_read_back_equal(
    tmp_path: Path, calls: list[tuple[str, ...]]
) -> None:
    memory = Collected()
    said(calls)(memory)

    state = compiled(tmp_path, said(calls))

    assert dict(state.kev) == memory.listed
    assert dict(state.cvss) == memory.candidates
    assert dict(state.ssvc) == memory.answers
    assert dict(state.exploits) == memory.evidence
    assert dict(state.published) == memory.dates
    assert dict(state.summaries) == memory.summaries
    for kind in (state.kev, state.cvss, state.ssvc, state.exploits, state.summaries):
        assert len(kind) == len(list(kind))
    places = {(item.release, item.package) for item in memory.advisories}
    assert set(state.advisories) == places
    assert len(state.advisories) == len(places)
    assert state.releases == {release for release, _ in places}
    for release, package in places:
        there = [
            item for item in memory.advisories if (item.release, item.package) == (release, package)
        ]
        assert list(state.advisories[release, package]) == sorted(there, key=lambda item: item.id)
    for cve in {cve for item in memory.advisories for cve in item.cves}:
        naming = [item for item in memory.advisories if cve in item.cves]
        assert sorted(map(repr, state.statements[cve])) == sorted(map(repr, naming))
    for key in {(item.release, item.package) for item in memory.lifecycles}:
        ends = [item for item in memory.lifecycles if (item.release, item.package) == key]
        assert list(state.lifecycles[key]) == ends
    state.close()


def test_what_is_said_again_after_thousands_of_other_entries_still_replaces(
    tmp_path: Path,
) -> None:
    def say(sink: Sink) -> None:
        sink.summary("CVE-2026-1", "old")
        sink.cvss("CVE-2026-1", (cvss("nvd", 9.8), cvss("cna:a", 5.0)))
        sink.summary("CVE-2026-2", "to be forgotten")
        sink.cvss("CVE-2026-2", (cvss("nvd", 9.8),))
        for number in range(10_000, 20_000):
            sink.summary(f"CVE-2026-{number}", "other")
            sink.cvss(f"CVE-2026-{number}", (cvss("nvd", 1.0),))
        sink.summary("CVE-2026-1", "new")
        sink.cvss("CVE-2026-1", (cvss("cna:b", 7.0),))
        sink.forget("CVE-2026-2")

    state = compiled(tmp_path, say)

    assert state.summaries["CVE-2026-1"] == "new"
    assert state.cvss["CVE-2026-1"] == (cvss("cna:b", 7.0),)
    assert "CVE-2026-2" not in state.summaries
    assert "CVE-2026-2" not in state.cvss
    assert (len(state.summaries), len(state.cvss)) == (10_001, 10_001)
    frame = cvss_frame(state).set_index("cve")
    assert frame.loc["CVE-2026-1", "source"] == "cna:b"
    assert "CVE-2026-2" not in frame.index


def test_epss_rows_keep_every_digit_and_the_model_comes_from_the_heading(tmp_path: Path) -> None:
    rows = [("CVE-2026-116303", 0.123456789, 0.99999), ("CVE-1999-0001", 1e-05, None)]

    state = compiled(tmp_path, lambda sink: sink.epss(rows, day=DAY), model="v2026.06.15")

    score = state.epss["CVE-2026-116303"]
    assert (score.probability, score.percentile) == (0.123456789, 0.99999)
    assert (score.model, score.date) == ("v2026.06.15", DAY)
    assert state.epss["CVE-1999-0001"].percentile is None
    assert list(state.epss) == ["CVE-1999-0001", "CVE-2026-116303"]
    assert "CVE-2026-1" not in state.epss
    frame = epss_frame(state)
    assert list(frame.columns) == ["cve", "epss", "percentile"]
    assert frame["epss"].tolist() == [1e-05, 0.123456789]
    assert frame["percentile"].isna().tolist() == [True, False]


def test_every_score_of_a_long_table_is_found_and_none_that_is_not_there(tmp_path: Path) -> None:
    rows = [(f"CVE-2026-{number}", number / 1e6, 0.5) for number in range(10_001, 14_001, 2)]
    again = [(rows[700][0], 0.7, None)]

    def say(sink: Sink) -> None:
        sink.epss(reversed(rows), day=DAY)
        sink.epss(again, day=DAY + timedelta(days=1))

    state = compiled(tmp_path, say)

    assert [state.epss[cve].probability for cve, *_ in rows[:700]] == [row[1] for row in rows[:700]]
    assert state.epss[rows[700][0]].probability == 0.7
    assert state.epss[rows[700][0]].percentile is None
    assert state.epss[rows[700][0]].date == DAY + timedelta(days=1)
    assert len(state.epss) == len(list(state.epss)) == len(epss_frame(state)) == 2_000
    absent = [f"CVE-2026-{number}" for number in range(10_000, 14_002, 2)]
    assert not [cve for cve in (*absent, "", "CVE-1999-0001", "ZZZ") if cve in state.epss]


def test_an_id_of_two_lines_is_refused_and_shifts_no_other_score(tmp_path: Path) -> None:
    with pytest.raises(FeedRejected, match="is not the id of a vulnerability"):
        compiled(tmp_path, lambda sink: sink.epss([("CVE-2026-1\nCVE-2026-2", 1, 1)], day=DAY))


def cvss(source: str, score: float, version: str = "3.1", vector: str = "V") -> Cvss:
    return Cvss(version=version, vector=vector, score=score, computed_score=None, source=source)


def test_the_frames_hold_the_whole_catalogue_and_the_chosen_scores(tmp_path: Path) -> None:
    listed = KevEntry(date_added=DAY, due_date=None, ransomware=None, name="A name")
    due = KevEntry(date_added=DAY, due_date=date(2026, 12, 1), ransomware=True, name="B")

    def say(sink: Sink) -> None:
        sink.kev("CVE-2026-2", listed)
        sink.kev("CVE-2026-1", due)
        sink.cvss("CVE-2026-1", (cvss("cna:a", 9.9), cvss("nvd", 8.8), cvss("nvd", 10, "2.0")))

    state = compiled(tmp_path, say)

    catalogue = kev_frame(state)
    assert catalogue["cve"].tolist() == ["CVE-2026-1", "CVE-2026-2"]
    assert catalogue["date_added"].dt.date.tolist() == [DAY, DAY]
    assert catalogue["due_date"].dt.strftime("%F").tolist()[0] == "2026-12-01"
    assert catalogue["due_date"].isna().tolist() == [False, True]
    assert catalogue["ransomware"].tolist() == [True, False]
    (row,) = cvss_frame(state).itertuples(index=False)
    assert tuple(row) == ("CVE-2026-1", "3.1", 8.8, "nvd")


def test_an_answer_that_was_not_given_stays_missing_in_the_frame(tmp_path: Path) -> None:
    def say(sink: Sink) -> None:
        sink.ssvc(
            "CVE-2026-1", Ssvc(exploitation="poc", automatable=True, impact_total=None, source="")
        )
        sink.ssvc(
            "CVE-2026-2", Ssvc(exploitation="", automatable=False, impact_total=True, source="")
        )

    frame = ssvc_frame(compiled(tmp_path, say))

    assert frame["exploitation"].tolist() == ["poc", ""]
    assert frame["automatable"].tolist() == [True, False]
    assert frame["impact_total"].isna().tolist() == [True, False]


def test_the_frames_of_a_feed_without_such_entries_are_empty_with_their_columns(
    tmp_path: Path,
) -> None:
    state = compiled(tmp_path, one)

    assert list(epss_frame(state).columns) == ["cve", "epss", "percentile"]
    assert list(kev_frame(state).columns) == ["cve", "date_added", "due_date", "ransomware", "name"]
    assert list(cvss_frame(state).columns) == ["cve", "version", "score", "source"]
    assert len(ssvc_frame(state)) == 0
    assert len(epss_frame(state)) + len(kev_frame(state)) + len(cvss_frame(state)) == 0


def advisory(number: int, release: str = "bookworm", summary: str = "One text") -> Advisory:
    return Advisory(
        id=f"DSA-{number}-1",
        feed="told",
        document="list",
        release=release,
        package="openssl",
        fixed_version="3.0.11-1~deb12u2",
        status=AdvisoryStatus.FIXED,
        cves=("CVE-2026-10000",),
        summary=summary,
    )


def test_the_text_of_a_record_is_written_once_however_many_packages_it_speaks_of(
    tmp_path: Path,
) -> None:
    releases = [f"release-{number}" for number in range(500)]
    text = "A long text that would fill the file. " * 20

    def say(sink: Sink) -> None:
        for release in releases:
            sink.advisory(advisory(1, release, text))

    state = compiled(tmp_path, say)

    assert len(state.statements["CVE-2026-10000"]) == 500
    assert {item.summary for item in state.statements["CVE-2026-10000"]} == {text}
    assert state.path.stat().st_size < 200_000 < 500 * len(text)


def test_half_a_surrogate_pair_does_not_stop_a_feed_and_control_characters_stay(
    tmp_path: Path,
) -> None:
    raw = 'rm -rf /; <script> \x1b[31m =cmd|"x" \u202egpj.exe \x00'

    def say(sink: Sink) -> None:
        sink.summary("CVE-2026-1", raw)
        sink.summary("CVE-2026-2", "half \ud83d a pair")
        sink.reject("entry \ud83d", "no")
        sink.advisory(advisory(1, summary="\udc00"))

    content = compile_documents(balancing(say), (), tmp_path / "content.sqlite")

    state = open_state(content.path)
    assert state.summaries["CVE-2026-1"] == raw
    assert state.summaries["CVE-2026-2"] == "half ? a pair"
    assert content.rejects[0].where == "entry ?"
    assert state.advisories["bookworm", "openssl"][0].summary == "?"
    assert "pack\udc80age" not in state.summaries
    assert state.advisories.get(("bookworm", "pack\udc80age")) is None


def balancing(say: Callable[[Sink], None]) -> ToldFeed:
    def counted(sink: Sink) -> None:
        say(sink)
        sink.entry()

    return ToldFeed(say=counted)


def test_every_entry_is_counted_and_the_first_troubles_are_kept_in_words(tmp_path: Path) -> None:
    def say(sink: Sink) -> None:
        for number in range(MOST_TEXTS + 500):
            sink.entry(2)
            sink.used()
            sink.reject(f"entry {number}", "no id")
            sink.flaw(f"entry {number}", "a bad date")
        sink.entry(7)
        sink.skip("withdrawn", 3)
        sink.skip("another ecosystem", 4)

    content = compile_documents(ToldFeed(say=say), (), tmp_path / "content.sqlite")

    assert content.read == 2 * (MOST_TEXTS + 500) + 7
    assert (content.count, content.rejected, content.flawed) == (2_500, 2_500, 2_500)
    assert content.skipped == {"another ecosystem": 4, "withdrawn": 3}
    assert len(content.rejects) == MOST_TEXTS + 1
    assert content.rejects[-1].reason == "500 more are counted and not listed"
    assert content.flaws[0].where == "entry 0"


@pytest.mark.parametrize(
    "fault",
    [
        lambda sink: sink.entry(),
        lambda sink: sink.used(),
        lambda sink: sink.skip("withdrawn"),
        lambda sink: sink.reject("entry 1", "no id"),
    ],
)
def test_a_reader_whose_counts_do_not_add_up_is_refused(
    tmp_path: Path, fault: Callable[[Sink], None]
) -> None:
    with pytest.raises(FeedRejected, match="a fault in the reader of this feed"):
        compile_documents(ToldFeed(say=fault), (), tmp_path / "content.sqlite")


def test_the_content_says_what_the_heading_said(tmp_path: Path) -> None:
    heading = Heading(
        data_date=NOW - timedelta(days=1), model="v1", coverage={"cvss": 3}, kev_complete=True
    )

    content = compile_documents(ToldFeed(say=one, heading=heading), (), tmp_path / "content.sqlite")

    assert content == Content(
        path=tmp_path / "content.sqlite",
        data_date=heading.data_date,
        count=1,
        read=1,
        model="v1",
        coverage={"cvss": 3},
        kev_complete=True,
    )
    assert open_state(content.path).kev_complete


def test_many_threads_ask_one_state_at_once(tmp_path: Path) -> None:
    rows = [(f"CVE-2026-{number}", number / 100_000, None) for number in range(10_000, 12_000)]
    state = compiled(tmp_path, lambda sink: sink.epss(rows, day=DAY))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: state.epss[row[0]].probability, rows * 4))

    assert found == [row[1] for row in rows * 4]


def test_a_state_travels_to_another_process_as_its_place(tmp_path: Path) -> None:
    state = compiled(tmp_path, lambda sink: sink.summary("CVE-2026-1", "text"))

    assert pickle.loads(pickle.dumps(state)).summaries["CVE-2026-1"] == "text"  # noqa: S301


@pytest.mark.parametrize("body", [b"", b"SQLite format 3\0 not really", b"\0" * 8192])
def test_a_file_that_is_no_compiled_state_is_refused_by_name(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "content.sqlite").write_bytes(body)

    with pytest.raises(FeedRejected, match=r"content\.sqlite is not a compiled feed state"):
        open_state(tmp_path / "content.sqlite")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    state = compiled(tmp_path, one)
    with sqlite3.connect(state.path) as db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'format'")

    with pytest.raises(FeedRejected, match="of format 0"):
        open_state(state.path)
