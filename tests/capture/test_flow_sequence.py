from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.capture.flow_sequence import Sequence

ALL = 1 << 32


def after(*messages: tuple[int, int]) -> tuple[int, int]:
    """Return what is missing, and the restarts, after messages of (number, units)."""
    sequence = Sequence()
    for number, units in messages:
        sequence.take(number, units)
    return sequence.missing, sequence.restarts


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([(7, 3), (10, 2), (12, 1)], (0, 0)),
        ([(7, 3), (15, 2)], (5, 0)),
        ([(ALL - 2, 3), (1, 2)], (0, 0)),
        ([(ALL - 2, 3), (4, 2)], (3, 0)),
        ([(7, 3), (12, 4), (10, 2)], (0, 0)),  # the middle one came late
        ([(7, 3), (10, 2), (10, 2)], (0, 0)),  # doubled
        ([(90_000, 3), (0, 5), (5, 5)], (0, 1)),
        ([(90_000, 3), (2_000_000_000, 5)], (0, 1)),
    ],
)
def test_gaps_and_restarts(messages: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert after(*messages) == expected


def test_after_a_message_of_unknown_size_the_next_number_is_taken_as_it_is() -> None:
    sequence = Sequence()
    sequence.take(5, 5)
    sequence.forget()
    sequence.take(90, 1)
    sequence.take(92, 1)
    assert (sequence.missing, sequence.restarts) == (1, 0)


@given(
    st.integers(0, ALL - 1),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 1)), min_size=1),
    st.booleans(),
    st.booleans(),
)
def test_no_way_to_count_looks_like_a_loss(
    first: int, messages: list[tuple[int, int]], own_included: bool, options_counted: bool
) -> None:
    """softflowd counts a message's own flows in, and leaves options data out."""
    sequence = Sequence()
    number = first
    for flows, options in messages:
        counted = flows + options * options_counted
        number += counted * own_included
        sequence.take(number % ALL, flows + options, options)
        number += counted * (not own_included)
    assert (sequence.missing, sequence.restarts) == (0, 0)
