from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns import catalogue as catalogues_of_patterns
from service.patterns.catalogue import Catalogue, Update
from service.patterns.pattern import Pattern
from service.store import at_hand
from service.store.at_hand import Catalogues, CataloguesAtHand
from service.store.memory import MemoryStore
from tests.builders import MINUTE, START, a_pattern


@dataclass(frozen=True)
class Step:
    """A window in which patterns are born, others are found again, and that is perhaps written at once."""

    born: int
    again: tuple[int, ...]
    at: int
    written: bool


STEPS = st.lists(
    st.builds(
        Step,
        born=st.integers(0, 3),
        again=st.lists(st.integers(0, 20), max_size=2).map(tuple),
        at=st.integers(0, 12),
        written=st.booleans(),
    ),
    max_size=25,
)


def changed(known: Catalogue, step: Step, number: int) -> tuple[Pattern, ...]:
    at = START + step.at
    again = {known.patterns[place % len(known.patterns)].id for place in step.again if known.patterns}
    found = [
        replace(each, windows=each.windows + 1, last_seen=max(each.last_seen, at))
        for each in known.patterns
        if each.id in again
    ]
    born = [a_pattern(id=f"p{number}-{i}", length=MINUTE, first_seen=START, last_seen=at) for i in range(step.born)]
    return (*found, *born)


@given(STEPS)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_catalogues_at_hand_are_those_of_the_store(steps: list[Step]) -> None:
    whole, behind = MemoryStore(), MemoryStore()
    held, waiting = Catalogues(), list[Update]()
    with pytest.MonkeyPatch.context() as small:
        small.setattr(catalogues_of_patterns, "MOST_RECURRING", 3)
        small.setattr(catalogues_of_patterns, "MOST_SINGLE", 2)
        small.setattr(at_hand, "_MOST", ((True, 3), (False, 2)))
        small.setattr(at_hand, "_SPARE", 1)
        for number, step in enumerate(steps):
            with whole.begin() as all_of_it, behind.begin() as some:
                known = held.get(some, "edge", MINUTE)
                assert known == all_of_it.catalogue("edge", MINUTE)
                after = replace(known, windows=number + 1)
                update = Update(after, [], changed(known, step, number), ())
                held.add(update)
                waiting.append(update)
                all_of_it.save_catalogue(update)
                if step.written:
                    for each in waiting:
                        some.save_catalogue(each)
                    held.written()
                    waiting.clear()


def some_catalogues(sensor: str, members: int) -> Catalogues:
    found = Catalogues()
    pattern = a_pattern(
        sensor=sensor,
        length=MINUTE,
        members=tuple((f"10.0.0.{i}", 0.5) for i in range(members)),
        services=(("tcp/1", 1.0),),
    )
    with MemoryStore().begin() as unit:
        unit.save_patterns([pattern])
        assert found.get(unit, sensor, MINUTE).patterns == (pattern,)
    return found


def test_they_are_good_for_one_revision_and_taken_once() -> None:
    shelf, first = CataloguesAtHand(), some_catalogues("edge", 1)
    shelf.put("edge", 7, first)
    assert shelf.take("edge", 7) is first
    assert shelf.take("edge", 7) is not first
    shelf.put("edge", 7, first)
    assert shelf.take("edge", 8) is not first


def test_memory_is_bounded_and_who_waited_longest_goes() -> None:
    shelf, many = CataloguesAtHand(most_entries=25), {name: some_catalogues(name, 9) for name in "abc"}
    for name, held in many.items():
        assert held.entries() == 10
        shelf.put(name, 1, held)
    assert [shelf.take(name, 1) is held for name, held in many.items()] == [False, True, True]
    shelf.put("huge", 1, some_catalogues("huge", 50))
    assert shelf.take("huge", 1).entries() == 0
