from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from service.api import packing
from service.api.app import create_app
from service.api.packing import CODINGS, PIECE, Decompressor, Unpacker, ZlibGzip
from service.api.spec import ApiSpec
from service.intake import Upload
from service.store.sql import SqlStore
from service.windows.wire import MEDIA_TYPE, write_window
from tests.api.client import Client, the_problem
from tests.api.fakes import FakeIngest
from tests.api.posts import PCAP, WINDOW, holds_nothing, in_pieces
from tests.builders import a_window

Pack = Callable[[bytes], bytes]

CHECKED: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
PACKS: dict[str, Pack] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstd.compress(data, options=CHECKED),
}
WAYS = [("gzip", None), ("gzip", ZlibGzip), ("zstd", None)]
"""Every library that unpacks."""
EACH_WAY = pytest.mark.parametrize(("coding", "make"), WAYS, ids=["gzip", "gzip by zlib", "zstd"])
EACH_CODING = pytest.mark.parametrize("coding", CODINGS)
JSON = {"Content-Type": "application/json"}


def unpack(unpacker: Unpacker, packed: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(packed), step):
        unpacker.feed(packed[start : start + step])
        while found := unpacker.take():
            yield found
    unpacker.finish()


@EACH_WAY
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    members=st.lists(st.binary(max_size=2000) | st.integers(0, 2 * PIECE).map(bytes), min_size=1, max_size=4),
    step=st.integers(1, 6000),
)
def test_what_was_packed_comes_out(
    coding: str, make: Callable[[], Decompressor] | None, members: list[bytes], step: int
) -> None:
    packed = b"".join(map(PACKS[coding], members))
    pieces = list(unpack(Unpacker(coding, make), packed, step))
    assert b"".join(pieces) == b"".join(members)
    assert all(len(piece) <= PIECE for piece in pieces)


@EACH_WAY
def test_damage_is_found_and_placed(coding: str, make: Callable[[], Decompressor] | None) -> None:
    content = random.Random(7).randbytes(50_000)
    packed = PACKS[coding](content)
    for broken, message in (
        (packed[:-1], f"ends at byte {len(packed) - 1}, before"),
        (packed[:30_000], "ends at byte 30000, before"),
        (b"", "ends at byte 0, before"),
        (b"GIF89a" * 9, "at byte 54 or before"),
        (packed + b"GIF89a" * 9, f"at byte {len(packed) + 54} or before"),
        (packed[:25_000] + b"four" + packed[25_004:], "or before"),
    ):
        with pytest.raises(HTTPException) as refused:
            list(unpack(Unpacker(coding, make), broken, 4096))
        assert refused.value.status_code == 400
        assert message in refused.value.detail


