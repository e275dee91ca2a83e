"""`wavemend feeds override`: sign for a refused state, or for what the KEV catalogue takes back."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wavemend.cli.here import here, ledger_here, operator
from wavemend.cli.shown import say
from wavemend.errors import ApprovalRefused, FeedError
from wavemend.feeds import FEEDS
from wavemend.feeds.overrides import (
    VALID,
    Statement,
    Subject,
    pending_relaxations,
    read_refused,
    require_namespace,
    sentences_digest,
    sign,
    store,
    verify,
)
from wavemend.feeds.store.snapshots import read_current
from wavemend.ledger import audit
from wavemend.signatures import load_signers
from wavemend.site import utc_now

MOST_DAYS = 365


def override_command(
    feed: str,
    *,
    reason: Annotated[str, Parameter(help="Why, in one sentence; it is signed too.")],
    key: Annotated[
        Path, Parameter(help="Private key to sign with; an agent or hardware key works.")
    ],
    identity: Annotated[str, Parameter(help="Your name in the list of signers.")] = "",
    days: Annotated[
        float, Parameter(help="How long it may be used; what was taken under it stays.")
    ] = VALID.days,
    cache: Annotated[
        Path | None,
        Parameter(help="Folder of the accepted copies; without it, this installation's."),
    ] = None,
) -> int:
    """Sign that a refused state of a feed is right after all, or that KEV may take entries back.

    Covers exactly what is shown, and nothing that comes later. It takes effect at the next
    refresh, once. Dates in the future, empty and unreadable copies cannot be signed for.
    """
    if not 0 < days <= MOST_DAYS:  # not a number is not in between either
        raise FeedError(f"{days:g} days is no time.", hint=f"from 0 to {MOST_DAYS} days")
    if feed not in FEEDS:
        raise FeedError(f"there is no feed {feed}.", hint=f"known: {', '.join(sorted(FEEDS))}")
    place, now = cache or here().feed_cache, utc_now().replace(microsecond=0)
    subject, digest, covers = _open_question(place, feed)
    statement = Statement(
        feed=feed,
        subject=subject,
        digest=digest,
        covers=covers,
        identity=identity or _identity_of(key),
        reason=reason,
        made_at=now,
        expires_at=now + timedelta(days=days),
    )
    say(statement.text().decode())
    override = sign(statement, key)
    signer = verify(override, here().signers_file, now)
    # The ledger first: what is not written down must not take effect.
    with ledger_here().writing() as book:
        audit.append(
            book,
            now,
            operator(),
            "feed.override",
            feed,
            statement=statement.text().decode(),
            signature=override.signature,
            fingerprint=signer.fingerprint,
        )
    path = store(place, override)
    say(f"signed as {statement.identity}, recorded, and kept as {path}")
    say("the next refresh takes it into account, even if the publisher has moved on meanwhile")
    return 0


def _open_question(place: Path, feed: str) -> tuple[Subject, str, tuple[str, ...]]:
    """Return what there is to sign: a refused state first, then what is taken back."""
    refused = read_refused(place, feed)
    if refused is not None:
        covers = tuple(item.reason for item in refused.refusals)
        if not refused.overridable:
            raise ApprovalRefused(
                f"the refused state of feed {feed} cannot be signed for: {'; '.join(covers)}",
                hint="wait for a good one, or bring it: `wavemend feeds refresh --from FOLDER`",
            )
        return Subject.CANDIDATE, refused.digest, covers
    stored = read_current(place, feed)
    covers = pending_relaxations(stored) if stored is not None and stored.kept else ()
    if not covers:
        raise ApprovalRefused(
            f"there is nothing to sign for in feed {feed}",
            hint="the next refresh says when there is",
        )
    return Subject.RELAXATIONS, sentences_digest(covers), covers


def _identity_of(key: Path) -> str:
    """Find the signer whose public key belongs to this private key."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        ours = " ".join(public.read_text().split()[:2])
    except OSError as error:
        raise ApprovalRefused(
            f"{public} cannot be read: {error.strerror}", hint="name yourself with --identity"
        ) from error
    signers_file = here().signers_file
    for signer in load_signers(signers_file):
        if signer.key == ours:
            require_namespace(signer, signers_file)
            return signer.identity
    raise ApprovalRefused(
        f"the key {public} is not in {signers_file}", hint="ask for it to be listed"
    )
