"""What retention lets go of, a few rows of one kind at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import cast, delete, func, insert, literal, select
from sqlalchemy.dialects.postgresql import REGCLASS

from service.errors import InputError
from service.patterns.catalogue import MOST_RECURRING, MOST_SINGLE
from service.store import tables
from service.store.days import DAY, Day, SqlDays
from service.store.sensors import SqlSensors
from service.windows.wire import WireLimits, read_window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

_STORED = WireLimits(rows=1 << 25, bytes=1 << 32)

_ROW_BYTES = 300
"""About what a row takes beside its document, with its share of indexes."""

_SPARE_PAGES = 1000
"""Free pages of an SQLite file that stay: the next windows take them."""

_LATEST = 100
"""Windows among which the latest end is: longer ones begin earlier than those that end with them."""

# What a catalogue does not list now may be listed again when others leave it.
_MOST = {True: 2 * MOST_RECURRING, False: 2 * MOST_SINGLE}

_windows = tables.windows
_alerts = tables.alerts
_patterns = tables.patterns
_jobs = tables.jobs
_KEPT_COLUMNS = [column for column in _windows.c if column.name != "counts"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a sensor's time, ns since the epoch."""

    sensor: str
    latest_end: int | None
    """Where its latest window ends."""
    last: int | None
    """When something came from it."""

    def time(self, now: int) -> int:
        """Return where the sensor's traffic would be by now, never later than `now`.

        What came late, such as a capture of last year, is as old as it was when it came, and the time since. Where
        it is not known when it came, only newer traffic makes it older.
        """
        if self.latest_end is None:
            return now
        # Who sends a window does so after its end.
        if self.last is None or self.last <= self.latest_end:
            return min(now, self.latest_end)
        return min(now, self.latest_end + max(0, now - self.last))


@dataclass(frozen=True, slots=True)
class Ended:
    """A stored window."""

    id: str
    sensor: str
    end: int
    """ns since the epoch."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What a day takes over of a window."""

    id: str
    answered: int
    bytes: int
    """About what is free when it goes."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What went."""

    rows: int
    bytes: int
    """About what they took."""


