"""Counts that someone else made become a window.

The sender knows rows of (source, service) and perhaps each source's totals. Where totals are missing they are
inferred, targets as the fewest and services on one target as the most that the rows allow, and the window
says so with ``exact=False``. Totals tell of TCP and UDP services only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import Addresses
from service.capture.services import Means, means
from service.errors import InputError
from service.windows.counts import (
    PROBE_TRIES,
    SAMPLE_SIZE,
    Indices,
    Ints,
    ServiceCounts,
    SourceTotals,
    TargetSamples,
    WindowCounts,
)
from service.windows.kernels.closing import TRACEROUTE_FIRST, TRACEROUTE_LAST
from service.windows.posted_rows import (
    MAX_COUNT,
    ParsedRows,
    PostedColumns,
    PostedRow,
    Words,
    parse_address_of,
    parse_rows,
    parse_source,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_COUNT", "MAX_LENGTH", "PostedColumns", "PostedRow", "PostedTotals", "check_sensor", "posted_window"]

MAX_SENSOR_LENGTH = 100
"""Characters of a sensor's name."""

MAX_LENGTH = 24 * 3600 * 10**9
"""The longest window, ns."""

_LATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class PostedTotals:
    """What rows cannot tell of a source; see `service.windows.counts.SourceTotals`."""

    source: str
    targets: int
    most_services_on_one_target: int
    most_unanswered_services_on_one_target: int
    most_targets_of_one_service: int
    targets_sample: tuple[str, ...] = ()
    """At most `SAMPLE_SIZE` of its targets."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of a window in the order of their addresses, and what their rows say of them."""

    place: dict[Words, int]
    """Empty if there are no totals that need it."""
    most_targets: Ints
    all_targets: Ints
    services: Ints
    unanswered: Ints
    """Services with an unanswered target; traceroute's ports are one."""
    unanswered_ports: Ints
    """The same with each port for itself."""


@dataclass(frozen=True, slots=True)
class _Stated:
    """Totals that fit the rows, and where they stood."""

    index: int
    total: PostedTotals
    sample: list[Words]


def check_sensor(sensor: str) -> None:
    """Raise InputError unless the text can name a sensor."""
    if not 0 < len(sensor) <= MAX_SENSOR_LENGTH:
        raise InputError("sensor", f"has {len(sensor)} characters; use 1 to {MAX_SENSOR_LENGTH}")
    if not sensor.isprintable():
        raise InputError("sensor", "holds a character that can't be printed; leave it out")


def posted_window(
    sensor: str, start: int, end: int, rows: Sequence[PostedRow], totals: Sequence[PostedTotals] = ()
) -> WindowCounts:
    """Return the window of [start, end), ns since the epoch, that the rows describe.

    The order of rows and totals means nothing. Raises InputError naming the field, such as
    ``rows[3].service`` or ``sources[0].targets``.
    """
    return window_of_columns(sensor, start, end, PostedColumns.of(rows), totals)


def window_of_columns(
    sensor: str, start: int, end: int, rows: PostedColumns, totals: Sequence[PostedTotals] = ()
) -> WindowCounts:
    """Return what `posted_window` does, and raise as it does, for rows that are given as columns."""
    check_sensor(sensor)
    _check_interval(start, end)
    parsed = parse_rows(rows)
    columns = _columns(start, end, parsed)
    places = zip(*parsed.sources.T.tolist(), strict=True) if totals else ()
    place = {words: number for number, words in enumerate(places)}
    sources = _describe(place, len(parsed.sources), columns)
    stated = _place_totals(totals, sources)
    return WindowCounts(
        sensor=sensor,
        start=start,
        end=end,
        sources=parsed.sources,
        rows=columns,
        totals=_totals(sources, stated),
        samples=_samples(len(parsed.sources), stated),
        exact=len(stated) == int((sources.services > 0).sum()),
    )


def _check_interval(start: int, end: int) -> None:
    if start < 0:
        raise InputError("start", "is before 1970; use a time since then")
    if end > _LATEST:
        raise InputError("end", "is after the year 2262; use an earlier time")
    if end <= start:
        raise InputError("end", "is not after the start; a window lasts at least one nanosecond")
    if end - start > MAX_LENGTH:
        raise InputError("end", "is more than 24 hours after the start; send shorter windows")


def _columns(start: int, end: int, rows: ParsedRows) -> ServiceCounts:
    """Return the rows sorted by (place of the source, service)."""
    order = rows.order
    attempts, targets, answered = rows.attempts[order], rows.targets[order], rows.answered[order]
    return ServiceCounts(
        source=rows.source[order],
        service=rows.service[order],
        attempts=attempts,
        targets=targets,
        answered=answered,
        probed=np.where(attempts <= PROBE_TRIES * targets, targets - answered, 0),
        dark=np.zeros(len(order), dtype=np.int64),
        hours=np.zeros(len(order), dtype=np.int64),
        first=np.full(len(order), start, dtype=np.int64),
        last=np.full(len(order), end - 1, dtype=np.int64),
    )


