"""Refreshing feeds: one task run per feed, so that a bad one is seen and holds up no other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from tasks.run_log import run_log
from tasks.show import plain
from tasks.workbench import Workbench
from wavemend.advisories import FeedSnapshot
from wavemend.errors import FeedError
from wavemend.feeds import DEFAULT_FEEDS, FEEDS
from wavemend.feeds.differences import compare
from wavemend.feeds.intelligence import staleness
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.ledger.assessments import mark_sent
from wavemend.ledger.intake import record_snapshots, remembered_states
from wavemend.steps.assess import NewlyExploited, Reassessed, reassess_fleet, to_tell

EXPLOITED_EVENT = "wavemend.cve.exploited"
"""A CVE that hosts of this fleet lack the fix for became known to be exploited."""

_SENTENCES = 2
"""Changes of one feed written out in the table; the rest is counted."""
_GLANCE = 160
"""Signs of a cell."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """What became of one feed, in a form that is shown."""

    feed: str
    status: str
    is_current: bool
    stale: bool
    data_date: str
    age: str
    model: str
    entries: int
    rejected: int
    changed: str
    why: str


def feeds_of(bench: Workbench) -> tuple[str, ...]:
    """Return the feeds this fleet needs."""
    return bench.fleet.feeds.use or DEFAULT_FEEDS


@task(task_run_name="feed {feed}", tags=["reads-feeds"], cache_policy=NO_CACHE)
def refresh_one(bench: Workbench, feed: str) -> FeedResult:
    """Refresh one feed. It retries inside its own time budget, so Prefect does not."""
    config = config_of(bench, feed)
    (result,) = refresh(config, bench.site.feed_cache, bench.hands.clock())
    log = run_log()
    if result.status in {FeedStatus.REFRESHED, FeedStatus.UNCHANGED}:
        log.info("%s: %s", feed, result.status)
    else:
        log.warning("%s: %s: %s", feed, result.status, result.reason)
    for sentence in result.relaxed:
        log.warning("%s: %s The stricter entry stays in force.", feed, sentence)
    return result


def config_of(bench: Workbench, feed: str) -> RefreshConfig:
    """Return where this fleet's feeds come from: the network, or a folder."""
    settings, signers = bench.fleet.feeds, bench.site.signers_file
    with bench.hands.ledger.reading() as book:
        remembered = remembered_states(book, (feed,))
    if settings.source == "online":
        key = os.environ.get("WAVEMEND_NVD_API_KEY", "")
        address = settings.addresses.get(feed)
        return RefreshConfig(
            feeds=(feed,),
            sources={feed: address} if address else {},
            api_keys={"nvd": key} if key and feed == "nvd" else {},
            remembered=remembered,
            signers_file=signers,
        )
    folder = Path(settings.source.removeprefix("directory:"))
    return RefreshConfig(
        directory=Path(bench.fleet.source_path).parent / folder,
        feeds=(feed,),
        remembered=remembered,
        signers_file=signers,
    )


def load_results(bench: Workbench, results: Sequence[FeedResult]) -> list[FeedLine]:
    """Note the accepted copies in the ledger and return one line per feed."""
    # A state that is lower than what was accepted before may be in use, and is not noted as such.
    snapshots = tuple(result.accepted for result in results if result.accepted)
    now = bench.hands.clock()
    with bench.hands.ledger.writing() as book:
        record_snapshots(book, snapshots, actor="refresh-feeds", now=now, compared=True)
    return [_line(bench, result) for result in results]


@task(task_run_name="judge the fleet anew", cache_policy=NO_CACHE)
def reassess(bench: Workbench) -> Reassessed:
    """Judge every host's last look by the feeds as they are now. No host is contacted.

    Then tell what became exploited, also what a scan or a plan judged first.
    """
    done = reassess_fleet(bench.hands, bench.new_assessor())
    log = run_log()
    log.info("%d hosts, %d of them judged already", done.hosts, done.unchanged)
    tell(bench, done.newly_exploited)
    return done


def send_announcements(bench: Workbench) -> tuple[NewlyExploited, ...]:
    """Tell what is noted as newly exploited and was not told yet; returns it."""
    items = to_tell(bench.hands)
    tell(bench, items)
    return items


def tell(bench: Workbench, items: Sequence[NewlyExploited]) -> None:
    """Send one event each, then note that they were sent: a crash repeats some, it loses none."""
    if not items:
        return
    log = run_log()
    for item in items:
        log.warning("%s is exploited now: %s on %s", item.cve, item.package, ", ".join(item.hosts))
        emit_exploited(item)
    # Events leave by a queue in this process: what is still in it is not sent yet.
    EventsWorker.instance().wait_until_empty()
    with bench.hands.ledger.writing() as book:
        for item in items:
            mark_sent(book, item.notes, bench.hands.clock())


