"""Attempts into batches, counts into what the reference counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import V4_PREFIX, format_addresses, parse_address
from service.capture.batch import AttemptBatch
from service.capture.hosts import HostTable
from service.capture.services import format_service, parse_service
from tests.reference import Row, Told, Totals, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.windows.counts import WindowCounts

HOSTS = HostTable(1)
"""Enough for IPv4."""
_OUTCOMES = ("attempt", "answered", "refused", "expired", "hung_up", "empty")


def attempts_batch(told: Sequence[Told]) -> AttemptBatch:
    """Turn what is told of IPv4 hosts into a batch."""

    def hosts(texts: list[str]) -> list[int]:
        return [parse_address(text)[1] - V4_PREFIX for text in texts]

    return AttemptBatch(
        time=np.array([one.time for one in told], dtype=np.int64),
        source=np.array(hosts([one.source for one in told]), dtype=np.uint32),
        target=np.array(hosts([one.target for one in told]), dtype=np.uint32),
        service=np.array([parse_service(one.service) for one in told], dtype=np.int32),
        outcome=np.array([_OUTCOMES.index(one.outcome) for one in told], dtype=np.uint8),
    )


def window_of(counts: WindowCounts) -> Window:
    """Return a window's counts as the reference writes them."""
    names = format_addresses(counts.sources)
    assert len(set(names)) == len(names)
    rows, totals = counts.rows, counts.totals
    found = {
        (names[rows.source[i]], format_service(int(rows.service[i]))): Row(
            attempts=int(rows.attempts[i]),
            targets=int(rows.targets[i]),
            answered=int(rows.answered[i]),
            probed=int(rows.probed[i]),
            dark=int(rows.dark[i]),
            first=int(rows.first[i]),
            last=int(rows.last[i]),
        )
        for i in range(len(rows))
    }
    assert len(found) == len(rows)
    return Window(
        rows=found,
        totals={
            name: Totals(
                targets=int(totals.targets[i]),
                most_services=int(totals.most_services[i]),
                most_unanswered=int(totals.most_unanswered[i]),
                most_targets=int(totals.most_targets[i]),
            )
            for i, name in enumerate(names)
        },
    )


def mixed(value: int) -> int:
    """Return SplitMix64's finaliser of a number, as its paper writes it."""
    x = value % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31
