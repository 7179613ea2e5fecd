from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns.forms import named_form
from service.patterns.matching import MatchSpec, match
from service.patterns.pattern import Pattern, Shares, State
from service.patterns.sighting import Sighting
from service.patterns.techniques import Traces
from tests.builders import a_pattern

SPEC = MatchSpec()
NOTHING = Traces(0, 0, 0, 0, 0)


def shares(weights: dict[str, float]) -> Shares:
    return tuple(sorted(weights.items(), key=lambda item: (-item[1], item[0])))


def a_sighting(members: Shares = (), **weights: float) -> Sighting:
    services = shares({f"tcp/{name[1:]}": weight for name, weight in weights.items()})
    return Sighting(named_form(services), len(services), members, len(members), {}, NOTHING)


def a_known(name: str, members: Shares = (), **weights: float) -> Pattern:
    services = shares({f"tcp/{port[1:]}": weight for port, weight in weights.items()})
    return a_pattern(id=name, services=services, members=members)


def members(*names: str) -> Shares:
    return tuple((name, 1.0) for name in names)


def test_the_best_sum_counts_not_the_best_pair() -> None:
    near, both = a_known("near", p1=0.6, p2=0.4), a_known("both", p1=0.72, p2=0.28)
    greedy, other = a_sighting(p1=0.68, p2=0.32), a_sighting(p1=0.9, p2=0.1)
    found = match([greedy, other], [near, both], SPEC)
    assert found.known == {0: 0, 1: 1}


def test_what_is_unlike_is_nobody() -> None:
    assert match([a_sighting(p1=1.0)], [a_known("a", p1=0.5, p2=0.5)], SPEC).known == {}
    assert match([], [a_known("a", p1=1.0)], SPEC).known == {}
    assert match([a_sighting(p1=1.0)], [], SPEC).known == {}


def test_common_members_make_up_for_other_services() -> None:
    known = a_known("a", members("x", "y", "z"), p1=0.5, p2=0.5)
    assert match([a_sighting(members("x", "y", "w"), p1=1.0)], [known], SPEC).known == {0: 0}
    assert match([a_sighting(members("x", "v", "w"), p1=1.0)], [known], SPEC).known == {}
    assert match([a_sighting(members("x", "y", "z"), p9=1.0)], [known], SPEC).known == {}


@pytest.mark.parametrize("state", [State.RETIRED, State.MERGED])
def test_a_live_pattern_is_meant_before_one_that_is_past(state: State) -> None:
    past = a_pattern(id="past", state=state, windows=100, services=(("tcp/1", 1.0),))
    live = a_pattern(id="live", services=(("tcp/1", 0.9), ("tcp/2", 0.1)))
    assert match([a_sighting(p1=1.0)], [past, live], SPEC).known == {0: 1}
    assert match([a_sighting(p1=1.0)], [past], SPEC).known == {0: 0}


def test_of_equals_the_older_is_meant() -> None:
    young, old = (
        a_pattern(id=name, windows=n, services=(("tcp/1", 1.0),)) for name, n in (("young", 1), ("old", 9))
    )
    assert match([a_sighting(p1=1.0)], [young, old], SPEC).known == {0: 1}


@given(
    st.lists(st.dictionaries(st.sampled_from(["p1", "p2", "p3", "p4"]), st.floats(0.1, 1), min_size=1), max_size=5),
    st.lists(st.dictionaries(st.sampled_from(["p1", "p2", "p3", "p4"]), st.floats(0.1, 1), min_size=1), max_size=5),
)
@settings(derandomize=True, deadline=None)
def test_a_match_is_one_to_one_and_alike(seen: list[dict[str, float]], known: list[dict[str, float]]) -> None:
    patterns = [a_known(str(i), (), **each) for i, each in enumerate(known)]
    found = match([a_sighting((), **each) for each in seen], patterns, SPEC)
    assert len(set(found.known.values())) == len(found.known)
    assert all(found.cosines[i, j] >= SPEC.alike for i, j in found.known.items())
    unused = set(range(len(known))) - set(found.known.values())
    for i in set(range(len(seen))) - set(found.known):
        assert all(found.cosines[i, j] < SPEC.alike for j in unused)
    assert found.company.shape == found.cosines.shape
    assert not np.isnan(found.cosines).any()
