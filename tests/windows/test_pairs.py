from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.batch import AttemptBatch
from service.capture.services import means, parse_service
from service.windows.budget import Budget
from service.windows.counts import Shed
from service.windows.kernels.sorting import MEANS_SHIFT, NOTE, NUMBER_SHIFT, by_target, grouped, numbered
from service.windows.pairs import Pairs, PairTable
from tests.reference import Told
from tests.windows.counting import attempts_batch

SOURCES = [f"192.0.2.{i}" for i in range(1, 4)]
TARGETS = [f"10.0.{i // 200}.{i % 200}" for i in range(700)] + ["239.255.255.255", "0.0.0.1"]
SERVICES = ["tcp/0", "tcp/65535", "udp/0", "udp/53", "icmp/echo", "icmp6/echo", "arp/request", "sctp/9", "ip/255"]

Key = tuple[int, int, int]


def told(count: int, seed: int, outcomes: list[str]) -> list[Told]:
    random = Random(seed)
    return [
        Told(
            random.randrange(-5, 10**18),
            random.choice(SOURCES),
            random.choice(TARGETS),
            random.choice(SERVICES),
            random.choice(outcomes),
        )
        for _ in range(count)
    ]


def keys(pairs: Pairs) -> list[Key]:
    return list(zip(pairs.source.tolist(), pairs.target.tolist(), pairs.service.tolist(), strict=True))


def key_of(one: Told) -> Key:
    batch = attempts_batch([one])
    return int(batch.source[0]), int(batch.target[0]), parse_service(one.service)


@pytest.mark.parametrize("size", [1, 700, 20_000])
def test_many_pairs_are_counted_exactly_however_the_table_grows(size: int) -> None:
    rows = told(20_000, 3, ["attempt"] * 8 + ["answered", "refused", "expired"])
    table = PairTable(Budget(1 << 20))
    for begin in range(0, 2000 if size == 1 else len(rows), size):
        table.add(attempts_batch(rows[begin : begin + size]))
    taken = rows[:2000] if size == 1 else rows
    tries: Counter[Key] = Counter()
    marks: dict[str, set[Key]] = {"answered": set(), "refused": set(), "expired": set()}
    times: dict[Key, list[int]] = {}
    for one in taken:
        key = key_of(one)
        if one.outcome == "attempt":
            tries[key] += 1
            times.setdefault(key, []).append(one.time)
        elif key in tries:
            marks[one.outcome].add(key)
    pairs = table.pairs()
    found = keys(pairs)
    assert len(found) == len(set(found))
    assert dict(zip(found, pairs.tries.tolist(), strict=True)) == tries
    assert {key for key, yes in zip(found, pairs.answered.tolist(), strict=True) if yes} == marks["answered"]
    assert {key for key, yes in zip(found, pairs.expired.tolist(), strict=True) if yes} == marks["expired"]
    assert dict(zip(found, pairs.first.tolist(), strict=True)) == {key: min(seen) for key, seen in times.items()}
    assert dict(zip(found, pairs.last.tolist(), strict=True)) == {key: max(seen) for key, seen in times.items()}
    assert table.shed == Shed()


@pytest.mark.parametrize("most", [2, 3, 511, 512, 513, 600, 1024, 1025])
def test_a_full_table_accounts_for_what_it_leaves_out(most: int) -> None:
    rows = told(6000, 4, ["attempt"])
    table = PairTable(Budget(most))
    for begin in range(0, len(rows), 1000):
        table.add(attempts_batch(rows[begin : begin + 1000]))
    pairs = table.pairs()
    assert 0 < len(keys(pairs)) <= most
    assert set(keys(pairs)) <= {key_of(one) for one in rows}
    assert int(pairs.tries.sum()) + table.shed.attempts + table.shed.sampled == 6000
    assert table.shed.attempts + table.shed.sampled > 0


@pytest.mark.parametrize(("most", "each"), [(512, 48), (1024, 48), (2048, 48), (514, 64), (1500, 64)])
def test_memory_is_bounded(most: int, each: int) -> None:
    table = PairTable(Budget(most))
    table.add(attempts_batch(told(8000, 5, ["attempt"])))
    assert table.shed.attempts + table.shed.sampled > 0
    assert table._places.nbytes + table._rows.nbytes <= each * most <= table._budget.bytes


