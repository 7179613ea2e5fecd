"""What `service.store.repository` promises, held against every store."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.alerts.alert import GAP, Kind
from service.errors import NotFoundError, WindowConflictError
from service.patterns.catalogue import MOST_RECURRING, MOST_SINGLE, Catalogue, Update, judge
from service.patterns.pattern import State, Status
from service.store.memory import MemoryStore
from service.store.repository import MOST_VERSIONS, AlertQuery, Memory, MemoryKey, Part, PatternQuery, Store
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_pattern, a_record, a_window, an_alert
from tests.databases import DATABASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.alerts.alert import Alert
    from service.patterns.pattern import Pattern
    from service.store.repository import Page, Reader, Unit


class BrokenOffError(Exception):
    """What a block raises to be undone."""


EVERYTHING = AlertQuery()


@pytest.fixture(params=["memory", *DATABASES])
def store(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else SqlStore(new_database(request.param))
    yield opened
    opened.close()


def ids(page: Page[Alert] | Page[Pattern]) -> list[str]:
    return [item.id for item in page.items]


def all_alerts(reader: Reader, query: AlertQuery = EVERYTHING) -> list[str]:
    return ids(reader.alerts(query))


# Windows


def test_an_empty_store_holds_nothing(store: Store) -> None:
    with store.begin() as unit:
        assert unit.window("w1") is None
        assert unit.window_digest("w1") is None
        assert unit.alert("a1") is None
        assert unit.pattern("p1") is None
        assert unit.catalogue("edge", MINUTE) == Catalogue("edge", MINUTE)
        assert list(unit.versions("p1")) == []
        assert list(unit.open_alerts("edge", 0)) == []
        assert unit.alerts(AlertQuery()).items == ()
        assert unit.patterns(PatternQuery()).next is None


def test_a_window_comes_back_exactly(store: Store) -> None:
    record = a_record()
    with store.begin() as unit:
        unit.add_window(record)
    with store.read() as reader:
        stored = reader.window(record.counts.id)
        assert stored is not None
        assert stored.counts.digest() == record.counts.digest()
        assert stored.counts.exact is record.counts.exact
        assert (stored.digest, stored.patterns, stored.alerts) == (record.digest, ("p1",), ("a1", "a2"))
        assert reader.window_digest(record.counts.id) == record.digest


def test_a_window_is_added_once(store: Store) -> None:
    record = a_record()
    with store.begin() as unit:
        unit.add_window(record)
    with pytest.raises(WindowConflictError, match=record.counts.id), store.begin() as unit:
        unit.add_window(a_record(patterns=("other",)))
    with store.read() as reader:
        stored = reader.window(record.counts.id)
        assert stored is not None
        assert stored.patterns == ("p1",)


@given(sensor=st.text(min_size=1).filter(str.isprintable))
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sensor_keeps_its_name(store: Store, sensor: str) -> None:
    record = a_record(sensor=sensor)
    alert, pattern = an_alert(id=f"a{sensor}", sensor=sensor), a_pattern(id=f"p{sensor}", sensor=sensor)
    with store.begin() as unit:
        if unit.window_digest(record.counts.id) is None:
            unit.add_window(record)
        unit.save_alerts([alert])
        unit.save_patterns([pattern])
    with store.read() as reader:
        stored = reader.window(record.counts.id)
        assert stored is not None
        assert stored.counts.sensor == sensor
        assert stored.counts.digest() == record.digest
        assert list(reader.open_alerts(sensor, 0)) == [alert]
        assert reader.catalogue(sensor, MINUTE).patterns == (pattern,)
        assert reader.alerts(AlertQuery(sensor=sensor)).items == (alert,)
        assert reader.patterns(PatternQuery(sensor=sensor)).items == (pattern,)


# Transactions


def test_a_block_that_raises_changes_nothing(store: Store) -> None:
    old_alert, old_pattern = an_alert(), a_pattern()
    with store.begin() as unit:
        unit.save_alerts([old_alert])
        unit.save_patterns([old_pattern])

    def write_and_fail(unit: Unit) -> None:
        unit.add_window(a_record())
        unit.save_alerts([an_alert(reason="changed", sources=("203.0.113.9",)), an_alert(id="a2")])
        unit.save_patterns([a_pattern(name="changed"), a_pattern(id="p2")])
        raise BrokenOffError

    with pytest.raises(BrokenOffError), store.begin() as unit:
        write_and_fail(unit)
    with store.read() as reader:
        assert reader.window(a_window().id) is None
        assert reader.alerts(AlertQuery()).items == (old_alert,)
        assert all_alerts(reader, AlertQuery(source="203.0.113.9")) == []
        assert reader.patterns(PatternQuery()).items == (old_pattern,)


def test_the_store_goes_on_after_a_block_that_raised(store: Store) -> None:
    with pytest.raises(BrokenOffError), store.begin():
        raise BrokenOffError
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    with store.read() as reader:
        assert all_alerts(reader) == ["a1"]


def test_a_unit_reads_its_own_writes(store: Store) -> None:
    record = a_record()
    with store.begin() as unit:
        unit.add_window(record)
        unit.save_alerts([an_alert()])
        unit.save_alerts([an_alert(reason="later")])
        unit.save_patterns([a_pattern()])
        assert unit.window_digest(record.counts.id) == record.digest
        assert [alert.reason for alert in unit.alerts(AlertQuery(source="192.0.2.1")).items] == ["later"]
        assert unit.pattern("p1") == a_pattern()


def test_readers_see_nothing_unfinished_and_wait_for_nobody(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
        with store.read() as reader:
            assert all_alerts(reader) == []
    with store.read() as reader:
        assert all_alerts(reader) == ["a1"]


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    with store.read() as reader:
        assert reader.alert("a1") is not None
        with store.begin() as unit:
            unit.save_alerts([an_alert(id="a2")])
            unit.save_alerts([an_alert(reason="changed")])
        assert all_alerts(reader) == ["a1"]
        assert reader.alert("a1") == an_alert()


def test_writers_follow_one_another(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])

    def lengthen(times: int) -> None:
        for _ in range(times):
            with store.begin() as unit:
                alert = unit.alert("a1")
                assert alert is not None
                # Let the other threads come in between, if they can.
                time.sleep(0.0002)
                unit.save_alerts([an_alert(last_seen=alert.last_seen + 1)])

    threads = [threading.Thread(target=lengthen, args=(20,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as reader:
        alert = reader.alert("a1")
        assert alert is not None
        assert alert.last_seen == an_alert().last_seen + 60


# Alerts and patterns


@pytest.mark.parametrize("kind", list(Kind))
def test_an_alert_comes_back_exactly(store: Store, kind: Kind) -> None:
    alert = an_alert(kind=kind, sources=("192.0.2.1", "2001:db8::1"), pattern=None, score=0.1 + 0.2, threshold=0.1)
    with store.begin() as unit:
        unit.save_alerts([alert])
    with store.read() as reader:
        assert reader.alert("a1") == alert
        assert reader.alerts(AlertQuery()).items == (alert,)
        assert list(reader.open_alerts("edge", 0)) == [alert]


def test_a_pattern_comes_back_exactly(store: Store) -> None:
    pattern = a_pattern(services=(("tcp/1", 1e-300),), members=())
    with store.begin() as unit:
        unit.save_patterns([pattern])
    with store.read() as reader:
        assert reader.pattern("p1") == pattern
        assert reader.patterns(PatternQuery()).items == (pattern,)


def test_saving_nothing_is_allowed(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([])
        unit.save_patterns([])
    with store.read() as reader:
        assert all_alerts(reader) == []


def test_what_is_replaced_keeps_its_place(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts(an_alert(id=name) for name in ("a1", "a2", "a3"))
        unit.save_patterns(a_pattern(id=name) for name in ("p1", "p2", "p3"))
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="a2", reason="changed"), an_alert(id="a1")])
        unit.save_patterns([a_pattern(id="p2", name="changed")])
    with store.read() as reader:
        alerts, patterns = reader.alerts(AlertQuery()), reader.patterns(PatternQuery())
        assert ids(alerts) == ["a3", "a2", "a1"]
        assert alerts.items[1].reason == "changed"
        assert ids(patterns) == ["p3", "p2", "p1"]
        assert patterns.items[1].name == "changed"
        assert [pattern.id for pattern in reader.catalogue("edge", MINUTE).patterns] == ["p1", "p2", "p3"]
        assert [alert.id for alert in reader.open_alerts("edge", 0)] == ["a1", "a2", "a3"]


def test_the_last_of_two_with_one_id_counts(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert(reason="first", sources=("192.0.2.9",)), an_alert(reason="second")])
        unit.save_patterns([a_pattern(name="first"), a_pattern(name="second")])
    with store.read() as reader:
        assert [alert.reason for alert in reader.alerts(AlertQuery()).items] == ["second"]
        assert [pattern.name for pattern in reader.patterns(PatternQuery()).items] == ["second"]
        assert all_alerts(reader, AlertQuery(source="192.0.2.9")) == []


def test_open_alerts_are_those_of_the_sensor_that_may_go_on(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts(
            [
                an_alert(id="old", last_seen=START + 9),
                an_alert(id="now", last_seen=START + 10),
                an_alert(id="slow", last_seen=START, scale=GAP + 10),
                an_alert(id="elsewhere", sensor="core", last_seen=START + 10),
            ]
        )
    with store.read() as reader:
        assert [alert.id for alert in reader.open_alerts("edge", START + 10 + GAP)] == ["now", "slow"]


def test_a_catalogue_holds_the_patterns_of_one_sensor_and_length(store: Store) -> None:
    ours = [a_pattern(id="p1", last_seen=START + 2), a_pattern(id="p2", windows=2, last_seen=START + 1)]
    with store.begin() as unit:
        unit.save_patterns([*ours, a_pattern(id="far", sensor="core"), a_pattern(id="long", length=60 * MINUTE)])
    with store.read() as reader:
        assert reader.catalogue("edge", MINUTE).patterns == tuple(ours)
        assert [pattern.id for pattern in reader.catalogue("edge", 60 * MINUTE).patterns] == ["long"]


def test_hushed_patterns_are_those_of_the_sensor_that_a_person_said_are_harmless(store: Store) -> None:
    ours = [
        a_pattern(id="benign", status=Status.BENIGN, last_seen=START + 1),
        a_pattern(id="muted", status=Status.MUTED, last_seen=START + 2, length=60 * MINUTE),
        a_pattern(id="known", status=Status.KNOWN),
    ]
    with store.begin() as unit:
        unit.save_patterns([*ours, a_pattern(id="far", sensor="core", status=Status.MUTED)])
        assert unit.hushed_patterns("edge") == [ours[1], ours[0]]
        unit.save_patterns([replace(ours[1], status=Status.KNOWN)])
    with store.read() as reader:
        assert reader.hushed_patterns("edge") == [ours[0]]
        assert reader.hushed_patterns("elsewhere") == []


def test_a_catalogue_remembers_so_many_and_those_seen_last(store: Store) -> None:
    recurring = [a_pattern(id=f"r{n}", windows=2, last_seen=START + n) for n in range(MOST_RECURRING + 2)]
    single = [a_pattern(id=f"s{n}", last_seen=START + 10**6 + n) for n in range(MOST_SINGLE + 3)]
    with store.begin() as unit:
        unit.save_patterns([*single, *recurring])
    with store.read() as reader:
        kept = reader.catalogue("edge", MINUTE).patterns
    assert kept == (*single[3:], *recurring[2:])


def test_an_update_is_stored_whole(store: Store) -> None:
    pattern = a_pattern(state=State.MERGED, successor="p2", parents=("p3",), at_birth=(("tcp/23", 1.0),))
    judged, version = judge(pattern, Status.MUTED, START)
    after = Catalogue("edge", MINUTE, 7, (judged,))
    with store.begin() as unit:
        unit.save_catalogue(Update(after, [], (judged,), (version,)))
        assert unit.catalogue("edge", MINUTE) == after
    with store.read() as reader:
        assert reader.catalogue("edge", MINUTE) == after
        assert list(reader.versions("p1")) == [version]
        assert reader.catalogue("edge", 2 * MINUTE).windows == 0


def test_of_the_versions_the_latest_are_kept(store: Store) -> None:
    pattern = a_pattern()
    others = a_pattern(id="p2")
    for number in range(MOST_VERSIONS + 5):
        pattern, version = judge(pattern, Status.MUTED if number % 2 else Status.BENIGN, START + number)
        with store.begin() as unit:
            unit.save_patterns([pattern, others], [version, judge(others, Status.KNOWN, START)[1]])
    with store.read() as reader:
        numbers = [version.version for version in reader.versions("p1")]
        assert [version.version for version in reader.versions("p2")] == [others.version + 1]
    assert numbers == list(range(pattern.version - MOST_VERSIONS + 1, pattern.version + 1))


def test_patterns_belong_to_a_sensor(store: Store) -> None:
    with store.begin() as unit:
        unit.save_patterns([a_pattern(id="p1"), a_pattern(id="p2", sensor="core")])
    with store.read() as reader:
        assert [pattern.id for pattern in reader.catalogue("core", MINUTE).patterns] == ["p2"]
        assert ids(reader.patterns(PatternQuery(sensor="edge"))) == ["p1"]


MIXED = [
    an_alert(
        id=f"a{number}",
        kind=kind,
        sensor=sensor,
        sources=sources,
        first_seen=START + number * MINUTE // 2,
        last_seen=START + number * MINUTE,
        services=("tcp/22",) if number % 2 else ("tcp/23", "tcp/80"),
        pattern="p1" if number % 3 else None,
        score=25.0 + 4 * number,
    )
    for number, (kind, sensor, sources) in enumerate(
        (kind, sensor, sources)
        for kind in (Kind.VERTICAL, Kind.BLOCK)
        for sensor in ("edge", "core")
        for sources in (("192.0.2.1",), ("2001:db8::1", "192.0.2.1"), ("192.0.2.2",))
    )
]


def within(network: str, source: str) -> bool:
    """Tell whether an address lies in a network, as Python's own module sees it; ::/0 holds IPv4 too."""
    return network == "::/0" or ip_address(source) in ip_network(network)


