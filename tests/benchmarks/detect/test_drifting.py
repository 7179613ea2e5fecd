from __future__ import annotations

import itertools

import pytest

from benchmarks.detect.drifting import DriftSpec, drifting_windows

SMALL = DriftSpec(windows=6, campaigns=5, noise=10)


def test_equal_seeds_give_equal_windows() -> None:
    one, same, other = (drifting_windows(seed, SMALL) for seed in (1, 1, 2))
    assert [each.counts.digest() for each in one] == [each.counts.digest() for each in same]
    assert one[0].counts.digest() != other[0].counts.digest()


def test_campaigns_drift_and_their_members_change() -> None:
    first, *_, last = drifting_windows(
        1, DriftSpec(windows=6, campaigns=5, noise=0, asleep=0, born_late=0, end_early=0)
    )
    assert set(first.members) == set(last.members) == set(range(5))
    for campaign in range(5):
        assert sum(last.weights[campaign].values()) == pytest.approx(1)
        assert set(first.members[campaign]) != set(last.members[campaign])
    assert len(first.counts.sources) == sum(map(len, first.members.values()))


def test_campaigns_begin_end_and_rest() -> None:
    windows = drifting_windows(3, DriftSpec(windows=20, campaigns=20, noise=0))
    seen = [set(each.members) for each in windows]
    assert any(earlier - later for earlier, later in itertools.pairwise(seen))
    assert any(later - earlier for earlier, later in itertools.pairwise(seen))
    assert min(map(len, seen)) < 20
