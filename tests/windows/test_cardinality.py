from __future__ import annotations

import numpy as np
import pytest

from service.windows.cardinality import Cardinality

EXACT = 1 << 20


def hashes(count: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    found = np.random.default_rng(seed).integers(0, 1 << 64, size=count, dtype=np.uint64)
    assert len(np.unique(found)) == count
    return found


def test_few_are_counted_exactly_however_often_they_come() -> None:
    cardinality = Cardinality()
    assert cardinality.count == 0
    seen = hashes(5000)
    for part in np.array_split(np.concatenate([seen, seen[::-1]]), 7):
        cardinality.add(part)
    cardinality.add(seen[:4].reshape(2, 2))
    assert cardinality.count == 5000


@pytest.mark.parametrize("count", [EXACT - 1, EXACT])
def test_the_count_is_exact_up_to_two_to_the_twenty(count: int) -> None:
    cardinality = Cardinality()
    cardinality.add(hashes(count))
    assert cardinality.count == count


def test_many_are_estimated_within_four_standard_errors() -> None:
    cardinality = Cardinality()
    for part in np.array_split(hashes(2 * EXACT, seed=2), 3):
        cardinality.add(part)
        cardinality.add(part[:1000])
    assert cardinality.count != 2 * EXACT
    assert abs(cardinality.count / (2 * EXACT) - 1) < 4 / np.sqrt(EXACT)
