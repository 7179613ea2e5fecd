from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.address import Addresses, format_addresses, pack_addresses
from service.capture.hosts import HostTable
from service.capture.services import Means, Protocol, service_code
from service.windows.budget import Budget
from service.windows.close import WindowName, close_window, hash_addresses
from service.windows.counts import PROBE_TRIES, SAMPLE_SIZE, Shed, WindowCounts
from service.windows.pairs import Pairs, PairTable
from tests.reference import SECOND, Told, windows_of
from tests.traffic import START, Try, ports, sweep, window
from tests.windows.counting import HOSTS, attempts_batch, mixed, window_of

NAME = WindowName("edge", START, START + 60 * SECOND)


def closed(told: list[Told]) -> WindowCounts:
    table = PairTable(Budget(1 << 16))
    table.add(attempts_batch(told))
    return close_window(NAME, table.pairs(), HOSTS, table.shed)


services = st.sampled_from(
    ["tcp/22", "tcp/23", "udp/53", "udp/33433", "udp/33434", "udp/33435", "udp/33534", "udp/33535", "tcp/33440",
     "icmp/echo", "arp/request", "sctp/9", "ip/47", "tcp/443", "udp/443"]
)  # fmt: skip
addresses = st.integers(1, 4).map(lambda i: f"10.0.0.{i}")
attempts = st.builds(
    Told, st.integers(START, START + 60 * SECOND - 1), addresses, addresses, services, st.just("attempt")
)
outcomes = st.lists(
    st.sampled_from(["attempt", "attempt", "answered", "refused", "expired", "hung_up", "empty"]), max_size=6
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(attempts, outcomes), min_size=1, max_size=40))
def test_the_reference_counts_the_same(stories: list[tuple[Told, list[str]]]) -> None:
    told = [
        Told(one.time, one.source, one.target, one.service, outcome)
        for one, outcomes in stories
        for outcome in ("attempt", *outcomes)
    ]
    counts = closed(told)
    assert windows_of(told) == {START: window_of(counts)}
    order = counts.rows.source.astype(np.int64) << 32 | counts.rows.service
    assert (np.diff(order) > 0).all()
    assert counts.attempts == sum(one.outcome == "attempt" for one in told)
    assert counts.exact


def test_quic_is_answered_where_the_target_answers_over_tcp_instead() -> None:
    tries = [Try("192.0.2.1", f"10.0.0.{i}", "udp/443") for i in range(1, 31)]
    over_tcp = [Try("192.0.2.1", f"10.0.0.{i}", "tcp/443", answered=i <= 20) for i in range(1, 26)]
    elsewhere = [Try("192.0.2.2", f"10.0.0.{i}", "tcp/443", answered=True) for i in range(1, 31)]
    rows = window([*tries, *over_tcp, *elsewhere]).rows
    mine = rows.source == 0
    assert rows.service[mine].tolist() == [service_code(Protocol.TCP, 443), service_code(Protocol.UDP, 443)]
    assert rows.answered[mine].tolist() == [20, 20]
    assert rows.probed[mine].tolist() == [5, 10]


def test_traceroute_is_one_service_tried_in_vain() -> None:
    route = [Try("192.0.2.1", "10.0.0.1", f"udp/{port}") for port in range(33434, 33535)]
    counts = window([*route, Try("192.0.2.1", "10.0.0.1", "udp/33535"), Try("192.0.2.1", "10.0.0.1", "udp/33433")])
    assert counts.totals.most_services.tolist() == [103]
    assert counts.totals.most_unanswered.tolist() == [3]


def test_what_expired_on_the_way_is_not_in_vain() -> None:
    counts = window([Try("192.0.2.1", "10.0.0.1", f"tcp/{port}", expired=port < 4) for port in range(1, 6)])
    assert counts.totals.most_unanswered.tolist() == [2]
    assert counts.rows.probed.tolist() == [0, 0, 0, 1, 1]


