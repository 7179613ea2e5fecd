"""The service under load over HTTP: `python -m benchmarks.service.load`.

For each rate: `yocho serve --no-worker` and some workers on a new database, a few windows that load all code,
locust (`locustfile.py`) that posts windows of 1000 rows from many sensors, then a wait until no work is left. Then
what is stored is compared with what was accepted. The load generator runs on the same machine and takes its share
of it: its processor time is told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from benchmarks.core.results import load as load_results
from benchmarks.core.results import machine, save, table
from benchmarks.service.outcome import outcome_of, window_id
from benchmarks.service.processes import ServiceError, Watched, service, watching
from benchmarks.service.traffic import Posts
from service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = Path("benchmarks/results/service")
PACKAGES = ("locust", "gevent", "fastapi", "uvicorn", "msgspec", "sqlalchemy", "psycopg", "numpy", "scipy", "numba")
_ACCEPTED, _REFUSED = 202, (429, 503)
_LONGEST_DRAIN = 3600.0
_WARM_SENSORS, _WARM_WINDOWS = 4, 20


@dataclass(frozen=True, slots=True)
class Load:
    """What is offered, and to what."""

    rate: float
    """Windows a second."""
    seconds: int
    sensors: int
    workers: int
    queue: int
    """Jobs that may wait."""
    kinds: int = 20
    """Sensors with hosts of their own; others share them."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What senders heard."""

    posted: int
    accepted: int
    refused: int
    refused_without_time: int
    """Refusals that did not say when to come again."""
    failed: int
    """All other answers, and none."""
    a_second: float
    """Posts that were answered."""
    p50: float
    """Seconds until a window was accepted."""
    p95: float
    p99: float
    longest: float
    refused_p99: float | None


def run(load: Load, database: str | None) -> dict[str, Any]:
    """Offer a load, let all of it be done, and return what was found; raises ServiceError."""
    with tempfile.TemporaryDirectory(prefix="yocho-load-") as name:
        folder = Path(name)
        url_of_database = database or f"sqlite:///{folder}/load.db"
        settings = {
            "YOCHO_QUEUE_JOBS": str(load.queue),
            # The bound of a token is not what is measured.
            "YOCHO_RATE": "100000",
            "YOCHO_LOG_LEVEL": "warning",
        }
        with service(url_of_database, load.workers, settings, folder) as (url, watched), watching(watched):
            _make_bodies(load, folder)
            warm = _warm(url, url_of_database, watched)
            idle_load = os.getloadavg()[0]
            began = time.monotonic()
            generator, answers = _offer(load, url, folder)
            offered = time.monotonic()
            drained = _drain(url_of_database, watched)
            processes = [_figures(each, began, offered, drained) for each in watched]
        with closing(SqlStore(url_of_database)) as store:
            accepted = [window_id(f"sensor-{s}", n) for s, n, status, _, _ in answers if status == _ACCEPTED]
            outcome = outcome_of(store, [*warm, *accepted])
        work = [each for each in processes if each["name"] != "api"]
        return {
            "load": asdict(load),
            "database": "PostgreSQL" if url_of_database.startswith("postgres") else "SQLite",
            "answers": asdict(_heard(answers, load)),
            "outcome": {**asdict(outcome), "is_right": outcome.is_right},
            "processes": processes,
            "generator_processor": generator,
            "load_seconds": offered - began,
            "drain_seconds": drained - offered,
            "windows_a_processor_second": len(accepted) / sum(each["processor"] for each in work),
            "load_average_before": idle_load,
            "load_average": os.getloadavg()[0],
        }


def _warm(url: str, database: str, watched: Sequence[Watched]) -> list[str]:
    """Post some windows and wait until they are done; return their ids."""
    posts = Posts.of(seed=99, count=_WARM_WINDOWS)
    names = [f"warm-{number}" for number in range(_WARM_SENSORS)]
    with httpx.Client(base_url=url, headers={"Content-Type": "application/json"}, timeout=60.0) as client:
        for number in range(_WARM_WINDOWS):
            for name in names:
                client.post("/v1/windows", content=posts.body(name, number)).raise_for_status()
    _drain(database, watched)
    return [window_id(name, number) for name in names for number in range(_WARM_WINDOWS)]