QUERIES = st.builds(
    AlertQuery,
    kind=st.sampled_from([None, *Kind]),
    source=st.sampled_from([None, "192.0.2.1", "2001:db8::1", "192.0.2.2/31", "192.0.0.0/16", "2000::/3", "::/0"]),
    since=st.none() | st.integers(START - 1, START + 13 * MINUTE),
    sensor=st.sampled_from([None, "edge", "core", "none"]),
    limit=st.integers(1, 13),
    until=st.none() | st.integers(START - 1, START + 13 * MINUTE),
    service=st.sampled_from([None, "tcp/22", "tcp/80", "tcp/2"]),
    pattern=st.sampled_from([None, "p1", "p2"]),
    least=st.sampled_from([None, 1.0, 1.66, 2.0]),
)


@given(query=QUERIES)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_filters_combine_and_pages_join(store: Store, query: AlertQuery) -> None:
    with store.begin() as unit:
        if unit.alert(MIXED[0].id) is None:
            unit.save_alerts(MIXED)
    wanted = [
        alert
        for alert in reversed(MIXED)
        if query.kind in (None, alert.kind)
        and (query.source is None or any(within(query.source, mine) for mine in alert.sources))
        and (query.since is None or alert.last_seen >= query.since)
        and (query.until is None or alert.first_seen < query.until)
        and query.sensor in (None, alert.sensor)
        and (query.service is None or query.service in alert.services)
        and query.pattern in (None, alert.pattern)
        and (query.least is None or alert.excess >= query.least)
    ]
    listed: list[Alert] = []
    cursor = None
    with store.read() as reader:
        while True:
            page = reader.alerts(replace(query, cursor=cursor))
            listed += page.items
            cursor = page.next
            if cursor is None:
                break
            assert len(page.items) == query.limit
    assert listed == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (PatternQuery(status=Status.BENIGN), ["p2"]),
        (PatternQuery(state=State.RETIRED), ["p1"]),
        (PatternQuery(service="tcp/22"), ["p2", "p1", "p0"]),
        (PatternQuery(service="tcp/2"), []),
        (PatternQuery(service="tcp/2%"), []),
        (PatternQuery(service="udp/53"), ["p3"]),
        (PatternQuery(sensor="core", state=State.LIVE), ["p3"]),
    ],
)
def test_filters_of_patterns(store: Store, query: PatternQuery, wanted: list[str]) -> None:
    with store.begin() as unit:
        unit.save_patterns([a_pattern(id=f"p{number}", status=Status.KNOWN) for number in range(3)])
        unit.save_patterns([a_pattern(id="p1", state=State.RETIRED), a_pattern(id="p2", status=Status.BENIGN)])
        unit.save_patterns([a_pattern(id="p3", sensor="core", services=(("udp/53", 1.0),), service_count=1)])
    with store.read() as reader:
        assert ids(reader.patterns(query)) == wanted


