"""How long what is stored is kept: by age, and by the size of the database, in small steps.

A step finds what may go without holding up anybody, and deletes it in short transactions of few rows each. Windows
go up into `service.store.days` in the transaction that deletes them, so that they count once whatever happens. What
is kept whatever the limits say: alerts that are open, patterns that alerts name or catalogues list, windows of jobs
that are known, the latest event, and of what goes by size the last day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from service.store.days import DAY
from service.store.pruning import Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from service.store.pruning import Ended, Heard, SqlPruning, Sums
    from service.store.sql import SqlStore

LEAST_BYTES = 1 << 20
"""The smallest bound on the size: an empty database takes a good part of it."""

_SPARED = DAY
"""What is younger goes by no bound on the size: it tells repetitions, and what still goes on."""

_PAGES = 2000
"""Free pages of an SQLite file that one transaction gives back to the system."""

_NOBODY = ""
"""Whose turn it is where a row belongs to no sensor."""

_EVER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class RetentionSpec:
    """Days for which each kind is kept, and the most bytes of all; 0: for ever, or any number.

    Raises ValueError for what is negative, and for bytes that no database gets along with.
    """

    counts: int = 30
    """What windows counted; without it they still say how much it was, and what was found in it."""
    windows: int = 365
    """Windows themselves; then their day's sums are left."""
    alerts: int = 365
    """Alerts that are over."""
    events: int = 30
    """What happened to alerts, and what outputs gave up telling."""
    jobs: int = 1
    """Receipts of work that is done."""
    audit: int = 365
    patterns: int = 365
    """Patterns that no catalogue lists any more, after they were seen last."""
    most_bytes: int = 0
    rows: int = 200
    """That one transaction deletes, at most."""
    transactions: int = 20
    """Of one step for the size, at most."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < (1 if field.name in ("rows", "transactions") else 0):
                raise ValueError(f"{field.name}: {getattr(self, field.name)} is too small")
        if 0 < self.most_bytes < LEAST_BYTES:
            raise ValueError(f"most_bytes: {self.most_bytes} is less than {LEAST_BYTES}; 0 means any number")


@dataclass(frozen=True, slots=True)
class Retained:
    """What a step, or several, let go of."""

    counts: int = 0
    windows: int = 0
    alerts: int = 0
    events: int = 0
    jobs: int = 0
    audit: int = 0
    patterns: int = 0
    pages: int = 0
    """Of an SQLite file, given back to the system."""
    over: int = 0
    """Bytes above the bound on the size, about."""
    more: bool = False
    """Another step would let go of more."""

    def __add__(self, later: Retained) -> Retained:
        sums = {
            field.name: getattr(self, field.name) + getattr(later, field.name)
            for field in fields(self)
            if field.name not in ("over", "more")
        }
        return Retained(**sums, over=later.over, more=later.more)


def step(database: SqlStore, spec: RetentionSpec, now: int) -> Retained:
    """Let go of a bounded number of rows; `now` is in ns since the epoch. Raises StoreError."""
    return _Step(database, spec, now).run()


class _Step:
    def __init__(self, database: SqlStore, spec: RetentionSpec, now: int) -> None:
        self._database = database
        self._spec = spec
        self._now = now
        self._gone: Counter[str] = Counter()
        self._more = False
        self._over = 0
        self._emptied = 0

    def run(self) -> Retained:
        with self._database.read() as reader:
            sensors = [reader.pruning.heard(name) for name in reader.pruning.sensors()]
        for heard in sensors:
            self._age_sensor(heard)
        self._age_rest()
        if self._spec.most_bytes:
            self._fit(sensors)
        self._shrink()
        return Retained(**self._gone, over=self._over, more=self._more)

    def _age_sensor(self, heard: Heard) -> None:
        """Let go of what is too old of a sensor."""
        spec, time, name = self._spec, heard.time(self._now), heard.sensor
        if spec.counts:
            with self._database.read() as reader:
                found = reader.pruning.full_windows(time - spec.counts * DAY, spec.rows, name)
            self._drop_counts(name, found)
        if spec.windows:
            with self._database.read() as reader:
                old = reader.pruning.old_windows(time - spec.windows * DAY, spec.rows, name)
            self._drop_windows(name, old)
        if spec.alerts:
            before = _over(heard, time - spec.alerts * DAY)
            self._drop("alerts", name, lambda rows: rows.drop_alerts(name, before, spec.rows))
        if spec.patterns:
            unseen = time - spec.patterns * DAY
            self._drop("patterns", name, lambda rows: rows.drop_patterns(name, unseen, spec.rows))

    def _age_rest(self) -> None:
        """Let go of what is too old and belongs to no sensor."""
        spec = self._spec
        if spec.events:
            before = self._now - spec.events * DAY
            self._drop("events", _NOBODY, lambda rows: rows.drop_events(before, spec.rows))
            self._drop("events", _NOBODY, lambda rows: rows.drop_dead_letters(before, spec.rows))
        if spec.jobs:
            done = self._now - spec.jobs * DAY
            self._drop("jobs", _NOBODY, lambda rows: rows.drop_jobs(done, spec.rows))
        if spec.audit:
            written = self._now - spec.audit * DAY
            self._drop("audit", _NOBODY, lambda rows: rows.drop_audit(written, spec.rows))

    def _fit(self, sensors: Sequence[Heard]) -> None:
        """Let go of the oldest until the database is below its bound, or the step is over."""
        with self._database.read() as reader:
            above = reader.pruning.used_bytes(self._spec.most_bytes) - self._spec.most_bytes
        left = self._spec.transactions
        for let_go in self._kinds(sensors):
            while above > 0 and left:
                gone = let_go()
                if not gone.rows:
                    break
                above -= gone.bytes
                left -= 1
        # How much went is an estimate: the next step looks again.
        self._more |= left < self._spec.transactions
        self._over = max(above, 0)

    def _kinds(self, sensors: Sequence[Heard]) -> Iterator[Callable[[], Gone]]:
        """Yield how the oldest of each kind are let go of; what is missed least comes first."""
        limit, before = self._spec.rows, self._now - _SPARED
        with self._database.read() as reader:
            told = reader.pruning.delivered()
        yield self._oldest_counts
        yield self._oldest_windows
        yield lambda: self._drop("events", _NOBODY, lambda rows: rows.drop_events(before, limit, told))
        yield lambda: self._drop("jobs", _NOBODY, lambda rows: rows.drop_jobs(before, limit))
        for heard in sensors:
            end = _over(heard, (heard.latest_end or self._now) - _SPARED)
            old = partial(_drop_alerts, sensor=heard.sensor, before=end, limit=limit)
            yield partial(self._drop, "alerts", heard.sensor, old)

    def _oldest_counts(self) -> Gone:
        with self._database.read() as reader:
            found = reader.pruning.full_windows(_EVER, self._spec.rows, after=self._emptied)
        self._emptied = found[-1].end if found else self._emptied
        return self._of_sensors(found, self._drop_counts)

    def _oldest_windows(self) -> Gone:
        with self._database.read() as reader:
            found = reader.pruning.old_windows(self._now - _SPARED, self._spec.rows)
        return self._of_sensors(found, self._drop_windows)

    def _of_sensors(self, found: Sequence[Ended], drop: Callable[[str, Sequence[Ended]], Gone]) -> Gone:
        """Let go of windows: those of each sensor in a transaction of their own."""
        rows = size = 0
        for sensor in dict.fromkeys(each.sensor for each in found):
            gone = drop(sensor, [each for each in found if each.sensor == sensor])
            rows, size = rows + gone.rows, size + gone.bytes
        return Gone(rows, size)

    def _drop_counts(self, sensor: str, found: Sequence[Ended]) -> Gone:
        sums = self._sums(found)
        return self._drop("counts", sensor, lambda rows: rows.drop_counts(sums)) if sums else Gone(0, 0)

    def _drop_windows(self, sensor: str, found: Sequence[Ended]) -> Gone:
        sums = self._sums(found)
        return self._drop("windows", sensor, lambda rows: rows.drop_windows(sums)) if sums else Gone(0, 0)

    def _sums(self, found: Sequence[Ended]) -> list[Sums]:
        """Read documents before anybody has to wait for it."""
        with self._database.read() as reader:
            return reader.pruning.sums([each.id for each in found])

    def _drop(self, kind: str, sensor: str, drop: Callable[[SqlPruning], Gone]) -> Gone:
        """Let go of rows in a transaction of a sensor, and count them."""
        with self._database.begin(sensor) as unit:
            gone = drop(unit.pruning)
        self._gone[kind] += gone.rows
        self._more |= gone.rows >= self._spec.rows
        return gone

    def _shrink(self) -> None:
        with self._database.read() as reader:
            if not reader.pruning.can_shrink():
                return
        with self._database.begin() as unit:
            pages = unit.pruning.shrink(_PAGES)
        self._gone["pages"] += pages
        self._more |= pages >= _PAGES


def _over(heard: Heard, time: int) -> int:
    """Return the time before which alerts are over: the sensor's latest window tells, whatever the clock says."""
    return time if heard.latest_end is None else min(time, heard.latest_end)


def _drop_alerts(rows: SqlPruning, sensor: str, before: int, limit: int) -> Gone:
    return rows.drop_alerts(sensor, before, limit)