def _make_bodies(load: Load, folder: Path) -> None:
    for seed in range(min(load.kinds, load.sensors)):
        Posts.of(seed).write(folder / "bodies" / f"{seed:04}")


def _offer(load: Load, url: str, folder: Path) -> tuple[float, list[tuple[int, int, int, float, bool]]]:
    """Return the processor time of the generator, seconds, and what it was answered."""
    file = folder / "answers.json"
    environment = {
        **os.environ,
        "YOCHO_LOAD_RATE": str(load.rate),
        "YOCHO_LOAD_USERS": str(load.sensors),
        "YOCHO_LOAD_BODIES": str(folder / "bodies"),
        "YOCHO_LOAD_ANSWERS": str(file),
    }
    users = ["--users", str(load.sensors), "--spawn-rate", str(load.sensors)]
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING"]
    command += ["-f", str(Path(__file__).with_name("locustfile.py")), "--host", url, *users]
    before = os.times()
    with (folder / "locust.log").open("wb") as log:
        done = subprocess.run(
            [*command, "--run-time", f"{load.seconds}s", "--stop-timeout", "60"],
            env=environment, stdout=log, stderr=log, check=False,
        )  # fmt: skip
    after = os.times()
    if not file.exists():
        text = (folder / "locust.log").read_text(encoding="utf-8")
        raise ServiceError(f"locust ended with {done.returncode}: {text[-2000:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, [tuple(each) for each in json.loads(file.read_text(encoding="utf-8"))]


def _drain(database: str, watched: Sequence[Watched]) -> float:
    """Wait until no work is left; return when that was."""
    with closing(SqlStore(database)) as store:
        deadline = time.monotonic() + _LONGEST_DRAIN
        while time.monotonic() < deadline:
            with store.read() as reader:
                if not reader.jobs.backlog().jobs:
                    return time.monotonic()
            ended = [each.name for each in watched if each.process.poll() is not None]
            if ended:
                raise ServiceError(f"{ended[0]} ended under load")
            time.sleep(0.5)
    raise ServiceError(f"work was left after {_LONGEST_DRAIN} s")


def _figures(watched: Watched, began: float, offered: float, drained: float) -> dict[str, Any]:
    """Return memory, MiB, at some moments, and processor seconds since the load began."""

    def between(first: float, last: float) -> float | None:
        found = [use.mib for use in watched.uses if first <= use.at <= last]
        return max(found) if found else None

    third = (offered - began) / 3
    during = [use for use in watched.uses if use.at >= began]
    return {
        "name": watched.name,
        "processor": during[-1].processor - during[0].processor,
        "mib_at_first": during[0].mib,
        "mib_second_third": between(began + third, began + 2 * third),
        "mib_last_third": between(began + 2 * third, offered),
        "mib_drain_first_half": between(offered, (offered + drained) / 2),
        "mib_drain_second_half": between((offered + drained) / 2, drained),
        "mib_peak": max(use.mib for use in watched.uses),
    }


def _heard(answers: Sequence[tuple[int, int, int, float, bool]], load: Load) -> Answers:
    taken = np.array([seconds for _, _, status, seconds, _ in answers if status == _ACCEPTED] or [np.nan])
    refused = np.array([seconds for _, _, status, seconds, _ in answers if status in _REFUSED])
    silent = sum(status in _REFUSED and not told for _, _, status, _, told in answers)
    p50, p95, p99 = np.percentile(taken, [50, 95, 99]).tolist()
    accepted = sum(status == _ACCEPTED for _, _, status, _, _ in answers)
    return Answers(
        posted=len(answers),
        accepted=accepted,
        refused=len(refused),
        refused_without_time=silent,
        failed=len(answers) - accepted - len(refused),
        a_second=len(answers) / load.seconds,
        p50=p50,
        p95=p95,
        p99=p99,
        longest=float(taken.max()),
        refused_p99=float(np.percentile(refused, 99)) if len(refused) else None,
    )


def lines_of(results: dict[str, Any]) -> Iterator[str]:
    """Yield the Markdown of some runs."""
    about = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield "# The service under load"
    yield ""
    yield "Windows of 1000 rows (95 kB of JSON) posted over HTTP, sensors of 300 hosts with scanners, all on one"
    yield "machine: **the load generator (locust) shares its cores** with API and workers (`make bench-service`)."
    yield ""
    yield f"{about['processor']}, {about['cores']} cores; Python {about['python']}, {versions}."
    for found in results["runs"]:
        yield ""
        yield from _lines_of_run(found)


def _lines_of_run(found: dict[str, Any]) -> Iterator[str]:
    load, heard, outcome = found["load"], found["answers"], found["outcome"]
    yield (
        f"## {load['rate']:g} windows a second for {load['seconds']} s, {found['database']}, "
        f"{load['workers']} workers, {load['sensors']} sensors, a queue of {load['queue']} jobs"
    )
    yield ""
    if found["load_average_before"] > (os.cpu_count() or 1):
        average = found["load_average_before"]
        yield f"**The machine was busy with other work**: its load average was {average:.0f} before."
        yield "Times and rates say little of an idle one; counts, and processor time but for a third, do."
        yield ""
    refusals = heard["refused_p99"]
    yield from table(
        ("what", "figure"),
        [
            ("posts that were answered", f"{heard['posted']}, {heard['a_second']:.0f} a second"),
            ("accepted (202)", str(heard["accepted"])),
            (
                "refused (429, 503)",
                f"{heard['refused']}, of which {heard['refused_without_time']} without Retry-After",
            ),
            ("other answers", str(heard["failed"])),
            (
                "time until a window was accepted",
                ", ".join(f"{name} {_ms(heard[name])}" for name in ("p50", "p95", "p99", "longest")),
            ),
            ("time until one was refused", f"p99 {_ms(refusals)}" if refusals is not None else "–"),
            ("accepted windows that are stored", f"{outcome['stored']} of {outcome['accepted']}"),
            (
                "lost, done twice, failed; alerts told twice",
                "none" if outcome["is_right"] else "SEE THE JSON",
            ),
            ("alerts", str(outcome["alerts"])),
            ("until all was done, after the load", f"{found['drain_seconds']:.0f} s"),
            ("windows a worker's processor second", f"{found['windows_a_processor_second']:.1f}"),
            (
                "a window in the store",
                f"{outcome['bytes_of_windows'] // max(outcome['stored'], 1)} bytes of counts",
            ),
            ("processor of the load generator", f"{found['generator_processor']:.0f} s"),
            (
                "load average, before and at the end",
                f"{found['load_average_before']:.1f}, {found['load_average']:.1f}",
            ),
        ],
    )
    yield ""
    times = ("mib_at_first", "mib_second_third", "mib_last_third", "mib_drain_first_half", "mib_drain_second_half")
    yield from table(
        (
            "MiB resident",
            "at first",
            "2nd third of the load",
            "last third",
            "1st half after",
            "2nd half",
            "processor s",
        ),
        [
            (each["name"], *(_mib(each[time]) for time in times), f"{each['processor']:.1f}")
            for each in found["processes"]
        ],
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _mib(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def main() -> None:
    """Run the loads that are asked for, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", nargs="+", default=["100x60", "1000x20"], help="RATExSECONDS")
    parser.add_argument("--sensors", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, nargs="+", default=[20_000, 2000], help="of each load")
    parser.add_argument("--database", help="URL of an empty one; a new file of SQLite for each load without it")
    parser.add_argument("--keep", action="store_true", help="add to what was found before")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--name", default="load")
    given = parser.parse_args()
    loads = [
        Load(float(rate), int(seconds), given.sensors, given.workers, given.queue[min(i, len(given.queue) - 1)])
        for i, (rate, _, seconds) in enumerate(text.partition("x") for text in given.loads)
    ]
    before = load_results(given.folder, given.name)["runs"] if given.keep else []
    results: dict[str, Any] = {"machine": machine(PACKAGES), "runs": before}
    for load in loads:
        results["runs"].append(run(load, given.database))
        save(given.folder, given.name, results, lines_of(results))


if __name__ == "__main__":
    main()
