from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.alerts.distinct import distinct, union
from service.windows.counts import SAMPLE_SIZE

members = st.lists(st.integers(0, (1 << 128) - 1), unique=True, max_size=60)


@given(members, members)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_small_unions_are_exact_and_do_not_depend_on_order(a: list[int], b: list[int]) -> None:
    one, other = distinct(len(a), a), distinct(len(b), b)
    joined = union(one, other)
    assert joined == union(other, one)
    assert joined.exact
    assert joined.count == len(set(a) | set(b))
    assert set(joined.sample) == set(a) | set(b)


def test_large_unions_are_estimated_within_a_few_percent() -> None:
    a = distinct(8000, list(range(8000)))
    b = distinct(8000, list(range(4000, 12000)))
    joined = union(a, b)
    assert not joined.exact
    assert len(joined.sample) == SAMPLE_SIZE
    assert abs(joined.count - 12000) < 0.1 * 12000


def test_a_union_is_no_smaller_than_its_parts_and_no_larger_than_their_sum() -> None:
    everything = distinct(3000, list(range(3000)))
    assert 3000 <= union(everything, everything).count <= 3300
    assert union(everything, distinct(1, [10**9])).count in (3000, 3001)


def test_what_was_estimated_stays_estimated() -> None:
    large = union(distinct(2000, list(range(2000))), distinct(2000, list(range(2000, 4000))))
    assert not union(large, distinct(1, [1])).exact