def test_an_outcome_without_its_attempt_counts_nothing() -> None:
    table = PairTable(Budget(4))
    table.add(attempts_batch([Told(0, SOURCES[0], TARGETS[0], "tcp/1", "answered")]))
    table.add(attempts_batch([Told(0, SOURCES[0], TARGETS[1], "tcp/1", "attempt")]))
    assert table.pairs().answered.tolist() == [False]
    assert table.shed == Shed()


numbers = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 5), max_size=60)


@given(numbers, st.sampled_from([1, 50]))
@settings(deadline=None, derandomize=True)
def test_values_are_numbered_as_numpy_does(values: list[int], times: int) -> None:
    column = np.array(values * times, np.uint32)
    distinct, number = numbered(column)
    wanted, inverse = np.unique(column, return_inverse=True)
    np.testing.assert_array_equal(distinct, wanted)
    np.testing.assert_array_equal(number, inverse)


@given(numbers, st.randoms(use_true_random=False), st.sampled_from([1, 50]))
@settings(deadline=None, derandomize=True)
def test_pairs_are_ordered_as_numpy_orders_them(values: list[int], random: Random, times: int) -> None:
    target = np.array(values * times, np.uint32)
    number = np.array([random.randrange(5) for _ in target], np.int64)
    service = np.array([random.randrange(7) << 16 | random.randrange(1 << 16) for _ in target], np.int32)
    note = np.array([random.randrange(4) for _ in target], np.uint8)
    words = by_target(number, target, service, note)
    by = means(service)
    order = np.lexsort((target, by, number))
    np.testing.assert_array_equal(words >> NUMBER_SHIFT, number[order])
    np.testing.assert_array_equal(words >> MEANS_SHIFT & 3, by[order])
    np.testing.assert_array_equal(words >> 2 & 0xFFFFFFFF, target[order])
    noted = Counter(zip(number, by, target, note, strict=True))
    found = zip(words >> NUMBER_SHIFT, words >> MEANS_SHIFT & 3, words >> 2 & 0xFFFFFFFF, words & NOTE, strict=True)
    assert Counter(found) == noted


@given(numbers, st.randoms(use_true_random=False), st.sampled_from([1, 50]))
@settings(deadline=None, derandomize=True)
def test_pairs_are_grouped_as_numpy_does(values: list[int], random: Random, times: int) -> None:
    number = np.array(values * times, np.int64) % 1000
    service = np.array([random.randrange(5) << 16 | random.randrange(3) for _ in number], np.int32)
    found, services, group = grouped(number, service, 1000)
    keys, inverse = np.unique(number << 32 | service, return_inverse=True)
    np.testing.assert_array_equal(found.astype(np.int64) << 32 | services, keys)
    np.testing.assert_array_equal(group, inverse)


def test_an_empty_table() -> None:
    assert len(PairTable(Budget(2)).pairs().source) == 0


def by_chance(rng: np.random.Generator, count: int) -> AttemptBatch:
    return replace(
        AttemptBatch.room(count),
        time=np.arange(count),
        source=rng.integers(1 << 31, size=count, dtype=np.uint32),
        target=rng.integers(1 << 31, size=count, dtype=np.uint32),
        service=np.full(count, 23, np.int32),
        outcome=np.zeros(count, np.uint8),
        tools=np.zeros(count, np.uint8),
    )


def test_what_full_tables_have_left_does_not_crowd_the_places_of_their_sum() -> None:
    rng = np.random.default_rng(7)
    united = PairTable(Budget(1 << 13))
    for _ in range(8):
        full = PairTable(Budget(1 << 12))
        for _ in range(7):
            full.add(by_chance(rng, 1000))
        left = full.within(Budget(1 << 10))
        left.pack()
        united.merge(left)
    taken = np.flatnonzero(united._places)
    assert len(taken) > 6000
    runs = np.split(taken, np.flatnonzero(np.diff(taken) > 1) + 1)
    assert max(map(len, runs)) < 100