# Pages


def test_a_page_that_ends_with_the_last_row_is_the_last(store: Store) -> None:
    with store.begin() as unit:
        unit.save_patterns(a_pattern(id=f"p{number}") for number in range(4))
    with store.read() as reader:
        first = reader.patterns(PatternQuery(limit=2))
        second = reader.patterns(PatternQuery(limit=2, cursor=first.next))
        assert ids(first) == ["p3", "p2"]
        assert ids(second) == ["p1", "p0"]
        assert second.next is None
        assert reader.patterns(PatternQuery(limit=4)).next is None


def test_pages_stay_in_step_while_rows_are_added(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts(an_alert(id=f"a{number}") for number in range(6))
    listed: list[str] = []
    cursor = None
    for number in range(3):
        with store.read() as reader:
            page = reader.alerts(AlertQuery(limit=2, cursor=cursor))
        listed += ids(page)
        cursor = page.next
        with store.begin() as unit:
            unit.save_alerts([an_alert(id=f"new{number}"), an_alert(id="a0", reason=f"changed {number}")])
    assert listed == ["a5", "a4", "a3", "a2", "a1", "a0"]
    assert cursor is None


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(NotFoundError, match="cursor"):
        yield


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", "é", "=", "YWxlcnRzOg", "YWxlcnRzOi0x", "YWxlcnRzOjE=", "A" * 10_000, "\0"]
)
def test_a_bad_cursor_is_refused(store: Store, cursor: str) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    with store.read() as reader:
        with refused():
            reader.alerts(AlertQuery(cursor=cursor))
        with refused():
            reader.patterns(PatternQuery(cursor=cursor))


