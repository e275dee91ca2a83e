"""Only a listed person's signature over exactly this plan, asking, decision and reason counts."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cases.rollouts.build import LAST_START, NOON
from wavemend.approvals import (
    NAMESPACE,
    Answer,
    Request,
    check,
    sign,
    statement,
)
from wavemend.errors import ApprovalRefused
from wavemend.signatures import Signer, load_signers

REQUEST = Request(
    id="q-1",
    rollout_id="r-1",
    tenant="acme",
    plan_digest="sha256:" + "a" * 64,
    nonce="0" * 32,
    expires_at=LAST_START,
)
REASON = "tested on the pilot"


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with the keys of three people and a signers file that lists two of them."""

    folder: Path
    signers: Path

    def key(self, name: str) -> Path:
        return self.folder / name

    def public(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def line(self, name: str, key: str = "") -> str:
        return f'{name} namespaces="{NAMESPACE}" {self.public(key or name)}\n'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob", "mallory"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)],
            check=True,
        )
    return folder


@pytest.fixture
def desk(keys: Path, tmp_path: Path) -> Desk:
    made = Desk(keys, tmp_path / "signers")
    made.signers.write_text("# approvers\n\n" + made.line("alice") + made.line("bob"))
    made.signers.chmod(0o644)
    return made


def answer_of(
    desk: Desk,
    *,
    request: Request = REQUEST,
    decision: str = "approve",
    identity: str = "alice",
    reason: str = REASON,
    key: str = "alice",
) -> Answer:
    """Return an honest answer to a request, signed with this key."""
    signature = sign(statement(request, decision, identity, reason), desk.key(key))
    return Answer(decision=decision, identity=identity, reason=reason, signature=signature)


def judge(
    desk: Desk,
    answer: Answer,
    *,
    request: Request = REQUEST,
    allowed: tuple[str, ...] = ("alice", "bob"),
    requester: str = "olga",
    four_eyes: bool = True,
    late: timedelta = timedelta(0),
) -> Signer:
    return check(
        answer,
        request,
        signers_file=desk.signers,
        allowed=allowed,
        requester=requester,
        four_eyes=four_eyes,
        now=(LAST_START if late else NOON) + late,
    )


def raw_sign(desk: Desk, text: bytes, key: str = "alice", namespace: str = NAMESPACE) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(desk.key(key))],
        input=text,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


TEXT = statement(REQUEST, "approve", "alice", REASON)


# --- what counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["approve", "reject"])
@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_listed_persons_signature_counts_and_says_who_it_was(
    desk: Desk, decision: str, who: str
) -> None:
    signer = judge(desk, answer_of(desk, decision=decision, identity=who, key=who))

    assert signer.identity == who
    assert signer.key == desk.public(who)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(desk.folder / f"{who}.pub")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert signer.fingerprint == shown.stdout.split()[1]


def test_a_signature_that_was_pasted_with_blank_lines_around_it_counts(desk: Desk) -> None:
    answer = answer_of(desk)

    for pasted in (f"\n\n  {answer.signature}\n\n", answer.signature.replace("\n", "\r\n")):
        assert judge(desk, replace(answer, signature=pasted)).identity == "alice"


def test_whoever_asked_may_reject_and_may_approve_where_four_eyes_are_not_demanded(
    desk: Desk,
) -> None:
    rejected = judge(desk, answer_of(desk, decision="reject"), requester="alice")
    approved = judge(desk, answer_of(desk), requester="alice", four_eyes=False)

    assert rejected.identity == approved.identity == "alice"


def test_a_line_without_a_namespace_is_understood(desk: Desk) -> None:
    desk.signers.write_text(f"alice {desk.public('alice')} alice@laptop\n")

    assert judge(desk, answer_of(desk)).key == desk.public("alice")


def test_the_statement_says_everything_that_is_decided() -> None:
    assert TEXT.decode().splitlines() == [
        "wavemend approval v1",
        "decision: approve",
        "approver: alice",
        "rollout: r-1",
        "tenant: acme",
        f"plan: {REQUEST.plan_digest}",
        f"request: {REQUEST.nonce}",
        "expires: 2026-03-11T01:00:00Z",
        f"reason: {REASON}",
    ]


# --- forged or misused signatures ----------------------------------------------------------------

