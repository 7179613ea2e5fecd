from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.core.memory import forget_peak, peak

MB = 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="others can't forget a peak")
def test_what_was_held_and_given_back_counts_until_it_is_forgotten() -> None:
    forget_peak()
    before = peak()
    held = np.ones(100 * MB // 8)
    assert peak() >= before + 90 * MB
    del held
    assert peak() >= before + 90 * MB
    forget_peak()
    assert peak() < before + 50 * MB