@EACH_WAY
def test_nobody_sends_members_without_end(
    coding: str, make: Callable[[], Decompressor] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_MOST_MEMBERS", 3)
    assert list(unpack(Unpacker(coding, make), 3 * PACKS[coding](b""), 10)) == []
    with pytest.raises(HTTPException, match="more than 3 members"):
        list(unpack(Unpacker(coding, make), 4 * PACKS[coding](b""), 10))


def test_zstd_that_would_take_much_memory_is_refused() -> None:
    wide: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    with pytest.raises(HTTPException, match="too much memory"):
        list(unpack(Unpacker("zstd"), zstd.compress(os.urandom(100) * 100_000, options=wide), 4096))


@EACH_CODING
def test_every_kind_of_body_may_be_packed(client: Client, ingest: FakeIngest, coding: str) -> None:
    pack, packed = PACKS[coding], {"Content-Encoding": coding}
    document = pack(json.dumps(WINDOW).encode())
    assert client.post("/v1/windows", content=document, headers=JSON | packed).status_code == 201
    assert client.post("/v1/windows", json=WINDOW).status_code == 200
    document = pack(write_window(a_window("wire")))
    assert client.post("/v1/windows", content=document, headers={"Content-Type": MEDIA_TYPE} | packed).is_success
    document = pack(b"capture:w" + bytes(2 * PIECE))
    assert client.post("/v1/windows?sensor=roof", content=document, headers=PCAP | packed).status_code == 201
    # What is packed twice is stored packed once.
    document = pack(PACKS["gzip"](b"capture:w"))
    kind = {"Content-Type": "application/gzip"}
    answer = client.post("/v1/windows?sensor=twice", content=document, headers=kind | packed)
    assert "no pcap" in the_problem(answer, 400)["detail"]
    assert ingest.captures == [("roof", 9 + 2 * PIECE), ("twice", len(PACKS["gzip"](b"capture:w")))]
    document = pack(b'{"rule": "udp/161"}')
    assert client.post("/v1/allow-rules", content=document, headers=JSON | packed).status_code == 201


def test_the_old_name_of_gzip_is_known(client: Client) -> None:
    document, headers = PACKS["gzip"](json.dumps(WINDOW).encode()), JSON | {"Content-Encoding": "X-GZIP"}
    assert client.post("/v1/windows", content=document, headers=headers).status_code == 201
    headers = JSON | {"Content-Encoding": "identity"}
    assert client.post("/v1/windows", content=json.dumps(WINDOW), headers=headers).status_code == 200


@EACH_CODING
@pytest.mark.parametrize(
    ("kind", "bound"),
    [
        ("application/json", 10_000),
        ("application/x-ndjson", 10_000),
        (MEDIA_TYPE, 10_000),
        ("application/vnd.tcpdump.pcap", 5_000_000),
        ("text/csv", 5_000_000),
    ],
)
def test_a_bomb_is_refused_at_the_bound(
    client: Client, store: SqlStore, monkeypatch: pytest.MonkeyPatch, coding: str, kind: str, bound: int
) -> None:
    taken = 0
    take = Unpacker.take

    def counted(unpacker: Unpacker) -> bytes:
        nonlocal taken
        found = take(unpacker)
        taken += len(found)
        return found

    monkeypatch.setattr(Unpacker, "take", counted)
    bomb = PACKS[coding](bytes(100_000_000))
    assert len(bomb) < 100_000
    content = in_pieces(bomb) if len(bomb) > bound else bomb
    answer = client.post("/v1/windows", content=content, headers={"Content-Type": kind, "Content-Encoding": coding})
    assert f"more than {bound}" in the_problem(answer, 413)["detail"]
    assert answer.headers["connection"] == "close"
    assert taken <= bound + PIECE
    assert holds_nothing(store)


@EACH_CODING
def test_a_bomb_of_a_log_is_refused_long_before_its_bound(
    ingest: FakeIngest, store: SqlStore, monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    """Its lines would be stored, and nothing is wrong with them but their number."""
    stored = 0
    write = Upload.write

    def counted(upload: Upload, data: bytes) -> None:
        nonlocal stored
        stored += len(data)
        write(upload, data)

    monkeypatch.setattr(Upload, "write", counted)
    client = Client(create_app(ApiSpec(max_capture_bytes=256 << 20), ingest, store, "1.2.3"))
    bomb = PACKS[coding](b"start,source,target,service\n" + b"1700000000,192.0.2.1,192.0.2.2,tcp/443\n" * 900_000)
    headers = {"Content-Type": "text/csv", "Content-Encoding": coding}
    answer = client.post("/v1/windows", content=bomb, headers=headers)
    assert "more than 100 times its size" in the_problem(answer, 413)["detail"]
    assert stored <= (16 << 20) + PIECE
    assert holds_nothing(store)


@EACH_CODING
def test_a_bomb_in_a_bomb_is_only_unpacked_once(client: Client, store: SqlStore, coding: str) -> None:
    inner = PACKS[coding](bytes(3_000_000))
    bomb = PACKS[coding](inner)
    answer = client.post("/v1/windows", content=bomb, headers=JSON | {"Content-Encoding": coding})
    assert "not UTF-8" in the_problem(answer, 400)["detail"]
    twice = {"Content-Encoding": f"{coding}, {coding}"}
    the_problem(client.post("/v1/windows", content=bomb, headers=JSON | twice), 415)
    assert holds_nothing(store)


@EACH_CODING
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "application/vnd.tcpdump.pcap"])
def test_half_a_stream_is_refused_and_nothing_stored(
    client: Client, store: SqlStore, coding: str, kind: str
) -> None:
    packed = PACKS[coding](b"capture:w" + random.Random(7).randbytes(3000))
    headers = {"Content-Type": kind, "Content-Encoding": coding}
    answer = client.post("/v1/windows", content=in_pieces(packed[:-2]), headers=headers)
    assert f"ends at byte {len(packed) - 2}, before its {coding} data" in the_problem(answer, 400)["detail"]
    answer = client.post("/v1/windows", content=b"no such data at all, but words", headers=headers)
    assert f"no {coding} data" in the_problem(answer, 400)["detail"]
    assert holds_nothing(store)