def _describe(place: dict[Words, int], count: int, rows: ServiceCounts) -> _Sources:
    ports = means(rows.service) == Means.PORTS
    source, service, targets = rows.source[ports], rows.service[ports], rows.targets[ports]
    most_targets = np.zeros(count, dtype=np.int64)
    all_targets = np.zeros(count, dtype=np.int64)
    np.maximum.at(most_targets, source, targets)
    np.add.at(all_targets, source, targets)
    in_vain = rows.answered[ports] < targets
    missing, missed = source[in_vain].astype(np.int64), service[in_vain]
    traced = (missed >= TRACEROUTE_FIRST) & (missed <= TRACEROUTE_LAST)
    merged = np.unique(missing << 32 | np.where(traced, TRACEROUTE_FIRST, missed))
    return _Sources(
        place=place,
        most_targets=most_targets,
        all_targets=all_targets,
        services=_count(source, count),
        unanswered=_count(merged >> 32, count),
        unanswered_ports=_count(missing, count),
    )


def _count(source: Indices | Ints, count: int) -> Ints:
    return np.bincount(source, minlength=count).astype(np.int64)


def _place_totals(totals: Sequence[PostedTotals], sources: _Sources) -> dict[int, _Stated]:
    """Return the totals by place of their source; raises InputError where the rows contradict them."""
    stated: dict[int, _Stated] = {}
    for index, total in enumerate(totals):
        field = f"sources[{index}]"
        place = sources.place.get(parse_source(f"{field}.source", total.source))
        if place is None:
            raise InputError(f"{field}.source", f"{total.source!r} has no rows; add them or leave it out")
        if not sources.services[place]:
            raise InputError(
                field, f"{total.source} has no row of a TCP or UDP service, which totals tell of; leave it out"
            )
        if place in stated:
            earlier = stated[place].index
            raise InputError(field, f"repeats sources[{earlier}] ({total.source}); leave one out")
        _check_totals(field, total, sources, place)
        stated[place] = _Stated(index, total, _parse_sample(f"{field}.targets_sample", total))
    return stated


def _check_totals(field: str, total: PostedTotals, sources: _Sources, place: int) -> None:
    most, pairs = int(sources.most_targets[place]), int(sources.all_targets[place])
    _check_between(f"{field}.targets", total.targets, most, pairs)
    _check_between(
        f"{field}.most_services_on_one_target",
        total.most_services_on_one_target,
        # Some target has at least the mean.
        -(-pairs // total.targets),
        int(sources.services[place]),
    )
    ports = int(sources.unanswered_ports[place])
    _check_between(
        f"{field}.most_unanswered_services_on_one_target",
        total.most_unanswered_services_on_one_target,
        min(1, ports),
        min(ports, total.most_services_on_one_target),
    )
    _check_between(f"{field}.most_targets_of_one_service", total.most_targets_of_one_service, most, most)


def _parse_sample(field: str, total: PostedTotals) -> list[Words]:
    """Return the sampled targets in the order of their addresses."""
    most = min(SAMPLE_SIZE, total.targets)
    if len(total.targets_sample) > most:
        raise InputError(field, f"has {len(total.targets_sample)} addresses; this source may have {most}")
    seen: dict[Words, int] = {}
    for index, text in enumerate(total.targets_sample):
        earlier = seen.setdefault(parse_address_of(f"{field}[{index}]", text), index)
        if earlier != index:
            raise InputError(f"{field}[{index}]", f"repeats {field}[{earlier}] ({text}); leave one out")
    return sorted(seen)


def _check_between(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        wanted = f"must be {least}" if least == most else f"must lie between {least} and {most}"
        raise InputError(field, f"{value} does not fit the rows of this source: it {wanted}")


def _totals(sources: _Sources, stated: dict[int, _Stated]) -> SourceTotals:
    targets, most_services = sources.most_targets.copy(), sources.services.copy()
    most_unanswered = sources.unanswered.copy()
    for place, given in stated.items():
        targets[place] = given.total.targets
        most_services[place] = given.total.most_services_on_one_target
        most_unanswered[place] = given.total.most_unanswered_services_on_one_target
    return SourceTotals(targets, most_services, most_unanswered, sources.most_targets)


def _samples(count: int, stated: dict[int, _Stated]) -> TargetSamples:
    """Return the samples: what is stated belongs to TCP and UDP, the first of a source's `Means`."""
    lengths = np.zeros(len(Means) * count + 1, np.int64)
    for place, given in stated.items():
        lengths[len(Means) * place + Means.PORTS + 1] = len(given.sample)
    return TargetSamples(
        start=np.cumsum(lengths),
        targets=_addresses([words for place in sorted(stated) for words in stated[place].sample]),
    )


def _addresses(words: list[Words]) -> Addresses:
    return np.array(words, dtype=np.uint64).reshape(-1, 2)