def test_what_is_sent_on_and_on_is_a_stream() -> None:
    counts = window(
        [Try("192.0.2.1", "10.0.0.1", f"udp/{port}", tries) for port, tries in ((1, 1), (2, 15), (3, 16))]
    )
    assert counts.totals.most_services.tolist() == [3]
    assert counts.totals.most_unanswered.tolist() == [2]


def test_what_is_retried_is_not_probed() -> None:
    counts = window([Try("192.0.2.1", "10.0.0.1", "tcp/1", PROBE_TRIES), Try("192.0.2.1", "10.0.0.2", "tcp/1", 5)])
    assert counts.rows.probed.tolist() == [1]


@pytest.mark.parametrize(
    ("count", "seconds", "again", "answered"),
    [
        (50, 7200, 0, 0),
        (51, 7200, 1, 1),
        (49, 7200, 0, 49),
        (50, 7200, 1, 50),
        (50, 7199, 0, 50),
        (50, 86399, 0, 0),
    ],
)
def test_many_empty_connections_are_unanswered_if_nobody_came_again_for_hours(
    count: int, seconds: int, again: int, answered: int
) -> None:
    start = START // (86400 * SECOND) * 86400 * SECOND
    told = [
        Told(start, "192.0.2.1", f"10.0.0.{number}", "tcp/22", outcome)
        for number in range(1, count + 1)
        for outcome in (*["attempt"] * (1 + (number <= again)), "empty")
    ]
    told.append(Told(start + seconds * SECOND, "192.0.2.9", "10.0.0.1", "tcp/22", "attempt"))
    table = PairTable(Budget(1 << 16))
    table.add(attempts_batch(told))
    counts = close_window(WindowName("edge", start, start + 86400 * SECOND), table.pairs(), HOSTS, table.shed)
    assert windows_of(told, 86400 * SECOND) == {start: window_of(counts)}
    assert counts.rows.answered.tolist() == [answered, 0]


def test_pings_and_arp_are_no_part_of_the_totals() -> None:
    counts = window(
        sweep("192.0.2.1", "icmp/echo", 30)
        + sweep("192.0.2.1", "arp/request", 40)
        + ports("192.0.2.1", "10.0.0.1", 2)
    )
    assert counts.totals.targets.tolist() == [1]
    assert counts.totals.most_targets.tolist() == [1]
    assert len(counts.samples.of(0, Means.PORTS)) == 1
    assert len(counts.samples.of(0, Means.ICMP)) == 30
    assert len(counts.samples.of(0, Means.ARP)) == 40


def test_an_empty_window() -> None:
    counts = close_window(NAME, PairTable(Budget(2)).pairs(), HOSTS, Shed(attempts=7))
    assert (len(counts.sources), len(counts.rows), counts.shed) == (0, 0, Shed(attempts=7))
    assert counts.samples.start.tolist() == [0]


# --- samples ---


def pairs_of(targets: list[int], source: int = 7) -> Pairs:
    """Return one try of tcp/1 on each target; at random, as tables are."""
    n = len(targets)
    shuffled = Random(2).sample(targets, n)
    return Pairs(
        source=np.full(n, source, dtype=np.uint32),
        target=np.array(shuffled, dtype=np.uint32),
        service=np.full(n, service_code(Protocol.TCP, 1), dtype=np.int32),
        tries=np.ones(n, dtype=np.int64),
        answered=np.zeros(n, dtype=np.bool_),
        expired=np.zeros(n, dtype=np.bool_),
        first=np.full(n, START, dtype=np.int64),
        last=np.full(n, START, dtype=np.int64),
        halvings=np.zeros(n, dtype=np.int8),
    )


def rank(address: str) -> int:
    """Return an address' hash, written out once more."""
    high, low = (int(word) for word in pack_addresses([address])[0])
    return mixed(mixed(high) + low)


