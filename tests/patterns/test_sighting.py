from __future__ import annotations

import numpy as np

from service.capture.services import parse_service
from service.patterns.factorize import Shape
from service.patterns.sighting import Sighting, sightings
from tests.traffic import Try, sweep, window

TRIES = [
    *sweep("10.0.0.1", "tcp/22", 4, answered=4, tries=30),
    *sweep("10.0.0.1", "tcp/23", 2),
    *sweep("10.0.0.2", "tcp/22", 2),
    Try("10.0.0.3", "10.9.0.1", "udp/53", answered=True),
]


def a_shape(sources: list[int], *services: tuple[str, float]) -> Shape:
    codes = np.array([parse_service(name) for name, _ in services], np.int32)
    return Shape(codes, np.array([weight for _, weight in services]), np.array(sources), np.full(len(sources), 0.9))


def seen(*shapes: Shape) -> list[Sighting]:
    return sightings(window(TRIES), shapes, 0.9)


def test_members_have_names_and_leave_traces() -> None:
    (only,) = seen(a_shape([0, 1], ("tcp/22", 1.0)))
    assert only.members == (("10.0.0.1", 0.9), ("10.0.0.2", 0.9))
    traces = only.traces
    assert (traces.attempts, traces.targets, traces.services) == ((120 + 2) / 2, 3.0, 1.0)
    assert (traces.answered, traces.tries_of_answering) == (4 / 6, 30.0)


def test_shapes_that_are_alike_are_one_pattern() -> None:
    found = seen(
        a_shape([0], ("tcp/22", 0.9), ("tcp/23", 0.1)),
        a_shape([2], ("udp/53", 1.0)),
        a_shape([0, 1], ("tcp/22", 1.0)),
    )
    assert [each.shares for each in found] == [{0: 1.0, 1: 0.9}, {2: 0.9}]
    assert [each.member_count for each in found] == [2, 1]


def test_a_member_without_these_services_leaves_no_trace() -> None:
    (only,) = seen(a_shape([2], ("tcp/9", 1.0)))
    assert (only.traces.attempts, only.traces.answered) == (0.0, 1.0)
