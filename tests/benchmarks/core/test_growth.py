from __future__ import annotations

import numpy as np
import pytest

from benchmarks.core import growth, streams


def sizes(power: float) -> list[dict[str, float]]:
    counts = [1000.0, 3000.0, 10_000.0, 50_000.0]
    noise = np.random.default_rng(0).normal(0, 0.01, len(counts))
    return [
        {"sources": n, "services": n, "entries": 3 * n, "cold ms": 0.1 * n**power * np.exp(bump), "cold MB": 0.5}
        for n, bump in zip(counts, noise, strict=True)
    ]


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3])
def test_the_exponent_of_a_power_is_found_within_its_interval(power: float) -> None:
    fit = growth.exponents(sizes(power))["cold ms"]
    assert fit["exponent"] == pytest.approx(power, abs=0.02)
    assert fit["low"] < power < fit["high"]


def test_what_the_process_had_to_spare_and_what_is_missing_is_not_fitted() -> None:
    assert set(growth.exponents(sizes(1.0))) == {"cold ms"}
    assert growth.exponents(sizes(1.0)[:2]) == {}


def test_streams_of_one_size_are_one_row() -> None:
    runs = [{"sources": 2, "ms": 3.0}, {"sources": 1, "ms": 9.0}, {"sources": 2, "ms": 5.0, "peer ms": 7.0}]
    assert growth.medians(runs) == [{"sources": 1.0, "ms": 9.0}, {"sources": 2.0, "ms": 4.0, "peer ms": 7.0}]


def test_shapes_keep_their_proportions() -> None:
    assert growth.shape_of(5000) == streams.SMALL
    assert growth.shape_of(50_000).services == 10 * streams.SMALL.services
