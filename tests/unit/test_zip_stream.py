"""A zip read from front to back gives what the standard reader gives, or is refused."""

import contextlib
import io
import random
import zipfile
from typing import BinaryIO, cast

import pytest

from wavemend.errors import FeedRejected
from wavemend.feeds.reading.zip_stream import zip_stream

FILES = {
    "a/": b"",
    "a/1.json": b'{"a": 1}',
    "a/2.json": b"[" + b"7," * 9_000 + b"7]",
    "b.txt": b"x",
}
MOST = 1_000_000


class OneWay(io.RawIOBase):
    """A file that cannot go back, as a pipe: a writer must put the sizes behind each file."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(cast("bytes", data))
        self.written += piece
        return len(piece)


def packed(method: int, *, one_way: bool = False) -> bytes:
    target = OneWay() if one_way else io.BytesIO()
    with zipfile.ZipFile(cast("BinaryIO", target), "w", method) as archive:
        for name, body in FILES.items():
            if name.endswith("/"):
                archive.writestr(zipfile.ZipInfo(name), b"")
                continue
            archive.writestr(zipfile.ZipInfo(name), body, compress_type=method)
    return bytes(target.written if isinstance(target, OneWay) else target.getvalue())


def read(body: bytes, *, most: int = MOST, most_total: int = MOST) -> dict[str, bytes]:
    return dict(zip_stream(io.BytesIO(body), "x.zip", most=most, most_total=most_total))


EXPECTED = {f"x.zip/{name}": body for name, body in FILES.items() if name.endswith(".json")}


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("name", ["stored", "deflated"])
def test_the_json_files_of_a_zip_come_whole(name: str, one_way: bool) -> None:
    method = zipfile.ZIP_DEFLATED if name == "deflated" else zipfile.ZIP_STORED
    body = packed(method, one_way=one_way)

    if one_way and method == zipfile.ZIP_STORED:
        with pytest.raises(FeedRejected, match="not read here"):
            read(body)
    else:
        assert read(body) == EXPECTED


def test_sizes_of_eight_bytes_are_understood() -> None:
    target = OneWay()
    with zipfile.ZipFile(cast("BinaryIO", target), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("1.json", "2.json"):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                file.write(FILES["a/2.json"])

    assert read(bytes(target.written)) == {
        "x.zip/1.json": FILES["a/2.json"],
        "x.zip/2.json": FILES["a/2.json"],
    }


def test_a_zip_that_was_cut_anywhere_is_refused() -> None:
    body = packed(zipfile.ZIP_DEFLATED)

    for size in range(0, len(body), 7):
        with pytest.raises(FeedRejected):
            read(body[:size])


def test_a_zip_with_a_damaged_byte_is_refused_or_gives_the_same_contents() -> None:
    body = packed(zipfile.ZIP_DEFLATED)
    dice = random.Random(7)
    for _ in range(400):
        spoilt = bytearray(body)
        spoilt[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
        with contextlib.suppress(FeedRejected):
            assert set(read(bytes(spoilt)).values()) <= set(EXPECTED.values())


def test_a_file_that_the_index_does_not_know_is_refused() -> None:
    body = packed(zipfile.ZIP_DEFLATED)
    more = io.BytesIO()
    with zipfile.ZipFile(more, "w") as archive:
        archive.writestr("more.json", "{}")
    added = more.getvalue()[: more.getvalue().index(b"PK\x01\x02")]

    with pytest.raises(FeedRejected, match="says it has 4 files and has 5"):
        read(added + body)


def test_limits_hold_before_anything_is_given() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b"0" * 20_000_000)

    with pytest.raises(FeedRejected, match="decompresses to more than 1000000 bytes"):
        read(target.getvalue())
    with pytest.raises(FeedRejected, match="a zip bomb"):
        read(target.getvalue(), most=30_000_000, most_total=30_000_000)
    with pytest.raises(FeedRejected, match="more than 10 bytes"):
        read(packed(zipfile.ZIP_DEFLATED), most_total=10)


def test_an_encrypted_file_is_refused() -> None:
    body = bytearray(packed(zipfile.ZIP_DEFLATED))
    body[6] |= 1

    with pytest.raises(FeedRejected, match="is encrypted"):
        read(bytes(body))
