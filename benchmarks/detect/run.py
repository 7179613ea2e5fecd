"""Campaigns of many small sources, injected into real background: `make bench-detect`.

    python -m benchmarks.detect.run FILE … [--name NAME] [--trials 200] [--jobs 2] [--asked] [--own]
                                    [--kept FILE] [--minutes N] [--output FOLDER]

Files are captures or logs of flows of one sensor. The first half of their days (of their hours, if they are few) is
history; false alarms are counted on the second half, and campaigns are injected there. Every column gets the
thresholds that let through one false alarm a day, measured on the very days of the trials; the service as shipped
has its own, from its past alone. With ``--asked`` only the cells for which something was asked are run, with
``--own`` only the service and its counters: both together take a sixth of the time.

What trials found is appended to the file ``--kept``, some cells of one test day a line, and a run that was cut off
goes on from there. After ``--minutes`` nothing more is begun, and the page is written from what is done: cells that
are hard to find come first.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from benchmarks.core import results
from benchmarks.detect import campaigns, report, stream
from benchmarks.detect.background import DAY, HOUR, load
from benchmarks.detect.campaigns import Campaign, Ground
from benchmarks.detect.columns import dark_nmf
from benchmarks.detect.columns.grouping import COLUMNS, COUNTERS, OWN, SHIPPED, SURGE, WEEKLY, YOCHO
from benchmarks.detect.kept import Kept
from benchmarks.detect.stream import TEN_MINUTES, Site, Stream
from benchmarks.detect.trials import DARK, Place, slice_of, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.detect.background import Background
    from benchmarks.detect.kept import Found
    from benchmarks.detect.trials import Outcome

FOLDER = Path("benchmarks/results/detect")
SPANS = {"1 h": HOUR, "24 h": DAY}
SOURCES = (5, 10, 20, 50, 200)
ATTEMPTS = (1, 3, 10)
MIXED = (3, 4, 6, 10)
BLURS = (0.2, 0.4, 0.5)
MOMENTS = 4
LONG = 20 * DAY
"""Shorter backgrounds have no windows of a day: there would be no past to compare with."""
_SEED = 20260101
SEVERAL = ("pair", "rare list", "usual list", "blurred list", "mixture")


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of campaign, in windows of one length."""

    span: str
    campaign: Campaign

    @property
    def compared(self) -> bool:
        """Whether columns with patterns of their own are asked: where they can differ."""
        campaign = self.campaign
        return campaign.kind in SEVERAL and campaign.attempts > 1 and not campaign.bursts and campaign.sources <= 50

    @property
    def stage(self) -> int:
        """When its trials are run: campaigns of ten attempts, the most blurred mixtures, others by size."""
        attempts = self.campaign.sources * self.campaign.attempts
        return 11 if self.campaign.blur == max(BLURS) else attempts


def cells() -> list[Cell]:
    """Return all cells."""
    found = [
        Cell(span, Campaign(kind, sources, attempts, bursts))
        for span in SPANS
        for kind in campaigns.KINDS
        for sources in SOURCES
        for attempts in ATTEMPTS
        for bursts in (False, True)
    ]
    found += [
        Cell(span, Campaign("mixture", sources, campaigns.MIXTURE_ATTEMPTS, bursts=False, services=m, blur=blur))
        for span in SPANS
        for blur in BLURS
        for m in MIXED
        for sources in (3, 4, 5)
    ]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A test hour with its windows of all lengths."""

    ground: dict[str, Ground]
    places: dict[str, list[Place]]
    shipped: dict[str, list[Place]]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What trials need, and what was measured without campaigns."""

    background: Background
    all_columns: bool
    """Or only the counters and the service."""
    spots: list[Spot]
    multiples: dict[str, dict[str, float]]
    false_alarms: dict[str, Any]


