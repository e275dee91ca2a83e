"""AC-17: a night before an unstaffed morning is used only with a signature that counts by itself.

Signed by one of the company's approvers, for this company and morning, for this purpose; checked
when it comes in and again whenever it is used. A row in the ledger is no signature.
"""

import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cases.quiet import APPROVER, quiet_fleet
from wavemend.calendar.declared import TenantCalendar
from wavemend.cli import duty as cli
from wavemend.cli.fleet_apply import apply
from wavemend.errors import ApprovalRefused
from wavemend.execution.barring import barred
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet
from wavemend.ledger import audit, nights
from wavemend.ledger.night_tables import NightOverrideRow
from wavemend.nights import NAMESPACE, NightStatement, check
from wavemend.signatures import sign_text
from wavemend.site import Site, hands_of

BERLIN = ZoneInfo("Europe/Berlin")
ONE_AT_NIGHT = datetime(2026, 1, 1, 1, tzinfo=UTC)
"""Only the time of day counts; its end is far from any watched hours."""
REASON = "the night shift stays until noon"


@dataclass
class Desk:
    """One installation, its keys, and the coming night."""

    site: Site
    fleet: Fleet
    end: datetime

    @property
    def rules(self) -> TenantCalendar:
        return self.fleet.calendar_of("acme")

    @property
    def morning(self) -> date:
        return self.end.astimezone(BERLIN).date()

    def hands(self) -> Hands:
        return hands_of(self.site, self.site.open_ledger(), self.fleet)

    def barred(self, rules: TenantCalendar | None = None) -> str:
        return barred(self.hands(), rules or self.rules, self.end)

    def key(self, name: str) -> Path:
        return self.site.home / name

    def said(self, **changes: object) -> NightStatement:
        said = NightStatement(tenant="acme", morning=self.morning, identity=APPROVER, reason=REASON)
        return replace(said, **changes)  # type: ignore[arg-type]

    def write_by_hand(self, said: NightStatement, signature: str) -> None:
        """Put a row into the ledger as somebody would who can write to its file."""
        with self.site.open_ledger().writing() as book:
            book.add(
                NightOverrideRow(
                    id=f"n-{len(signature)}-{said.reason}",
                    tenant="acme",
                    morning=self.morning,
                    identity=said.identity,
                    fingerprint="SHA256:whatever",
                    reason=said.reason,
                    statement=said.text().decode(),
                    signature=signature,
                    at=datetime.now(UTC),
                )
            )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    home = tmp_path / "home"
    monkeypatch.setenv("WAVEMEND_HOME", str(home))
    fleet = quiet_fleet(tmp_path / "fleet", opens=ONE_AT_NIGHT, hours=1)
    apply(Path(fleet.source_path))
    lines = []
    for name, identity in (("alice", APPROVER), ("mallory", "mallory@evil.example")):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(argv, check=True, capture_output=True)
        public = " ".join((home / f"{name}.pub").read_text().split()[:2])
        lines.append(f'{identity} namespaces="patch-approval,{NAMESPACE}" {public}\n')
    (home / "signers").write_text("".join(lines))
    # 03:00 in Berlin the day after tomorrow: far from any hour of the clock that this runs at.
    day = (datetime.now(BERLIN) + timedelta(days=2)).date()
    return Desk(
        Site(home=home),
        fleet,
        datetime.combine(day, datetime.min.time(), BERLIN) + timedelta(hours=3),
    )


def sign(desk: Desk, **options: object) -> int:
    given = {"morning": str(desk.morning), "reason": REASON, "key": desk.key("alice")}
    return cli.override("acme", **{**given, **options})  # type: ignore[arg-type]


def test_ac_17_a_signed_night_may_be_used_and_is_in_the_audit_chain(desk: Desk) -> None:
    assert "nobody with linux is on duty" in desk.barred()

    sign(desk)

    assert desk.barred() == ""
    with desk.site.open_ledger().reading() as book:
        (event,) = audit.events(book, "acme")
        audit.verify(book)
    assert (event.kind, event.actor) == ("night.override", APPROVER)
    assert REASON in event.body
    assert str(desk.morning) in event.body


def test_ac_17_an_override_is_worth_nothing_in_the_next_night(desk: Desk) -> None:
    sign(desk)

    desk.end += timedelta(days=1)
    assert "nobody with linux is on duty" in desk.barred()