def test_a_cursor_of_another_listing_is_refused(store: Store) -> None:
    with store.begin() as unit:
        unit.save_patterns(a_pattern(id=f"p{number}") for number in range(3))
    with store.read() as reader:
        page = reader.patterns(PatternQuery(limit=1))
        assert page.next is not None
        with refused():
            reader.alerts(AlertQuery(cursor=page.next))


def test_open_alerts_of_some_sources(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert(id=f"a{i}", sources=(f"192.0.2.{i % 3}", "192.0.2.9")) for i in range(6)])
        unit.save_alerts([an_alert(id="a4", sources=("192.0.2.1", "192.0.2.9"), score=99.0)])
    with store.read() as reader:

        def found(*sources: str) -> list[str]:
            return [alert.id for alert in reader.open_alerts("edge", 0, sources)]

        assert found("192.0.2.1") == ["a1", "a4"]
        assert found("192.0.2.1", "192.0.2.0", "203.0.113.1") == ["a0", "a1", "a3", "a4"]
        assert found("192.0.2.9") == ["a0", "a1", "a2", "a3", "a4", "a5"]
        assert found() == []
        assert reader.open_alerts("edge", 0, ["192.0.2.1"])[1].score == 99.0


def test_alerts_are_found_by_their_sources_once_they_are_named(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert(sources=("192.0.2.1",))], named=False)
        later = an_alert(sources=("192.0.2.1",), reason="later", services=("tcp/80",))
        unit.save_alerts([later], named=False)
        unit.name_alerts([later])
    with store.read() as reader:
        assert reader.open_alerts("edge", START, ["192.0.2.1"]) == [later]
        assert reader.alerts(AlertQuery(service="tcp/80")).items == (later,)
        assert reader.alerts(AlertQuery(service="tcp/23")).items == ()