def emit_exploited(item: NewlyExploited) -> None:
    """Tell Prefect, so that an automation can page somebody or start a rollout."""
    emit_event(
        event=EXPLOITED_EVENT,
        resource={
            "prefect.resource.id": f"wavemend.cve.{item.cve}.{item.tenant}",
            "prefect.resource.name": item.cve,
            "wavemend.tenant": item.tenant,
            "wavemend.package": item.package,
        },
        payload={
            "cve": item.cve,
            "tenant": item.tenant,
            "package": item.package,
            "hosts": list(item.hosts),
            "fixed_in": list(item.fixed),
        },
    )


def message_of(lines: Sequence[FeedLine], judged: Reassessed) -> str:
    """Return the run's result in one line: what came, what is old, and what became exploited."""
    fetched = sum(line.is_current for line in lines)
    kept = [line.feed for line in lines if not line.is_current]
    stale = sum(line.stale for line in lines)
    words = [f"{fetched} fetched", f"{stale} stale"]
    if kept:
        words.append(f"not refreshed: {', '.join(kept)}")
    cves = {item.cve for item in judged.newly_exploited}
    hosts = {host for item in judged.newly_exploited for host in item.hosts}
    new = f"{counted(len(cves), 'CVE')} newly exploited"
    return f"{', '.join(words)}; {new}" + (f" on {counted(len(hosts), 'host')}" if cves else "")


def counted(number: int, one: str) -> str:
    """Return a number with its word: `1 host`, `2 hosts`."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def show_feeds(lines: Sequence[FeedLine], judged: Reassessed) -> None:
    """Publish age, counts, what changed, and what became exploited on this fleet."""
    create_table_artifact(
        key="feeds",
        table=[
            {
                "feed": line.feed,
                "result": line.status,
                "stale": "STALE" if line.stale else "",
                "data of": line.data_date,
                "age": line.age,
                "model": plain(line.model),
                "entries": line.entries,
                "rejected": line.rejected,
                "changed since the copy before": plain(_short(line.changed)),
                "why": plain(_short(line.why)),
            }
            for line in lines
        ],
        # A table's description stands above it: what happened first, the licences last.
        description=f"{message_of(lines, judged)}. STALE: older than the fleet file allows, so "
        "decisions by it are marked. Full texts: `wavemend feeds status` and `diff`. "
        "EPSS: FIRST EPSS SIG. This product uses data from the NVD API but is not "
        "endorsed or certified by the NVD.",
    )
    create_table_artifact(
        key="newly-exploited",
        table=[
            {
                "CVE": item.cve,
                "company": item.tenant,
                "package": item.package,
                "hosts": ", ".join(item.hosts),
                "fixed in": ", ".join(item.fixed) or "no fix",
            }
            for item in judged.newly_exploited
        ],
        description="CVEs that became known to be exploited since the last judgement and that "
        "hosts of this fleet lack the fix for. An empty table means: none.",
    )


def _short(text: str) -> str:
    """A cell holds a glance; the command line has the rest."""
    return text if len(text) <= _GLANCE else f"{text[: _GLANCE - 1].rstrip()}…"


def _line(bench: Workbench, result: FeedResult) -> FeedLine:
    snapshot = result.snapshot
    day = snapshot.data_date if snapshot else None
    return FeedLine(
        feed=result.feed,
        status=result.status,
        is_current=result.status in {FeedStatus.REFRESHED, FeedStatus.UNCHANGED},
        stale=snapshot is None or _is_stale(bench, snapshot),
        data_date=f"{day:%Y-%m-%d}" if day else "",
        age=f"{(bench.hands.clock() - day).days} days" if day else "",
        model=snapshot.model if snapshot else "",
        entries=snapshot.count if snapshot else 0,
        rejected=snapshot.rejected if snapshot else 0,
        changed=_changes(bench, result.feed),
        why=result.reason,
    )


def _is_stale(bench: Workbench, snapshot: FeedSnapshot) -> bool:
    most = timedelta(hours=bench.fleet.feeds.max_age_hours)
    quiet = FEEDS[snapshot.feed]().quiet
    return bool(staleness(snapshot, quiet, bench.hands.clock(), most))


def _changes(bench: Workbench, feed: str) -> str:
    try:
        found = compare(bench.site.feed_cache, feed)
    except FeedError as error:  # damaged: the other feeds' lines, and the judging, must go on
        return f"cannot be said: {error.message}"
    if found is None:
        return "there is no earlier copy"
    said = found.sentences
    more = f" and {len(said) - _SENTENCES} more" if len(said) > _SENTENCES else ""
    return " ".join(said[:_SENTENCES]) + more if said else "nothing"