@pytest.mark.parametrize("count", [1, SAMPLE_SIZE - 1, SAMPLE_SIZE, SAMPLE_SIZE + 1, 3 * SAMPLE_SIZE])
def test_samples_keep_the_smallest_hashes(count: int) -> None:
    targets = [0x0A000000 + i for i in range(count)]
    counts = close_window(NAME, pairs_of(targets), HOSTS, Shed())
    names = [f"10.0.{i >> 8}.{i & 255}" for i in range(count)]
    assert set(format_addresses(counts.samples.of(0, Means.PORTS))) == set(sorted(names, key=rank)[:SAMPLE_SIZE])
    assert counts.totals.targets.tolist() == [count]


def test_each_source_has_its_own_sample() -> None:
    sizes = [3, SAMPLE_SIZE + 5, 1, 2 * SAMPLE_SIZE]
    tries = [
        one for i, size in enumerate(sizes) for one in sweep(f"192.0.2.{i + 1}", "tcp/1", size, first=1 + 7 * i)
    ]
    counts = window(tries)
    for i, size in enumerate(sizes):
        mine = {one.target for one in tries if one.source == f"192.0.2.{i + 1}"}
        assert set(format_addresses(counts.samples.of(i, Means.PORTS))) == set(sorted(mine, key=rank)[:SAMPLE_SIZE])
        assert counts.totals.targets[i] == size


def test_targets_of_one_hash_are_no_reason_to_fail() -> None:
    """The hash is known, so whoever chooses the targets of a scan can make them equal, here three at a time."""
    hosts = HostTable(4 * SAMPLE_SIZE)
    count = 3 * SAMPLE_SIZE
    words = np.array([(i, (i // 3 - mixed(i)) % 2**64) for i in range(count)], dtype=np.uint64)
    assert len(np.unique(hash_addresses(words))) == SAMPLE_SIZE
    hosts.words[1 : count + 1] = words.view(np.int64)
    counts = close_window(NAME, pairs_of([0xF0000000 + i for i in range(count)]), hosts, Shed())
    sample = counts.samples.of(0, Means.PORTS)
    assert len(sample) == SAMPLE_SIZE
    assert len(np.unique(sample, axis=0)) == SAMPLE_SIZE
    ranks = np.sort(hash_addresses(words))
    assert np.sort(hash_addresses(sample)).tolist() == ranks[:SAMPLE_SIZE].tolist()


def test_the_hash_is_that_of_the_tables() -> None:
    words: Addresses = pack_addresses(["192.0.2.1", "2001:db8::1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])
    assert hash_addresses(words).tolist() == [mixed(mixed(int(high)) + int(low)) for high, low in words]


def test_neighbours_of_neighbouring_networks_have_different_hashes() -> None:
    texts = [f"2001:db8:0:{network:x}::{host:x}" for network in range(100) for host in range(100)]
    assert len(set(hash_addresses(pack_addresses(texts)).tolist())) == len(texts)


def visitors(target: str, count: int, services: int = 5) -> list[Try]:
    return [Try(f"198.51.100.{i}", target, f"tcp/{i % services + 1}") for i in range(count)]


@pytest.mark.parametrize(
    ("tries", "dark"),
    [
        (visitors("10.0.0.1", 9, services=4), 1),
        (visitors("10.0.0.1", 8, services=4), 0),
        (visitors("10.0.0.1", 9, services=3), 0),
        ([*visitors("10.0.0.1", 30), Try("198.51.100.0", "10.0.0.1", "tcp/99", answered=True)], 0),
        ([*visitors("10.0.0.1", 30), Try("10.0.0.1", "198.51.100.1", "tcp/80")], 0),
        (visitors("10.0.0.1", 30) + visitors("10.0.0.2", 30), 2),
    ],
)
def test_a_target_that_nobody_hears_of_is_dark(tries: list[Try], dark: int) -> None:
    scanner = [Try("192.0.2.66", f"10.0.0.{i}", "tcp/23") for i in range(1, 4)]
    counts = window(tries + scanner)
    mine = counts.sources[counts.rows.source][:, 1] & 0xFF == 66
    assert counts.rows.dark[mine].tolist() == [dark]
