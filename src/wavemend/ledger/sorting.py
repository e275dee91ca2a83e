"""Numbers as text that sorts as they do, so that a database can sort by a whole tuple."""

import struct
from collections.abc import Iterable


def sortable(order: Iterable[float]) -> str:
    """Return numbers as text that sorts as they do: the bits of a double, its sign turned."""
    parts = []
    for number in order:
        (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
        flipped = bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 0x8000000000000000)
        parts.append(f"{flipped:016x}")
    return "".join(parts)


def unsortable(text: str) -> tuple[float, ...]:
    """Return the numbers that `sortable` was given."""
    numbers = []
    for start in range(0, len(text), 16):
        flipped = int(text[start : start + 16], 16)
        bits = flipped ^ (0x8000000000000000 if flipped >> 63 else 0xFFFFFFFFFFFFFFFF)
        numbers.append(struct.unpack(">d", struct.pack(">Q", bits))[0])
    return tuple(numbers)