SIGNED_OTHERWISE: dict[str, Callable[[Desk], Answer]] = {
    "unknown key": lambda d: answer_of(d, key="mallory"),
    "another listed person's key": lambda d: answer_of(d, key="bob"),
    "signed as another person": lambda d: replace(answer_of(d), identity="bob"),
    "another plan": lambda d: answer_of(d, request=replace(REQUEST, plan_digest="sha256:b")),
    "another asking": lambda d: answer_of(d, request=replace(REQUEST, nonce="1" * 32)),
    "another rollout": lambda d: answer_of(d, request=replace(REQUEST, rollout_id="r-2")),
    "another tenant": lambda d: answer_of(d, request=replace(REQUEST, tenant="globex")),
    "another expiry": lambda d: answer_of(
        d, request=replace(REQUEST, expires_at=LAST_START + timedelta(days=1))
    ),
    "a rejection turned into an approval": lambda d: replace(
        answer_of(d, decision="reject"), decision="approve"
    ),
    "another reason": lambda d: replace(answer_of(d), reason="because I say so"),
    "a reason with one more blank": lambda d: replace(answer_of(d), reason="tested on the  pilot"),
    "a text with whitespace added": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT + b"\n")
    ),
    "a text without its last line break": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT[:-1])
    ),
    "a text with one line less": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT.split(b"\n", 1)[1])
    ),
    "an empty text": lambda d: replace(answer_of(d), signature=raw_sign(d, b"")),
    "namespace of files": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT, namespace="file")
    ),
    "namespace of git": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT, namespace="git")
    ),
    "namespace in capitals": lambda d: replace(
        answer_of(d), signature=raw_sign(d, TEXT, namespace=NAMESPACE.upper())
    ),
    "truncated": lambda d: replace(answer_of(d), signature=answer_of(d).signature[:-80]),
    "cut in the middle": lambda d: replace(
        answer_of(d), signature=_without_a_line(answer_of(d).signature)
    ),
    "one letter changed": lambda d: replace(
        answer_of(d), signature=_with_another_letter(answer_of(d).signature)
    ),
    "two signatures, a stranger's first": lambda d: replace(
        answer_of(d), signature=answer_of(d, key="mallory").signature + answer_of(d).signature
    ),
    "only the frame": lambda d: replace(
        answer_of(d),
        signature="-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
    ),
    "a public key": lambda d: replace(answer_of(d), signature=d.public("alice")),
    "a private key": lambda d: replace(answer_of(d), signature=d.key("alice").read_text()),
    "any text": lambda d: replace(answer_of(d), signature="approved by alice, honestly"),
    "a NUL in the signature": lambda d: replace(
        answer_of(d), signature="\0" + answer_of(d).signature
    ),
    "half a surrogate in the signature": lambda d: replace(
        answer_of(d), signature="\udc80" + answer_of(d).signature
    ),
}


def _without_a_line(signature: str) -> str:
    lines = signature.splitlines()
    return "\n".join([*lines[:2], *lines[3:]])


def _with_another_letter(signature: str) -> str:
    lines = signature.splitlines()
    middle = lines[-2]
    lines[-2] = ("A" if middle[0] != "A" else "B") + middle[1:]
    return "\n".join(lines)


@pytest.mark.parametrize("forge", SIGNED_OTHERWISE.values(), ids=SIGNED_OTHERWISE.keys())
def test_a_signature_over_anything_else_or_by_anybody_else_is_refused(
    desk: Desk, forge: Callable[[Desk], Answer]
) -> None:
    answer = forge(desk)
    with pytest.raises(ApprovalRefused, match=f"not {answer.identity}'s over this plan"):
        judge(desk, answer)


def test_a_concatenation_never_counts_for_more_than_its_first_signature(desk: Desk) -> None:
    own, other = answer_of(desk).signature, answer_of(desk, key="mallory").signature

    assert judge(desk, replace(answer_of(desk), signature=own + other)).identity == "alice"
    with pytest.raises(ApprovalRefused):
        judge(desk, answer_of(desk, identity="bob", key="mallory"))


@pytest.mark.parametrize("signature", ["", " ", "\n\n", "\t"])
def test_an_empty_signature_is_refused_with_the_way_to_make_one(desk: Desk, signature: str) -> None:
    with pytest.raises(ApprovalRefused, match=r"there is no signature.*wavemend approve"):
        judge(desk, replace(answer_of(desk), signature=signature))


def test_an_answer_after_the_expiry_is_refused(desk: Desk) -> None:
    answer = answer_of(desk)

    with pytest.raises(ApprovalRefused, match="expired at 2026-03-11 01:00 UTC"):
        judge(desk, answer, late=timedelta(seconds=1))


def test_a_person_who_is_not_the_tenants_approver_is_refused(desk: Desk) -> None:
    with pytest.raises(ApprovalRefused, match=r"bob may not decide for acme.*approvers: alice"):
        judge(desk, answer_of(desk, identity="bob", key="bob"), allowed=("alice",))
    with pytest.raises(ApprovalRefused, match="none declared"):
        judge(desk, answer_of(desk), allowed=())


