from __future__ import annotations

from service.patterns.catalogue import Followers, identify
from service.patterns.factorize import FactorizationSpec, PatternFinder
from service.patterns.pattern import Pattern
from service.windows.matrix import count_matrix
from tests.traffic import SECOND, START, Try, ports, sweep, window

MINUTE = 60 * SECOND


def found(tries: list[Try], start: int = START, known: list[Pattern] | None = None) -> list[Followers]:
    counts = window(tries, start=start)
    return identify(counts, PatternFinder(FactorizationSpec()).find(count_matrix(counts)), known or [])


def campaign(net: int, services: tuple[str, ...], targets: int = 5) -> list[Try]:
    return [t for i in range(1, 7) for s in services for t in sweep(f"10.{net}.0.{i}", s, targets)]


def test_a_pattern_keeps_its_id_while_sources_and_order_change() -> None:
    first = [f.pattern for f in found(campaign(1, ("tcp/23", "tcp/2323")) + campaign(2, ("tcp/445",), 9))]
    later = [
        f.pattern
        for f in found(campaign(4, ("tcp/445",), 40) + campaign(3, ("tcp/23", "tcp/2323")), START + MINUTE, first)
    ]
    ids = {frozenset(name for name, _ in p.services): p.id for p in first}
    assert {frozenset(name for name, _ in p.services): p.id for p in later} == ids
    assert {p.windows for p in later} == {2}
    assert {(p.first_seen, p.last_seen) for p in later} == {(START, START + 2 * MINUTE)}


def test_other_services_are_another_pattern() -> None:
    first = [f.pattern for f in found(campaign(1, ("tcp/23", "tcp/2323")))]
    (other,) = found(campaign(1, ("tcp/22", "tcp/2222")), START + MINUTE, first)
    assert other.pattern.id != first[0].id
    assert other.pattern.windows == 1


def test_two_shapes_never_share_an_id() -> None:
    first = [f.pattern for f in found(campaign(1, ("tcp/23",)))]
    ids = [f.pattern.id for f in found(campaign(1, ("tcp/23",)) + campaign(2, ("tcp/445",)), START + MINUTE, first)]
    assert len(set(ids)) == 2
    assert first[0].id in ids


def test_members_are_named_with_the_share_that_is_explained() -> None:
    (only,) = found(sweep("10.0.0.66", "tcp/445", 50))
    assert only.pattern.members == (("10.0.0.66", 1.0),)
    assert only.shares == {0: 1.0}
    assert only.pattern.member_count == 1


def test_large_patterns_are_listed_in_part_and_counted_whole() -> None:
    (only,) = found(ports("10.0.0.66", "10.0.0.1", 1000))
    assert only.pattern.service_count == 1000
    assert len(only.pattern.services) == 256
    assert only.pattern.name == "1000 tcp services"


def test_small_patterns_are_named_by_their_services() -> None:
    (only,) = found(campaign(1, ("tcp/23", "tcp/2323")))
    assert only.pattern.name == "tcp/23 50% + tcp/2323 50%"
    (single,) = found(sweep("10.0.0.66", "tcp/445", 50))
    assert single.pattern.name == "tcp/445"