def usual_services(background: Background, until: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return services by their sources before `until`, most first; and all services there ever are."""
    early = background.attempts.time < until
    source, service = background.attempts.source.astype(np.int64), background.attempts.service.astype(np.int64)
    pairs = np.unique(np.stack([service[early], source[early]]), axis=1)
    services, counts = np.unique(pairs[0], return_counts=True)
    return services[np.argsort(-counts, kind="stable")], np.unique(service)


def prepare(background: Background, step: int, console: Console, *, all_columns: bool = True) -> Prepared:
    """Let all columns, or the service's own, see the background, and stop at the test hours."""
    first, last = background.start, background.end
    spans = SPANS if last - first >= LONG else {"1 h": HOUR}
    unit = DAY if DAY in spans.values() else HOUR
    test = (first + last) // 2 // unit * unit
    chance = np.random.default_rng(_SEED)
    # Each test day ends at midnight, for windows of a day, and has an hour drawn for those of an hour. Where there
    # are only hours, all of them are taken.
    nights = {
        at + unit: at + int(chance.integers(1, unit // HOUR + 1)) * HOUR
        for at in range(test + unit, last - unit, unit)
    }
    own = next(column for column in COLUMNS if column.name == YOCHO)
    streams = {TEN_MINUTES: Stream(TEN_MINUTES, [own, *OWN])}
    asked = COLUMNS if all_columns else [column for column in COLUMNS if column.history == YOCHO]
    streams |= {length: Stream(length, [*asked, *OWN]) for length in spans.values()}
    sites: dict[int, dict[int, Site]] = {length: {} for length in streams}
    ends = {*nights, *nights.values()}
    near = {end - moment * TEN_MINUTES for end in ends for moment in range(6)}
    for length, each in streams.items():
        began = time.perf_counter()
        stops = near if length == TEN_MINUTES else ends
        for seen in stream.follow(background, length, step if length == DAY else length, first, last - length):
            if seen.window.end in stops:
                sites[length][seen.window.end] = each.site(seen)
            each.add(seen, test=seen.window.start >= test)
        console.print(f"windows of {length // TEN_MINUTES * 10} min: {time.perf_counter() - began:.0f} s")
    days = (last - test) / DAY
    multiples = {}
    for span, length in spans.items():
        multiples[span] = {name: alarms.multiple(days) for name, alarms in streams[length].everything().items()}
        multiples[span][DARK] = _dark_multiple(background, test, last, length)
    false_alarms = _false_alarms(streams, spans, multiples, days)
    usual, everything = usual_services(background, test)
    targets = np.unique(background.attempts.target)
    spots = [
        _spot(
            {span: hour if length == HOUR else night for span, length in spans.items()},
            sites,
            multiples,
            targets,
            usual,
            everything,
            chance,
        )
        for night, hour in nights.items()
        if all({night, hour} <= sites[length].keys() for length in spans.values())
    ]
    return Prepared(background, all_columns, spots, multiples, false_alarms)


def _spot(
    ends: dict[str, int],
    sites: dict[int, dict[int, Site]],
    multiples: dict[str, dict[str, float]],
    targets: NDArray[np.uint32],
    usual: NDArray[np.int64],
    everything: NDArray[np.int64],
    chance: np.random.Generator,
) -> Spot:
    """Return a test day: bursts begin in the last hour of each span."""
    grounds, places, shipped = {}, {}, {}
    for span, end in ends.items():
        length = SPANS[span]
        moments = end - HOUR + chance.integers(0, HOUR - campaigns.BURST, MOMENTS)
        grounds[span] = Ground(end - length, length, moments, targets, usual, everything)
        places[span] = [Place(sites[length][end], multiples[span])]
        short = [end - moment * TEN_MINUTES for moment in range(6)]
        ten = [Place(sites[TEN_MINUTES][at], {}) for at in short if at in sites[TEN_MINUTES]]
        longer = [Place(sites[other][end], {}) for other in (DAY, HOUR) if other in sites and other != length]
        shipped[span] = [Place(sites[length][end], {}), *ten, *longer]
    return Spot(grounds, places, shipped)


def _dark_multiple(background: Background, first: int, last: int, length: int) -> float:
    """Return one over the size from which on groups of Dark-NMF are one a day."""
    sizes, looks = [], 0
    # Every fourth hour is enough to know the sizes.
    for start in range(first, last - length + 1, max(length, 4 * HOUR)):
        looks += 1
        time_of, source = slice_of(background, start, start + length)
        sizes += [size for size, _ in dark_nmf.groups(time_of, source, start, length)]
    allowed = math.floor(looks * length / DAY)
    ordered = sorted(sizes, reverse=True)
    return 1 / (ordered[allowed] + 1) if allowed < len(ordered) else 1.0


def _false_alarms(
    streams: dict[int, Stream], spans: dict[str, int], multiples: dict[str, dict[str, float]], days: float
) -> dict[str, Any]:
    """Return how many alarms a day the background raised."""
    found: dict[str, Any] = {"days": days}
    for span, length in spans.items():
        found[span] = {
            name: {
                "nominal": alarms.within(1.0) / days,
                "equal": alarms.within(multiples[span][name]) / days,
                "multiple": multiples[span][name],
            }
            for name, alarms in streams[length].everything().items()
            if name not in (SHIPPED, WEEKLY)
        }
    for name, column in (("one a day", SHIPPED), ("one a week", WEEKLY)):
        by = {
            str(length // TEN_MINUTES * 10): each.groups[column].within(1.0) / days
            for length, each in streams.items()
        }
        found[name] = {"by minutes of length": by, "all": sum(by.values())}
    return found


def run_spot(job: tuple[Prepared, int, list[tuple[int, Cell, int]]]) -> Found:
    """Return what the columns found in the trials of one test hour: (cell, column → outcome)."""
    prepared, at, tasks = job
    spot = prepared.spots[at % len(prepared.spots)]
    light = [column for column in COLUMNS if column.name in (SURGE, COUNTERS)]
    found = []
    for number, cell, seed in tasks:
        chance = np.random.default_rng((_SEED, number, seed))
        attempts = campaigns.draw(cell.campaign, spot.ground[cell.span], chance)
        columns = COLUMNS if cell.compared and prepared.all_columns else light
        outcome = trial(spot.places[cell.span], spot.shipped[cell.span], columns, attempts)
        if seed % 5 == 0 and prepared.all_columns:
            outcome[DARK] = spot.places[cell.span][0].dark(prepared.background, attempts)
        found.append((number, outcome))
    return found


_PREPARED: Prepared | None = None


def _work(job: tuple[int, list[tuple[int, Cell, int]]]) -> tuple[int, Found]:
    assert _PREPARED is not None  # noqa: S101  (the parent has set it before it forked)
    return job[0], run_spot((_PREPARED, *job))


def _made_by(prepared: Prepared, wanted: Sequence[Cell], trials: int) -> dict[str, Any]:
    """Return what the outcomes of trials follow from."""
    return {
        "cells": [repr(cell) for cell in wanted],
        "trials": trials,
        "budgets": [repr(column.budget) for column in (*COLUMNS, *OWN)],
        "multiples": {
            span: {name: multiple for name, multiple in by.items() if name not in (SHIPPED, WEEKLY)}
            for span, by in prepared.multiples.items()
        },
    }


def run_trials(
    prepared: Prepared, wanted: Sequence[Cell], trials: int, jobs: int, kept: Kept, minutes: float = math.inf
) -> list[dict[str, Any]]:
    """Run all cells, or as many test days as `minutes` allow; processes share what was prepared by forking."""
    global _PREPARED  # noqa: PLW0603  (fork hands it on without copying)
    _PREPARED = prepared
    chance = np.random.default_rng(_SEED + 1)
    spots, stages = len(prepared.spots), sorted({cell.stage for cell in wanted})
    # Within a stage in an order of chance: where a run is cut off, the days that are done are a fair sample.
    order = np.concatenate([spots * at + chance.permutation(spots) for at in range(len(stages))]).tolist()
    tasks: list[list[tuple[int, Cell, int]]] = [[] for _ in order]
    for number, cell in enumerate(wanted):
        for seed, at in enumerate(chance.integers(0, spots, trials).tolist()):
            tasks[spots * stages.index(cell.stage) + at].append((number, cell, seed))
    done = kept.read(_made_by(prepared, wanted, trials))
    left = [(at, tasks[at]) for at in order if tasks[at] and at not in done]
    end = time.monotonic() + 60 * minutes
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for first in range(0, len(left), jobs):
            if time.monotonic() >= end:
                break
            for at, found in pool.imap_unordered(_work, left[first : first + jobs]):
                kept.add(at, found)
                done[at] = found
    outcomes: list[dict[str, list[Outcome]]] = [{} for _ in wanted]
    for at in sorted(done):
        for number, by_column in done[at]:
            for name, outcome in by_column.items():
                outcomes[number].setdefault(name, []).append(outcome)
    return [
        {
            "span": cell.span,
            **asdict(cell.campaign),
            "columns": {name: report.summary(each) for name, each in by_column.items()},
        }
        for cell, by_column in zip(wanted, outcomes, strict=True)
    ]


def main() -> None:
    """Measure, and write NAME.json and NAME.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--name", default="honeypots")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--step", type=int, default=1, help="hours between windows of a day")
    parser.add_argument("--asked", action="store_true", help="only the cells for which something was asked")
    parser.add_argument("--own", action="store_true", help="only the service and its counters")
    parser.add_argument("--kept", type=Path, help="what was found so far")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no more test days are begun")
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    console = Console(stderr=True)
    began = time.perf_counter()
    background = load(options.name, options.files)
    prepared = prepare(background, options.step * HOUR, console, all_columns=not options.own)
    console.print(f"prepared: {time.perf_counter() - began:.0f} s; {len(prepared.spots)} test hours")
    wanted = [
        cell
        for cell in cells()
        if cell.span in prepared.multiples
        and (not options.asked or report.asked({"span": cell.span, **asdict(cell.campaign)}))
    ]
    rows = run_trials(prepared, wanted, options.trials, options.jobs, Kept(options.kept), options.minutes)
    found = {
        **results.machine(("numpy", "scipy", "scikit-learn")),
        "background": options.name,
        "attempts": len(background.attempts),
        "days": (background.end - background.start) / DAY,
        "trials": options.trials,
        "seed": _SEED,
        "seconds": time.perf_counter() - began,
        "false_alarms": prepared.false_alarms,
        "cells": rows,
    }
    results.save(options.output, options.name, found, report.lines_of(found))
    console.print(f"done: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
