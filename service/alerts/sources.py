"""One source at a time: which sources of a window scan, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import Kind
from service.capture.services import ARP_REQUEST, Means, Protocol
from service.windows.counts import PROBE_TRIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.alerts.threshold import Thresholds
    from service.windows.counts import WindowCounts


_MINUTE = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A source of a window that scans."""

    source: int
    """Index in the window."""
    means: Means
    kind: Kind
    score: int
    threshold: int
    rows: NDArray[np.intp]
    """The rows of the window that the scan consists of."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Per source, over its TCP and UDP rows; each of shape (n,)."""

    pairs: NDArray[np.int64]
    answered: NDArray[np.int64]
    most_missed: NDArray[np.int64]
    """The most unanswered targets of a service."""
    swept: NDArray[np.int64]
    """Services with many unanswered targets that were tried a few times each."""
    most_swept: NDArray[np.int64]
    """The most such targets of a service."""
    swept_share: NDArray[np.float64]
    """The share of the unanswered pairs that such services hold."""


def judge(window: WindowCounts, thresholds: Thresholds, ongoing: set[tuple[int, Means]]) -> list[Verdict]:
    """Return the scans of a window.

    `ongoing` names sources (index in the window) and means of scans that are known from earlier windows: little
    is needed to prolong those.
    """
    is_ports = window.rows.service >> 16 <= Protocol.UDP
    return [
        *_judge_ports(window, thresholds, is_ports, _indices(ongoing, Means.PORTS, window)),
        *_judge_icmp(window, thresholds, _indices(ongoing, Means.ICMP, window)),
        *_judge_arp(window, thresholds, _indices(ongoing, Means.ARP, window)),
    ]


def _indices(ongoing: set[tuple[int, Means]], means: Means, window: WindowCounts) -> NDArray[np.bool_]:
    marked = np.zeros(len(window.sources), dtype=np.bool_)
    marked[[source for source, with_what in ongoing if with_what is means]] = True
    return marked


def _sum_ports(
    window: WindowCounts, thresholds: Thresholds, is_ports: NDArray[np.bool_], ongoing: NDArray[np.bool_]
) -> tuple[_Sums, NDArray[np.bool_]]:
    """Return the sums, and which rows are swept services."""
    rows, n = window.rows, len(window.sources)
    enough = np.where(ongoing[rows.source], thresholds.goes_on, thresholds.targets)
    swept = is_ports & (rows.probed >= enough) & (rows.probed >= thresholds.target_share * rows.targets)

    def total(column: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(rows.source[which], column[which], minlength=n).astype(np.int64)

    def most(column: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        found = np.zeros(n, dtype=np.int64)
        np.maximum.at(found, rows.source[which], column[which])
        return found

    missed = rows.targets - rows.answered
    return (
        _Sums(
            pairs=total(rows.targets, is_ports),
            answered=total(rows.answered, is_ports),
            most_missed=most(missed, is_ports),
            swept=total(np.ones_like(rows.targets), swept),
            most_swept=most(rows.probed, swept),
            swept_share=total(rows.probed, swept) / np.maximum(total(missed, is_ports), 1),
        ),
        swept,
    )


def _judge_ports(
    window: WindowCounts, thresholds: Thresholds, is_ports: NDArray[np.bool_], ongoing: NDArray[np.bool_]
) -> list[Verdict]:
    sums, swept = _sum_ports(window, thresholds, is_ports, ongoing)
    few_answers = sums.answered <= thresholds.answered_share * sums.pairs
    enough = np.where(few_answers, thresholds.services, thresholds.services_answered)
    most = window.totals.most_unanswered
    vertical = most >= np.where(ongoing, thresholds.goes_on, enough)
    horizontal = (sums.swept > 0) & (sums.swept_share >= thresholds.concentration)
    found = []
    for source in np.flatnonzero(vertical | horizontal).tolist():
        mine = _rows_of(window, source)
        mine = mine[is_ports[mine]]
        if vertical[source]:
            wide = sums.most_missed[source] >= thresholds.block
            kind, score = Kind.BLOCK if wide else Kind.VERTICAL, int(most[source])
            threshold = thresholds.goes_on if ongoing[source] else int(enough[source])
        else:
            kind = Kind.BLOCK if sums.swept[source] >= thresholds.block else Kind.HORIZONTAL
            score = int(sums.most_swept[source])
            threshold = thresholds.goes_on if ongoing[source] else thresholds.targets
            mine = mine[swept[mine]]
        found.append(Verdict(source, Means.PORTS, kind, score, threshold, mine))
    return found


def _rows_of(window: WindowCounts, source: int) -> NDArray[np.intp]:
    """Return the rows of a source; rows are sorted by source."""
    start, end = np.searchsorted(window.rows.source, [source, source + 1])
    return np.arange(start, end)


def _judge_icmp(window: WindowCounts, thresholds: Thresholds, ongoing: NDArray[np.bool_]) -> list[Verdict]:
    rows = window.rows
    protocol = rows.service >> 16
    enough = np.where(ongoing[rows.source], thresholds.goes_on, thresholds.pinged)
    few_tries = rows.attempts <= PROBE_TRIES * rows.targets
    wide = (protocol >= Protocol.ICMP) & (protocol <= Protocol.ICMP6) & (rows.targets >= enough) & few_tries
    return _sweeps(window, wide, Means.ICMP, rows.targets, enough)


def _judge_arp(window: WindowCounts, thresholds: Thresholds, ongoing: NDArray[np.bool_]) -> list[Verdict]:
    rows = window.rows
    # A router asks for more hosts in more time.
    minutes = np.maximum(1.0, (rows.last - rows.first) / _MINUTE)
    enough = np.where(ongoing[rows.source], thresholds.goes_on, np.ceil(thresholds.asked * minutes))
    wide = (rows.service == ARP_REQUEST) & (rows.probed >= enough)
    return _sweeps(window, wide, Means.ARP, rows.probed, enough)


def _sweeps(
    window: WindowCounts,
    wide: NDArray[np.bool_],
    means: Means,
    score: NDArray[np.int64],
    enough: NDArray[np.int64],
) -> list[Verdict]:
    """Return one verdict for each source that has rows which are wide sweeps."""
    found = []
    for source in np.unique(window.rows.source[wide]).tolist():
        mine = _rows_of(window, source)
        mine = mine[wide[mine]]
        best = mine[int(np.argmax(score[mine]))]
        found.append(Verdict(source, means, Kind.HORIZONTAL, int(score[best]), int(enough[best]), mine))
    return found
