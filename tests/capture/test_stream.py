from __future__ import annotations

import gzip
import io
import os
import sys
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from service.capture.chunks import PIECE
from service.capture.stream import Opened, open_stream
from service.errors import CaptureError
from tests.packets import squeezed, zipped

DATA = Random(3).randbytes(400_000) + bytes(400_000)
PACKED = {"": DATA, "gzip": zipped(DATA), "zstd": squeezed(DATA)}


def drain(opened: Opened, piece: int = PIECE) -> bytes:
    room, found = memoryview(bytearray(piece)), b""
    try:
        while got := opened.stream.readinto1(room):
            found += room[:got]
    finally:
        opened.close()
    return found


def broken(opened: Opened) -> tuple[bytes, str]:
    """Return what comes before the damage, and what is said of it."""
    room, found = memoryview(bytearray(PIECE)), b""
    try:
        while got := opened.stream.readinto1(room):
            found += room[:got]
    except (EOFError, OSError) as error:
        return found, str(error)
    finally:
        opened.close()
    pytest.fail("no damage was found")


@pytest.fixture(params=["fast", "slow"])
def gzip_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read gzip with Intel's library, and as where there is none."""
    if request.param == "slow":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")
    return str(request.param)


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("piece", [1000, PIECE])
def test_what_was_packed_is_unpacked(tmp_path: Path, gzip_library: str, packing: str, piece: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKED[packing])
    opened = open_stream(path)
    assert opened.packing == packing
    assert drain(opened, piece) == DATA
    assert opened.origin.position == len(PACKED[packing])


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_what_is_packed_in_several_frames(tmp_path: Path, gzip_library: str, packing: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKED[packing] * 3)
    assert drain(open_stream(path)) == DATA * 3


def test_a_frame_of_zstd_that_holds_no_data_may_come_first(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\x51\x2a\x4d\x18\x04\x00\x00\x00abcd" + PACKED["zstd"])
    assert drain(open_stream(path)) == DATA


@pytest.mark.parametrize("keep", [20, 1000, 0.5, 0.99])
def test_gzip_gives_all_that_it_holds_before_its_end(tmp_path: Path, gzip_library: str, keep: float) -> None:
    path = tmp_path / "a"
    kept = int(keep if keep > 1 else keep * len(PACKED["gzip"]))
    path.write_bytes(PACKED["gzip"][:kept])
    found, why = broken(open_stream(path))
    assert "end-of-stream" in why
    assert DATA.startswith(found)
    assert len(found) > kept - 40_000


def test_gzip_gives_all_that_it_holds_before_a_wrong_checksum(tmp_path: Path, gzip_library: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKED["gzip"][:-8] + bytes(8))
    found, why = broken(open_stream(path))
    assert found == DATA
    assert "CRC" in why


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_damage_is_told_in_words(tmp_path: Path, gzip_library: str, packing: str) -> None:
    hurt = bytearray(PACKED[packing])
    hurt[-30:] = b"\xff" * 30
    path = tmp_path / "a"
    path.write_bytes(hurt)
    found, why = broken(open_stream(path))
    assert len(found) <= len(DATA)
    assert why


@pytest.mark.parametrize("pack", [zipped, squeezed])
def test_a_bomb_is_unpacked_piece_by_piece(tmp_path: Path, gzip_library: str, pack: object) -> None:
    path = tmp_path / "a"
    size = 64 << 20
    path.write_bytes(squeezed(bytes(size)) if pack is squeezed else gzip.compress(bytes(size), 9))
    assert path.stat().st_size < size / 500
    room, total = memoryview(bytearray(PIECE)), 0
    tracemalloc.start()
    opened = open_stream(path)
    while got := opened.stream.readinto1(room):
        total += got
    opened.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == size
    assert peak < 16 << 20


def test_zstd_may_not_look_back_further_than_memory_allows(tmp_path: Path) -> None:
    """This frame wants 2 GiB."""
    path = tmp_path / "a"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(100))
    found, why = broken(open_stream(path))
    assert found == b""
    assert "memory" in why


@pytest.mark.parametrize("packing", PACKED)
def test_a_pipe(packing: str) -> None:
    reader, writer = os.pipe()
    data = PACKED[packing][:1000]
    os.write(writer, data[:1])
    os.write(writer, data[1:])
    os.close(writer)
    opened = open_stream(Path(f"/dev/fd/{reader}"))
    os.close(reader)
    assert opened.packing == packing
    assert not opened.origin.regular
    opened.close()


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even a file is opened again there: somebody else holds it."""
    path = tmp_path / "a"
    path.write_bytes(PACKED["zstd"])
    kept = os.dup(0)
    with path.open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        opened = open_stream(Path("-"))
        assert not opened.origin.regular
        assert drain(opened) == DATA
        os.fstat(0)  # it stays open
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_a_terminal_is_no_capture() -> None:
    main, terminal = os.openpty()
    kept = os.dup(0)
    os.dup2(terminal, 0)
    try:
        with pytest.raises(CaptureError, match="is a terminal; pipe a capture into it"):
            open_stream(Path("-"))
    finally:
        os.dup2(kept, 0)
        for number in (kept, main, terminal):
            os.close(number)


def test_what_is_looked_at_is_not_consumed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    opened = open_stream(path)
    assert opened.origin.peek(2) == b"ab"
    assert opened.origin.peek(10) == b"abc"
    assert opened.origin.position == 0
    assert io.BufferedReader(opened.origin).read() == b"abc"
