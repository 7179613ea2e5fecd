from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.chunks import Chunks
from service.capture.logs import lines
from service.capture.logs.lines import Lines, TooLong, blocks


def read(data: bytes) -> tuple[list[tuple[int, str]], list[int]]:
    found: list[tuple[int, str]] = []
    too_long: list[int] = []
    for block in blocks(Chunks(io.BytesIO(data))):
        if isinstance(block, Lines):
            found += zip(block.numbers.tolist(), block.texts, strict=True)
        else:
            too_long.append(block.number)
    return found, too_long


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts=st.lists(st.text("ab ", max_size=30), max_size=30), end=st.booleans())
def test_lines_have_their_numbers_wherever_blocks_end(texts: list[str], end: bool) -> None:
    data = "\n".join(texts).encode() + (b"\n" if end and texts else b"")
    expected = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    short = [(number, text) for number, text in expected if len(text) <= 20]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 40)
        patch.setattr(lines, "LONGEST", 20)
        found, too_long = read(data)
    assert found == short
    assert sorted(too_long) == [number for number, text in expected if len(text) > 20]


def test_what_is_no_utf8_is_replaced() -> None:
    assert read(b"a\xff\n")[0] == [(1, "a\ufffd")]


def test_lines_can_be_picked() -> None:
    (block,) = blocks(Chunks(io.BytesIO(b"a\nb\n\nc\n")))
    assert not isinstance(block, TooLong)
    assert (block.pick([0, 2]).texts, block.pick([0, 2]).numbers.tolist()) == (["a", "c"], [1, 4])
    assert block.after(1).numbers.tolist() == [2, 4]
    assert len(block.pick([])) == 0
