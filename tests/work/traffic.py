"""Windows of some sensors, and what a store has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from service.analysis import Analyst
from service.intake import Intake, IntakeSpec
from service.pipeline import PipelineSpec
from service.store import tables
from service.work.parser import Parser
from service.work.parsing import Limits
from service.work.worker import Worker, WorkSpec
from tests.traffic import SECOND, START, Try, ports, sweep, window

if TYPE_CHECKING:
    from service.store.jobs import Job
    from service.store.sql import SqlStore
    from service.windows.counts import WindowCounts

MINUTE = 60 * SECOND
KEPT = (
    tables.events,
    tables.windows,
    tables.patterns,
    tables.pattern_versions,
    tables.catalogues,
    tables.alerts,
    tables.memories,
)


def minutes(sensor: str, count: int, seed: int = 1) -> list[WindowCounts]:
    """Minutes of clients, of strangers with habits of their own, and of a scanner that comes and goes."""
    told = tries(count, seed)
    return [window(each, start=START + minute * MINUTE, sensor=sensor) for minute, each in enumerate(told)]


def tries(count: int, seed: int = 1) -> list[list[Try]]:
    """What is tried in each of these minutes."""
    chance = np.random.default_rng(seed)
    found = []
    for minute in range(count):
        tries = [Try(f"10.5.0.{i}", "10.0.0.1", "tcp/443", answered=True) for i in range(1, 9)]
        for i in range(1, 13):
            habits = chance.choice(
                [22, 23, 80, 445, 1433, 3306, 3389, 5900, 8080, 9200], int(chance.integers(2, 6))
            )
            tries += [Try(f"198.51.100.{i}", f"10.0.0.{i}", f"tcp/{port}") for port in sorted(set(habits.tolist()))]
        if minute % 3:
            tries += ports("203.0.113.7", "10.0.0.2", 30, first=30 * minute + 1)
        tries += sweep("203.0.113.8", "tcp/23", 20, first=20 * minute + 1)
        found.append(tries)
    return found


def kept(store: SqlStore) -> dict[str, list[Any]]:
    """Return all rows that analysis writes; of a sensor, in their order."""
    with store.read() as reader:
        found: dict[str, list[Any]] = {}
        for table in KEPT:
            columns = [column for column in table.c if column.name not in ("sequence", "at_ns")]
            order = [table.c.sequence] if "sequence" in table.c else list(table.primary_key)
            rows = reader._connection.execute(select(*columns).order_by(*order)).all()
            found[table.name] = [tuple(row) for row in rows]
        return found


def a_worker(store: SqlStore, name: str = "", **details: Any) -> Worker:
    """Return a worker that knows nothing yet."""
    spec = PipelineSpec()
    return Worker(WorkSpec(**details), store, Analyst(spec), Parser(spec, Limits()), name=name)


class Worked(Intake):
    """An intake whose work is done when someone asks for it."""

    def __init__(self, store: SqlStore, worker: Worker) -> None:
        super().__init__(IntakeSpec(), store)
        self._worker = worker

    def job(self, job_id: str) -> Job | None:
        self._worker.run_once()
        return super().job(job_id)
