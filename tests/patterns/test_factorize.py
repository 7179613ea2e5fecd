from __future__ import annotations

import numpy as np
import pytest

from service.capture.services import format_service
from service.patterns import factorize
from service.patterns.factorize import FactorizationSpec, PatternFinder, Shape
from service.patterns.forms import named_form
from service.windows.matrix import count_matrix
from tests.traffic import Try, ports, sweep, window

SPEC = FactorizationSpec()


def names(shape: Shape) -> set[str]:
    return {format_service(code) for code in shape.services.tolist()}


def shapes_of(tries: list[Try]) -> list[Shape]:
    return PatternFinder(SPEC).find(count_matrix(window(tries)))


def test_two_campaigns_become_two_patterns_with_their_sources() -> None:
    telnet = [t for i in range(1, 9) for s in ("tcp/23", "tcp/2323") for t in sweep(f"10.1.0.{i}", s, 5)]
    windows = [t for i in range(1, 6) for s in ("tcp/135", "tcp/445") for t in sweep(f"10.2.0.{i}", s, 5)]
    first, second = shapes_of(telnet + windows)
    assert names(first) == {"tcp/23", "tcp/2323"}
    assert sorted(first.sources.tolist()) == list(range(8))
    assert names(second) == {"tcp/135", "tcp/445"}
    assert sorted(second.sources.tolist()) == list(range(8, 13))
    assert first.shares == pytest.approx(np.ones(8), abs=0.02)


def test_weights_sum_to_one_and_fall() -> None:
    for shape in shapes_of(ports("10.0.0.66", "10.0.0.1", 300) + sweep("10.0.0.7", "tcp/443", 90)):
        assert shape.weights.sum() == pytest.approx(1.0)
        assert (np.diff(shape.weights) <= 0).all()
        assert (shape.shares > 0).all()
        assert (shape.shares <= 1).all()


def test_a_source_with_two_habits_follows_both() -> None:
    alone = [t for i in range(1, 6) for t in sweep(f"10.1.0.{i}", "tcp/22", 10)]
    others = [t for i in range(1, 6) for t in sweep(f"10.2.0.{i}", "udp/161", 10)]
    both = sweep("10.9.9.9", "tcp/22", 10) + sweep("10.9.9.9", "udp/161", 10)
    found = shapes_of(alone + others + both)
    assert sum(10 in shape.sources.tolist() for shape in found) == 2


def test_one_attempt_is_one_pattern() -> None:
    (shape,) = shapes_of([Try("10.0.0.1", "10.0.0.2", "tcp/80")])
    assert names(shape) == {"tcp/80"}
    assert shape.shares.tolist() == pytest.approx([1.0])


def test_a_window_without_attempts_has_no_patterns() -> None:
    assert shapes_of([]) == []


def test_the_rank_has_a_cap() -> None:
    many = [Try(f"10.0.{i}.1", "10.0.0.1", f"tcp/{i}") for i in range(1, 100)]
    assert len(PatternFinder(FactorizationSpec(cap=5)).find(count_matrix(window(many)))) <= 5


def test_the_same_window_gives_the_same_patterns() -> None:
    tries = ports("10.0.0.66", "10.0.0.1", 100) + sweep("10.0.0.7", "tcp/443", 90)
    for one, other in zip(shapes_of(tries), shapes_of(tries), strict=True):
        assert np.array_equal(one.weights, other.weights)
        assert np.array_equal(one.sources, other.sources)


def test_of_too_many_sources_the_busiest_are_factorised() -> None:
    quiet = [Try(f"10.3.{i // 200}.{i % 200 + 1}", "10.0.0.1", f"udp/{1000 + i}") for i in range(300)]
    busy = [t for i in range(1, 5) for t in sweep(f"10.9.9.{i}", "tcp/445", 30)]
    counts = window(quiet + busy)
    (shape,) = PatternFinder(FactorizationSpec(sources=4)).find(count_matrix(counts))
    assert names(shape) == {"tcp/445"}
    assert sorted(shape.sources.tolist()) == [300, 301, 302, 303]


