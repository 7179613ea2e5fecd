"""What is known of one address: its scans, the patterns it follows, and the windows in which it was active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, or_, select

from service.capture.address import parse_address
from service.store import documents, tables
from service.store.cursor import read_place, write_place
from service.store.repository import Page
from service.store.span import address_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row, Select

    from service.patterns.pattern import Pattern
    from service.windows.counts import WindowCounts

MOST_PATTERNS = 100
MOST_EXAMINED = 200
"""Windows that are looked through for one page, ..."""
MOST_BYTES = 4 << 20
"""... and compressed bytes of them, beyond the first."""

_LISTING = "windows-of-source"


@dataclass(frozen=True, slots=True)
class Incidents:
    """A source's alerts in sum."""

    count: int
    first_seen: int | None
    """ns since the epoch; None if there are no alerts."""
    last_seen: int | None


@dataclass(frozen=True, slots=True)
class Activity:
    """A window, and where a source stands in it."""

    counts: WindowCounts
    source: int
    """Index of the source."""


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """Which windows are wanted, latest end first. Raises ValueError for a limit below 1."""

    source: str
    """An address in canonical form."""
    sensor: str | None = None
    since: int | None = None
    """Only windows that end after this time, ns since the epoch, ..."""
    until: int | None = None
    """... and begin before this one."""
    limit: int = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit: {self.limit} is less than 1")


class SqlSources:
    """Reads by source; windows are not listed by source, so their reading is bounded."""

    def __init__(self, connection: Connection, read_counts: Callable[[str, bytes], WindowCounts]) -> None:
        self._connection = connection
        self._read_counts = read_counts

    def incidents(self, source: str) -> Incidents:
        """Return the alerts of an address, as text, in sum; those too that the allow-list covers."""
        alerts, named = tables.alerts.c, tables.alert_sources.c
        query = (
            select(func.count(), func.min(alerts.first_seen_ns), func.max(alerts.last_seen_ns))
            .select_from(tables.alerts.join(tables.alert_sources, alerts.id == named.alert))
            .where(named.address == address_key(source))
        )
        return Incidents(*self._connection.execute(query).one())

    def patterns(self, source: str) -> Sequence[tuple[Pattern, float]]:
        """Return patterns that list an address, in canonical form, as a member, and its share.

        At most `MOST_PATTERNS`, those seen last first.
        """
        table = tables.patterns
        rows = (
            select(table.c.document)
            # A member stands in the document as ["192.0.2.1",0.98], and no service looks like that.
            .where(table.c.document.contains(f'["{source}",', autoescape=True))
            .order_by(table.c.last_seen_ns.desc(), table.c.sequence.desc())
            .limit(MOST_PATTERNS)
        )
        found = map(documents.read_pattern, self._connection.scalars(rows))
        return [(pattern, dict(pattern.members)[source]) for pattern in found if source in dict(pattern.members)]

    def windows(self, query: WindowQuery) -> Page[Activity]:
        """Return the windows in which a source was active.

        A page ends early after `MOST_EXAMINED` windows or `MOST_BYTES`; its cursor then goes on where it ended,
        even if it holds nothing. Raises NotFoundError for a cursor that is none of ours.
        """
        words = np.array(parse_address(query.source), dtype=np.uint64)
        found: list[Activity] = []
        examined = size = 0
        last: Row[Any] | None = None
        for row in self._latest(query):
            if examined == MOST_EXAMINED or len(found) == query.limit or size > MOST_BYTES:
                assert last is not None  # noqa: S101  (none of the bounds is met before the first row)
                return Page(tuple(found), write_place(_LISTING, last.end_ns, last.id))
            compressed = self._counts(row.id)
            examined, size, last = examined + 1, size + len(compressed), row
            if not compressed:
                continue
            counts = self._read_counts(row.id, compressed)
            places = np.flatnonzero((counts.sources == words).all(axis=1))
            found.extend(Activity(counts, int(place)) for place in places)
        return Page(tuple(found), None)

    def _latest(self, query: WindowQuery) -> Sequence[Row[Any]]:
        """Return the windows that may be looked at, without their counts, and one more."""
        table = tables.windows.c
        rows: Select[Any] = select(table.id, table.end_ns)
        if query.sensor is not None:
            rows = rows.where(table.sensor == query.sensor)
        if query.since is not None:
            rows = rows.where(table.end_ns > query.since)
        if query.until is not None:
            rows = rows.where(table.start_ns < query.until)
        if query.cursor is not None:
            end, name = read_place(_LISTING, query.cursor)
            rows = rows.where(or_(table.end_ns < end, (table.end_ns == end) & (table.id < name)))
        rows = rows.order_by(table.end_ns.desc(), table.id.desc()).limit(MOST_EXAMINED + 1)
        return self._connection.execute(rows).all()

    def _counts(self, window_id: str) -> bytes:
        query = select(tables.windows.c.counts).where(tables.windows.c.id == window_id)
        # Retention may have taken it since it was listed.
        return self._connection.execute(query).scalar_one_or_none() or b""
