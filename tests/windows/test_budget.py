"""What is kept of a window that is too full, and how well it still tells what went on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.capture.batch import AttemptBatch, Outcome
from service.capture.services import Protocol, service_code
from service.windows.budget import Budget, relieve, sample_ranks
from service.windows.close import WindowName, close_window
from service.windows.counts import WindowCounts
from service.windows.pairs import Pairs, PairTable
from tests.windows.counting import HOSTS

TELNET = service_code(Protocol.TCP, 23)
SCANNER, VERTICAL, BLOCK = 0x0A000001, 0x0A000002, 0x0A000003


Numbers = NDArray[np.int64] | int


def attempts(source: Numbers, target: Numbers, service: Numbers) -> AttemptBatch:
    n = max(np.size(source), np.size(target), np.size(service))
    return AttemptBatch(
        time=np.arange(n, dtype=np.int64),
        source=np.broadcast_to(np.asarray(source), n).astype(np.uint32),
        target=np.broadcast_to(np.asarray(target), n).astype(np.uint32),
        service=np.broadcast_to(np.asarray(service), n).astype(np.int32),
        outcome=np.full(n, Outcome.ATTEMPT, np.uint8),
    )


def mixed(rng: np.random.Generator, parts: list[AttemptBatch], size: int) -> Iterator[AttemptBatch]:
    """Yield the attempts of all parts in random order."""
    columns = ("source", "target", "service", "outcome")
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    order = rng.permutation(len(whole["source"]))
    for begin in range(0, len(order), size):
        part = order[begin : begin + size]
        yield AttemptBatch(np.arange(len(part), dtype=np.int64), *(whole[name][part] for name in columns))


def counted(batches: Iterator[AttemptBatch], budget: Budget) -> WindowCounts:
    table = PairTable(budget)
    for batch in batches:
        table.add(batch)
    return close_window(WindowName("edge", 0, 10**9), table.pairs(), HOSTS, table.shed)


def place(counts: WindowCounts, source: int) -> int:
    return int(np.flatnonzero(counts.sources[:, 1] & np.uint64(0xFFFFFFFF) == source)[0])


@pytest.mark.parametrize("budget", [Budget(1 << 13), Budget(1 << 15)])
def test_a_scanner_among_a_hundred_thousand_strangers_is_still_seen(budget: Budget) -> None:
    rng = np.random.default_rng(1)
    strangers = attempts(rng.integers(1 << 28, 3 << 30, 100_000), rng.integers(1, 1 << 24, 100_000), TELNET)
    scan = attempts(SCANNER, 0x0B000000 + np.arange(3000), TELNET)
    counts = counted(mixed(rng, [strangers, scan], 10_000), budget)
    found = place(counts, SCANNER)
    row = np.flatnonzero(counts.rows.source == found)
    assert counts.rows.probed[row].sum() > 1000
    assert counts.shed.sources > 50_000
    assert counts.attempts + counts.shed.attempts + counts.shed.sampled >= 103_000


def test_of_huge_scans_samples_tell_the_size() -> None:
    rng = np.random.default_rng(2)
    hosts, ports = np.divmod(np.arange(40_000), 200)
    parts = [
        attempts(SCANNER, 0x0B000000 + np.arange(60_000), TELNET),
        attempts(VERTICAL, 0x0C000001, 1 + np.arange(60_000)),
        attempts(BLOCK, 0x0D000000 + hosts, 1 + ports),
    ]
    counts = counted(mixed(rng, parts, 5_000), Budget(1 << 13))
    totals = counts.totals
    assert (counts.halvings > 0).all()
    assert totals.targets[place(counts, SCANNER)] == pytest.approx(60_000, rel=0.2)
    assert totals.targets[place(counts, VERTICAL)] == 1
    assert totals.most_services[place(counts, VERTICAL)] == pytest.approx(60_000, rel=0.2)
    assert totals.targets[place(counts, BLOCK)] == pytest.approx(200, rel=0.2)
    assert totals.most_services[place(counts, SCANNER)] == 1
    assert totals.most_services[place(counts, BLOCK)] == pytest.approx(200, rel=0.6)
    assert totals.most_targets[place(counts, VERTICAL)] == 1
    assert totals.most_targets[place(counts, SCANNER)] == pytest.approx(60_000, rel=0.2)
    assert counts.shed.attempts == 0
    assert counts.shed.sampled > 100_000


def test_more_scanners_than_there_is_room_for_are_chosen_by_hash() -> None:
    rng = np.random.default_rng(3)
    sources = np.repeat(1 + np.arange(500), 30)
    scans = attempts(sources, np.tile(np.arange(30), 500) + 0x0B000000, TELNET)
    counts = counted(mixed(rng, [scans], 1_000), Budget(1 << 11))
    probed = np.bincount(counts.rows.source, counts.rows.probed)
    assert (probed >= 20).sum() >= 20
    assert counts.shed.attempts > 0


owners = st.lists(st.integers(0, 12), min_size=1, max_size=400)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(owners, st.randoms(use_true_random=False))
def test_half_is_kept_at_most_and_of_a_source_all_or_a_sample(owner: list[int], random: object) -> None:
    n = len(owner)
    rng = np.random.default_rng(n)
    answered = rng.random(n) < 0.5
    pairs = Pairs(
        source=np.array(owner, np.uint32),
        target=np.arange(n, dtype=np.uint32),
        service=np.full(n, TELNET, np.int32),
        tries=np.ones(n, np.int64),
        answered=answered,
        expired=np.zeros(n, np.bool_),
        first=np.zeros(n, np.int64),
        last=np.zeros(n, np.int64),
        halvings=np.zeros(n, np.int8),
    )
    zeros = sample_ranks(pairs)
    relief = relieve(pairs, Budget(max(n, 2)))
    assert relief.kept.sum() <= max(n, 2) // 2
    levels = dict(zip(relief.sources.tolist(), relief.halvings.tolist(), strict=True))
    for source in set(owner):
        mine = pairs.source == source
        expected = zeros[mine] >= levels[source] if source in levels else np.zeros(mine.sum(), np.bool_)
        np.testing.assert_array_equal(relief.kept[mine], expected)
    assert relief.dropped == len(set(owner)) - len(levels)


def test_a_source_that_may_be_named_stays_while_honest_ones_can_go() -> None:
    n = 200
    pairs = Pairs(
        source=np.repeat(np.array([1, 2], np.uint32), [n - 12, 12]),
        target=np.arange(n, dtype=np.uint32),
        service=np.full(n, TELNET, np.int32),
        tries=np.ones(n, np.int64),
        answered=np.arange(n) < n - 12,
        expired=np.zeros(n, np.bool_),
        first=np.zeros(n, np.int64),
        last=np.zeros(n, np.int64),
        halvings=np.zeros(n, np.int8),
    )
    relief = relieve(pairs, Budget(n))
    assert relief.sources.tolist() == [2]
    assert relief.kept.sum() == 12


@pytest.mark.parametrize("pairs", [1, 0, -1])
def test_a_budget_is_checked(pairs: int) -> None:
    with pytest.raises(ValueError, match="pairs"):
        Budget(pairs)