def telnet(net: int) -> list[Try]:
    return [t for i in range(1, 9) for s in ("tcp/23", "tcp/2323") for t in sweep(f"10.{net}.0.{i}", s, 5)]


def smb(net: int) -> list[Try]:
    return [t for i in range(1, 6) for s in ("tcp/135", "tcp/445") for t in sweep(f"10.{net}.1.{i}", s, 5)]


def test_windows_of_new_sources_and_services_go_on_with_what_is_known() -> None:
    finder = PatternFinder(SPEC)
    for net in range(1, 8):
        tries = telnet(net) + smb(net) + [Try(f"10.{net}.9.9", "10.0.0.1", f"udp/{1000 + net}")] * (net % 2)
        shapes = finder.find(count_matrix(window(tries)))
        assert [names(shape) for shape in shapes[:2]] == [{"tcp/23", "tcp/2323"}, {"tcp/135", "tcp/445"}]


def test_a_pattern_that_comes_later_is_found_beside_those_that_are_known() -> None:
    finder = PatternFinder(SPEC)
    finder.find(count_matrix(window(telnet(1))))
    found = [names(shape) for shape in finder.find(count_matrix(window(telnet(2) + smb(2))))]
    assert found == [{"tcp/23", "tcp/2323"}, {"tcp/135", "tcp/445"}]
    assert finder.find(count_matrix(window([]))) == []


def test_what_is_known_takes_its_rows_and_the_rest_is_found_beside_it() -> None:
    known = [named_form([("tcp/23", 0.5), ("tcp/2323", 0.5)]), named_form([("udp/9", 1.0)])]
    tries = telnet(1) + smb(1) + [Try("10.9.9.9", "10.0.0.1", "icmp/echo")]
    found = PatternFinder(SPEC).find(count_matrix(window(tries)), known)
    assert [names(shape) for shape in found] == [{"tcp/23", "tcp/2323"}, {"tcp/135", "tcp/445"}, {"icmp/echo"}]


def test_one_service_alone_is_no_pair_of_which_the_other_is_missing() -> None:
    known = [named_form([("tcp/23", 0.5), ("tcp/2323", 0.5)])]
    tries = [t for i in range(1, 5) for t in sweep(f"10.1.0.{i}", "tcp/23", 5)]
    (shape,) = PatternFinder(SPEC).find(count_matrix(window(tries)), known)
    assert shape.shares == pytest.approx(np.ones(4))


def test_few_sources_that_do_alike_are_a_pattern_whatever_the_rank() -> None:
    sets = [(p, p + 1, p + 2) for p in range(1, 91, 3)]
    tries = [
        Try(f"10.{at}.0.{i}", "10.0.0.1", f"tcp/{port}")
        for at, ports_of in enumerate(sets)
        for i in range(1, 4)
        for port in ports_of
    ]
    found = PatternFinder(FactorizationSpec(cap=4)).find(count_matrix(window(tries)))
    assert sorted(sorted(names(shape)) for shape in found) == sorted(
        sorted(f"tcp/{port}" for port in ports_of) for ports_of in sets
    )
    assert {len(shape.sources) for shape in found} == {3}


def test_of_many_strangers_a_sample_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factorize, "_ASKED", 6)
    tries = [Try(f"10.0.0.{i}", "10.0.0.1", "tcp/445") for i in range(1, 41)]
    (shape,) = PatternFinder(SPEC).find(count_matrix(window(tries)))
    assert len(shape.sources) == 40


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = telnet(1) + smb(1) + sweep("10.9.9.9", "tcp/23", 9) + sweep("10.9.9.9", "tcp/445", 9)
    matrix = count_matrix(window(tries))
    whole = PatternFinder(SPEC).find(matrix)
    monkeypatch.setattr(factorize, "_BLOCK", 2)
    for one, other in zip(whole, PatternFinder(SPEC).find(matrix), strict=True):
        assert np.array_equal(one.services, other.services)
        assert np.array_equal(one.sources, other.sources)
        assert one.shares == pytest.approx(other.shares)
