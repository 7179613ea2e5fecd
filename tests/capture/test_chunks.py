from __future__ import annotations

import io

import pytest

from service.capture.chunks import CHUNK, LONGEST, Chunks


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, as a pipe may, and perhaps breaks at its end."""

    def __init__(self, data: bytes, *, most: int = 7, error: Exception | None = None) -> None:
        super().__init__(data)
        self._most = most
        self._error = error

    def readinto1(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        got = super().readinto(buffer[: self._most])
        if not got and self._error:
            raise self._error
        return got


def pattern(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


def test_bytes_come_in_order_whatever_the_stream_gives_at_a_time() -> None:
    data = pattern(1000)
    chunks = Chunks(Trickle(data))
    found = b""
    while chunks.need(10):
        assert chunks.offset == len(found)
        found += chunks.take(10)
    assert found == data
    assert chunks.offset == 1000
    assert chunks.broken is None


def test_what_is_needed_may_straddle_chunks() -> None:
    data = pattern(2 * CHUNK + 100)
    chunks = Chunks(io.BytesIO(data))
    step = CHUNK // 3 + 1
    for at in range(0, len(data) - step, step):
        assert chunks.need(step)
        assert chunks.offset == at
        assert chunks.take(step) == data[at : at + step]


def test_too_little_is_left_where_it_is() -> None:
    chunks = Chunks(io.BytesIO(b"abc"))
    assert not chunks.need(4)
    assert chunks.need(3)
    assert chunks.take(3) == b"abc"
    assert not chunks.need(1)


def test_the_window_grows_to_the_longest_record_and_no_further() -> None:
    data = pattern(LONGEST + 2 * CHUNK)
    chunks = Chunks(io.BytesIO(data))
    assert chunks.need(5)
    chunks.take(5)
    assert chunks.need(LONGEST)
    assert not chunks.need(LONGEST + CHUNK + 1)
    assert chunks.end - chunks.at <= LONGEST + CHUNK
    assert chunks.take(LONGEST) == data[5 : 5 + LONGEST]


@pytest.mark.parametrize("error", [EOFError("cut"), OSError("CRC")])
def test_what_came_before_the_damage_is_read(error: Exception) -> None:
    chunks = Chunks(Trickle(b"whole", error=error))
    assert chunks.need(5)
    assert chunks.take(5) == b"whole"
    assert not chunks.need(1)
    assert not chunks.more()
    assert chunks.broken == str(error)
