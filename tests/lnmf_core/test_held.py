from __future__ import annotations

from typing import Any

import numpy as np

from lnmf_core import Rows
from lnmf_core.held import HeldRows
from lnmf_core.kernels.changes import put_rows, remove_rows

RANK = 2
START = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])


def rows_of(keys: Any, X: Any) -> Rows:
    return Rows(np.asarray(keys, np.int64), X, np.arange(X.shape[1]))


def exchange(held: HeldRows, rows: Rows, gone: list[int]) -> Any:
    """Remove and put rows; return the slots of those put."""
    index, keys, begins, ends, indices, data, D, numbers = held.changing(len(rows), len(rows.data))
    remove_rows(np.array(gone, np.int64), index, keys, begins, ends, D, numbers)
    store = (index, keys, begins, ends, indices, data, D, numbers)
    return put_rows(rows.keys, rows.indptr, rows.indices, rows.data, *store)


def test_held_rows_come_change_and_go() -> None:
    held = HeldRows(RANK)
    held.begin(rows_of([10, 11, 12], START))
    held.memberships[:] = np.arange(3.0)[:, np.newaxis]
    plain = {10: START[0], 11: START[1], 12: START[2]}
    rng = np.random.default_rng(0)
    for _ in range(300):
        keys = rng.choice(np.arange(10, 30), rng.integers(2, 6), replace=False)
        new = rng.poisson(0.7, (len(keys), 3)).astype(float)
        staying = [key for key in sorted(plain) if key not in keys]
        gone = rng.choice(staying, rng.integers(0, min(5, len(staying) + 1)), replace=False).tolist()
        before = {int(key): float(own) for key, own in zip(held.keys, held.memberships[:, 0], strict=True)}
        slots = exchange(held, rows_of(keys, new), gone)
        plain = {key: row for key, row in plain.items() if key not in gone} | dict(
            zip(keys.tolist(), new, strict=True)
        )
        np.testing.assert_array_equal(held.keys[slots], keys)
        after = {int(key): float(own) for key, own in zip(held.keys, held.memberships[:, 0], strict=True)}
        # A row that is known keeps its memberships, a new one has none.
        assert after == {key: before.get(key, 0.0) for key in plain}
        held.memberships[slots] = keys[:, np.newaxis]
        np.testing.assert_array_equal(held.csr(3).toarray(), [plain[int(key)] for key in held.keys])
        np.testing.assert_array_equal(held.find(held.keys), np.arange(held.count))
        assert set(held.find(np.array([*gone, 99])).tolist()) == {-1}
    # Room for what is held and as much again, not for all that ever was.
    assert len(held.changing(0, 0)[5]) <= 3 * 3 * (20 + 6)


def test_a_window_is_shared_until_it_changes() -> None:
    rows = rows_of([1, 2, 3], START)
    held = HeldRows(RANK)
    held.begin(rows)
    assert np.shares_memory(held.csr(3).data, rows.data)
    exchange(held, rows_of([2], np.array([[7.0, 0.0, 0.0]])), [1])
    np.testing.assert_array_equal(rows.data, [2.0, 1.0, 5.0])
    np.testing.assert_array_equal(rows.keys, [1, 2, 3])
    np.testing.assert_array_equal(held.keys, [3, 2])
