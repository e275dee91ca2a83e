"""Whether a line is an OpenSSH public key, by its own structure (RFC 4253, section 6.6)."""

import base64
import binascii

KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
"""Host keys that OpenSSH 9 still offers; ssh-dss is gone for good reasons."""

_LEAST_BYTES = 32
"""No key of any of these types is shorter."""


def public_key_fault(text: str) -> str:
    """Say why `text` is not `<type> <base64> [comment]`, or return an empty string."""
    parts = text.split()
    if len(parts) < 2 or parts[0] not in KEY_TYPES:
        return (
            "is no OpenSSH public key; write the host's own line, "
            "as in: ssh-keyscan HOST, without the host's name"
        )
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return "is no OpenSSH public key: the part after its type is not base64"
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != parts[0].encode() or len(blob) < 4 + length + _LEAST_BYTES:
        return f"is no OpenSSH public key: it says {parts[0]} and holds something else"
    return ""


def public_key(text: str) -> str:
    """Return `<type> <base64>`, without the comment."""
    return " ".join(text.split()[:2])
