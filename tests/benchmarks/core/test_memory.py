from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.core.memory import forget_peak, peak, raised_peak

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


@pytest.mark.skipif(sys.platform != "linux", reason="others can't forget a peak")
def test_work_is_measured_in_a_process_that_has_done_some_of_it_before() -> None:
    found = raised_peak(np.ones, (10,), (100 * MB // 8,))
    assert 90 * MB / 2**20 <= found < 150 * MB / 2**20