def test_an_approver_without_a_key_in_the_file_is_refused(desk: Desk) -> None:
    answer = answer_of(desk, identity="mallory", key="mallory")

    with pytest.raises(ApprovalRefused, match="mallory has no key in"):
        judge(desk, answer, allowed=("mallory",))


def test_with_four_eyes_whoever_asked_cannot_approve(desk: Desk) -> None:
    with pytest.raises(ApprovalRefused, match="alice asked for this rollout"):
        judge(desk, answer_of(desk), requester="alice")


# --- texts that could blur the statement ---------------------------------------------------------


@pytest.mark.parametrize(
    "decision", ["", "approved", "APPROVE", "approve\n", "yes", "approve reject"]
)
def test_what_is_no_decision_is_refused(decision: str) -> None:
    with pytest.raises(ApprovalRefused, match="is no decision"):
        statement(REQUEST, decision, "alice", REASON)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "ok",
        "   ",
        " leading",
        "trailing ",
        "two\nlines",
        "fine\rplan: sha256:b",
        "a\x00b, a\x00b",
        "bell \x07 rings",
        "escape \x1b[2K hides",
        "delete \x7f",
        "next \x85 line",
        "c1 \x9b2K control",
        "line \u2028 separator",
        "paragraph \u2029 separator",
        "right \u202e to left",
        "isolate \u2066 starts",
        "zero \u200b width",
        "mark \ufeff inside",
        "half \ud800 a pair",
        "x" * 501,
    ],
    ids=lambda reason: ascii(reason)[:24],
)
def test_a_reason_that_is_not_one_plain_line_is_refused(reason: str) -> None:
    with pytest.raises(ApprovalRefused, match="the reason must be one line"):
        statement(REQUEST, "approve", "alice", reason)


@pytest.mark.parametrize(
    "reason",
    ["geprüft, läuft", "проверено", "確認済みです", "50 % done; ok?", "x" * 500, "👍 good"],
)
def test_a_reason_in_any_language_is_taken(reason: str) -> None:
    assert statement(REQUEST, "approve", "alice", reason).decode().endswith(f"reason: {reason}\n")


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "*",
        "al*",
        "alice,bob",
        "alice bob",
        "alice\nbob",
        "!alice",
        "-falice",
        "a" * 101,
        "аlice",
    ],
    ids=ascii,
)
def test_a_name_with_signs_of_its_own_meaning_is_refused(identity: str) -> None:
    with pytest.raises(ApprovalRefused, match="name has signs that are not allowed"):
        statement(REQUEST, "approve", identity, REASON)


# --- the signers file ----------------------------------------------------------------------------

BAD_LINES: dict[str, tuple[Callable[[Desk], str], str]] = {
    "two principals": (lambda d: f"alice,bob {d.public('alice')}", "not one name and one key"),
    "wildcard": (lambda d: f"* {d.public('alice')}", "not one name and one key"),
    "wildcard in a name": (lambda d: f"ali?e {d.public('alice')}", "not one name and one key"),
    "negation": (lambda d: f"!bob,* {d.public('alice')}", "not one name and one key"),
    "quoted name": (lambda d: f'"alice" {d.public("alice")}', "not one name and one key"),
    "no key": (lambda _: "alice", "not one name and one key"),
    "no name": (lambda d: d.public("alice"), "not one name and one key"),
    "cert-authority": (lambda d: f"alice cert-authority {d.public('alice')}", "cert-authority is"),
    "cert-authority after the namespace": (
        lambda d: f'alice namespaces="{NAMESPACE}" cert-authority {d.public("alice")}',
        "cert-authority is an option",
    ),
    "other namespace": (
        lambda d: f'alice namespaces="file" {d.public("alice")}',
        "only namespaces=",
    ),
    "more namespaces": (
        lambda d: f'alice namespaces="{NAMESPACE},file" {d.public("alice")}',
        "only namespaces=",
    ),
    "validity in the past": (
        lambda d: f'alice valid-before="20200101" {d.public("alice")}',
        "valid-before.* is an option",
    ),
    "several options": (
        lambda d: f'alice namespaces="{NAMESPACE}",valid-before="20200101" {d.public("alice")}',
        "only namespaces=",
    ),
    "unknown key type": (lambda _: "alice pgp-rsa AAAA", "not understood here"),
    "key that is not base64": (lambda _: "alice ssh-ed25519 AA!A", "the key is not base64"),
    "key that is no key": (lambda _: "alice ssh-ed25519 AAAA", "is not a key|not alice's"),
    "same key twice": (
        lambda d: d.line("alice") + d.line("bob", "alice"),
        "the same key stands in two lines",
    ),
    "same name twice": (
        lambda d: d.line("alice") + d.line("alice", "bob"),
        "the same name stands in two lines",
    ),
}


