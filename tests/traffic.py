"""Windows made from a few words: who tried what, how often, and was it answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.capture.address import V4_PREFIX, parse_address
from service.capture.hosts import HostTable
from service.capture.services import parse_service
from service.windows.close import WindowName, close_window
from service.windows.counts import Shed, WindowCounts
from service.windows.pairs import Pairs

SECOND = 1_000_000_000
START = 1_700_000_040 * SECOND


@dataclass(frozen=True)
class Try:
    source: str
    target: str
    service: str
    tries: int = 1
    answered: bool = False
    expired: bool = False


def window(
    tries: list[Try],
    *,
    start: int = START,
    length: int = 60 * SECOND,
    sensor: str = "lab",
    pause: int = 1_000_000,
) -> WindowCounts:
    """Return the counts of a window of IPv4 traffic whose attempts are `pause` ns apart."""

    def host(text: str) -> int:
        return parse_address(text)[1] - V4_PREFIX

    time = start + np.arange(len(tries), dtype=np.int64) * pause
    pairs = Pairs(
        source=np.array([host(t.source) for t in tries], dtype=np.uint32),
        target=np.array([host(t.target) for t in tries], dtype=np.uint32),
        service=np.array([parse_service(t.service) for t in tries], dtype=np.int32),
        tries=np.array([t.tries for t in tries], dtype=np.int64),
        answered=np.array([t.answered for t in tries], dtype=np.bool_),
        expired=np.array([t.expired for t in tries], dtype=np.bool_),
        first=time,
        last=time,
        halvings=np.zeros(len(tries), dtype=np.int8),
    )
    return close_window(WindowName(sensor, start, start + length), pairs, HostTable(16), shed=Shed())


def sweep(source: str, service: str, count: int, *, first: int = 1, tries: int = 1, answered: int = 0) -> list[Try]:
    """Tries of one service on `count` targets, the first `answered` of which answer."""
    return [
        Try(source, f"10.9.{i // 250}.{i % 250 + 1}", service, tries, answered=i - first < answered)
        for i in range(first, first + count)
    ]


def ports(source: str, target: str, count: int, *, first: int = 1, answered: int = 0) -> list[Try]:
    """Tries of `count` TCP services on one target, the first `answered` of which answer."""
    return [Try(source, target, f"tcp/{p}", answered=p - first < answered) for p in range(first, first + count)]
