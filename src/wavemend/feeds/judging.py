"""One new state of a feed: collected, judged beside what was accepted before, taken or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wavemend.advisories import KevEntry
from wavemend.feeds import Feed
from wavemend.feeds.acceptance import GONE, IN_USE, Refusal, losses, refusals
from wavemend.feeds.candidates import forget_candidate, keep_candidate
from wavemend.feeds.changes import relaxations, still_kept, strictest
from wavemend.feeds.collecting import collect
from wavemend.feeds.floors import Floor, floor_of, strictest_floor
from wavemend.feeds.overrides import (
    Found,
    Refused,
    Statement,
    Subject,
    find,
    forget_refused,
    note_refused,
    use,
)
from wavemend.feeds.results import (
    FeedResult,
    FeedStatus,
    RefreshConfig,
    joined,
    kept_old,
    taken_back,
)
from wavemend.feeds.store.compiled import Content, compile_state, open_state
from wavemend.feeds.store.floor_file import entries_in_force, write_floor
from wavemend.feeds.store.snapshots import adopt, confirm, read_current
from wavemend.feeds.store.snapshots_staging import KeptDamaged, Staging, Stored, state_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a new state is compared with."""

    previous: Stored | None
    floors: tuple[Floor, ...] = ()
    """What is remembered of other states than the one in use: it was damaged, deleted, put back."""
    is_noted: bool = False
    """True: the floor beside the states is of the one in use."""

    @property
    def floor(self) -> Floor | None:
        """Return what the next state may not fall below."""
        own = floor_of(self.previous.snapshot) if self.previous else None
        return strictest_floor(own, *self.floors)

    @property
    def called(self) -> str:
        """Return how messages call it."""
        return GONE if self.floors else IN_USE

    def in_force(self) -> dict[str, KevEntry]:
        """Return the entries of KEV that no new catalogue takes back by itself."""
        found = entries_in_force(self.previous) if self.previous else {}
        for floor in self.floors:
            for cve, entry in floor.in_force:
                found[cve] = strictest(entry, found.get(cve))
        return found

    def holds(self) -> bool:
        """Say whether the state in use is itself no softer than what was accepted before."""
        if self.previous is None or self.floor is None or not self.floors:
            return self.previous is not None
        own = self.previous.snapshot
        if losses(self.floor, own.data_date, own.count, dict(own.coverage)):
            return False
        return not relaxations(self.in_force(), entries_in_force(self.previous))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The way of one collected state into use, or not."""

    feed: Feed
    config: RefreshConfig
    cache_dir: Path
    fresh: Staging
    ground: Ground

    def result(self) -> FeedResult:
        """Fetch, judge, adopt. Raises FeedError for what leaves the old state in use."""
        source = collect(self.feed, self.config, self.fresh)
        previous = self.ground.previous
        if previous is not None and not self.fresh.changed and self.ground.holds():
            pending = set(taken_back(previous))
            if not (pending and pending & self._signed(Subject.RELAXATIONS).sentences):
                return self._unchanged(previous)
        try:
            content = compile_state(self.feed, self.fresh)
        except KeptDamaged:
            self.fresh.begin_anew()
            source = collect(self.feed, self.config, self.fresh)
            content = compile_state(self.feed, self.fresh)
        reasons = self._reasons(content)
        signed: tuple[Path, Statement] | None = None
        if reasons:
            found = self._signed(Subject.CANDIDATE)
            signed = found.covering(self._digest, reasons)
            if signed is None:
                return self._refused(content, source, reasons, found.bad)
        return self._adopt(content, source, signed)

    def signed_for(self, source: str) -> FeedResult | None:
        """Adopt what was collected earlier and somebody signed for; None: nobody did."""
        content = compile_state(self.feed, self.fresh)
        reasons = self._reasons(content)
        signed = self._signed(Subject.CANDIDATE).covering(self._digest, reasons)
        return self._adopt(content, source, signed) if reasons and signed else None

    def _reasons(self, content: Content) -> tuple[Refusal, ...]:
        ground = self.ground
        return refusals(ground.floor, content, self.fresh.now, other=ground.called)

    @property
    def _digest(self) -> str:
        """One name for what came, whatever else the state will hold."""
        return state_digest(self.fresh.stored, ())

    def _signed(self, subject: Subject) -> Found:
        signers = self.config.signers_file
        return find(self.cache_dir, self.feed.name, subject, signers, self.fresh.now)

    def _unchanged(self, previous: Stored) -> FeedResult:
        digest, now = previous.snapshot.digest, self.fresh.now
        confirm(self.cache_dir, self.feed.name, digest, now, self.fresh)
        if not self.ground.is_noted:
            write_floor(self.cache_dir, previous)
        self._close_question()
        return FeedResult(
            feed=self.feed.name,
            status=FeedStatus.UNCHANGED,
            snapshot=replace(previous.snapshot, fetched_at=now),
            relaxed=taken_back(previous),
        )

    def _refused(
        self,
        content: Content,
        source: str,
        reasons: tuple[Refusal, ...],
        unsigned: tuple[str, ...],
    ) -> FeedResult:
        name = self.feed.name
        refused = Refused(
            feed=name,
            digest=self._digest,
            source=source,
            data_date=content.data_date,
            count=content.count,
            refusals=reasons,
            seen_at=self.fresh.now,
        )
        note_refused(self.cache_dir, refused)
        way_out = ""
        if refused.overridable:
            way_out = (
                "It is kept. If it is right, sign for it: "
                f'wavemend feeds override {name} --key KEYFILE --reason "WHY".'
            )
            keep_candidate(self.cache_dir, name, self.fresh, source)
        else:
            forget_candidate(self.cache_dir, name)
        why = "; ".join(item.reason for item in reasons)
        said = (f"{source}: refused, {why}.", *unsigned, way_out)
        return kept_old(name, self.ground.previous, joined(*said), holds=self.ground.holds())

    def _adopt(
        self, content: Content, source: str, signed: tuple[Path, Statement] | None
    ) -> FeedResult:
        previous, name = self.ground.previous, self.feed.name
        used = [signed] if signed else []
        kept: Mapping[str, KevEntry] = {}
        if content.kev_complete:
            kept, confirmed = self._kept(content)
            used += confirmed
        snapshot = adopt(self.cache_dir, name, self.fresh, content, source, kept=kept)
        stored = read_current(self.cache_dir, name)
        if stored is not None:
            write_floor(self.cache_dir, stored)
        self._close_question()
        for path, _ in used:
            use(path)
        same = previous is not None and snapshot.digest == previous.snapshot.digest
        return FeedResult(
            feed=name,
            status=FeedStatus.UNCHANGED if same else FeedStatus.REFRESHED,
            snapshot=snapshot,
            relaxed=taken_back(stored) if kept else (),
            overridden=tuple(said.in_words for _, said in used),
        )

    def _kept(
        self, content: Content
    ) -> tuple[Mapping[str, KevEntry], list[tuple[Path, Statement]]]:
        """Return what stays in force beside the new catalogue, and the overrides that were used."""
        after = open_state(content.path)
        try:
            was, now = self.ground.in_force(), dict(after.kev)
        finally:
            after.close()
        taken_back = {str(event) for event in relaxations(was, now)}
        found = self._signed(Subject.RELAXATIONS) if taken_back else Found(good=(), bad=())
        used = [pair for pair in found.good if taken_back & set(pair[1].covers)]
        return still_kept(was, now, found.sentences), used

    def _close_question(self) -> None:
        forget_refused(self.cache_dir, self.feed.name)
        forget_candidate(self.cache_dir, self.feed.name)