@pytest.mark.parametrize(("line", "words"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_signers_file_that_could_mean_more_than_one_person_is_refused_whole(
    desk: Desk, line: Callable[[Desk], str], words: str
) -> None:
    text = line(desk)
    desk.signers.write_text(text if text.endswith("\n") else f"{text}\n")

    with pytest.raises(ApprovalRefused, match=words):
        judge(desk, answer_of(desk))


def test_the_same_key_with_another_comment_is_the_same_key(desk: Desk) -> None:
    desk.signers.write_text(
        f"alice {desk.public('alice')} laptop\nbob {desk.public('alice')} desktop\n"
    )

    with pytest.raises(ApprovalRefused, match="the same key"):
        load_signers(desk.signers)


def test_a_bad_line_is_named_by_its_number(desk: Desk) -> None:
    desk.signers.write_text("# one\n" + desk.line("bob") + "* everybody\n")

    with pytest.raises(ApprovalRefused, match=r"signers:3: not one name"):
        load_signers(desk.signers)


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"\n\n"])
def test_an_empty_signers_file_lists_nobody(desk: Desk, content: bytes) -> None:
    desk.signers.write_bytes(content)

    with pytest.raises(ApprovalRefused, match="alice has no key"):
        judge(desk, answer_of(desk))


def test_a_signers_file_that_is_not_text_is_refused_in_our_own_words(desk: Desk) -> None:
    desk.signers.write_bytes(b"\xff\xfe\x00alice")

    with pytest.raises(ApprovalRefused, match="is not text"):
        judge(desk, answer_of(desk))


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o777])
def test_a_signers_file_that_others_may_write_is_refused(desk: Desk, mode: int) -> None:
    desk.signers.chmod(mode)

    with pytest.raises(ApprovalRefused, match=r"can be changed by others.*chmod go-w"):
        judge(desk, answer_of(desk))


def test_a_folder_above_it_that_others_may_write_is_refused(desk: Desk, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    inner = open_to_all / "inner"
    inner.mkdir(parents=True)
    moved = replace(desk, signers=inner / "signers")
    moved.signers.write_text(desk.signers.read_text())
    open_to_all.chmod(0o777)

    with pytest.raises(ApprovalRefused, match="open can be changed by others"):
        judge(moved, answer_of(desk))


def test_a_link_to_a_file_that_others_may_write_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.signers.chmod(0o666)
    link = tmp_path / "link"
    link.symlink_to(desk.signers)

    with pytest.raises(ApprovalRefused, match="can be changed by others"):
        judge(replace(desk, signers=link), answer_of(desk))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_signers_file_of_another_user_is_refused(desk: Desk) -> None:
    os.chown(desk.signers, 65534, -1)

    with pytest.raises(ApprovalRefused, match="can be changed by others"):
        judge(desk, answer_of(desk))


def test_a_missing_signers_file_is_refused_with_the_way_out(desk: Desk, tmp_path: Path) -> None:
    missing = replace(desk, signers=tmp_path / "nothing")

    with pytest.raises(ApprovalRefused, match=r"nothing cannot be read: No such file"):
        judge(missing, answer_of(desk))
    with pytest.raises(ApprovalRefused, match=r"cannot be read|is not"):
        judge(replace(desk, signers=tmp_path), answer_of(desk))


# --- the tool ------------------------------------------------------------------------------------


def test_without_ssh_keygen_nothing_counts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = answer_of(desk)
    monkeypatch.setenv("PATH", str(desk.folder))

    with pytest.raises(ApprovalRefused, match=r"ssh-keygen is missing.*openssh-client"):
        judge(desk, answer)


@pytest.mark.parametrize(
    "script",
    ["echo Good signature; exit 1", "exit 255", "kill -9 $$"],
    ids=["lies", "fails", "dies"],
)
def test_only_the_exit_status_of_ssh_keygen_counts(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    answer = answer_of(desk)
    fake = tmp_path / "bin" / "ssh-keygen"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")

    with pytest.raises(ApprovalRefused):
        judge(desk, answer)


def test_a_key_that_cannot_sign_is_said(desk: Desk) -> None:
    with pytest.raises(ApprovalRefused, match="did not sign with"):
        sign(TEXT, desk.folder / "nobody")
