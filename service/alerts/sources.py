"""One source at a time: which sources of a window scan, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.alerts.alert import Ground, Kind
from service.capture.services import ARP_REQUEST, Means, means
from service.windows.counts import PROBE_TRIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.alerts.threshold import Thresholds
    from service.windows.counts import WindowCounts


_MINUTE = 60 * 1_000_000_000
_MOST = 0.75
"""Of a source's targets, if a sample of all stands for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A source of a window that scans."""

    source: int
    """Index in the window."""
    means: Means
    kind: Kind
    ground: Ground
    score: int
    threshold: int
    rows: NDArray[np.intp]
    """The rows of the window that the scan consists of."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Per source, over its rows of `Means.PORTS`; each of shape (n,)."""

    pairs: NDArray[np.int64]
    answered: NDArray[np.int64]
    most_missed: NDArray[np.int64]
    """The most unanswered targets of a service."""
    swept: NDArray[np.int64]
    """Services with many unanswered targets."""
    most_swept: NDArray[np.int64]
    """The most such targets of a service."""
    swept_share: NDArray[np.float64]
    """The share of the unanswered pairs that such services hold."""
    failing: NDArray[np.int64]
    """Services that fail on several targets."""
    failed: NDArray[np.int64]
    """The unanswered pairs of such services."""


def judge(window: WindowCounts, thresholds: Thresholds) -> list[Verdict]:
    """Return the scans of a window: of each source at most one by each means."""
    is_ports = means(window.rows.service) == Means.PORTS
    found = [
        *_judge_ports(window, thresholds, is_ports),
        *_judge_icmp(window, thresholds),
        *_judge_arp(window, thresholds),
    ]
    named = {(verdict.source, verdict.means) for verdict in found}
    return found + [
        verdict for verdict in _judge_dark(window, thresholds) if (verdict.source, verdict.means) not in named
    ]


def further_rows(window: WindowCounts, source: int, by: Means) -> NDArray[np.intp]:
    """Return the rows in which a source, named already, goes on: those with targets that it probed in vain."""
    mine = _rows_of(window, source)
    rows = window.rows
    tried = rows.targets[mine] if by is Means.ICMP else rows.probed[mine]
    further: NDArray[np.intp] = mine[(means(rows.service[mine]) == by) & (tried > 0)]
    return further


def _judge_ports(window: WindowCounts, thresholds: Thresholds, is_ports: NDArray[np.bool_]) -> list[Verdict]:
    enough, targets = _sweeps_of_services(window, thresholds)
    swept = is_ports & (targets >= enough)
    sums = _sum_ports(window, is_ports, swept, targets, thresholds.grid_targets)
    few_answers = sums.answered <= thresholds.answered_share * sums.pairs
    services = np.where(few_answers, thresholds.services, thresholds.services_answered)
    vertical = window.totals.most_unanswered >= services
    horizontal = (sums.swept > 0) & (sums.swept_share >= thresholds.concentration)
    grid = _are_grids(window, thresholds, sums)
    found = []
    for source in np.flatnonzero(vertical | horizontal | grid).tolist():
        mine = _rows_of(window, source)
        mine = mine[is_ports[mine]]
        if vertical[source]:
            wide = sums.most_missed[source] >= thresholds.block or grid[source]
            kind, ground = Kind.BLOCK if wide else Kind.VERTICAL, Ground.SERVICES
            score, threshold = int(window.totals.most_unanswered[source]), int(services[source])
        elif horizontal[source]:
            mine = mine[swept[mine]]
            kind, ground = Kind.BLOCK if len(mine) >= thresholds.block else Kind.HORIZONTAL, Ground.TARGETS
            most = mine[int(np.argmax(targets[mine]))]
            score, threshold = int(sums.most_swept[source]), int(enough[most])
        else:
            kind, ground = Kind.BLOCK, Ground.GRID
            score, threshold = int(sums.failing[source]), thresholds.grid_services
        found.append(Verdict(source, Means.PORTS, kind, ground, score, threshold, mine))
    return found


