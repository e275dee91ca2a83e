"""All feeds together are one view: joined by written rules, opened at once, and never a cheat."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.contract.told_feed import NOW, ToldFeed, adopted, nothing, one
from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    Cvss,
    Epss,
    Exploit,
    KevEntry,
    Lifecycle,
    Ssvc,
    Vulnerability,
)
from wavemend.errors import FeedError
from wavemend.feeds import Heading, Sink
from wavemend.feeds.intelligence import load_intelligence
from wavemend.knowledge import Intelligence

CVE = "CVE-2026-116303"
LISTED = KevEntry(
    date_added=date(2026, 11, 2), due_date=date(2026, 11, 16), ransomware=None, name="By CISA"
)


def all_of(*parts: Callable[[Sink], None]) -> Callable[[Sink], None]:
    def say(sink: Sink) -> None:
        for part in parts:
            part(sink)

    return say


def text(cve: str, words: str) -> Callable[[Sink], None]:
    return lambda sink: sink.summary(cve, words)


def speaks(*advisories: Advisory) -> Callable[[Sink], None]:
    return all_of(*(partial(_advise, item) for item in advisories))


def _advise(item: Advisory, sink: Sink) -> None:
    sink.advisory(item)


def cvss(source: str, score: float, vector: str = "V") -> Cvss:
    return Cvss(version="3.1", vector=vector, score=score, computed_score=None, source=source)


class Joined:
    """A cache in which each feed says what a test tells it."""

    def __init__(self, place: Path) -> None:
        self.cache = place / "cache"
        self.feeds: dict[str, ToldFeed] = {}

    def tell(
        self,
        name: str,
        say: Callable[[Sink], None] = nothing,
        *,
        kept: dict[str, KevEntry] | None = None,
        complete: bool = False,
        at: datetime = NOW,
    ) -> None:
        def counted(sink: Sink) -> None:
            one(sink)
            say(sink)

        heading = Heading(data_date=at, model=f"model of {name}", kev_complete=complete)
        self.feeds[name] = ToldFeed(name=name, say=counted, heading=heading)
        adopted(self.cache, self.feeds[name], kept=kept)

    def load(self, now: datetime = NOW) -> Intelligence:
        table = {name: (lambda feed=feed: feed) for name, feed in self.feeds.items()}
        return load_intelligence(self.cache, now, feeds=tuple(self.feeds), table=table)

    def about(self, cve: str = CVE) -> Vulnerability:
        return self.load().vulnerability(cve)


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return Joined(tmp_path)


def test_everything_the_feeds_say_of_a_cve_is_put_together(joined: Joined) -> None:
    answers = Ssvc(exploitation="active", automatable=True, impact_total=None, source="cisa-adp")
    published = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    joined.tell("epss", lambda sink: sink.epss([(CVE, 0.5, 0.9)], day=NOW.date()))
    joined.tell("kev", lambda sink: sink.kev(CVE, LISTED), complete=True)
    joined.tell("nvd", lambda sink: sink.cvss(CVE, (cvss("nvd", 8.8),)))
    joined.tell("cve", lambda sink: sink.ssvc(CVE, answers))
    joined.tell("exploitdb", lambda sink: sink.exploits(CVE, (Exploit(kind="x", reference="1"),)))
    joined.tell("dates", lambda sink: sink.published(CVE, published))
    joined.tell("texts", lambda sink: sink.summary(CVE, "A text"))

    assert joined.about() == Vulnerability(
        cve=CVE,
        cvss=cvss("nvd", 8.8),
        cvss_candidates=(cvss("nvd", 8.8),),
        epss=Epss(probability=0.5, percentile=0.9, model="model of epss", date=NOW.date()),
        kev=LISTED,
        kev_known=True,
        ssvc=answers,
        exploits=(Exploit(kind="x", reference="1"),),
        published=published,
        summary="A text",
    )


@pytest.mark.parametrize(
    ("repeated", "governs"),
    [
        (date(2026, 11, 9), date(2026, 11, 9)),
        (date(2026, 12, 1), date(2026, 11, 16)),
        (None, date(2026, 11, 16)),
    ],
)
def test_where_two_sources_of_kev_differ_the_earliest_due_date_governs(
    joined: Joined, repeated: date | None, governs: date
) -> None:
    late = KevEntry(date_added=LISTED.date_added, due_date=repeated, ransomware=None, name="Repeat")
    joined.tell("a-repeat", lambda sink: sink.kev(CVE, late))
    joined.tell("kev", lambda sink: sink.kev(CVE, LISTED), complete=True)

    entry = joined.about().kev

    assert entry is not None
    assert (entry.due_date, entry.name) == (governs, "By CISA")


def test_what_the_catalogue_took_back_stays_in_force_until_somebody_signs_for_it(
    joined: Joined,
) -> None:
    earlier = KevEntry(
        date_added=date(2026, 11, 1), due_date=date(2026, 11, 4), ransomware=True, name="Before"
    )
    joined.tell(
        "kev",
        lambda sink: sink.kev(CVE, LISTED),
        complete=True,
        kept={CVE: earlier, "CVE-2026-1": earlier},
    )

    softened, removed = joined.about().kev, joined.about("CVE-2026-1").kev

    assert softened == KevEntry(
        date_added=date(2026, 11, 1), due_date=date(2026, 11, 4), ransomware=True, name="By CISA"
    )
    assert removed == earlier
    assert "CVE-2026-1" in joined.load().vulnerabilities


def test_every_assessment_is_kept_and_a_repeated_one_counts_once(joined: Joined) -> None:
    joined.tell("a", lambda sink: sink.cvss(CVE, (cvss("cna:x", 7.5), cvss("nvd", 9.8))))
    joined.tell(
        "b", lambda sink: sink.cvss(CVE, (cvss("nvd", 9.1), cvss("nvd", 8.8, "W"), cvss("y", 1.0)))
    )

    found = joined.about()

    assert found.cvss_candidates == (
        cvss("cna:x", 7.5),
        cvss("nvd", 9.8),
        cvss("nvd", 8.8, "W"),
        cvss("y", 1.0),
    )
    assert found.cvss == cvss("nvd", 9.8)


def test_two_assessments_of_one_source_that_contradict_each_other_are_both_shown(
    joined: Joined,
) -> None:
    both = (cvss("nvd", 9.8), cvss("nvd", 5.0))
    joined.tell("nvd", lambda sink: sink.cvss(CVE, both))

    assert joined.about().cvss_candidates == both


def test_the_first_feed_of_the_table_speaks_first_and_an_empty_text_says_nothing(
    joined: Joined,
) -> None:
    first, second = NOW - timedelta(days=2), NOW - timedelta(days=1)
    joined.tell("b", all_of(lambda sink: sink.published(CVE, second), text(CVE, "of b")))
    joined.tell("a", all_of(lambda sink: sink.published(CVE, first), text(CVE, "")))

    assert (joined.about().published, joined.about().summary) == (first, "of b")


def test_of_contradicting_answers_the_stricter_to_each_question_counts_and_both_are_said(
    joined: Joined,
) -> None:
    own = Ssvc(exploitation="none", automatable=True, impact_total=None, source="cisa-adp")
    other = Ssvc(exploitation="active", automatable=False, impact_total=False, source="cna:x")
    joined.tell("a", lambda sink: sink.ssvc(CVE, other))
    assert joined.about().ssvc == other

    joined.tell("z", lambda sink: sink.ssvc(CVE, own))
    found = joined.about().ssvc

    assert found is not None
    assert (found.exploitation, found.automatable, found.impact_total) == ("active", True, False)
    assert found.source == (
        "cisa-adp: exploitation none, automatable yes, total impact not answered; "
        "cna:x: exploitation active, automatable no, total impact no; "
        "the stricter answer to each question counts"
    )


def test_answers_that_agree_or_leave_a_question_open_are_no_contradiction(joined: Joined) -> None:
    own = Ssvc(exploitation="poc", automatable=None, impact_total=True, source="cisa-adp")
    joined.tell("a", lambda sink: sink.ssvc(CVE, replace(own, automatable=False, source="nvd")))
    joined.tell("z", lambda sink: sink.ssvc(CVE, own))

    assert joined.about().ssvc == replace(own, automatable=False)


def test_the_exploits_of_all_feeds_are_collected_sorted_and_each_once(joined: Joined) -> None:
    one_, two = Exploit(kind="metasploit", reference="b"), Exploit(kind="exploitdb", reference="9")
    joined.tell("a", lambda sink: sink.exploits(CVE, (one_,)))
    joined.tell("b", lambda sink: sink.exploits(CVE, (two, one_)))

    assert joined.about().exploits == (two, one_)


def advisory(id_: str, feed: str, release: str = "bookworm", package: str = "openssl") -> Advisory:
    return Advisory(
        id=id_,
        feed=feed,
        document="list",
        release=release,
        package=package,
        fixed_version="1",
        status=AdvisoryStatus.FIXED,
        cves=(CVE, "CVE-2026-1"),
    )


def test_advisories_are_found_by_release_and_package_and_by_cve(joined: Joined) -> None:
    mine = [advisory("DSA-2", "a"), advisory("DSA-1", "a"), advisory("DSA-1", "a", "trixie")]
    theirs = advisory("DSA-1", "b")
    joined.tell("b", speaks(theirs))
    joined.tell("a", speaks(*mine))

    known = joined.load()

    assert known.advisories_for("bookworm", "openssl") == (mine[1], theirs, mine[0])
    assert known.advisories_for("bookworm", "linux") == ()
    assert known.releases == {"bookworm", "trixie"}
    assert known.statements["CVE-2026-1"] == (mine[1], mine[0], mine[2], theirs)
    assert list(known.advisories) == [("bookworm", "openssl"), ("trixie", "openssl")]
    assert known.statements.get("CVE-2026-2") is None


def test_ends_of_life_are_found_by_release_and_package(joined: Joined) -> None:
    whole = Lifecycle(feed="a", document="d", release="bookworm", ends=date(2028, 6, 30))
    part = Lifecycle(
        feed="b", document="d", release="bookworm", package="nodejs", ends=None, ended=True
    )
    joined.tell("a", lambda sink: sink.lifecycle(whole))
    joined.tell("b", lambda sink: sink.lifecycle(part))

    known = joined.load()

    assert known.lifecycles_for("bookworm") == (whole,)
    assert known.lifecycles_for("bookworm", "nodejs") == (part,)
    assert known.releases == frozenset()


def test_a_cve_nobody_knows_is_unscored_and_not_called_unexploited_without_a_catalogue(
    joined: Joined,
) -> None:
    joined.tell("nvd")

    found = joined.about("CVE-2026-9")

    assert found.unscored
    assert not found.kev_known
    assert not joined.load().kev_known


def test_all_cves_are_listed_once_in_order_of_their_numbers(joined: Joined) -> None:
    joined.tell("a", lambda sink: sink.summary("CVE-2026-116303", "x"))
    joined.tell("b", all_of(text("CVE-2026-99999", ""), lambda sink: sink.kev(CVE, LISTED)))

    known = joined.load().vulnerabilities

    assert list(known) == ["CVE-2026-99999", "CVE-2026-116303"]
    assert len(known) == 2


def test_a_damaged_feed_is_missing_with_its_reason_and_the_others_stay(joined: Joined) -> None:
    joined.tell("a", lambda sink: sink.summary(CVE, "of a"))
    joined.tell("b", lambda sink: sink.summary(CVE, "of b"))
    (compiled,) = (joined.cache / "a").glob("*/content.sqlite")
    compiled.write_bytes(b"damaged")

    known = joined.load()

    damaged, whole = known.snapshots
    assert damaged.missing
    assert "is not what was accepted" in damaged.note
    assert "run `wavemend feeds refresh --online`" in damaged.note
    assert not whole.missing
    assert known.vulnerability(CVE).summary == "of b"
    assert known.stale


def test_a_feed_that_was_never_fetched_is_missing_and_an_unknown_one_an_error(
    tmp_path: Path,
) -> None:
    known = load_intelligence(tmp_path, NOW)

    assert [item.feed for item in known.snapshots] == ["debian", "epss", "kev", "nvd"]
    assert all(item.missing and "never fetched" in item.note for item in known.snapshots)
    with pytest.raises(FeedError, match="there is no feed nvdd"):
        load_intelligence(tmp_path, NOW, feeds=("nvdd",))


def test_both_the_day_of_the_data_and_the_day_it_was_confirmed_make_a_feed_stale(
    joined: Joined,
) -> None:
    joined.tell("fresh")
    joined.tell("frozen", at=NOW - timedelta(days=10))

    fresh, frozen = joined.load().snapshots
    late, _ = joined.load(NOW + timedelta(hours=49)).snapshots

    assert not fresh.stale
    assert "the data is of 2026-11-10, 10 days old" in frozen.note
    assert "not confirmed since 2026-11-20" in late.note


def test_a_confirmation_from_the_future_counts_for_nothing(joined: Joined) -> None:
    """The clock was years ahead in one refresh, and was put right afterwards."""
    joined.tell("told", at=NOW - timedelta(days=3))

    (told,) = joined.load(NOW - timedelta(days=2)).snapshots

    assert told.stale
    assert "last confirmed on 2026-11-20, which is in the future" in told.note


def test_the_same_state_is_used_by_many_threads_and_answers_alike(joined: Joined) -> None:
    names = [f"CVE-2026-{number}" for number in range(10_000, 10_200)]
    joined.tell("a", all_of(*(text(name, name) for name in names)))
    known = joined.load()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: known.vulnerability(name).summary, names * 5))

    assert found == names * 5


def test_the_intelligence_travels_to_another_process(joined: Joined) -> None:
    joined.tell("a", all_of(text(CVE, "of a"), speaks(advisory("D", "a"))))
    known = joined.load()

    copy = pickle.loads(pickle.dumps(known))  # noqa: S301 - our own bytes

    assert copy.vulnerability(CVE).summary == "of a"
    assert copy.advisories_for("bookworm", "openssl") == (advisory("D", "a"),)
    assert copy.id == known.id
