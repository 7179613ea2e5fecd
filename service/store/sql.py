"""A store in a SQL database."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, delete, insert, select

from service.alerts.alert import Alert
from service.errors import FullError, InputError, StoreError, WindowConflictError
from service.observe import SILENT, Observer
from service.patterns.catalogue import MOST_RECURRING, MOST_SINGLE, Catalogue
from service.patterns.pattern import HUSHED, Pattern
from service.store import documents, tables
from service.store.allow_rules import SqlAllowRules
from service.store.audit import SqlAudit
from service.store.backend import failures, open_backend
from service.store.days import SqlDays
from service.store.deliveries import SqlDeliveries
from service.store.desk import SqlDesk, alert_conditions
from service.store.events import SqlEvents
from service.store.gauges import SqlGauges
from service.store.jobs import SqlJobs
from service.store.overview import SqlOverview
from service.store.paging import page_of
from service.store.pruning import SqlPruning
from service.store.repository import (
    MOST_HUSHED,
    MOST_VERSIONS,
    AlertQuery,
    Memory,
    MemoryKey,
    Page,
    PatternQuery,
    Tuning,
    WindowRecord,
)
from service.store.schema import Schema
from service.store.sensors import SqlSensors
from service.store.settings import SqlSettings
from service.store.sources import SqlSources
from service.store.span import address_key
from service.store.statements import add_new, replace
from service.store.tokens import SqlTokens
from service.windows.counts import no_counts
from service.windows.wire import WireLimits, read_window, write_window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Row

    from service.patterns.catalogue import Update
    from service.patterns.pattern import PatternVersion
    from service.windows.counts import WindowCounts

Item = TypeVar("Item", Alert, Pattern)

_ASKED_TOGETHER = 500
"""Ids in one query, at most: databases bound the number of parameters."""

_REMEMBERED = 15.0
"""Seconds for which a disk counts as full, unless something is written: nobody may try as long as it does."""

_STORED = WireLimits(rows=1 << 25, bytes=1 << 32)
"""What is stored was accepted: whatever memory holds."""


_DIGEST = select(tables.windows.c.digest).where(tables.windows.c.id == bindparam("window"))


class _SqlUnit:
    """Reads and writes of one connection's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.events = SqlEvents(connection)
        self.desk = SqlDesk(connection, self.events)
        self.settings = SqlSettings(connection)
        self.allow_rules = SqlAllowRules(connection)
        self.sources = SqlSources(connection, _read_counts)
        self.overview = SqlOverview(connection)
        self._written: set[str] = set()
        self.gauges = SqlGauges(connection)
        self.deliveries = SqlDeliveries(connection)
        self.jobs = SqlJobs(connection)
        self.sensors = SqlSensors(connection)
        self.days = SqlDays(connection)
        self.pruning = SqlPruning(connection)
        self.tokens = SqlTokens(connection)
        self.audit = SqlAudit(connection)

    def window(self, window_id: str) -> WindowRecord | None:
        row = self._connection.execute(select(tables.windows).where(tables.windows.c.id == window_id)).one_or_none()
        if row is None:
            return None
        counts = _read_counts(row.id, row.counts) if row.counts else no_counts(row.sensor, row.start_ns, row.end_ns)
        return WindowRecord(counts, row.digest, tuple(row.patterns), tuple(row.alerts), kept=bool(row.counts))

    def window_digest(self, window_id: str) -> str | None:
        return self._connection.execute(_DIGEST, {"window": window_id}).scalar_one_or_none()

    def add_window(self, record: WindowRecord, document: bytes | None = None) -> None:
        counts = record.counts
        row = {
            "id": counts.id,
            "sensor": counts.sensor,
            "start_ns": counts.start,
            "end_ns": counts.end,
            "digest": record.digest,
            "patterns": list(record.patterns),
            "alerts": list(record.alerts),
            "sources": len(counts.sources),
            "services": len(np.unique(counts.rows.service)),
            "attempts": counts.attempts,
            "shed": counts.shed.attempts,
            "counts": document or write_window(counts),
        }
        if not self._connection.execute(add_new(tables.windows, "id"), row).rowcount:
            raise WindowConflictError(f"window {counts.id}: stored already")
        self.sensors.count(counts)
        self._touch({counts.sensor})
        self.events.note_time(counts.sensor, counts.end)

    def catalogue(self, sensor: str, length: int, spare: int = 0) -> Catalogue:
        table = tables.catalogues
        query = select(table.c.windows).where(table.c.sensor == sensor, table.c.length_ns == length)
        windows = self._connection.execute(query).scalar_one_or_none() or 0
        rows = [
            *self._seen_last(sensor, length, MOST_RECURRING + spare, recurring=True),
            *self._seen_last(sensor, length, MOST_SINGLE + spare, recurring=False),
        ]
        patterns = tuple(documents.read_pattern(row.document) for row in sorted(rows, key=lambda row: row.sequence))
        return Catalogue(sensor, length, windows, patterns)

    def save_catalogue(self, update: Update) -> None:
        catalogue, table = update.catalogue, tables.catalogues
        row = {"sensor": catalogue.sensor, "length_ns": catalogue.length, "windows": catalogue.windows}
        self._connection.execute(replace(table, "sensor", "length_ns"), row)
        self.save_patterns(update.patterns, update.versions)

    def save_patterns(self, patterns: Iterable[Pattern], versions: Iterable[PatternVersion] = ()) -> None:
        patterns = list(patterns)
        self._touch({pattern.sensor for pattern in patterns})
        rows = {
            pattern.id: {
                "id": pattern.id,
                "sensor": pattern.sensor,
                "last_seen_ns": pattern.last_seen,
                "document": documents.write_pattern(pattern),
                "length_ns": pattern.length,
                "recurring": pattern.windows > 1,
                "status": pattern.status.value,
                "state": pattern.state.value,
                "services": f" {' '.join(name for name, _ in pattern.services)} ",
            }
            for pattern in patterns
        }
        self._save(tables.patterns, list(rows.values()))
        self._save_versions(list(versions))

    def versions(self, pattern_id: str) -> Sequence[PatternVersion]:
        table = tables.pattern_versions
        query = select(table.c.document).where(table.c.pattern == pattern_id).order_by(table.c.version)
        return [documents.read_version(document) for document in self._connection.scalars(query)]

    def open_alerts(self, sensor: str, since: int, sources: Collection[str] | None = None) -> Sequence[Alert]:
        table, named = tables.alerts, tables.alert_sources
        rows = select(table.c.document).where(table.c.sensor == sensor, table.c.open_until_ns >= since)
        if sources is not None:
            rows = rows.where(table.c.id.in_(select(named.c.alert).where(named.c.source.in_(sources))))
        return list(map(documents.read_alert, self._connection.scalars(rows.order_by(table.c.sequence))))

    def save_alerts(self, alerts: Iterable[Alert], *, named: bool = True) -> None:
        latest = {alert.id: alert for alert in alerts}
        before = self.events.standings(latest)
        self._touch({alert.sensor for alert in latest.values()})
        rows = [
            {
                "id": alert.id,
                "sensor": alert.sensor,
                "kind": alert.kind.value,
                "first_seen_ns": alert.first_seen,
                "last_seen_ns": alert.last_seen,
                "open_until_ns": alert.open_until,
                "ended": alert.id in before and before[alert.id].still_ended(alert),
                "allowed": alert.allowed_by is not None,
                "score": alert.excess,
                "pattern": alert.pattern,
                "updates": alert.updates,
                "document": documents.write_alert(alert),
            }
            for alert in latest.values()
        ]
        self._save(tables.alerts, rows)
        if named:
            self.name_alerts(latest.values())
        self.events.note_saved(latest.values(), before)

    def name_alerts(self, alerts: Iterable[Alert]) -> None:
        named = list(alerts)
        self._save_names(tables.alert_sources, [*map(_source_rows, named)])
        self._save_names(tables.alert_services, [*map(_service_rows, named)])

    def tuning(self) -> Tuning:
        rules = tuple(kept.rule for kept in self.allow_rules.all())
        return Tuning(self.settings.false_alarms(), rules)

    def alert_places(self, alert_ids: Collection[str]) -> dict[str, int]:
        table = tables.alerts
        found: dict[str, int] = {}
        ids = list(alert_ids)
        for start in range(0, len(ids), _ASKED_TOGETHER):
            query = select(table.c.id, table.c.sequence).where(table.c.id.in_(ids[start : start + _ASKED_TOGETHER]))
            found.update((row.id, row.sequence) for row in self._connection.execute(query))
        return found

    def memory(self, key: MemoryKey) -> Memory | None:
        table = tables.memories
        query = select(table.c.window, table.c.document).where(*_memory_of(key))
        row = self._connection.execute(query).one_or_none()
        return None if row is None else Memory(row.window, row.document)

    def memory_window(self, key: MemoryKey) -> str | None:
        query = select(tables.memories.c.window).where(*_memory_of(key))
        return self._connection.execute(query).scalar_one_or_none()

    def save_memory(self, key: MemoryKey, memory: Memory) -> None:
        table = tables.memories
        self._connection.execute(delete(table).where(*_memory_of(key)))
        named = {"sensor": key.sensor, "length_ns": key.length, "part": key.part.value}
        self._connection.execute(insert(table), named | {"window": memory.window, "document": memory.document})

    def alert(self, alert_id: str) -> Alert | None:
        document = self._document(tables.alerts, alert_id)
        return None if document is None else documents.read_alert(document)

    def alerts(self, query: AlertQuery) -> Page[Alert]:
        table = tables.alerts
        rows = select(table.c.sequence, table.c.document).where(*alert_conditions(query))
        return self._page(table, rows, query, documents.read_alert)

    def pattern(self, pattern_id: str) -> Pattern | None:
        document = self._document(tables.patterns, pattern_id)
        return None if document is None else documents.read_pattern(document)

    def patterns(self, query: PatternQuery) -> Page[Pattern]:
        table = tables.patterns
        rows = select(table.c.sequence, table.c.document)
        if query.sensor is not None:
            rows = rows.where(table.c.sensor == query.sensor)
        if query.status is not None:
            rows = rows.where(table.c.status == query.status.value)
        if query.state is not None:
            rows = rows.where(table.c.state == query.state.value)
        if query.service is not None:
            rows = rows.where(table.c.services.contains(f" {query.service} ", autoescape=True))
        return self._page(table, rows, query, documents.read_pattern)

    def hushed_patterns(self, sensor: str) -> Sequence[Pattern]:
        table = tables.patterns
        query = (
            select(table.c.document)
            .where(table.c.sensor == sensor, table.c.status.in_([status.value for status in HUSHED]))
            .order_by(table.c.last_seen_ns.desc(), table.c.sequence)
            .limit(MOST_HUSHED)
        )
        return [documents.read_pattern(document) for document in self._connection.scalars(query)]

    def _seen_last(self, sensor: str, length: int, most: int, *, recurring: bool) -> Sequence[Row[int, str]]:
        table = tables.patterns
        query = (
            select(table.c.sequence, table.c.document)
            .where(table.c.sensor == sensor, table.c.length_ns == length, table.c.recurring == recurring)
            .order_by(table.c.last_seen_ns.desc(), table.c.sequence)
            .limit(most)
        )
        return self._connection.execute(query).all()

    def _save_versions(self, versions: list[PatternVersion]) -> None:
        table = tables.pattern_versions
        rows = [
            {"pattern": each.pattern, "version": each.version, "document": documents.write_version(each)}
            for each in versions
        ]
        if rows:
            self._connection.execute(replace(table, "pattern", "version"), rows)
        latest = {each.pattern: each.version for each in versions if each.version > MOST_VERSIONS}
        if latest:
            old = table.c.version <= bindparam("latest") - MOST_VERSIONS
            stale = delete(table).where(table.c.pattern == bindparam("replaced"), old)
            self._connection.execute(stale, [{"replaced": name, "latest": last} for name, last in latest.items()])

    def _touch(self, sensors: set[str]) -> None:
        """Raise the revision of sensors of which something is written: once in a transaction is enough."""
        for sensor in sorted(sensors - self._written):
            self.sensors.touch(sensor)
        self._written |= sensors

    def _save(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(replace(table, "id"), rows)

    def _save_names(self, table: Table, alerts: list[list[dict[str, Any]]]) -> None:
        rows = [row for alert in alerts for row in alert]
        if rows:
            stale = delete(table).where(table.c.alert == bindparam("replaced"))
            self._connection.execute(stale, [{"replaced": alert_id} for alert_id in {row["alert"] for row in rows}])
            self._connection.execute(insert(table), rows)

    def _document(self, table: Table, item_id: str) -> str | None:
        query = select(table.c.document).where(table.c.id == item_id)
        return self._connection.execute(query).scalar_one_or_none()

    def _page(
        self,
        table: Table,
        rows: Select[int, str],
        query: AlertQuery | PatternQuery,
        read: Callable[[str], Item],
    ) -> Page[Item]:
        found, following = page_of(self._connection, rows, table.c.sequence, query.limit, query.cursor)
        return Page(tuple(read(row.document) for row in found), following)


def _read_counts(window: str, document: bytes) -> WindowCounts:
    try:
        return read_window(document, _STORED)
    except InputError as error:
        raise StoreError(f"window {window}: its document is damaged ({error}); restore a backup") from error


def _source_rows(alert: Alert) -> list[dict[str, Any]]:
    return [
        {"source": source, "alert": alert.id, "address": address_key(source)}
        for source in dict.fromkeys(alert.sources)
    ]


def _service_rows(alert: Alert) -> list[dict[str, Any]]:
    return [{"service": service, "alert": alert.id} for service in dict.fromkeys(alert.services)]


def _memory_of(key: MemoryKey) -> tuple[ColumnElement[bool], ...]:
    table = tables.memories.c
    return table.sensor == key.sensor, table.length_ns == key.length, table.part == key.part.value


class SqlStore:
    """Keeps everything in the database at a URL: ``sqlite:///FILE``, made if need be, or ``postgresql://HOST/NAME``.

    Brings the tables of an older Yocho up to date. Writers wait up to `wait_seconds` for one another. Raises
    StoreError if the database can't be opened, is not ours, or was made by a newer Yocho.
    """

    durable = True

    def __init__(self, url: str, wait_seconds: float = 30.0, observer: Observer = SILENT) -> None:
        self._observer = observer
        self._full_since: float | None = None
        self._backend = open_backend(url, wait_seconds)
        try:
            with self.failures(f"can't be opened; {self._backend.advice}"):
                Schema(self._backend).prepare()
        except StoreError:
            self.close()
            raise

    @contextmanager
    def begin(self, sensor: str | None = None) -> Iterator[_SqlUnit]:
        """Open a transaction: committed at the end of the block, undone if the block raises."""
        try:
            with (
                self.failures("a transaction failed and was undone"),
                self._observer.transaction("write"),
                self._backend.writing(sensor) as connection,
            ):
                unit = _SqlUnit(connection)
                yield unit
                unit.events.write()
        except FullError:
            self._full_since = time.monotonic()
            raise
        self._full_since = None

    def was_full(self) -> bool:
        """Return whether there was no room for what was written last, a short while ago."""
        since = self._full_since
        return since is not None and time.monotonic() - since < _REMEMBERED

    @contextmanager
    def read(self) -> Iterator[_SqlUnit]:
        """Read the database as it is at the first read of the block."""
        with (
            self.failures("reading failed"),
            self._observer.transaction("read"),
            self._backend.reading() as connection,
        ):
            yield _SqlUnit(connection)

    def close(self) -> None:
        """Let go of files and connections."""
        self._backend.engine.dispose()

    def failures(self, what: str) -> AbstractContextManager[None]:
        """Raise what the database raises inside of the block as StoreError, as transactions do at their end.

        For blocks inside of a transaction that must tell it from other errors.
        """
        return failures(self._backend, what)
