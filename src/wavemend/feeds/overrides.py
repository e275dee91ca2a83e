"""Overrides: what an operator signs for, so that a refused or softened state may be taken.

Two things can be signed. A *candidate*: the state with exactly this digest may replace the one in
use although it is older or lost entries. *Relaxations*: exactly these sentences of the KEV
catalogue are true, and the stricter entries need not stay in force. Both are OpenSSH signatures
(`ssh-keygen -Y sign -n feed-override`) by somebody in the signers file, checked when they are
used; whoever can write into the cache can lay a file there, but not sign it.

`<cache>/<feed>/refused.json` says what was refused last, `<cache>/<feed>/overrides/` holds the
signed statements.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wavemend.errors import ApprovalRefused
from wavemend.feeds.acceptance import OVERRIDABLE, Refusal
from wavemend.feeds.changes import in_force, relaxations
from wavemend.feeds.store.compiled import open_state
from wavemend.feeds.store.snapshots_files import write_whole
from wavemend.feeds.store.snapshots_staging import Stored
from wavemend.signatures import Signer, is_signed, load_signers, sign_text

NAMESPACE = "feed-override"
"""Not that of approvals: a signature under a plan is none under a feed, and the reverse."""
SIGN = 'wavemend feeds override FEED --key KEYFILE --reason "WHY"'
VALID = timedelta(days=7)
"""How long an override may be used, unless said otherwise. What was taken under it stays taken."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class Subject(StrEnum):
    """What an override is about."""

    CANDIDATE = "candidate"
    RELAXATIONS = "relaxations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`refused.json`: the last state of a feed that was refused, for a person to look at."""

    feed: str
    digest: str
    """SHA-256 over its documents."""
    source: str
    data_date: datetime
    count: int
    refusals: tuple[Refusal, ...]
    seen_at: datetime

    @property
    def overridable(self) -> bool:
        """True when a signature can change it: upstream may have done this on purpose."""
        return all(item.kind in OVERRIDABLE for item in self.refusals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is signed."""

    feed: str
    subject: Subject
    digest: str
    """Of the candidate's documents; of the sentences in `covers` for relaxations."""
    covers: tuple[str, ...]
    """Why the candidate was refused, or what is taken back: one sentence each."""
    identity: str
    reason: str
    made_at: datetime
    expires_at: datetime

    def text(self) -> bytes:
        """Return the bytes that are signed. Raises ApprovalRefused for what could blur them."""
        if not _NAME.fullmatch(self.identity):
            raise ApprovalRefused("the signer's name has signs that are not allowed")
        if not 3 <= len(self.reason) <= 500:
            raise ApprovalRefused(
                "the reason must be one line of 3 to 500 characters", hint="say why"
            )
        lines = [self.feed, self.digest, self.reason, *self.covers]
        if not self.covers or not all(
            line.isprintable() and line == line.strip() for line in lines
        ):
            raise ApprovalRefused("the override has signs that cannot be seen, or covers nothing")
        return "".join(
            f"{line}\n"
            for line in (
                "wavemend feed override v1",
                f"feed: {self.feed}",
                f"subject: {self.subject}",
                f"digest: {self.digest}",
                f"by: {self.identity}",
                f"made: {self.made_at:%Y-%m-%dT%H:%M:%SZ}",
                f"expires: {self.expires_at:%Y-%m-%dT%H:%M:%SZ}",
                f"reason: {self.reason}",
                *(f"covers: {line}" for line in self.covers),
            )
        ).encode()

    @property
    def in_words(self) -> str:
        """One line for the person who sees that it took effect."""
        return f"{' '.join(self.covers)} Taken: {self.identity} signed for it ({self.reason})."


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A signed statement."""

    statement: Statement
    signature: str


_REFUSED = TypeAdapter(Refused)
_OVERRIDE = TypeAdapter(Override)


def sentences_digest(sentences: tuple[str, ...]) -> str:
    """Return one name for a list of sentences."""
    return hashlib.sha256("\n".join(sentences).encode()).hexdigest()


def sign(statement: Statement, key: Path) -> Override:
    """Sign with the system's ssh-keygen; a key in an agent or on hardware works too.

    Raises ApprovalRefused.
    """
    signature = sign_text(statement.text(), key, NAMESPACE)
    return Override(statement=statement, signature=signature)


def verify(override: Override, signers_file: Path, now: datetime) -> Signer:
    """Return who signed. Raises ApprovalRefused; only ssh-keygen's exit status decides.

    Whoever's line in the signers file names `feed-override` counts: feeds belong to no company,
    so being one company's approver is not enough.
    """
    said = override.statement
    text = said.text()
    if now > said.expires_at:
        raise ApprovalRefused(f"the override expired at {said.expires_at:%Y-%m-%d %H:%M} UTC")
    signers = {signer.identity: signer for signer in load_signers(signers_file)}
    if said.identity not in signers:
        raise ApprovalRefused(f"{said.identity} has no key in {signers_file}")
    require_namespace(signers[said.identity], signers_file)
    if not is_signed(text, override.signature, said.identity, signers_file, NAMESPACE):
        raise ApprovalRefused(
            f"the signature is not {said.identity}'s over this override",
            hint=f"sign again: {SIGN}",
        )
    return signers[said.identity]


def require_namespace(signer: Signer, signers_file: Path) -> None:
    """Refuse somebody whose line does not name overrides of feeds. Raises ApprovalRefused."""
    if NAMESPACE not in signer.namespaces:
        raise ApprovalRefused(
            f"{signer.identity}'s line in {signers_file} does not allow signing for feeds",
            hint=f'it must say namespaces="{NAMESPACE}", or "patch-approval,{NAMESPACE}" for both',
        )


def note_refused(cache_dir: Path, refused: Refused) -> None:
    """Write down what was refused, so that a person can look at it and sign for it."""
    write_whole(_refused_file(cache_dir, refused.feed), _REFUSED.dump_json(refused, indent=1))


def forget_refused(cache_dir: Path, feed: str) -> None:
    """A state was taken: what was refused before it is no longer a question."""
    _refused_file(cache_dir, feed).unlink(missing_ok=True)


def read_refused(cache_dir: Path, feed: str) -> Refused | None:
    """Return what was refused last; None: nothing, or nothing since a state was taken."""
    try:
        return _REFUSED.validate_json(_refused_file(cache_dir, feed).read_bytes())
    except (OSError, ValidationError):
        return None


def store(cache_dir: Path, override: Override) -> Path:
    """Lay a signed statement where the next refresh finds it."""
    said = override.statement
    folder = _folder(cache_dir, said.feed)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{said.made_at:%Y%m%dT%H%M%SZ}-{said.subject}-{said.digest[:12]}.json"
    write_whole(folder / name, _OVERRIDE.dump_json(override, indent=1))
    return folder / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The overrides of a feed that were looked at."""

    good: tuple[tuple[Path, Statement], ...]
    """Those that count now, the oldest first."""
    bad: tuple[str, ...]
    """Why the others do not."""

    @property
    def sentences(self) -> frozenset[str]:
        """Everything that is signed for."""
        return frozenset(line for _, said in self.good for line in said.covers)

    def covering(self, digest: str, reasons: tuple[Refusal, ...]) -> tuple[Path, Statement] | None:
        """Return the override of exactly this candidate that covers all that is wrong with it."""
        if not all(item.kind in OVERRIDABLE for item in reasons):
            return None
        wrong = {item.reason for item in reasons}
        for path, said in self.good:
            if said.digest == digest and wrong <= set(said.covers):
                return path, said
        return None


def pending_relaxations(stored: Stored) -> tuple[str, ...]:
    """Return what a state's catalogue takes back of what stays in force: sentences to sign for."""
    state = open_state(stored.compiled)
    try:
        listed = {cve: state.kev[cve] for cve in stored.kept if cve in state.kev}
    finally:
        state.close()
    return tuple(str(event) for event in relaxations(in_force(listed, stored.kept), listed))


def find(
    cache_dir: Path, feed: str, subject: Subject, signers_file: Path | None, now: datetime
) -> Found:
    """Return the overrides of a feed about such a subject, each verified now."""
    good: list[tuple[Path, Statement]] = []
    bad: list[str] = []
    for path in sorted(_folder(cache_dir, feed).glob("*.json")):
        try:
            override = _OVERRIDE.validate_json(path.read_bytes())
            said = override.statement
            if (said.feed, said.subject) != (feed, subject):
                continue
            if signers_file is None:
                raise ApprovalRefused("no list of signers is known here")  # noqa: TRY301
            verify(override, signers_file, now)
        except (OSError, ValidationError) as error:
            bad.append(f"{path.name} does not count: it cannot be read ({type(error).__name__}).")
            continue
        except ApprovalRefused as error:
            bad.append(f"{path.name} does not count: {error.message}.")
            continue
        good.append((path, said))
    return Found(good=tuple(good), bad=tuple(bad))


def use(path: Path) -> None:
    """Mark an override as used: it took effect once and must not a second time.

    Without this, a copy that was accepted by signature could be served again as a rollback.
    """
    path.replace(path.with_suffix(".used"))


def _refused_file(cache_dir: Path, feed: str) -> Path:
    return cache_dir / feed / "refused.json"


def _folder(cache_dir: Path, feed: str) -> Path:
    return cache_dir / feed / "overrides"
