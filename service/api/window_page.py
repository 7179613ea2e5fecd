"""A stored window as a document with part of its rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from service.api.answers import RowOut, ShedOut, TotalsOut, WindowOut
from service.api.links import ALERTS, PATTERNS, references
from service.capture.address import format_addresses
from service.capture.services import format_service
from service.export.document import format_time

if TYPE_CHECKING:
    from service.store.repository import WindowRecord
    from service.windows.counts import WindowCounts


def window_page(record: WindowRecord, offset: int, limit: int) -> WindowOut:
    """Return the window with `limit` rows from number `offset` on, and the totals of their sources."""
    counts = record.counts
    return WindowOut(
        id=counts.id,
        sensor=counts.sensor,
        start=format_time(counts.start),
        end=format_time(counts.end),
        exact=counts.exact,
        shed=ShedOut(**asdict(counts.shed)),
        sampled_sources=int((counts.halvings > 0).sum()),
        attempts=counts.attempts,
        source_count=len(counts.sources),
        row_count=len(counts.rows),
        rows=_rows(counts, slice(offset, offset + limit)),
        sources=_totals(counts, slice(offset, offset + limit)),
        patterns=references(PATTERNS, record.patterns),
        alerts=references(ALERTS, record.alerts),
    )


def _rows(counts: WindowCounts, part: slice) -> list[RowOut]:
    rows = counts.rows
    numbers = zip(
        format_addresses(counts.sources[rows.source[part]]),
        *(
            column[part].tolist()
            for column in (
                rows.service,
                rows.attempts,
                rows.targets,
                rows.answered,
                rows.probed,
                rows.dark,
                rows.first,
                rows.last,
            )
        ),
        strict=True,
    )
    return [
        RowOut(
            source=source,
            service=format_service(service),
            attempts=attempts,
            targets=targets,
            answered=answered,
            probed=probed,
            dark=dark,
            first_seen=format_time(first),
            last_seen=format_time(last),
        )
        for source, service, attempts, targets, answered, probed, dark, first, last in numbers
    ]


def _totals(counts: WindowCounts, part: slice) -> list[TotalsOut]:
    totals = counts.totals
    return [
        TotalsOut(
            source=source,
            targets=int(totals.targets[place]),
            most_services_on_one_target=int(totals.most_services[place]),
            most_unanswered_services_on_one_target=int(totals.most_unanswered[place]),
            most_targets_of_one_service=int(totals.most_targets[place]),
        )
        for place in np.unique(counts.rows.source[part]).tolist()
        for source in format_addresses(counts.sources[place : place + 1])
    ]
