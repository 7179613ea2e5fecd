from __future__ import annotations

import json
import zlib
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.capture.services import Means, parse_service
from service.errors import InputError
from service.windows.counts import ServiceCounts, Shed, SourceTotals, TargetSamples, ToolCounts, WindowCounts
from service.windows.wire import WireLimits, read_window, write_window
from tests.builders import MINUTE, START, a_window

HEAD = len(b"YOW\x01")


def assert_same(a: WindowCounts, b: WindowCounts) -> None:
    assert (a.sensor, a.start, a.end, a.exact, a.shed) == (b.sensor, b.start, b.end, b.exact, b.shed)
    assert a.seen_until == b.seen_until
    np.testing.assert_array_equal(a.sources, b.sources)
    np.testing.assert_array_equal(a.halvings, b.halvings)
    for part in ("rows", "totals", "samples", "tools"):
        for column in fields(getattr(a, part)):
            one, other = getattr(getattr(a, part), column.name), getattr(getattr(b, part), column.name)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert a.digest() == b.digest()


def content(document: bytes) -> tuple[dict[str, object], bytes]:
    plain = zlib.decompress(document[HEAD:])
    length = int.from_bytes(plain[:4], "little")
    return json.loads(plain[4 : 4 + length]), plain[4 + length :]


def document(head: object, columns: bytes) -> bytes:
    text = json.dumps(head).encode()
    return b"YOW\x01" + zlib.compress(len(text).to_bytes(4, "little") + text + columns)


@st.composite
def windows(draw: st.DrawFn) -> WindowCounts:
    n = draw(st.integers(0, 5))
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    sources = np.unique(chance.integers(0, 2**64, (n, 2), np.uint64, endpoint=False), axis=0)
    n = len(sources)
    keys = np.unique(chance.integers(0, 40, 3 * n) + 100 * chance.integers(0, max(n, 1), 3 * n))
    r = len(keys)
    targets = chance.integers(1, 10 ** draw(st.integers(1, 11)), r)
    first = START + chance.integers(-MINUTE, MINUTE, r)
    sizes = chance.integers(0, 3, len(Means) * n)
    return WindowCounts(
        sensor=draw(st.sampled_from(["edge", "Büro 2", "x" * 100])),
        start=START,
        end=START + MINUTE,
        sources=sources,
        rows=ServiceCounts(
            (keys // 100).astype(np.int32),
            (keys % 100 + parse_service("udp/500")).astype(np.int32),
            targets + chance.integers(0, 9, r),
            targets,
            chance.integers(0, targets + 1),
            chance.integers(0, targets + 1),
            chance.integers(0, targets + 1),
            chance.integers(0, 24, r),
            first,
            first + chance.integers(0, START + MINUTE - first + 1),
        ),
        totals=SourceTotals(*(chance.integers(0, 10**9, n) for _ in fields(SourceTotals))),
        samples=TargetSamples(
            np.concatenate(([0], np.cumsum(sizes))), chance.integers(0, 2**64, (sizes.sum(), 2), np.uint64)
        ),
        exact=draw(st.booleans()),
        shed=Shed(*chance.integers(0, 1000, 4).tolist()),
        halvings=chance.integers(0, 63, n).astype(np.int8),
        tools=ToolCounts(*(chance.integers(0, 1000, n) for _ in fields(ToolCounts))),
        seen_until=draw(st.none() | st.just(START + 7)),
    )


@given(windows())
def test_a_window_comes_back_as_it_was(counts: WindowCounts) -> None:
    assert_same(read_window(write_window(counts)), counts)


@given(windows(), st.integers(0, 10**6), st.integers(0, 255))
def test_whatever_is_changed_is_read_or_refused(counts: WindowCounts, place: int, byte: int) -> None:
    head, columns = content(write_window(counts))
    plain = bytearray(len(json.dumps(head)).to_bytes(4, "little") + json.dumps(head).encode() + columns)
    plain[place % len(plain)] = byte
    try:
        read = read_window(b"YOW\x01" + zlib.compress(bytes(plain)))
    except InputError:
        return
    assert isinstance(read, WindowCounts)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for text in (noise, b"YOW\x01" + noise, b"YOW\x01" + zlib.compress(noise)):
        with pytest.raises(InputError):
            read_window(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensor": ""}, "sensor: has 0 characters"),
        ({"sensor": "a\x00b"}, "sensor: holds a character"),
        ({"end": START}, "end: is not between the start"),
        ({"end": START + 90_000 * 10**9}, "end: is not between the start"),
        ({"rows": -1}, "rows: input should be greater"),
        ({"rows": 10**9}, "window: has 1000000000 rows"),
        ({"sources": 1}, r"columns\.\d+|rows\.source"),
        ({"targets": 2}, "targets: are not 2"),
        ({"more": 1}, "more: extra inputs"),
        ({"shed": {"sources": -1, "pairs": 0, "attempts": 0, "sampled": 0}}, r"shed\.sources"),
        ({"start": "2026"}, "start: input should be a valid integer"),
        ({"columns": []}, "columns: are only 0"),
    ],
)
def test_a_head_that_makes_no_sense_is_named(change: dict[str, object], message: str) -> None:
    head, columns = content(write_window(a_window()))
    with pytest.raises(InputError, match=message):
        read_window(document(head | change, columns))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answered": [4, 1, 1]}, "rows.answered: holds more than there are targets"),
        ({"attempts": [0, 1, 1]}, "rows.attempts: holds a number that is not between 1"),
        ({"attempts": [10**13, 1, 1]}, "rows.attempts: holds a number"),
        ({"first": [START + 30, START, START]}, "rows.last: holds a time before the first"),
        ({"last": [START + 2 * MINUTE] * 3}, "rows.last: holds a number"),
        ({"service": [23, 22, 7]}, "rows: are not in the order"),
        ({"service": [22, 22, 7]}, "rows: are not in the order"),
        ({"service": [22, 23, (6 << 16) + 256]}, "rows.service: holds a number"),
        ({"hours": [25, 0, 0]}, "rows.hours"),
    ],
)
def test_rows_that_make_no_sense_are_named(change: dict[str, list[int]], message: str) -> None:
    counts = a_window()
    columns = {name: np.array(values, getattr(counts.rows, name).dtype) for name, values in change.items()}
    with pytest.raises(InputError, match=message):
        read_window(write_window(replace(counts, rows=replace(counts.rows, **columns))))


def test_addresses_are_there_once() -> None:
    counts = a_window()
    with pytest.raises(InputError, match="sources: holds an address twice"):
        read_window(write_window(replace(counts, sources=counts.sources[[0, 0]])))


def test_what_is_packed_small_and_opens_large_is_refused() -> None:
    bomb = b"YOW\x01" + zlib.compress(b"\0" * 10**7, 9)
    with pytest.raises(InputError, match="more than 100000 bytes"):
        read_window(bomb, WireLimits(bytes=100_000))


def test_more_targets_than_there_is_room_for_are_refused() -> None:
    """Columns of equal numbers have no bytes, whatever their length."""
    head, columns = content(write_window(a_window()))
    with pytest.raises(InputError, match="targets: 3221225472 take more than 268435456 bytes"):
        read_window(document(head | {"targets": 3 << 30}, columns))


def test_what_comes_after_the_end_is_refused() -> None:
    with pytest.raises(InputError, match="goes on after its end"):
        read_window(write_window(a_window()) + b"more")
    head, columns = content(write_window(a_window()))
    with pytest.raises(InputError, match="hold more than the head says"):
        read_window(document(head, columns + b"\0"))


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="not all positive"):
        WireLimits(rows=0)
