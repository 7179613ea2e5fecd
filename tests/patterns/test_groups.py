from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns.groups import Group, GroupSpec, Proposal, Rows, group, propose, unit_rows

SPEC = GroupSpec()


def rows_of(each: list[np.ndarray]) -> Rows:
    counted = [np.unique(row, return_counts=True) for row in each]
    start = np.concatenate(([0], np.cumsum([len(services) for services, _ in counted]))).astype(np.int64)
    empty = np.empty(0, np.int64)
    return Rows(
        np.concatenate([empty, *(services for services, _ in counted)]).astype(np.int64),
        np.concatenate([empty, *(attempts for _, attempts in counted)]).astype(np.int64),
        start,
    )


def planted(chance: np.random.Generator, double: int = 0) -> tuple[Rows, list[set[int]]]:
    """Rows of three campaigns of five services, some of two of them; and the rows of each campaign."""
    lists = [np.arange(10 * at, 10 * at + 5) for at in range(3)]
    each = [chance.choice(lists[at % 3], 15) for at in range(30)]
    members = [set(range(at, 30, 3)) for at in range(3)]
    for at in range(double):
        each[3 * at] = np.concatenate([each[3 * at], chance.choice(lists[1], 15)])
        members[1].add(3 * at)
    return rows_of(each), members


def f1(found: list[Group], members: set[int]) -> float:
    return max(2 * len(set(g.rows.tolist()) & members) / (len(g.rows) + len(members)) for g in found)


def test_what_was_planted_is_proposed() -> None:
    rows, _ = planted(np.random.default_rng(1))
    sets = [set(proposal.services.tolist()) for proposal in propose(rows, SPEC)]
    for at in range(3):
        assert set(range(10 * at, 10 * at + 5)) in sets


def test_groups_have_their_members() -> None:
    rows, members = planted(np.random.default_rng(2))
    found = group(rows, SPEC)
    assert len(found) == 3
    assert all(f1(found, campaign) == 1.0 for campaign in members)


def test_a_row_may_belong_to_two_groups() -> None:
    rows, members = planted(np.random.default_rng(3), double=4)
    found = group(rows, SPEC)
    assert f1(found, members[0]) > 0.9
    assert f1(found, members[1]) > 0.9


def test_services_of_one_row_and_rows_alone_are_left_out() -> None:
    rows = rows_of([np.array([1, 2, 77]), np.array([1, 2]), np.array([88, 89])])
    matrix, services = unit_rows(rows, SPEC)
    assert services.tolist() == [1, 2]
    assert matrix.shape == (2, 2)
    np.testing.assert_allclose(np.asarray(matrix.power(2).sum(axis=1)).ravel(), 1.0)


def test_large_windows_are_bounded() -> None:
    chance = np.random.default_rng(5)
    rows = rows_of([chance.choice(300, chance.integers(2, 9), replace=False) for _ in range(400)])
    matrix, services = unit_rows(rows, GroupSpec(rows=50, columns=40))
    assert matrix.shape[0] <= 50
    assert len(services) <= 40
    assert len(propose(rows, GroupSpec(rows=50, starts=10, rows_per_pattern=()))) <= 20


def test_too_little_is_no_pattern() -> None:
    assert propose(rows_of([]), SPEC) == []
    assert propose(rows_of([np.array([1, 2]), np.array([1, 2])]), SPEC) == []
    assert group(rows_of([np.array([1, 2])]), SPEC) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=8), max_size=25))
def test_proposals_are_sets_of_two_or_more_services_with_weights(each: list[list[int]]) -> None:
    rows = rows_of([np.array(row) for row in each])
    found: list[Proposal] = propose(rows, SPEC)
    for proposal in found:
        assert len(proposal.services) == len(proposal.weights) >= 2
        assert (np.diff(proposal.services) > 0).all()
        assert proposal.weights.max() == pytest.approx(1.0)
        assert (proposal.weights >= SPEC.weight - 1e-9).all()
    assert [p.services.tolist() for p in found] == [p.services.tolist() for p in propose(rows, SPEC)]


def test_a_specification_is_positive() -> None:
    with pytest.raises(ValueError, match="near"):
        GroupSpec(near=0.0)
    GroupSpec(starts=0, steps=0)
