"""However a stream is saved, it goes on bit by bit as if it had not been."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmf_core import Factorizer, StreamSpec
from tests.lnmf_core.streams import RANK, patterns_of, rows_of, traffic


def by_arrays(stream: Factorizer) -> Factorizer:
    return Factorizer.restore(stream.state())


def by_npz(stream: Factorizer) -> Factorizer:
    file = io.BytesIO()
    np.savez(file, **stream.state())  # type: ignore[arg-type]  # the stub takes allow_pickle for one of them
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        return Factorizer.restore(saved)


def by_bytes(stream: Factorizer) -> Factorizer:
    return Factorizer.from_bytes(stream.to_bytes())


WAYS = [by_arrays, by_npz, by_bytes]


def steps_of(seed: int, count: int) -> list[tuple[Any, Any, bool]]:
    """Return rows, keys that vanish, and whether it is a whole window, for each step."""
    rng = np.random.default_rng(seed)
    patterns = patterns_of(rng, RANK, 12)
    held: set[int] = set()
    steps = []
    for _ in range(count):
        keys = rng.choice(40, 9, replace=False)
        whole = bool(rng.random() < 0.3)
        left = sorted(held - set(keys.tolist()))
        gone = rng.permutation(left)[:2].astype(np.int64)
        held = set(keys.tolist()) if whole else (held - set(gone.tolist())) | set(keys.tolist())
        steps.append((rows_of(keys, traffic(rng, patterns, 9)), gone, whole))
    return steps


def run(stream: Factorizer, step: tuple[Any, Any, bool]) -> tuple[float, bool, bool, int | None]:
    rows, gone, whole = step
    made = stream.window(rows) if whole else stream.update(rows, gone)
    return made.error, made.cold, made.whole, made.respawned


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 5), after=st.integers(1, 6))
def test_a_stream_goes_on_bit_by_bit(
    way: Callable[[Factorizer], Factorizer], seed: int, before: int, after: int
) -> None:
    steps = steps_of(seed, before + after)
    saved, unsaved = (Factorizer(RANK, StreamSpec(cold_every=2, sweeps=3, settle=0.2)) for _ in range(2))
    for step in steps[:before]:
        assert run(saved, step) == run(unsaved, step)
    restored = way(saved)
    for step in steps[before:]:
        # To save must not change what is saved, either.
        assert run(restored, step) == run(unsaved, step) == run(saved, step)
    states = [stream.state() for stream in (restored, unsaved, saved)]
    for name, array in states[0].items():
        for other in states[1:]:
            assert array.dtype == other[name].dtype, name
            np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert restored.to_bytes() == unsaved.to_bytes()
