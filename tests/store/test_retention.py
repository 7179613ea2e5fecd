from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from service.patterns.catalogue import MOST_SINGLE
from service.store import tables
from service.store.days import DAY, Day
from service.store.retention import LEAST_BYTES, Retained, RetentionSpec, step
from service.store.sql import SqlStore
from service.windows.wire import read_window
from tests.builders import MINUTE, START, a_pattern, a_record, a_window, an_alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.repository import WindowRecord
    from service.windows.counts import WindowCounts

FOR_EVER = RetentionSpec(counts=0, windows=0, alerts=0, events=0, jobs=0, audit=0, patterns=0)
"""Each test says what does not stay."""

NOW = START + 400 * DAY


def retain(database: SqlStore, spec: RetentionSpec, now: int = NOW) -> Retained:
    done = step(database, spec, now)
    while done.more:
        done += step(database, spec, now)
    return done


def rows(database: SqlStore, table: str) -> list[dict[str, Any]]:
    of = tables.metadata.tables[table]
    with database._backend.reading() as connection:
        return [dict(row) for row in connection.execute(select(of).order_by(*of.primary_key)).mappings()]


def put(database: SqlStore, table: str, *given: dict[str, Any]) -> None:
    with database._backend.writing(None) as connection:
        connection.execute(insert(tables.metadata.tables[table]), list(given))


def record(counts: WindowCounts) -> WindowRecord:
    return replace(a_record(), counts=counts, digest=counts.digest())


def add_windows(database: SqlStore, *starts: int, sensor: str = "edge") -> None:
    with database.begin() as unit:
        for start in starts:
            unit.add_window(record(a_window(sensor, start)))
    come(database, sensor, max(starts) + MINUTE + 1)


def come(database: SqlStore, sensor: str, at: int) -> None:
    """Let what a sensor has sent have come at a time."""
    with database._backend.writing(None) as connection:
        connection.execute(update(tables.sensors).where(tables.sensors.c.name == sensor).values(last_ns=at))


def a_sensor(**given: Any) -> dict[str, Any]:
    usual = {"name": "edge", "revision": 0, "first_ns": START, "last_ns": START, "windows": 0, "attempts": 0}
    return usual | {"shed": 0, "leased_until_ns": 0} | given


def hear(database: SqlStore, last: int, latest_end: int, sensor: str = "edge") -> None:
    """Let the store know when a sensor was heard last, whatever it knows already."""
    with database._backend.writing(None) as connection:
        connection.execute(delete(tables.sensors).where(tables.sensors.c.name == sensor))
    put(database, "sensors", a_sensor(name=sensor, last_ns=last, latest_end_ns=latest_end))


def a_job(**given: Any) -> dict[str, Any]:
    usual = {"id": "j1", "sensor": "edge", "kind": "window", "window": a_window().id, "digest": "d"}
    return usual | {"state": "done", "received_ns": START, "done_ns": START, "size": 1, "tries": 0} | given


def an_event(number: int, at: int) -> dict[str, Any]:
    return {"sequence": number, "at_ns": at, "kind": "opened", "alert": "a1", "document": "{}"}


