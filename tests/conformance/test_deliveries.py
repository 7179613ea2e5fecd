"""What `service.store.deliveries` promises, held against every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.errors import NotFoundError
from service.store import deliveries
from service.store.deliveries import Delivery
from service.store.documents import write_alert
from service.store.events import Event, EventKind
from tests.builders import START, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore


def an_event(number: int) -> Event:
    return Event(number, START + number, EventKind.OPENED, f"a{number}", write_alert(an_alert(id=f"a{number}")))


def test_an_output_begins_once(database: SqlStore) -> None:
    with database.begin() as unit:
        assert unit.deliveries.of("soc") is None
        unit.deliveries.enrol("soc", 7)
        unit.deliveries.enrol("soc", 9)
        assert unit.deliveries.of("soc") == Delivery("soc", 7)


def test_only_who_knows_how_it_stands_changes_it(database: SqlStore) -> None:
    first = Delivery("soc", 7)
    leased = replace(first, until=100)
    with database.begin() as unit:
        unit.deliveries.enrol("soc", 7)
        unit.deliveries.enrol("other", 7)
        assert unit.deliveries.change(first, leased)
        assert not unit.deliveries.change(first, replace(first, until=200))
        moved = replace(leased, position=8, tries=2, failure="busy", until=300)
        assert unit.deliveries.change(leased, moved)
        assert not unit.deliveries.change(leased, moved)
        assert unit.deliveries.of("soc") == moved
        assert unit.deliveries.of("other") == Delivery("other", 7)


def test_waiting_ends_and_a_time_that_no_clock_meant_counts_for_nothing() -> None:
    second = 10**9
    state = Delivery("soc", 0, until=100 * second)
    assert [state.waits(now * second) for now in (40, 99, 100, 101)] == [60 * second, second, 0, 0]
    assert Delivery("soc", 0, until=10**19).waits(10**18) == 0


def test_what_is_given_up_is_kept_and_comes_back_in_order(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.deliveries.enrol("soc", 9)
        for number in (5, 3):
            assert unit.deliveries.bury("soc", an_event(number), 70, "answered 400") == 0
        unit.deliveries.bury("other", an_event(4), 70, "answered 400")
        assert list(unit.deliveries.returned("soc", 10)) == []
        assert [letter.event.sequence for letter in unit.deliveries.letters("soc", 10)[0]] == [3, 5]
        assert unit.deliveries.put_back("soc") == 2
        assert unit.deliveries.put_back("soc") == 0
        back = unit.deliveries.returned("soc", 10)
        assert [letter.event for letter in back] == [an_event(3), an_event(5)]
        assert list(unit.deliveries.letters("soc", 10)[0]) == []
        unit.deliveries.forget(back[0])
        assert [letter.event.sequence for letter in unit.deliveries.returned("soc", 10)] == [5]


def test_putting_back_ends_the_waiting_for_the_next_try(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.deliveries.enrol("soc", 9)
        state = Delivery("soc", 9)
        unit.deliveries.change(state, replace(state, tries=3, until=500, failure="busy"))
        unit.deliveries.put_back("soc")
        assert unit.deliveries.of("soc") == Delivery("soc", 9, failure="busy")
        with pytest.raises(NotFoundError, match="output nobody: none of this name"):
            unit.deliveries.put_back("nobody")


def test_an_output_is_forgotten_with_what_it_gave_up(database: SqlStore) -> None:
    with database.begin() as unit:
        for name in ("soc", "other"):
            unit.deliveries.enrol(name, 9)
            unit.deliveries.bury(name, an_event(1), 70, "no")
        unit.deliveries.dismiss("soc")
        assert [each.delivery.output for each in unit.deliveries.standings()] == ["other"]
        assert list(unit.deliveries.letters("soc", 10)[0]) == []
        assert len(unit.deliveries.letters("other", 10)[0]) == 1
        with pytest.raises(NotFoundError, match="output soc"):
            unit.deliveries.dismiss("soc")


def test_a_lease_is_left_alone_by_putting_back(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.deliveries.enrol("soc", 9)
        leased = Delivery("soc", 9, until=500)
        unit.deliveries.change(Delivery("soc", 9), leased)
        unit.deliveries.put_back("soc")
        assert unit.deliveries.of("soc") == leased


def test_the_oldest_go_when_there_are_too_many(database: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_LETTERS", 3)
    with database.begin() as unit:
        gone = [unit.deliveries.bury("soc", an_event(number), 70, "no") for number in range(1, 6)]
        unit.deliveries.bury("other", an_event(1), 70, "no")
        assert gone == [0, 0, 0, 1, 1]
        assert [letter.event.sequence for letter in unit.deliveries.letters("soc", 10)[0]] == [5, 4, 3]
        assert len(unit.deliveries.letters("other", 10)[0]) == 1


def test_standings_say_what_is_before_an_output(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.deliveries.enrol("soc", 0)
        unit.save_alerts([an_alert(id=f"a{number}") for number in range(3)])
        events = unit.events.after(0, 10)
        unit.deliveries.enrol("late", events[-1].sequence)
        for number in (1, 2):
            unit.deliveries.bury("soc", an_event(number), 70, "no")
        unit.deliveries.put_back("soc")
        unit.deliveries.bury("soc", an_event(3), 70, "no")
        late, soc = unit.deliveries.standings()
    assert (late.delivery.output, late.behind, late.since, late.dead, late.returned) == ("late", 0, None, 0, 0)
    assert (soc.behind, soc.since, soc.dead, soc.returned) == (3, events[0].at, 1, 2)
