from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns.catalogue import Catalogue, Update
from service.store.buffer import Buffer
from service.store.findings import Findings
from service.store.memory import MemoryStore
from service.store.repository import Memory, MemoryKey, Part
from tests.builders import MINUTE, START, a_pattern, a_record, an_alert

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.store.memory import _MemoryUnit

KEY = MemoryKey("edge", MINUTE, Part.GROUPS)


def update(windows: int, *ids: str) -> Update:
    patterns = tuple(a_pattern(id=key, length=MINUTE, windows=windows, last_seen=START + windows) for key in ids)
    return Update(Catalogue("edge", MINUTE, windows, patterns), [], patterns, ())


def both(stored: list[Findings], waiting: list[Findings]) -> tuple[_MemoryUnit, Buffer]:
    """Return a unit to which all was written, and a buffer in which some of it waits."""
    written, below = MemoryStore(), MemoryStore()
    with written.begin() as all_of_it, below.begin() as some:
        for findings in stored:
            findings.save(some)
            findings.save(all_of_it)
        buffer = Buffer(some)
        for findings in waiting:
            buffer.add(findings)
            findings.save(all_of_it)
    return all_of_it, buffer


SEVERAL = st.lists(
    st.builds(
        lambda number, last, source: an_alert(id=f"a{number}", last_seen=START + last * MINUTE, sources=(source,)),
        st.integers(0, 5),
        st.integers(0, 40),
        st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    ),
    max_size=6,
)


@given(SEVERAL, SEVERAL, st.integers(0, 60), st.sampled_from([None, ["192.0.2.1"], ["192.0.2.2", "192.0.2.9"]]))
@settings(deadline=None)
def test_open_alerts_are_those_of_a_store_that_has_it_all(
    stored: list[Alert], waiting: list[Alert], since: int, sources: list[str] | None
) -> None:
    # A source that an alert gave up is still found by its name in this store; in a database it is not.
    stored = [alert if sources is None else replace(alert, sources=("192.0.2.1",)) for alert in stored]
    waiting = [alert if sources is None else replace(alert, sources=("192.0.2.1",)) for alert in waiting]
    unit, buffer = both([Findings((alert,)) for alert in stored], [Findings((alert,)) for alert in waiting])
    asked = "edge", START + since * MINUTE, sources
    assert list(buffer.open_alerts(*asked)) == list(unit.open_alerts(*asked))
    assert list(buffer.open_alerts("core", 0)) == []


def test_a_catalogue_is_that_of_a_store_that_has_it_all() -> None:
    many = update(1, *(f"p{number}" for number in range(200)))
    later = [update(2, "p90", "p3"), update(3, "new", "p91"), update(4, "p90")]
    unit, buffer = both([Findings((), update=many)], [Findings((), update=each) for each in later])
    assert buffer.catalogue("edge", MINUTE) == unit.catalogue("edge", MINUTE)
    assert buffer.catalogue("edge", 5) == Catalogue("edge", 5)


def test_windows_and_memories_are_read_as_if_they_were_written() -> None:
    record, memory = a_record(), Memory("w1", b"abc")
    _, buffer = both([Findings((), a_record(start=START + MINUTE))], [Findings((), record, None, ((KEY, memory),))])
    assert buffer.window(record.counts.id) == record
    assert buffer.window_digest(record.counts.id) == record.digest
    assert buffer.window_digest(a_record(start=START + MINUTE).counts.id) is not None
    assert buffer.window("w1") is None
    assert buffer.memory(KEY) == memory
    assert buffer.memory_window(KEY) == "w1"
    assert buffer.memory(replace(KEY, length=1)) is None


@pytest.mark.parametrize("count", [1, 3])
def test_all_that_waits_is_written_in_its_order(count: int) -> None:
    found = [
        Findings(
            (an_alert(id=f"a{9 - number}"),),
            a_record(start=START + number * MINUTE),
            update(number + 1, f"p{number}"),
            ((KEY, Memory(f"w{number}", bytes(number))),),
        )
        for number in range(count)
    ]
    unit, buffer = both([], found)
    store = MemoryStore()
    with store.begin() as other:
        buffer.flush(other)
        assert other.stored == unit.stored
        assert list(other.shelved_alerts.items) == [f"a{9 - number}" for number in range(count)]
        assert other.shelved_patterns == unit.shelved_patterns
        assert other.memories == unit.memories
        assert other.catalogued == unit.catalogued
