"""A JSON document read piece by piece is the document `json` reads, and damage is always seen."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavemend.errors import FeedRejected
from wavemend.feeds import Document
from wavemend.feeds.reading import streams as streams_module
from wavemend.feeds.reading.archives import open_stream, tar_members
from wavemend.feeds.reading.documents import MIB, parse_json, read_bytes
from wavemend.feeds.reading.streams import json_pieces

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def document(folder: Path, body: bytes, name: str = "feed.json") -> Document:
    path = folder / name
    path.write_bytes(body)
    return Document(name=name, path=path)


def pieces(folder: Path, body: bytes, under: str = "") -> list[tuple[str, str | int, Any]]:
    return list(json_pieces(document(folder, body), most=MIB, under=under))


@given(value=st.dictionaries(st.text(), VALUES, max_size=5), indent=st.sampled_from([None, 1]))
def test_the_pairs_of_an_object_come_as_json_reads_them(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object], indent: int | None
) -> None:
    body = json.dumps(value, indent=indent).encode()
    found = pieces(tmp_path_factory.getbasetemp(), body)
    assert {key: inner for _, key, inner in found} == value


@given(items=st.lists(VALUES, max_size=6), keyed=st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_lies_under_one_key_comes_piece_by_piece(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], keyed: dict[str, object]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    found = pieces(folder, json.dumps({"a": 1, "list": items, "z": []}).encode(), "list")
    assert [inner for name, _, inner in found if name == "list"] == items
    assert [(key, inner) for name, key, inner in found if not name] == [("a", 1), ("z", [])]
    found = pieces(folder, json.dumps({"map": keyed}).encode(), "map")
    assert {key: inner for _, key, inner in found} == keyed


def test_a_list_at_the_top_comes_with_its_indexes(tmp_path: Path) -> None:
    assert pieces(tmp_path, b' [1, {"a": [2]}, "\xc3\xa4"] ') == [
        ("", 0, 1),
        ("", 1, {"a": [2]}),
        ("", 2, "ä"),
    ]


def test_pieces_larger_than_what_is_read_at_once_come_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_CHUNK", 7)
    value = {"numbers": [12345678901234567890, 3.25, -7], "text": "ä€𝄞" * 50, "end": 123456789}
    found = pieces(tmp_path, json.dumps(value, ensure_ascii=False).encode())
    assert {key: inner for _, key, inner in found} == value


WHOLE = b'{"a": [1, 2, {"b": null}], "c": "text", "d": 12}'


@pytest.mark.parametrize("under", ["", "a"])
def test_a_document_cut_anywhere_is_refused(tmp_path: Path, under: str) -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(FeedRejected):
            pieces(tmp_path, WHOLE[:end], under)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' occurs twice"),
        (b'{"x": {"a": 1, "a": 2}}', "key 'a' occurs twice"),
        (b"[NaN]", "NaN is not a number"),
        (b"[1e999]", "1e999 is too large"),
        (b'{"a": 1} {"b": 2}', "something follows its end"),
        (b'{"a": 1,}', "an object without a key"),
        (b"[1 2]", "lacks a comma"),
        (b'"text"', "neither a list nor an object"),
        (b'{"a": "\xff"}', "invalid start byte"),
        (b"[" * 100_000, "nested too deeply"),
        (b"<!doctype html><p>log in", "is a web page"),
        (b"  \n ", "is empty"),
    ],
)
def test_damage_and_trickery_are_refused_with_the_reason(
    tmp_path: Path, body: bytes, why: str
) -> None:
    with pytest.raises(FeedRejected, match=why):
        pieces(tmp_path, body)


def test_one_piece_cannot_take_all_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "PIECE_LIMIT", 1000)
    monkeypatch.setattr(streams_module, "_CHUNK", 64)
    with pytest.raises(FeedRejected, match="a piece larger than 1000 characters"):
        pieces(tmp_path, json.dumps(["x" * 5000]).encode())


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_documents_read_as_plain_ones(tmp_path: Path, pack: Any) -> None:
    body = json.dumps({"a": list(range(5000))}).encode()
    packed = document(tmp_path, pack(body))
    assert read_bytes(packed, most=MIB) == body
    with open_stream(packed, most=MIB) as file:
        assert file.read() == body
    assert {k: v for _, k, v in json_pieces(packed, most=MIB)} == {"a": list(range(5000))}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_cut_or_exploding_archive_is_refused(tmp_path: Path, pack: Any) -> None:
    body = json.dumps({"a": list(range(5000))}).encode()
    packed = pack(body)
    for cut in (len(packed) - 1, len(packed) // 2):
        with pytest.raises(FeedRejected, match=r"ends too early|damaged"):
            read_bytes(document(tmp_path, packed[:cut]), most=MIB)
    with pytest.raises(FeedRejected, match=r"more than 1000 bytes|larger than 1000"):
        read_bytes(document(tmp_path, pack(b"0123456789" * 200)), most=1000)
    bomb = document(tmp_path, pack(bytes(8 * MIB)))
    with pytest.raises(FeedRejected, match="a bomb"):
        read_bytes(bomb, most=1024 * MIB)
    with pytest.raises(FeedRejected, match="a bomb"), open_stream(bomb, most=1024 * MIB) as file:
        file.read()


def test_a_crowd_of_tiny_values_is_refused_before_it_is_built(tmp_path: Path) -> None:
    crowd = b"[" + b"[]," * 700_000 + b"[]]"
    with pytest.raises(FeedRejected, match="holds more than 1000000 values"):
        parse_json(crowd, "feed.json")
    with pytest.raises(FeedRejected, match="holds more than 1000000 values"):
        list(json_pieces(document(tmp_path, b'{"a": ' + crowd + b"}"), most=16 * MIB))


def test_a_name_in_a_tar_archive_cannot_take_all_memory(tmp_path: Path) -> None:
    item = tarfile.TarInfo("././@LongLink")
    item.type, item.size = tarfile.GNUTYPE_LONGNAME, 8 * MIB
    packed = gzip.compress(item.tobuf(tarfile.GNU_FORMAT) + b"a" * (8 * MIB) + bytes(1024))
    with pytest.raises(FeedRejected, match="a name or header of 8388608 bytes"):
        list(tar_members(document(tmp_path, packed), most=MIB, most_total=64 * MIB))


def tar(members: dict[str, bytes], mode: Any = "w:xz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, body in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(body)
            archive.addfile(item, io.BytesIO(body))
        link = tarfile.TarInfo("evil.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_archive_gives_its_files_and_no_links(tmp_path: Path, mode: str) -> None:
    packed = document(tmp_path, tar({"a/x.json": b"1", "y.txt": b"-", "z.json": b"22"}, mode))
    found = list(tar_members(packed, most=MIB, most_total=MIB))
    assert found == [("feed.json/a/x.json", b"1"), ("feed.json/z.json", b"22")]


def test_a_tar_archive_that_is_cut_or_holds_too_much_is_refused(tmp_path: Path) -> None:
    whole = tar({"x.json": b"1" * 60_000}, "w:")
    with pytest.raises(FeedRejected):
        list(tar_members(document(tmp_path, whole[:30_000]), most=MIB, most_total=MIB))
    with pytest.raises(FeedRejected, match="is larger than 1000 bytes"):
        list(tar_members(document(tmp_path, whole), most=1000, most_total=MIB))
    with pytest.raises(FeedRejected, match="not a whole tar archive"):
        list(tar_members(document(tmp_path, b"no tar at all" * 100), most=MIB, most_total=MIB))
