"""What `service.store.events` promises, held against every database."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.alerts.alert import GAP
from service.store.events import EventKind
from tests.builders import MINUTE, START, a_record, an_alert

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.store.events import Event
    from service.store.sql import SqlStore


NUMBERS = itertools.count()


class BrokenOffError(Exception):
    """What a block raises to be undone."""


def every(database: SqlStore) -> list[Event]:
    with database.read() as unit:
        return list(unit.events.after(0, 1000))


def told(database: SqlStore) -> list[tuple[str, str]]:
    return [(event.kind.value, event.alert) for event in every(database)]


def save(database: SqlStore, *alerts: Alert) -> None:
    with database.begin() as unit:
        unit.save_alerts(alerts)


def test_an_empty_store_has_no_events(database: SqlStore) -> None:
    with database.read() as unit:
        assert list(unit.events.after(0, 10)) == []
        assert unit.events.latest() == 0


def test_an_alert_opens_once_and_grows_with_its_updates(database: SqlStore) -> None:
    first, second, doubled = an_alert(updates=1), an_alert(updates=1, reason="More."), an_alert(updates=2)
    save(database, first)
    save(database, second)
    save(database, doubled)
    save(database, doubled)
    assert told(database) == [("opened", "a1"), ("grew", "a1")]
    assert [event.told() for event in every(database)] == [first, doubled]


def test_the_numbers_grow_and_are_read_from_anywhere(database: SqlStore) -> None:
    save(database, *(an_alert(id=f"a{number}") for number in range(5)))
    events = every(database)
    numbers = [event.sequence for event in events]
    assert numbers == sorted(set(numbers))
    assert events[0].at > START
    with database.read() as unit:
        assert unit.events.latest() == numbers[-1]
        assert list(unit.events.after(numbers[1], 2)) == events[2:4]
        assert list(unit.events.after(numbers[-1], 10)) == []


def test_what_the_allow_list_no_longer_covers_is_told(database: SqlStore) -> None:
    save(database, an_alert(allowed_by="192.0.2.1"))
    save(database, an_alert())
    assert told(database) == [("opened", "a1"), ("grew", "a1")]
    assert [event.told().allowed_by for event in every(database)] == ["192.0.2.1", None]


def test_an_alert_ends_with_the_first_window_that_ends_later(database: SqlStore) -> None:
    last = START + 5 * MINUTE
    save(database, an_alert(last_seen=last), an_alert(id="other", sensor="core"))
    for start in (last, last + GAP - MINUTE, last + GAP, last + GAP + MINUTE):
        with database.begin() as unit:
            unit.add_window(a_record(start=start))
        ended = start >= last + GAP
        assert told(database)[2:] == ([("ended", "a1")] if ended else [])


def test_an_alert_that_goes_on_after_its_end_ends_again(database: SqlStore) -> None:
    late = START + 100 * MINUTE
    save(database, an_alert())
    with database.begin() as unit:
        unit.add_window(a_record(start=late))
    save(database, an_alert(reason="A longer window saw more of it."))
    with database.begin() as unit:
        unit.add_window(a_record(start=late + MINUTE))
    assert told(database) == [("opened", "a1"), ("ended", "a1")]
    save(database, an_alert(last_seen=late))
    with database.begin() as unit:
        unit.add_window(a_record(start=late + 2 * MINUTE))
    assert len(told(database)) == 2
    with database.begin() as unit:
        unit.add_window(a_record(start=late + 20 * MINUTE))
    assert told(database)[2:] == [("ended", "a1")]


def test_an_alert_of_old_traffic_opens_and_ends_in_one_transaction(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.save_alerts([an_alert()])
        unit.add_window(a_record(start=START + 100 * MINUTE))
    assert told(database) == [("opened", "a1"), ("ended", "a1")]


def test_what_is_undone_has_not_happened(database: SqlStore) -> None:
    def write_and_fail() -> None:
        with database.begin() as unit:
            unit.save_alerts([an_alert()])
            unit.add_window(a_record(start=START + 100 * MINUTE))
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        write_and_fail()
    assert every(database) == []
    save(database, an_alert())
    assert told(database) == [("opened", "a1")]


def test_many_alerts_are_told_at_once(database: SqlStore) -> None:
    save(database, *(an_alert(id=f"a{number}", updates=0) for number in range(1200)))
    save(database, *(an_alert(id=f"a{number}", updates=number % 2) for number in range(1200)))
    with database.read() as unit:
        events = unit.events.after(0, 5000)
    assert len({event.alert for event in events if event.kind is EventKind.OPENED}) == 1200
    assert sum(event.kind is EventKind.GREW for event in events) == 600


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("save"), st.integers(0, 3), st.integers(0, 60)),
            st.tuples(st.just("window"), st.integers(0, 90), st.just(0)),
        ),
        max_size=14,
    )
)
@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_end_follows_an_opening_or_a_return(database: SqlStore, steps: list[tuple[str, int, int]]) -> None:
    """Whatever comes in which order: an alert is opened once, and has ended at most once between two changes."""
    sensor = f"s{next(NUMBERS)}"
    last: dict[str, int] = {}
    going_on: set[str] = set()
    expected: list[tuple[str, str]] = []
    windows: set[int] = set()
    for step, number, minutes in steps:
        with database.begin() as unit:
            before = unit.events.latest()
            expected.clear()
            if step == "save":
                name, until = f"{sensor}-{number}", START + minutes * MINUTE
                unit.save_alerts([an_alert(id=name, sensor=sensor, last_seen=until)])
                expected += [] if name in last else [("opened", name)]
                if until > last.get(name, 0):
                    going_on.add(name)
                last[name] = until
            elif number not in windows:
                windows.add(number)
                record = a_record(sensor, START + number * MINUTE)
                unit.add_window(record)
                ended = {name for name in going_on if last[name] + GAP < record.counts.end}
                expected += [("ended", name) for name in sorted(ended)]
                going_on -= ended
            written = [(event.kind.value, event.alert) for event in unit.events.after(before, 100)]
        assert sorted(written) == expected
