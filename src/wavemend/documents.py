"""Values as canonical documents: one writer, one reader, so that equal values give equal bytes.

What is hashed or signed is always the stored document, byte for byte, never written anew.
"""

import hashlib
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from wavemend.errors import LedgerError

T = TypeVar("T")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Building an adapter takes milliseconds; each kind of document needs one."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def canonical(data: object) -> bytes:
    """Return JSON with sorted keys and fixed separators: the same bytes for the same data."""
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def to_data(value: object) -> Any:
    """Return a dataclass as plain JSON data."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_document(value: object) -> bytes:
    """Return the canonical JSON bytes of a dataclass."""
    return canonical(to_data(value))


def from_data(kind: type[T], data: object) -> T:
    """Return the value that `to_data` was given. Raises LedgerError when it is not one of those."""
    try:
        value: T = _adapter(kind).validate_python(data)
    except ValidationError as error:
        raise LedgerError(f"a stored {kind.__name__} cannot be read: {error}") from error
    return value


def from_document(kind: type[T], document: bytes | str) -> T:
    """Return the value that `to_document` wrote. Raises LedgerError on anything else."""
    try:
        value: T = _adapter(kind).validate_json(document)
    except ValidationError as error:
        raise LedgerError(f"a stored {kind.__name__} cannot be read: {error}") from error
    return value


def storable(text: str) -> str:
    """Return text that any database can hold: no NUL and no half of a surrogate pair."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def sha256(document: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return f"sha256:{hashlib.sha256(document).hexdigest()}"