def _sweeps_of_services(
    window: WindowCounts, thresholds: Thresholds
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each row, how many targets make a sweep, and how many there are that count for one."""
    rows = window.rows
    lost = rows.targets - rows.answered
    stubborn = (lost >= thresholds.targets_lost) & (lost >= thresholds.lost_share * rows.targets)
    probed = np.where(rows.probed >= thresholds.target_share * rows.targets, rows.probed, 0)
    probed[_are_peers(window, thresholds, probed >= thresholds.targets)] = 0
    once = rows.attempts <= thresholds.tries * rows.targets
    once |= _is_long(window, thresholds)
    enough = np.where(once, thresholds.targets, thresholds.targets_retried)
    stubborn &= probed < enough
    return np.where(stubborn, thresholds.targets_lost, enough), np.where(stubborn, lost, probed)


def _are_peers(window: WindowCounts, thresholds: Thresholds, wide: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return those of the `wide` rows whose targets the source knew: peers, of whom many are gone.

    Where a service's targets lie is known only by a sample of those of all that its source tries: it has to make up
    most of them.
    """
    rows = window.rows
    answered = rows.answered >= thresholds.known_share * rows.targets
    most = rows.targets >= _MOST * window.totals.targets[rows.source]
    found = [
        row
        for row in np.flatnonzero(wide & answered & most).tolist()
        if _apart(window.samples.of(int(rows.source[row]), Means.PORTS)) >= thresholds.networks
    ]
    return np.array(found, np.intp)


def _apart(targets: NDArray[np.uint64]) -> float:
    """Return how many networks (/16, of IPv6 /32) there are for each of some addresses; 0 of none."""
    high, low = targets[:, 0], targets[:, 1]
    network = np.where(high == 0, low >> np.uint64(16), high >> np.uint64(32))
    return len(np.unique(network)) / len(targets) if len(targets) else 0.0


def _is_long(window: WindowCounts, thresholds: Thresholds) -> bool:
    """Tell whether whoever tries again has done so; in a look at a window that is open, he may not yet have."""
    return window.whole and window.end - window.start >= thresholds.long


def _are_grids(window: WindowCounts, thresholds: Thresholds, sums: _Sums) -> NDArray[np.bool_]:
    """Tell which sources fail on many services of a few targets."""
    least = np.minimum(sums.failing, window.totals.most_unanswered)
    filled = sums.failed >= thresholds.grid_fill * sums.failing * sums.most_missed
    return (least >= thresholds.grid_services) & filled


def _sum_ports(
    window: WindowCounts,
    is_ports: NDArray[np.bool_],
    swept: NDArray[np.bool_],
    targets: NDArray[np.int64],
    least_failed: int,
) -> _Sums:
    rows, n = window.rows, len(window.sources)

    def total(column: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(rows.source[which], column[which], minlength=n).astype(np.int64)

    def most(column: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
        found = np.zeros(n, dtype=np.int64)
        np.maximum.at(found, rows.source[which], column[which])
        return found

    missed = rows.targets - rows.answered
    failing = is_ports & (missed >= least_failed)
    return _Sums(
        pairs=total(rows.targets, is_ports),
        answered=total(rows.answered, is_ports),
        most_missed=most(missed, is_ports),
        swept=total(np.ones_like(rows.targets), swept),
        most_swept=most(targets, swept),
        swept_share=total(targets, swept) / np.maximum(total(missed, is_ports), 1),
        failing=total(np.ones_like(missed), failing),
        failed=total(missed, failing),
    )


def _rows_of(window: WindowCounts, source: int) -> NDArray[np.intp]:
    """Return the rows of a source; rows are sorted by source."""
    start, end = np.searchsorted(window.rows.source, [source, source + 1])
    return np.arange(start, end)


def _judge_icmp(window: WindowCounts, thresholds: Thresholds) -> list[Verdict]:
    rows = window.rows
    few_tries = rows.attempts <= PROBE_TRIES * rows.targets
    known = rows.answered >= thresholds.monitored * rows.targets
    once = (rows.attempts <= thresholds.tries * rows.targets) & _is_long(window, thresholds)
    wide = (means(rows.service) == Means.ICMP) & (rows.targets >= thresholds.pinged) & few_tries & (once | ~known)
    enough = np.full(len(rows), thresholds.pinged)
    return _sweeps(window, wide, Ground.PINGED, rows.targets, enough)


def _judge_arp(window: WindowCounts, thresholds: Thresholds) -> list[Verdict]:
    rows = window.rows
    # A router asks for more hosts in more time.
    minutes = np.maximum(1.0, (rows.last - rows.first) / _MINUTE)
    enough = np.ceil(thresholds.asked * minutes).astype(np.int64)
    wide = (rows.service == ARP_REQUEST) & (rows.probed >= enough)
    return _sweeps(window, wide, Ground.ASKED, rows.probed, enough)


def _judge_dark(window: WindowCounts, thresholds: Thresholds) -> list[Verdict]:
    rows = window.rows
    wide = (rows.service != ARP_REQUEST) & (rows.dark >= thresholds.dark)
    enough = np.full(len(rows), thresholds.dark)
    return [
        verdict
        for by in (Means.PORTS, Means.ICMP)
        for verdict in _sweeps(window, wide & (means(rows.service) == by), Ground.DARK, rows.dark, enough)
    ]


def _sweeps(
    window: WindowCounts,
    wide: NDArray[np.bool_],
    ground: Ground,
    score: NDArray[np.int64],
    enough: NDArray[np.int64],
) -> list[Verdict]:
    """Return one verdict for each source that has rows which are wide sweeps, all by one means."""
    found = []
    for source in np.unique(window.rows.source[wide]).tolist():
        mine = _rows_of(window, source)
        mine = mine[wide[mine]]
        best = mine[int(np.argmax(score[mine]))]
        by = Means(int(means(window.rows.service[best : best + 1])[0]))
        found.append(Verdict(source, by, Kind.HORIZONTAL, ground, int(score[best]), int(enough[best]), mine))
    return found