class SqlPruning:
    """Finds and deletes in one connection's transaction; in the same, windows that go add to their days."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._days = SqlDays(connection)

    def sensors(self) -> list[str]:
        """Return the names under which something is stored."""
        columns = (_windows.c.sensor, _alerts.c.sensor, _patterns.c.sensor)
        return sorted({name for column in columns for name in self._distinct(column)})

    def heard(self, sensor: str) -> Heard:
        """Return what is known of a sensor's time."""
        table = tables.sensors
        known = self._connection.execute(
            select(table.c.latest_end_ns, table.c.last_ns).where(table.c.name == sensor)
        ).one_or_none()
        last = select(_windows.c.end_ns).where(_windows.c.sensor == sensor).order_by(_windows.c.start_ns.desc())
        end = self._connection.scalar(select(func.max(last.limit(_LATEST).subquery().c.end_ns)))
        ends = [value for value in (end, known.latest_end_ns if known else None) if value is not None]
        return Heard(sensor, max(ends, default=None), known.last_ns if known else None)

    def full_windows(self, before: int, limit: int, sensor: str | None = None, after: int = 0) -> list[Ended]:
        """Return windows that ended in [after, before) and still have their counts, oldest first."""
        full = _ended(before, sensor).where(_windows.c.end_ns >= after, func.length(_windows.c.counts) > 0)
        return self._found(full.limit(limit))

    def old_windows(self, before: int, limit: int, sensor: str | None = None) -> list[Ended]:
        """Return windows that ended before a time, oldest first: but for those that a job is of.

        Without their row, one that is sent again would count again; whoever sends it does so in the next hours.
        """
        job = select(_jobs.c.id).where(_jobs.c.window == _windows.c.id)
        return self._found(_ended(before, sensor).where(~job.exists()).limit(limit))

    def sums(self, ids: Sequence[str]) -> list[Sums]:
        """Return what days take over of these windows; one document is in memory at a time."""
        return list(self._sums(ids))

    def drop_counts(self, sums: Sequence[Sums]) -> Gone:
        """Let go of the counts of windows, unless somebody else has; what they count as answered goes to days."""
        full = self._rows([each.id for each in sums], func.length(_windows.c.counts) > 0)
        found = {each.id: each for each in sums if each.id in full}
        if found:
            self._days.add(replace(_day(full[each.id]), answered=each.answered) for each in found.values())
            self._delete(_windows, _windows.c.id, list(found))
            # Anew, and not updated: what was small already would stay where it was in SQLite, on a page of its own.
            self._connection.execute(insert(_windows), [full[name] | {"counts": b""} for name in found])
        return Gone(len(found), sum(each.bytes - _ROW_BYTES for each in found.values()))

    def drop_windows(self, sums: Sequence[Sums]) -> Gone:
        """Delete windows, unless somebody else has; days take over all that they count."""
        ids = [each.id for each in sums]
        rows, full = self._rows(ids), self._rows(ids, func.length(_windows.c.counts) > 0)
        gone = [each for each in sums if each.id in rows]
        self._days.add(_whole_day(rows[each.id], each.answered if each.id in full else 0) for each in gone)
        self._delete(_windows, _windows.c.id, [each.id for each in gone])
        return Gone(len(gone), sum(each.bytes for each in gone))

    def drop_alerts(self, sensor: str, before: int, limit: int) -> Gone:
        """Delete alerts that were over before a time, and all that hangs on them."""
        old = select(_alerts.c.id, func.length(_alerts.c.document).label("size"))
        old = old.where(_alerts.c.sensor == sensor, _alerts.c.open_until_ns < before)
        rows = self._connection.execute(old.order_by(_alerts.c.open_until_ns).limit(limit)).all()
        ids = [row.id for row in rows]
        for table in (tables.alert_sources, tables.alert_services, tables.alert_states, tables.comments):
            self._delete(table, table.c.alert, ids)
        self._delete(_alerts, _alerts.c.id, ids)
        return Gone(len(ids), sum(row.size + 2 * _ROW_BYTES for row in rows))

    def drop_patterns(self, sensor: str, before: int, limit: int) -> Gone:
        """Delete patterns last seen before a time that no catalogue lists and no alert names."""
        lengths = select(_patterns.c.length_ns).where(_patterns.c.sensor == sensor).distinct()
        ids = [
            name
            for length in self._connection.scalars(lengths).all()
            for recurring in (True, False)
            for name in self._retired(sensor, length, before, limit, recurring=recurring)
        ][:limit]
        self._delete(tables.pattern_versions, tables.pattern_versions.c.pattern, ids)
        self._delete(_patterns, _patterns.c.id, ids)
        if ids:
            # Who has its catalogues at hand must not go on with one of these.
            SqlSensors(self._connection).touch(sensor)
        return Gone(len(ids), 0)

    def drop_events(self, before: int, limit: int, upto: int | None = None) -> Gone:
        """Delete events written before a time, of numbers up to `upto`; the latest stays, so that numbers go on."""
        table = tables.events
        latest = self._connection.scalar(select(func.max(table.c.sequence))) or 0
        return self._drop_oldest(
            table, table.c.document, before, limit, latest - 1 if upto is None else min(upto, latest - 1)
        )

    def drop_dead_letters(self, before: int, limit: int) -> Gone:
        """Delete what outputs gave up before a time."""
        table = tables.dead_letters
        return self._drop_oldest(table, table.c.document, before, limit)

    def drop_jobs(self, before: int, limit: int) -> Gone:
        """Delete jobs that were done, or failed, before a time."""
        old = select(_jobs.c.sequence, func.coalesce(func.length(_jobs.c.outcome), 0).label("size"))
        old = old.where(_jobs.c.state.in_(("done", "failed")), _jobs.c.done_ns < before)
        return self._drop(_jobs, old.order_by(_jobs.c.done_ns).limit(limit))

    def drop_audit(self, before: int, limit: int) -> Gone:
        """Delete entries of the audit log written before a time."""
        table = tables.audit
        return self._drop_oldest(table, table.c.action, before, limit)

    def delivered(self) -> int | None:
        """Return the number up to which all outputs have told the events, or None without outputs."""
        position: int | None = self._connection.scalar(select(func.min(tables.deliveries.c.position)))
        return position

    def used_bytes(self, above: int) -> int:
        """Return about how many bytes the database takes without what it has free, exact enough above a bound.

        SQLite: its pages but for the free ones. PostgreSQL: `pg_total_relation_size` of the tables. Since that does
        not shrink when rows go, above the bound what the rows take is counted instead, if it is less.
        """
        if self._is_sqlite():
            pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
            return (pages - free) * size
        sizes = [func.pg_total_relation_size(cast(name, REGCLASS)) for name in tables.metadata.tables]
        total = sum(map(int, self._connection.execute(select(*sizes)).one()))
        return total if total <= above else min(total, sum(map(self._row_bytes, tables.metadata.sorted_tables)))

    def can_shrink(self) -> bool:
        """Return whether an SQLite file has free pages and was made so that they can be given back."""
        # 2: INCREMENTAL; see `service.store.sqlite`. PostgreSQL's autovacuum does as much by itself.
        return (
            self._is_sqlite() and self._pragma("auto_vacuum") == 2 and self._pragma("freelist_count") > _SPARE_PAGES
        )

    def shrink(self, pages: int) -> int:
        """Give up to so many free pages of an SQLite file back to the system; return how many went."""
        before = self._pragma("page_count")
        most = min(pages, self._pragma("freelist_count") - _SPARE_PAGES)
        for _ in range(most):
            # The driver goes one step of a statement that has no columns, and one step is one page.
            self._connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        return before - self._pragma("page_count")

    def _found(self, query: Select[str, str, int]) -> list[Ended]:
        return [Ended(row.id, row.sensor, row.end_ns) for row in self._connection.execute(query)]

    def _sums(self, ids: Sequence[str]) -> Iterator[Sums]:
        for name in ids:
            document = self._connection.scalar(select(_windows.c.counts).where(_windows.c.id == name))
            if document is not None:
                yield Sums(name, _answered(document), len(document) + _ROW_BYTES)

    def _rows(self, ids: Sequence[str], *conditions: ColumnElement[bool]) -> dict[str, dict[str, Any]]:
        query = select(*_KEPT_COLUMNS).where(_windows.c.id.in_(ids), *conditions)
        return {row["id"]: dict(row) for row in self._connection.execute(query).mappings()}

    def _retired(self, sensor: str, length: int, before: int, limit: int, *, recurring: bool) -> list[str]:
        table = _patterns.c
        ours = (table.sensor == sensor, table.length_ns == length, table.recurring == recurring)
        listed = select(table.id).where(*ours).order_by(table.last_seen_ns.desc(), table.sequence)
        named = select(_alerts.c.id).where(_alerts.c.pattern == table.id)
        old = select(table.id).where(*ours, table.last_seen_ns < before, ~named.exists())
        old = old.where(table.id.not_in(listed.limit(_MOST[recurring])))
        return list(self._connection.scalars(old.order_by(table.last_seen_ns).limit(limit)))

    def _drop_oldest(
        self, table: Table, document: Column[str], before: int, limit: int, upto: int | None = None
    ) -> Gone:
        """Delete those of the oldest rows that were written before a time: their times grow as their numbers do."""
        oldest = select(table.c.sequence, table.c.at_ns, func.length(document).label("size"))
        if upto is not None:
            oldest = oldest.where(table.c.sequence <= upto)
        rows = oldest.order_by(table.c.sequence).limit(limit).subquery()
        return self._drop(table, select(rows.c.sequence, rows.c.size).where(rows.c.at_ns < before))

    def _drop(self, table: Table, old: Select[int, int]) -> Gone:
        rows = self._connection.execute(old).all()
        self._delete(table, table.c.sequence, [row.sequence for row in rows])
        return Gone(len(rows), sum(row.size + _ROW_BYTES for row in rows))

    def _delete(self, table: Table, column: Column[Any], values: Sequence[Any]) -> None:
        if values:
            self._connection.execute(delete(table).where(column.in_(values)))

    def _distinct(self, column: Column[str]) -> Iterator[str]:
        """Yield the values of an indexed column, without looking at all rows."""
        value = self._connection.scalar(select(func.min(column)))
        while value is not None:
            yield value
            value = self._connection.scalar(select(func.min(column)).where(column > value))

    def _row_bytes(self, table: Table) -> int:
        # 28: head and pointer of a row; 40: an entry of an index, about.
        fixed = 28 + 40 * (1 + len(table.indexes))
        size = sum((func.coalesce(func.pg_column_size(column), 0) for column in table.c), start=literal(fixed))
        return int(self._connection.scalar(select(func.coalesce(func.sum(size), 0)).select_from(table)) or 0)

    def _is_sqlite(self) -> bool:
        return self._connection.dialect.name == "sqlite"

    def _pragma(self, name: str) -> int:
        return int(self._connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _ended(before: int, sensor: str | None) -> Select[str, str, int]:
    """Select windows that ended before a time, oldest first: of one sensor, or of all."""
    query = select(_windows.c.id, _windows.c.sensor, _windows.c.end_ns).where(_windows.c.end_ns < before)
    if sensor is None:
        return query.order_by(_windows.c.end_ns)
    # The start is what a sensor's windows are found by.
    return query.where(_windows.c.sensor == sensor, _windows.c.start_ns < before).order_by(_windows.c.start_ns)


def _answered(document: bytes) -> int:
    """Return what a window counts as answered: nothing if its counts are gone, or damaged."""
    try:
        return int(read_window(document, _STORED).rows.answered.sum())
    except InputError:
        return 0


def _day(row: dict[str, Any]) -> Day:
    return Day(row["sensor"], row["end_ns"] - row["start_ns"], row["start_ns"] // DAY * DAY)


def _whole_day(row: dict[str, Any], answered: int) -> Day:
    return replace(
        _day(row),
        windows=1,
        attempts=row["attempts"],
        answered=answered,
        most_sources=row["sources"],
        most_services=row["services"],
        shed=row["shed"],
    )