def test_alerts_on_the_allow_list_are_listed_apart(store: Store) -> None:
    with store.begin() as unit:
        unit.save_alerts([an_alert(id="told"), an_alert(id="allowed", allowed_by="192.0.2.1")])
    with store.read() as reader:
        assert [alert.id for alert in reader.alerts(AlertQuery()).items] == ["told"]
        assert [alert.id for alert in reader.alerts(AlertQuery(allowed=True)).items] == ["allowed"]
        assert [alert.id for alert in reader.open_alerts("edge", 0)] == ["told", "allowed"]


def test_memories_are_replaced_and_apart_by_sensor_length_and_part(store: Store) -> None:
    key, other = MemoryKey("edge", 600, Part.GROUPS), MemoryKey("edge", 600, Part.COMPONENTS)
    longer, elsewhere = MemoryKey("edge", 3600, Part.GROUPS), MemoryKey("core", 600, Part.GROUPS)
    with store.begin() as unit:
        assert unit.memory(key) is None
        assert unit.memory_window(key) is None
        unit.save_memory(key, Memory("w1", b"one"))
        unit.save_memory(longer, Memory("w2", b"\x00two"))
        unit.save_memory(elsewhere, Memory("w3", b"three"))
        unit.save_memory(other, Memory("w5", b"five"))
        unit.save_memory(key, Memory("w4", b"four"))
    with store.read() as reader:
        assert reader.memory(key) == Memory("w4", b"four")
        assert reader.memory(other) == Memory("w5", b"five")
        assert reader.memory(longer) == Memory("w2", b"\x00two")
        assert reader.memory_window(elsewhere) == "w3"
