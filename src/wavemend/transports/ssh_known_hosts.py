"""Read known_hosts text: which host keys are known, revoked, or only vouched for by an authority.

The form is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". A text is parsed once and kept:
parsing a thousand hashed lines per connection was most of the cost of a connection.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from wavemend.errors import HostKeyRefused

KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
"""Types of host keys that can be verified, best first."""

OTHER_TYPES = frozenset(
    {"ssh-dss", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}
)
"""Types that OpenSSH writes too, and no host is ever accepted with here."""

CERT_AUTHORITY = "@cert-authority"
REVOKED = "@revoked"


class _OtherType(ValueError):
    """A key of a type that is not verified here."""


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that was not understood. It never makes a host known."""

    number: int
    reason: str
    revokes: bool
    """It was meant to revoke a key: nobody can say which, so no host is trusted with this text."""


@dataclass(frozen=True, slots=True)
class _Entry:
    marker: str
    key: str
    accept: tuple[re.Pattern[str], ...]
    reject: tuple[re.Pattern[str], ...]
    salt: bytes = b""
    digest: bytes = b""
    names: tuple[str, ...] = ()
    """All that it is for, where it is for plain names only: found without trying."""

    def is_for(self, name: str) -> bool:
        """Try the patterns, or the hashed name; never asked of an entry for plain names."""
        if self.salt:
            return hmac.compare_digest(hmac.digest(self.salt, name.encode(), "sha1"), self.digest)
        if any(pattern.fullmatch(name) for pattern in self.reject):
            return False
        return any(pattern.fullmatch(name) for pattern in self.accept)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTrust:
    """What a known_hosts text says about one host. Keys are `<type> <base64>`."""

    accepted: tuple[str, ...]
    revoked: tuple[str, ...]
    has_authority: bool
    """A certificate authority vouches for the host; wavemend verifies plain keys only."""


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """A parsed known_hosts text; every line is an entry, or unreadable with a reason."""

    entries: tuple[_Entry, ...]
    unreadable: tuple[UnreadableLine, ...]
    plain: Mapping[str, tuple[int, ...]]
    """Plain name to the entries that are for it, by their place."""
    tried: tuple[int, ...]
    """Entries with patterns or a hashed name: each has to be tried."""

    def look_up(self, address: str, port: int) -> HostTrust:
        """Return what is known of a host. Raises HostKeyRefused for an unreadable revocation."""
        for line in self.unreadable:
            if line.revokes:
                raise HostKeyRefused(
                    f"known_hosts line {line.number} revokes a key but cannot be read:"
                    f" {line.reason}",
                    hint="correct or remove the line; until then no host is trusted",
                )
        names = host_names(address, port)
        found = {place for name in names for place in self.plain.get(name, ())}
        found |= {n for n in self.tried if any(self.entries[n].is_for(name) for name in names)}
        hits = [self.entries[place] for place in sorted(found)]
        return HostTrust(
            accepted=_keys(hits, ""),
            revoked=_keys(hits, REVOKED),
            has_authority=any(entry.marker == CERT_AUTHORITY for entry in hits),
        )


def _keys(entries: Iterable[_Entry], marker: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.key for entry in entries if entry.marker == marker))


def host_names(address: str, port: int) -> tuple[str, ...]:
    """Return how known_hosts names a host: `name` for port 22, `[name]:port` for all."""
    name = address.lower()
    bracketed = f"[{name}]:{port}"
    return (name, bracketed) if port == 22 else (bracketed,)


@lru_cache(maxsize=16)
def parse_known_hosts(text: str) -> KnownHosts:
    """Parse known_hosts text; the same text is parsed once per process."""
    entries: list[_Entry] = []
    unreadable: list[UnreadableLine] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            entries.append(_parse_line(stripped))
        except ValueError as error:
            # A key of a type that is never accepted need not be revoked.
            marked = stripped.lower().startswith(REVOKED)
            revokes = marked and not isinstance(error, _OtherType)
            unreadable.append(UnreadableLine(number, str(error), revokes))
    plain: dict[str, tuple[int, ...]] = {}
    for place, entry in enumerate(entries):
        for name in entry.names:
            plain[name] = (*plain.get(name, ()), place)
    tried = tuple(place for place, entry in enumerate(entries) if not entry.names)
    return KnownHosts(tuple(entries), tuple(unreadable), plain, tried)


def _parse_line(line: str) -> _Entry:
    fields = line.split()
    marker = fields.pop(0).lower() if line.startswith("@") else ""
    if marker not in {"", CERT_AUTHORITY, REVOKED}:
        raise ValueError(f"unknown marker {marker}")
    if len(fields) < 3:
        raise ValueError("a line needs names, a key type and a key")
    key = normal_key(f"{fields[1]} {fields[2]}")
    if fields[0].startswith("|"):
        return _hashed(marker, key, fields[0])
    names = [name.lower() for name in fields[0].split(",") if name]
    if all(name.startswith("!") for name in names):
        raise ValueError("no name that the line could be for")
    if not any(set(name) & set("*?!") for name in names):
        return _Entry(marker, key, (), (), names=tuple(names))
    accept = tuple(_pattern(name) for name in names if not name.startswith("!"))
    reject = tuple(_pattern(name[1:]) for name in names if name.startswith("!"))
    return _Entry(marker, key, accept, reject)


def _hashed(marker: str, key: str, field: str) -> _Entry:
    parts = field.split("|")
    if len(parts) != 4 or parts[1] != "1":
        raise ValueError("a hashed name has the form |1|salt|hash")
    salt, digest = _decode(parts[2]), _decode(parts[3])
    if len(salt) != 20 or len(digest) != 20:
        raise ValueError("salt and hash of a hashed name have 20 bytes each")
    return _Entry(marker, key, (), (), salt, digest)


def _pattern(name: str) -> re.Pattern[str]:
    """Only `*` and `?` are special; brackets belong to the port form."""
    return re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not valid base64") from error


def normal_key(text: str) -> str:
    """Return `<type> <base64>` of a public key line, without its comment. Raises ValueError."""
    fields = text.split()
    if len(fields) < 2:
        raise ValueError("a key has the form `<type> <base64>`")
    kind, encoded = fields[0], fields[1]
    if kind not in KEY_TYPES:
        fault = _OtherType if kind in OTHER_TYPES else ValueError
        raise fault(f"key type {kind} is not supported; known are {', '.join(KEY_TYPES)}")
    blob = _decode(encoded)
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != kind.encode() or len(blob) <= 4 + length:
        raise ValueError(f"the key is not a whole {kind} key")
    return f"{kind} {base64.b64encode(blob).decode()}"


def fingerprint(key: str) -> str:
    """Return the fingerprint of `<type> <base64>` as ssh-keygen -l shows it."""
    kind, encoded = key.split()[:2]
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(encoded)).digest()).decode()
    return f"{kind} SHA256:{digest.rstrip('=')}"