def test_a_freeze_is_not_lifted_by_a_signed_night(desk: Desk, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    freeze = (
        "freezes: [{name: fair, scope: global, "
        f'start: "{now - timedelta(days=1):%Y-%m-%dT%H:%M}", '
        f'end: "{now + timedelta(days=9):%Y-%m-%dT%H:%M}"}}]'
    )
    sign(desk)
    desk.fleet = quiet_fleet(tmp_path / "fleet", opens=ONE_AT_NIGHT, freeze=freeze)

    told = desk.barred()
    assert "fair" in told
    assert "duty" not in told


@pytest.mark.parametrize(
    ("changes", "key", "namespace"),
    [
        ({}, "mallory", NAMESPACE),
        ({"identity": "mallory@evil.example"}, "mallory", NAMESPACE),
        ({}, "alice", "patch-approval"),
        ({"tenant": "globex"}, "alice", NAMESPACE),
        ({"morning": date(2020, 1, 1)}, "alice", NAMESPACE),
    ],
)
def test_ac_17_a_row_written_by_hand_lifts_nothing(
    desk: Desk, changes: dict[str, object], key: str, namespace: str
) -> None:
    said = desk.said(**changes)
    desk.write_by_hand(said, sign_text(said.text(), desk.key(key), namespace))
    desk.write_by_hand(desk.said(reason="no signature at all"), "")

    assert "nobody with linux is on duty" in desk.barred()


def test_a_row_whose_reason_was_changed_lifts_nothing(desk: Desk) -> None:
    signature = sign_text(desk.said().text(), desk.key("alice"), NAMESPACE)
    desk.write_by_hand(desk.said(reason="another reason"), signature)
    assert desk.barred()

    desk.write_by_hand(desk.said(), signature)
    assert not desk.barred()


def test_who_is_no_approver_any_more_has_signed_nothing(desk: Desk) -> None:
    sign(desk)

    assert desk.barred(replace(desk.rules, approvers=()))
    (desk.site.home / "signers").write_text("# nobody\n")
    assert desk.barred()


def test_a_line_that_names_only_approvals_signs_for_no_night(desk: Desk) -> None:
    signers = desk.site.home / "signers"
    signers.write_text(signers.read_text().replace(f",{NAMESPACE}", ""))

    with pytest.raises(ApprovalRefused, match="does not allow signing for nights"):
        sign(desk)
    assert desk.barred()


def test_somebody_who_is_no_approver_is_refused_on_acceptance(desk: Desk) -> None:
    with pytest.raises(ApprovalRefused, match=r"mallory@evil\.example may not decide for acme"):
        sign(desk, key=desk.key("mallory"))
    with pytest.raises(ApprovalRefused, match=r"is not alice@acme\.example's"):
        sign(desk, key=desk.key("mallory"), by=APPROVER)
    with desk.site.open_ledger().reading() as book:
        assert nights.signed_nights(book, "acme", first=date.min, last=date.max) == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"morning": "2020-01-01"}, "is over"),
        ({"morning": "tomorrow"}, "is no date"),
        ({"reason": "ok"}, "3 to 500 printable"),
        ({"reason": "good\u202etenant: globex"}, "3 to 500 printable"),
        ({"reason": "good\nmorning: 2026-01-01"}, "3 to 500 printable"),
    ],
)
def test_what_could_blur_the_statement_is_refused(
    desk: Desk, options: dict[str, object], told: str
) -> None:
    with pytest.raises(ApprovalRefused, match=told):
        sign(desk, **options)


def test_a_signature_made_elsewhere_counts(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(desk, key=None, by=APPROVER) == 0
    printed = capsys.readouterr().out
    assert desk.said().text().decode() in printed
    assert desk.barred()
    made = tmp_path / "said.sig"
    made.write_text(sign_text(desk.said().text(), desk.key("alice"), NAMESPACE))

    sign(desk, key=None, by=APPROVER, signature=made)

    assert desk.barred() == ""


def test_the_statement_names_company_morning_signer_and_reason(desk: Desk) -> None:
    signature = sign_text(desk.said().text(), desk.key("alice"), NAMESPACE)
    file = desk.site.signers_file

    assert check(desk.said(), signature, signers_file=file, allowed=(APPROVER,)).fingerprint
    for changes in ({"tenant": "globex"}, {"morning": date(2030, 1, 1)}, {"reason": "another"}):
        with pytest.raises(ApprovalRefused):
            check(desk.said(**changes), signature, signers_file=file, allowed=(APPROVER,))


def test_duty_show_tells_who_is_there_and_what_that_means_for_the_windows(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    sign(desk)
    roster = Path(desk.fleet.source_path).parent / "roster.csv"
    later = desk.morning + timedelta(days=1)
    roster.write_text(
        "person,skills,start,end\n"
        f"Anna,linux,{later}T06:00,{later}T14:00\nBen,windows,{later}T08:00,{later}T09:00\n"
    )
    capsys.readouterr()

    cli.show("acme", days=5)

    lines = capsys.readouterr().out.splitlines()
    (signed,) = [line for line in lines if f"{desk.morning} " in line and "nobody" in line]
    assert f"signed for by {APPROVER}; else: nobody with linux is on duty" in signed
    (there,) = [line for line in lines if f"{later} " in line and "Anna" in line]
    assert "Anna (linux) 06:00-14:00" in there
    assert "staffed" in there
    assert any("Ben (windows) 08:00-09:00, not the skill" in line for line in lines)
    assert any("skipped: nobody on duty" in line for line in lines)
    assert any(line.rstrip().endswith("runs") for line in lines)