def test_counts_go_first_and_what_was_found_stays(database: SqlStore) -> None:
    add_windows(database, START, START + 399 * DAY)
    done = retain(database, replace(FOR_EVER, counts=30))
    assert (done.counts, done.windows) == (1, 0)
    with database.read() as reader:
        old, new = (reader.window(a_window(start=start).id) for start in (START, START + 399 * DAY))
        assert old is not None
        assert new is not None
        assert (old.kept, len(old.counts.sources), old.patterns, old.alerts) == (False, 0, ("p1",), ("a1", "a2"))
        assert (old.counts.id, old.digest) == (a_window().id, a_window().digest())
        assert (new.kept, new.counts.digest()) == (True, new.digest)
        assert reader.days.between(0, NOW) == [Day("edge", MINUTE, START // DAY * DAY, answered=2)]
    assert [row["attempts"] for row in rows(database, "windows")] == [12, 12]
    assert retain(database, replace(FOR_EVER, counts=30)) == Retained()


def test_windows_become_sums_of_days(database: SqlStore) -> None:
    midnight = START // DAY * DAY
    add_windows(database, midnight, midnight + DAY - MINUTE, midnight + DAY)
    add_windows(database, midnight, sensor="lab")
    assert retain(database, replace(FOR_EVER, windows=300, rows=1)).windows == 4
    assert rows(database, "windows") == []
    with database.read() as reader:
        day = Day("edge", MINUTE, midnight, 2, 24, 4, 2, 3, 0)
        assert reader.days.between(0, NOW, "edge") == [day, Day("edge", MINUTE, midnight + DAY, 1, 12, 2, 2, 3, 0)]
        assert reader.days.between(midnight, midnight + 1, "lab") == [
            Day("lab", MINUTE, midnight, 1, 12, 2, 2, 3, 0)
        ]
        assert reader.days.between(midnight + 1, midnight + DAY) == []


def test_windows_whose_counts_went_before_count_once(database: SqlStore) -> None:
    add_windows(database, START)
    retain(database, replace(FOR_EVER, counts=30))
    retain(database, replace(FOR_EVER, windows=60))
    with database.read() as reader:
        assert reader.days.between(0, NOW) == [Day("edge", MINUTE, START // DAY * DAY, 1, 12, 2, 2, 3, 0)]


def test_a_damaged_window_goes_as_well(database: SqlStore) -> None:
    add_windows(database, START)
    with database._backend.writing(None) as connection:
        connection.execute(update(tables.windows).values(counts=b"?"))
    assert retain(database, replace(FOR_EVER, windows=60)).windows == 1
    with database.read() as reader:
        assert [(day.attempts, day.answered) for day in reader.days.between(0, NOW)] == [(12, 0)]


def test_what_came_late_is_as_old_as_it_is_here(database: SqlStore) -> None:
    add_windows(database, START, START + DAY)
    hear(database, last=NOW, latest_end=START + DAY + MINUTE)
    assert retain(database, replace(FOR_EVER, windows=2)) == Retained()
    assert retain(database, replace(FOR_EVER, windows=2), NOW + DAY + 2 * MINUTE).windows == 1


def test_what_came_at_an_unknown_time_gets_older_with_newer_traffic_alone(database: SqlStore) -> None:
    add_windows(database, START)
    come(database, "edge", START)
    assert retain(database, replace(FOR_EVER, windows=2)) == Retained()
    add_windows(database, START + 3 * DAY)
    come(database, "edge", START)
    assert retain(database, replace(FOR_EVER, windows=2)).windows == 1


def test_a_time_in_the_future_makes_nothing_old(database: SqlStore) -> None:
    add_windows(database, START, START + 9000 * DAY)
    hear(database, last=START, latest_end=START + 9000 * DAY + MINUTE)
    assert retain(database, replace(FOR_EVER, windows=2), START + DAY) == Retained()


@pytest.mark.parametrize("state", ["waiting", "done"])
def test_a_window_that_a_job_is_of_stays(database: SqlStore, state: str) -> None:
    add_windows(database, START, START + MINUTE)
    put(database, "jobs", a_job(state=state, done_ns=None if state == "waiting" else NOW))
    assert retain(database, replace(FOR_EVER, windows=2)).windows == 1
    assert [row["id"] for row in rows(database, "windows")] == [a_window().id]


def test_alerts_that_are_over_go_with_all_that_hangs_on_them(database: SqlStore) -> None:
    add_windows(database, START + 10 * DAY)
    with database.begin() as unit:
        unit.save_alerts([an_alert(), an_alert(id="a9", last_seen=START + 300 * DAY)])
    for alert in ("a1", "a9"):
        put(database, "alert_states", {"alert": alert, "acknowledged_ns": 1, "acknowledged_by": "me"})
        put(database, "comments", {"alert": alert, "at_ns": 1, "author": "me", "text": "why?"})
    assert retain(database, replace(FOR_EVER, alerts=30)).alerts == 1
    for table in ("alert_sources", "alert_services", "alert_states", "comments"):
        assert {row["alert"] for row in rows(database, table)} == {"a9"}
    assert [row["id"] for row in rows(database, "alerts")] == ["a9"]


def test_an_alert_is_open_until_its_sensor_tells_otherwise(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.save_alerts([an_alert()])
    hear(database, last=START, latest_end=START + 5 * MINUTE)
    spec = replace(FOR_EVER, alerts=1, most_bytes=LEAST_BYTES)
    assert retain(database, spec, NOW).alerts == 0
    hear(database, last=START, latest_end=START + 2 * DAY)
    assert retain(database, spec, NOW).alerts == 1


def test_patterns_that_nothing_needs_go(database: SqlStore) -> None:
    add_windows(database, START + 399 * DAY)
    with database.begin() as unit:
        unit.save_patterns([a_pattern(id=f"p{n}", last_seen=START + n) for n in range(2 * MOST_SINGLE + 3)])
        unit.save_alerts([an_alert(pattern="p1")])
    put(database, "pattern_versions", *({"pattern": f"p{n}", "version": 1, "document": "{}"} for n in range(3)))
    assert retain(database, replace(FOR_EVER, patterns=390, rows=1)).patterns == 2
    assert {"p0", "p2"}.isdisjoint(row["id"] for row in rows(database, "patterns"))
    assert [row["pattern"] for row in rows(database, "pattern_versions")] == ["p1"]
    assert len(rows(database, "patterns")) == 2 * MOST_SINGLE + 1
    assert retain(database, replace(FOR_EVER, patterns=1)).patterns == 0


def test_what_catalogues_list_is_the_same_afterwards(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.save_patterns([a_pattern(id=f"p{n}", last_seen=START + n) for n in range(3 * MOST_SINGLE)])
    hear(database, last=NOW, latest_end=NOW - 1)
    with database.read() as reader:
        before, revision = reader.catalogue("edge", MINUTE), reader.sensors.revision("edge")
    assert retain(database, replace(FOR_EVER, patterns=1)).patterns == MOST_SINGLE
    with database.read() as reader:
        assert reader.catalogue("edge", MINUTE) == before
        # Workers that hold more than is listed must read again.
        assert reader.sensors.revision("edge") > revision


def test_the_latest_event_stays_so_that_numbers_go_on(database: SqlStore) -> None:
    put(database, "events", *(an_event(number, START + number * DAY) for number in range(1, 6)))
    assert retain(database, replace(FOR_EVER, events=30), START + 33 * DAY).events == 2
    assert [row["sequence"] for row in rows(database, "events")] == [3, 4, 5]
    assert retain(database, replace(FOR_EVER, events=30, rows=1)).events == 2
    assert [row["sequence"] for row in rows(database, "events")] == [5]


def test_jobs_that_wait_stay(database: SqlStore) -> None:
    waiting = a_job(id="j1", state="waiting", done_ns=None)
    put(database, "jobs", waiting, a_job(id="j2"), a_job(id="j3", state="failed"), a_job(id="j4", done_ns=NOW))
    assert retain(database, replace(FOR_EVER, jobs=1)).jobs == 2
    assert [row["id"] for row in rows(database, "jobs")] == ["j1", "j4"]


def test_audit_and_dead_letters_go_by_age(database: SqlStore) -> None:
    entry = {"actor": "t1", "request": "r", "action": "POST", "target": "/", "status": 200}
    put(database, "audit", entry | {"at_ns": START}, entry | {"at_ns": NOW})
    letter = {"output": "hook", "event": 1, "reason": "gone", "document": "{}"}
    put(database, "dead_letters", letter | {"at_ns": START}, letter | {"at_ns": NOW})
    done = retain(database, replace(FOR_EVER, audit=30, events=30))
    assert (done.audit, done.events) == (1, 1)
    assert [row["at_ns"] for table in ("audit", "dead_letters") for row in rows(database, table)] == [NOW, NOW]


def test_nothing_goes_where_all_is_kept_for_ever(database: SqlStore) -> None:
    add_windows(database, START)
    put(database, "events", an_event(1, 0), an_event(2, 0))
    put(database, "jobs", a_job())
    assert step(database, FOR_EVER, NOW) == Retained()


def a_large_window(start: int, sources: int = 4000) -> WindowCounts:
    """About 200 kB, as stored: addresses at random don't compress."""
    random = np.random.default_rng(start % 1000)
    rows = np.zeros(sources, np.int64)
    window, order = a_window(start=start), np.arange(sources)
    return replace(
        window,
        sources=np.sort(random.integers(1, 1 << 62, (sources, 2)).astype(np.uint64), axis=0),
        rows=replace(
            window.rows,
            **dict.fromkeys(("answered", "probed", "dark", "hours"), rows),
            **{name: random.integers(1, 1 << 40, sources) for name in ("attempts", "targets")},
            source=order.astype(np.int32),
            service=np.full(sources, 23, np.int32),
            first=rows + start,
            last=start + random.integers(0, MINUTE, sources),
        ),
        totals=replace(window.totals, **dict.fromkeys(window.totals.__slots__, rows)),
        samples=replace(window.samples, start=np.zeros(3 * sources + 1, np.int64), targets=window.sources[:0]),
        halvings=np.empty(0, np.int8),
        tools=type(window.tools).none(sources),
    )


def used(database: SqlStore) -> int:
    with database.read() as reader:
        return reader.pruning.used_bytes(0)


def test_by_size_the_oldest_counts_go_first_until_it_fits(database: SqlStore) -> None:
    put(
        database, "audit", *({"at_ns": 0, "actor": "", "request": "", "action": "", "target": "", "status": 1},) * 3
    )
    with database.begin() as unit:
        for number in range(40):
            unit.add_window(record(a_large_window(START + number * MINUTE)))
    most = used(database) // 2
    done = retain(database, replace(FOR_EVER, most_bytes=most, rows=2, transactions=3))
    assert 15 <= done.counts <= 26
    assert (done.windows, done.audit, done.over) == (0, 0, 0)
    kept = [bool(row["counts"]) for row in sorted(rows(database, "windows"), key=lambda row: row["start_ns"])]
    assert kept == sorted(kept)
    assert kept.count(False) == done.counts
    assert 0.8 * most < used(database) <= most


def test_by_size_all_goes_that_may_and_the_rest_is_said(database: SqlStore) -> None:
    with database.begin() as unit:
        for number in range(8):
            unit.add_window(record(a_large_window(START + number * MINUTE)))
        unit.save_alerts([an_alert(), an_alert(id="a9", last_seen=START + 2 * DAY)])
    add_windows(database, START + 2 * DAY)
    put(database, "events", *({**an_event(number, START), "document": "x" * 9000} for number in range(11, 19)))
    put(database, "events", {**an_event(19, START), "document": np.random.default_rng(1).bytes(1_500_000).hex()})
    put(database, "deliveries", {"output": "hook", "position": 15, "tries": 0, "next_ns": 0})
    put(database, "jobs", a_job(id="j1"), a_job(id="j2", state="waiting", done_ns=None))
    done = retain(database, replace(FOR_EVER, most_bytes=LEAST_BYTES))
    assert done.over > 1_000_000
    assert (done.counts, done.windows, done.alerts) == (9, 8, 1)
    told = [row["sequence"] for row in rows(database, "events") if row["sequence"] > 10]
    assert told == [16, 17, 18, 19]
    assert [row["id"] for row in rows(database, "jobs")] == ["j2"]
    assert [row["id"] for row in rows(database, "alerts")] == ["a9"]


def test_a_file_gets_smaller(new_database: Callable[[str], str]) -> None:
    database = SqlStore(new_database("sqlite"))
    with database.begin() as unit:
        for number in range(60):
            unit.add_window(record(a_large_window(START + number * MINUTE)))
    come(database, "edge", START + DAY)
    with database._backend.reading() as connection:
        before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    done = retain(database, replace(FOR_EVER, counts=1))
    with database._backend.reading() as connection:
        after = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        assert connection.exec_driver_sql("PRAGMA freelist_count").scalar_one() == 1000
    assert done.counts == 60
    assert done.pages == before - after > 1000
    database.close()


@pytest.mark.parametrize("wrong", [{"counts": -1}, {"rows": 0}, {"transactions": 0}, {"most_bytes": 1000}])
def test_a_spec_makes_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetentionSpec(**wrong)


def totals(database: SqlStore) -> Counter[tuple[str, str, int]]:
    """Return the sums of windows and days by what, sensor and length."""
    sums: Counter[tuple[str, str, int]] = Counter()
    for row in rows(database, "windows"):
        of = (row["sensor"], row["end_ns"] - row["start_ns"])
        answered = int(read_window(row["counts"]).rows.answered.sum()) if row["counts"] else 0
        for name, value in (("windows", 1), ("attempts", row["attempts"]), ("answered", answered)):
            sums[name, *of] += value
        sums["shed", *of] += row["shed"]
    for row in rows(database, "days"):
        for name in ("windows", "attempts", "answered", "shed"):
            sums[name, row["sensor"], row["length_ns"]] += row[name]
    return sums


WINDOWS = st.lists(
    st.tuples(st.sampled_from(["edge", "lab"]), st.integers(0, 40), st.sampled_from([1, 10]), st.integers(1, 99)),
    min_size=1,
    max_size=8,
    unique_by=lambda window: window[:3],
)
SPECS = st.builds(
    RetentionSpec,
    counts=st.integers(0, 4),
    windows=st.integers(0, 4),
    most_bytes=st.sampled_from([0, LEAST_BYTES]),
    rows=st.integers(1, 3),
    transactions=st.integers(1, 2),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows=WINDOWS, steps=st.lists(st.tuples(SPECS, st.integers(0, 12)), min_size=1, max_size=4))
def test_windows_and_days_together_count_the_same_ever(
    database: SqlStore,
    windows: list[tuple[str, int, int, int]],
    steps: list[tuple[RetentionSpec, int]],
) -> None:
    with database._backend.writing(None) as connection:
        for table in ("windows", "days", "sensors"):
            connection.execute(delete(tables.metadata.tables[table]))
    with database.begin() as unit:
        for sensor, quarter, length, attempts in windows:
            window = a_window(sensor, START + quarter * DAY // 4, attempts)
            unit.add_window(record(replace(window, end=window.start + length * MINUTE)))
    before = totals(database)
    for spec, days in steps:
        step(database, spec, START + days * DAY)
        assert totals(database) == before
    with database._backend.reading() as connection:
        assert connection.scalar(select(func.min(tables.days.c.windows))) in {None, *range(9)}
