from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmf_core.kernels.index import forget, index_all, place_of, slots_of


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    held=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 40), unique=True, max_size=31),
    data=st.data(),
)
def test_an_index_finds_what_is_there_and_nothing_else(held: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.lists(st.sampled_from(held), unique=True)) if held else []
    keys, table = np.array(held, np.int64), np.empty(64, np.int64)
    index_all(table, keys, len(keys))
    np.testing.assert_array_equal(slots_of(keys, table, keys), np.arange(len(keys)))
    for number, key in enumerate(gone):
        forget(key, table, keys)
        expected = [-1 if one in gone[: number + 1] else slot for slot, one in enumerate(held)]
        np.testing.assert_array_equal(slots_of(keys, table, keys), expected)
    for key in gone:
        table[place_of(key, table, keys)] = held.index(key)
    np.testing.assert_array_equal(slots_of(keys, table, keys), np.arange(len(keys)))
