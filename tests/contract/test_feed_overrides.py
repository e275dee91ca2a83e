"""A refused state and a softened catalogue are taken only when a listed person signed for them."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from wavemend.cli.feeds import app
from wavemend.errors import ApprovalRefused, WavemendError
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.overrides import (
    Override,
    Statement,
    Subject,
    find,
    pending_relaxations,
    read_refused,
    sentences_digest,
    sign,
    store,
    verify,
)
from wavemend.feeds.refresh import FeedResult, FeedStatus, RefreshConfig, refresh
from wavemend.feeds.store.snapshots import read_current
from wavemend.ledger import audit
from wavemend.ledger.store import open_ledger
from wavemend.testing.keys import new_key

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=6)
FIRST = "CVE-2026-10000"


def kev(
    count: int = 100,
    released: str = "2026-11-18T17:00:00Z",
    due: str = "2026-01-23",
    ransomware: str = "Known",
) -> bytes:
    """Make a catalogue whose first entry varies; `count` cuts it at its end."""
    entry = {
        "dateAdded": "2026-01-02",
        "dueDate": "2026-01-23",
        "vulnerabilityName": "A name",
        "knownRansomwareCampaignUse": "Unknown",
    }
    lines = [{"cveID": f"CVE-2026-{10_000 + number}", **entry} for number in range(count)]
    lines[0].update(dueDate=due, knownRansomwareCampaignUse=ransomware)
    catalogue = {"catalogVersion": "2026.11", "dateReleased": released, "count": count}
    return json.dumps({**catalogue, "vulnerabilities": lines}).encode()


@dataclass
class Desk:
    """An installation with a folder of feeds and two people, of whom alice is listed."""

    home: Path
    folder: Path

    @property
    def cache(self) -> Path:
        return self.home / "feeds"

    @property
    def signers(self) -> Path:
        return self.home / "signers"

    def key(self, name: str) -> Path:
        return self.folder / name

    def refresh(self, body: bytes | None = None, now: datetime = LATER) -> FeedResult:
        place = self.folder / "in" / "kev"
        place.mkdir(parents=True, exist_ok=True)
        if body is not None:
            (place / "kev.json").write_bytes(body)
        config = RefreshConfig(
            directory=self.folder / "in", feeds=("kev",), signers_file=self.signers
        )
        (result,) = refresh(config, self.cache, now)
        return result

    def due(self) -> date | None:
        entry = load_intelligence(self.cache, LATER, feeds=("kev",)).vulnerability(FIRST).kev
        return entry.due_date if entry else None

    def statement(self, **changes: object) -> Statement:
        refused = read_refused(self.cache, "kev")
        assert refused is not None
        said = Statement(
            feed="kev",
            subject=Subject.CANDIDATE,
            digest=refused.digest,
            covers=tuple(item.reason for item in refused.refusals),
            identity="alice",
            reason="CISA says so",
            made_at=NOW,
            expires_at=NOW + timedelta(days=7),
        )
        return replace(said, **changes)  # type: ignore[arg-type]

    def sign_for(self, name: str = "alice", **changes: object) -> Path:
        return store(self.cache, sign(self.statement(**changes), self.key(name)))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "home", tmp_path / "desk")
    made.home.mkdir()
    made.folder.mkdir()
    for name in ("alice", "mallory"):
        pair = new_key()
        made.key(name).write_text(pair.private)
        made.key(name).chmod(0o600)
        made.key(name).with_suffix(".pub").write_text(f"{pair.public} {name}\n")
    public = made.key("alice").with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    made.signers.write_text(f'alice namespaces="patch-approval,feed-override" {public}\n')
    made.signers.chmod(0o644)
    return made


def rolled_back(desk: Desk) -> FeedResult:
    """Refresh twice, the second time with an older catalogue."""
    assert desk.refresh(kev(), NOW).status is FeedStatus.REFRESHED
    return desk.refresh(kev(99, "2026-11-10T17:00:00Z"))


def test_f11_an_older_copy_is_refused_and_says_how_to_sign_for_it(desk: Desk) -> None:
    result = rolled_back(desk)

    assert result.status is FeedStatus.KEPT_OLD
    assert "it is of 2026-11-10 17:00Z, older than the copy in use" in result.reason
    assert "sign for it: wavemend feeds override kev" in result.reason


def test_f11_a_signed_override_lets_exactly_this_copy_in_and_only_once(desk: Desk) -> None:
    rolled_back(desk)
    path = desk.sign_for()

    taken = desk.refresh()
    newer = desk.refresh(kev(), LATER + timedelta(hours=1))
    again = desk.refresh(kev(99, "2026-11-10T17:00:00Z"), LATER + timedelta(hours=2))

    assert taken.status is FeedStatus.REFRESHED
    assert taken.overridden == (
        "it is of 2026-11-10 17:00Z, older than the copy in use (2026-11-18 17:00Z) "
        "Taken: alice signed for it (CISA says so).",
    )
    assert not path.exists()
    assert newer.status is FeedStatus.REFRESHED
    assert again.status is FeedStatus.KEPT_OLD  # the signature was for one step, not for a door


def test_what_was_signed_for_is_taken_although_the_publisher_moved_on(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    desk.refresh(kev(90, "2026-11-19T17:00:00Z"))
    desk.sign_for()

    taken = desk.refresh(kev(90, "2026-11-19T19:00:00Z"))  # the same loss in another release

    assert taken.status is FeedStatus.REFRESHED
    assert "alice signed for it" in taken.overridden[0]
    assert taken.snapshot is not None
    assert taken.snapshot.data_date == datetime(2026, 11, 19, 19, tzinfo=UTC)
    assert not (desk.cache / "kev" / "candidate").exists()


def test_a_kept_copy_that_was_changed_is_not_taken(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    desk.refresh(kev(90, "2026-11-19T17:00:00Z"))
    desk.sign_for()
    (document,) = (desk.cache / "kev" / "candidate" / "documents").iterdir()
    document.write_bytes(kev(10, "2026-11-19T17:00:00Z"))

    result = desk.refresh(kev(90, "2026-11-19T19:00:00Z"))

    assert result.status is FeedStatus.KEPT_OLD
    assert "cannot be taken" in result.reason
    assert "is not what was collected" in result.reason


def test_what_was_signed_for_is_taken_although_nothing_can_be_fetched(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    desk.refresh(kev(90, "2026-11-19T17:00:00Z"))
    desk.sign_for()
    (desk.folder / "in" / "kev" / "kev.json").unlink()

    result = desk.refresh()

    assert result.status is FeedStatus.KEPT_OLD
    assert "alice signed for it" in result.overridden[0]
    assert result.snapshot is not None
    assert result.snapshot.count == 90


@pytest.mark.parametrize("namespaces", ["", 'namespaces="patch-approval" '])
def test_an_approver_may_not_decide_about_feeds_unless_his_line_says_so(
    desk: Desk, namespaces: str
) -> None:
    rolled_back(desk)
    desk.sign_for()
    public = desk.key("alice").with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    desk.signers.write_text(f"alice {namespaces}{public}\n")

    result = desk.refresh()

    assert result.status is FeedStatus.KEPT_OLD
    assert "does not allow signing for feeds" in result.reason


def test_f13_a_copy_that_shrank_is_let_in_by_signature_and_what_it_lost_stays_in_force(
    desk: Desk,
) -> None:
    desk.refresh(kev(), NOW)
    assert "shrank from 100 to 50" in desk.refresh(kev(50, "2026-11-19T17:00:00Z")).reason
    desk.sign_for()

    taken = desk.refresh()

    assert taken.status is FeedStatus.REFRESHED
    assert taken.snapshot is not None
    assert taken.snapshot.count == 50
    assert len(taken.relaxed) == 50  # a second decision, with a second signature
    known = load_intelligence(desk.cache, LATER, feeds=("kev",))
    assert known.vulnerability("CVE-2026-10099").kev is not None


FORGERIES: dict[str, tuple[Callable[[Desk], object], str]] = {
    "another copy": (lambda desk: desk.sign_for(digest="0" * 64), ""),
    "another reason": (lambda desk: desk.sign_for(covers=("it is blue",)), ""),
    "another feed": (lambda desk: desk.sign_for(feed="epss"), ""),
    "not a signer": (
        lambda desk: desk.sign_for("mallory", identity="mallory"),
        "mallory has no key in",
    ),
    "in another's name": (lambda desk: desk.sign_for("mallory"), "is not alice's over this"),
    "expired": (
        lambda desk: desk.sign_for(expires_at=NOW + timedelta(hours=1)),
        "the override expired at 2026-11-20 13:00 UTC",
    ),
    "changed afterwards": (
        lambda desk: change(desk.sign_for(expires_at=NOW + timedelta(hours=1))),
        "is not alice's over this override",
    ),
    "signed as an approval": (
        lambda desk: store(desk.cache, elsewhere(desk, "patch-approval")),
        "is not alice's over this override",
    ),
    "not signed": (
        lambda desk: store(desk.cache, Override(statement=desk.statement(), signature="")),
        "is not alice's over this override",
    ),
    "not readable": (lambda desk: desk.sign_for().write_text("{"), "it cannot be read"),
    "signer removed": (
        lambda desk: (desk.sign_for(), desk.signers.write_text("# nobody\n")),
        "alice has no key in",
    ),
    "signers anybody may write": (
        lambda desk: open_up(desk.sign_for(), desk.signers),
        "can be changed by others",
    ),
}


def open_up(_: Path, signers: Path) -> None:
    signers.chmod(0o666)


def change(path: Path) -> None:
    path.write_text(path.read_text().replace("2026-11-20T13", "2027-11-20T13"))


def elsewhere(desk: Desk, namespace: str) -> Override:
    said = desk.statement()
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(desk.key("alice"))]
    done = subprocess.run(command, input=said.text(), capture_output=True, check=True, timeout=20)
    return Override(statement=said, signature=done.stdout.decode())


@pytest.mark.parametrize("forgery", FORGERIES)
def test_f11_an_override_that_is_not_exactly_right_changes_nothing(
    desk: Desk, forgery: str
) -> None:
    rolled_back(desk)
    forge, why = FORGERIES[forgery]
    forge(desk)

    result = desk.refresh()

    assert result.status is FeedStatus.KEPT_OLD
    assert why in result.reason
    assert result.snapshot is not None
    assert result.snapshot.count == 100


def test_what_cannot_be_signed_for_is_not_taken_with_a_valid_signature_either(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    desk.refresh(kev(released="2099-01-01T00:00:00Z"))
    desk.sign_for()

    assert "in the future" in desk.refresh().reason


def test_a_later_due_date_stays_out_of_force_until_somebody_signs_for_it(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    moved = desk.refresh(kev(released="2026-11-19T17:00:00Z", due="2026-12-31"))
    next_day = desk.refresh()

    said = f"{FIRST}: due date moved from 2026-01-23 to 2026-12-31."
    assert (moved.status, next_day.status) == (FeedStatus.REFRESHED, FeedStatus.UNCHANGED)
    assert moved.relaxed == next_day.relaxed == (said,)
    assert desk.due() == date(2026, 1, 23)

    confirm(desk, said)
    signed = desk.refresh()

    assert signed.relaxed == ()
    assert signed.overridden == (f"{said} Taken: alice signed for it (CISA says so).",)
    assert desk.due() == date(2026, 12, 31)
    assert desk.refresh().status is FeedStatus.UNCHANGED


def confirm(desk: Desk, *covers: str, name: str = "alice") -> None:
    said = Statement(
        feed="kev",
        subject=Subject.RELAXATIONS,
        digest=sentences_digest(covers),
        covers=covers,
        identity=name,
        reason="CISA says so",
        made_at=NOW,
        expires_at=NOW + timedelta(days=7),
    )
    store(desk.cache, sign(said, desk.key(name)))


def test_a_signature_covers_the_sentences_it_shows_and_no_others(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    result = desk.refresh(kev(99, "2026-11-19T17:00:00Z", due="2026-12-31", ransomware="Unknown"))
    moved, flipped, gone = result.relaxed
    confirm(desk, moved, "CVE-2026-55555 is no longer in the catalogue.")

    after = desk.refresh()

    assert "ransomware" in flipped
    assert after.relaxed == (flipped, gone)
    entry = load_intelligence(desk.cache, LATER, feeds=("kev",)).vulnerability(FIRST).kev
    assert entry is not None
    assert (entry.due_date, entry.ransomware) == (date(2026, 12, 31), True)


def test_nobody_unlisted_can_relax_anything(desk: Desk) -> None:
    desk.refresh(kev(), NOW)
    (said,) = desk.refresh(kev(99, "2026-11-19T17:00:00Z")).relaxed
    confirm(desk, said, name="mallory")

    assert desk.refresh().relaxed == (said,)
    stored = read_current(desk.cache, "kev")
    assert stored is not None
    assert pending_relaxations(stored) == (said,)


def test_without_a_list_of_signers_no_override_counts(desk: Desk) -> None:
    rolled_back(desk)
    desk.sign_for()

    found = find(desk.cache, "kev", Subject.CANDIDATE, None, LATER)

    assert found.good == ()
    assert "no list of signers" in found.bad[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "no"},
        {"reason": "two\nlines: expires: 2099"},
        {"reason": "turned \u202e around"},
        {"identity": "al ice"},
        {"covers": ()},
        {"covers": ("one\ntwo",)},
    ],
)
def test_a_statement_that_could_be_misread_is_not_signed(
    desk: Desk, changes: dict[str, object]
) -> None:
    rolled_back(desk)

    with pytest.raises(ApprovalRefused):
        desk.statement(**changes).text()


Run = Callable[..., int]


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WAVEMEND_HOME", str(desk.home))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("WAVEMEND_LEDGER", "WAVEMEND_SIGNERS"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> int:
        return int(app(list(words), exit_on_error=False, result_action="return_value"))

    return call


def test_the_command_signs_records_in_the_ledger_and_the_next_refresh_takes_it(
    desk: Desk, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = open_ledger(f"sqlite:///{desk.home / 'ledger.db'}")
    rolled_back(desk)

    key = str(desk.key("alice"))
    status = run("override", "kev", "--reason", "CISA says so", "--key", key)

    shown = capsys.readouterr().out
    assert status == 0
    assert "covers: it is of 2026-11-10 17:00Z, older than the copy in use" in shown
    with ledger.reading() as book:
        (event,) = audit.events(book, "kev")
    assert event.kind == "feed.override"
    assert "by: alice" in event.body
    assert run("refresh", "--from", str(desk.folder / "in"), "--feed", "kev") == 0
    assert "alice signed for it (CISA says so)" in capsys.readouterr().out


def test_the_command_signs_for_what_the_catalogue_takes_back(
    desk: Desk, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    open_ledger(f"sqlite:///{desk.home / 'ledger.db'}")
    desk.refresh(kev(), NOW)
    desk.refresh(kev(99, "2026-11-19T17:00:00Z"))
    key = str(desk.key("alice"))
    folder = str(desk.folder / "in")

    assert run("refresh", "--from", folder, "--feed", "kev") == 0
    assert "to sign: wavemend feeds override kev" in capsys.readouterr().out
    assert run("override", "kev", "--reason", "It never was", "--key", key) == 0
    assert run("refresh", "--from", folder, "--feed", "kev") == 0

    assert (
        load_intelligence(desk.cache, LATER, feeds=("kev",)).vulnerability("CVE-2026-10099").kev
        is None
    )
    with pytest.raises(ApprovalRefused, match="nothing to sign for"):
        run("override", "kev", "--reason", "It never was", "--key", key)


def test_the_command_writes_nothing_where_it_cannot_be_recorded(desk: Desk, run: Run) -> None:
    rolled_back(desk)  # and there is no ledger

    with pytest.raises(WavemendError, match="no installation"):
        run("override", "kev", "--reason", "Trust me", "--key", str(desk.key("alice")))

    assert not (desk.cache / "kev" / "overrides").exists()


def test_the_command_refuses_a_key_that_is_not_listed(desk: Desk, run: Run) -> None:
    rolled_back(desk)

    with pytest.raises(ApprovalRefused, match="is not in"):
        run("override", "kev", "--reason", "Trust me", "--key", str(desk.key("mallory")))
    with pytest.raises(ApprovalRefused, match="is not alice's over this override"):
        run(
            *("override", "kev", "--reason", "Trust me", "--identity", "alice"),
            *("--key", str(desk.key("mallory"))),
        )


def test_the_command_says_what_cannot_be_signed_for(desk: Desk, run: Run) -> None:
    desk.refresh(kev(), NOW)
    desk.refresh(kev(released="2099-01-01T00:00:00Z"))

    with pytest.raises(ApprovalRefused, match=r"cannot be signed for: it is dated 2099"):
        run("override", "kev", "--reason", "Trust me", "--key", str(desk.key("alice")))


def test_a_signature_is_checked_by_the_systems_tool_and_its_absence_is_a_refusal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled_back(desk)
    override = sign(desk.statement(), desk.key("alice"))
    assert verify(override, desk.signers, LATER).identity == "alice"

    monkeypatch.setenv("PATH", os.fspath(desk.folder))
    with pytest.raises(ApprovalRefused, match="ssh-keygen is missing"):
        verify(override, desk.signers, LATER)
