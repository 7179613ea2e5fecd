from __future__ import annotations

import json
import zlib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import StoreError
from service.store import old_windows
from service.windows.counts import (
    ServiceCounts,
    Shed,
    SourceTotals,
    TargetSamples,
    ToolCounts,
    WindowCounts,
)
from tests.builders import MINUTE, START, a_window

INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(0, 2**31 - 1)
WORDS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@st.composite
def any_window(draw: st.DrawFn) -> WindowCounts:
    n, r = draw(st.integers(0, 4)), draw(st.integers(0, 6))
    r = r if n else 0

    def numbers(count: int, kind: st.SearchStrategy[int] = INT64) -> list[int]:
        return draw(st.lists(kind, min_size=count, max_size=count))

    def addresses(count: int) -> list[tuple[int, int]]:
        return draw(st.lists(WORDS, min_size=count, max_size=count))

    samples = [draw(st.integers(0, 3)) for _ in range(3 * n)]
    return WindowCounts(
        sensor="edge",
        start=START,
        end=START + MINUTE,
        sources=np.array(addresses(n), dtype=np.uint64).reshape(n, 2),
        rows=ServiceCounts(
            np.array(numbers(r, st.integers(0, max(n - 1, 0))), dtype=np.int32),
            np.array(numbers(r, INT32), dtype=np.int32),
            *(np.array(numbers(r), dtype=np.int64) for _ in range(8)),
        ),
        totals=SourceTotals(*(np.array(numbers(n), dtype=np.int64) for _ in range(4))),
        samples=TargetSamples(
            np.cumsum([0, *samples], dtype=np.int64),
            np.array(addresses(sum(samples)), dtype=np.uint64).reshape(-1, 2),
        ),
        exact=draw(st.booleans()),
        shed=Shed(*(draw(st.integers(0, 2**63 - 1)) for _ in range(4))),
        halvings=np.array(draw(st.lists(st.integers(0, 40), min_size=n, max_size=n)), np.int8),
        tools=ToolCounts(*(np.array(numbers(n), dtype=np.int64) for _ in range(7))),
    )


@given(any_window())
@settings(deadline=None, derandomize=True)
def test_a_window_comes_back_exactly(counts: WindowCounts) -> None:
    stored = old_windows.read_counts("edge", START, START + MINUTE, old_windows.write_counts(counts))
    assert stored.digest() == counts.digest()
    assert (stored.exact, stored.shed) == (counts.exact, counts.shed)
    np.testing.assert_array_equal(stored.halvings, counts.halvings)
    assert stored.sources.shape == counts.sources.shape
    assert stored.rows.service.dtype == np.int32
    for column in fields(ToolCounts):
        np.testing.assert_array_equal(getattr(stored.tools, column.name), getattr(counts.tools, column.name))


def test_a_document_of_a_version_that_knew_no_tools_shows_none() -> None:
    counts = a_window()
    plain = json.loads(zlib.decompress(old_windows.write_counts(counts)))
    del plain["tools"]
    stored = old_windows.read_counts("edge", START, START + MINUTE, zlib.compress(json.dumps(plain).encode()))
    assert stored.digest() == counts.digest()
    assert stored.tools.tcp.tolist() == [0, 0]


def test_a_document_that_grows_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    compressed = old_windows.write_counts(a_window())
    monkeypatch.setattr(old_windows, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(StoreError, match="longer than 100 bytes"):
        old_windows.read_counts("edge", START, START + MINUTE, compressed)
    with pytest.raises(StoreError, match="use shorter windows"):
        old_windows.write_counts(a_window())


def damaged() -> list[bytes]:
    whole = old_windows.write_counts(a_window())
    plain = json.loads(zlib.decompress(whole))
    without_rows = {name: part for name, part in plain.items() if name != "rows"}
    return [
        b"",
        b"no zlib",
        whole[:-5],
        zlib.compress(b"{"),
        zlib.compress(b"[]"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(json.dumps(without_rows).encode()),
        zlib.compress(json.dumps(plain | {"sources": [1]}).encode()),
        zlib.compress(json.dumps(plain | {"sources": [1, 2**64]}).encode()),
        zlib.compress(json.dumps(plain | {"sources": []}).encode()),
        zlib.compress(json.dumps(plain | {"tools": {}}).encode()),
        zlib.compress(json.dumps(plain | {"rows": []}).encode()),
    ]


@pytest.mark.parametrize("compressed", damaged(), ids=range(len(damaged())))
def test_a_damaged_document_is_named(compressed: bytes) -> None:
    with pytest.raises(StoreError, match=r"'edge'.*damaged"):
        old_windows.read_counts("edge", START, START + MINUTE, compressed)
