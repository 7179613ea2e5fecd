from __future__ import annotations

import numpy as np
import pytest

from service.alerts.following import Proposals, Strictness, follow
from service.patterns.groups import Proposal, Rows


def rows(*each: dict[int, int]) -> Rows:
    services = np.array([service for row in each for service in sorted(row)], np.int64)
    attempts = np.array([row[service] for row in each for service in sorted(row)], np.int64)
    return Rows(services, attempts, np.concatenate(([0], np.cumsum([len(row) for row in each]))).astype(np.int64))


def proposal(*services: int) -> Proposal:
    return Proposal(np.array(services), np.ones(len(services)))


NOW = rows({1: 5, 2: 5, 3: 5}, {1: 5, 2: 5, 9: 1}, {1: 1, 2: 1, 8: 9, 9: 9}, {7: 1, 9: 1})


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Strictness(0.6, 0.6), [True, True, False, False]),
        (Strictness(0.9, 0.6), [True, False, False, False]),
        (Strictness(0.0, 0.05), [True, True, True, False]),
        (Strictness(0.0, 0.0, 0.95), [True, False, False, False]),
    ],
)
def test_strictness_decides_who_follows(level: Strictness, expected: list[bool]) -> None:
    (follows,) = Proposals([proposal(1, 2, 3)], [level]).followers(NOW)
    assert follows[:, 0].tolist() == expected


def test_followers_that_the_past_had_too_are_no_surprise() -> None:
    crowd = rows(*[{1: 3, 2: 3} for _ in range(5)])
    nothing = rows()
    often = rows(*[{1: 3, 2: 3} for _ in range(5 * 30)])
    days = np.repeat(np.arange(30), 5)
    (new,) = follow([proposal(1, 2)], crowd, nothing, np.empty(0, np.int64), np.ones(30), 3)
    assert new.rows.tolist() == [0, 1, 2, 3, 4]
    assert new.score > 7
    (old,) = follow([proposal(1, 2)], crowd, often, days, np.ones(30), 3)
    assert old.score < 1
    assert old.mean == pytest.approx(5, rel=0.2)


def test_too_few_are_no_group() -> None:
    pair = rows({1: 1, 2: 1}, {1: 1, 2: 1})
    assert follow([proposal(1, 2)], pair, rows(), np.empty(0, np.int64), np.ones(30), 3) == []
    assert follow([], pair, rows(), np.empty(0, np.int64), np.ones(30), 3) == []
