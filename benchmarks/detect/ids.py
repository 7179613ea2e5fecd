"""Do patterns keep their ids? Made-up campaigns that drift, and the days of a log of flows.

    OMP_NUM_THREADS=1 python -m benchmarks.detect.ids [--flows LOG --called NAME] [--window 86400] [--seeds 5]

Every contender has the service's catalogue behind it; they differ in how a window's patterns are found
(`benchmarks.detect.finders`). In each window a group of sources has the id of the pattern that explains most of
the rows of most of them. Ids are then given to groups one to one so that as many windows as possible agree: that
share of the windows is **kept**. So one pattern for everything, or two groups with one id, gain nothing.

Made-up campaigns (`benchmarks.detect.drifting`): the groups are campaigns with three members or more in a window.
**Precise** are patterns of three sources or more with a cosine of 0.8 or more to what a campaign is at that time.

Logs: the groups are **service sets that persist**, said without any factorisation: on a day the sources that try
exactly this set of services and nothing else are three or more, and that is so on five days or more.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.optimize import linear_sum_assignment

from benchmarks.core import results
from benchmarks.detect.drifting import DriftSpec, DriftWindow, drifting_windows
from benchmarks.detect.finders import CONTENDERS, DEFAULT, Contender
from service.capture.address import format_address
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.services import format_service
from service.export.document import format_time
from service.patterns.catalogue import Catalogue, Update
from service.patterns.factorize import PatternFinder
from service.patterns.forms import cosines, named_form
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.windows.assign import WindowSpec
from service.windows.matrix import count_matrix

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from benchmarks.detect.finders import Finder
    from service.patterns.pattern import Pattern
    from service.windows.counts import WindowCounts

FOLDER = Path("benchmarks/results/detect")
SECOND = 1_000_000_000
LEAST_MEMBERS, LEAST_DAYS = 3, 5
ALIKE = 0.8
LARGEST = 10
WORLDS = {
    "drifting": DriftSpec(),
    "drifting fast": DriftSpec(drift=0.2, swap=0.05),
    "drifting, five attempts a source": DriftSpec(attempts=5),
}

Groups = dict["Hashable", list[int]]
"""Who acts together in a window → indices of the sources."""


def followed(windows: Iterable[WindowCounts], finder: Finder) -> Iterator[tuple[WindowCounts, Update]]:
    """Yield each window with what it changes in the catalogue."""
    catalogue: Catalogue | None = None
    for counts in windows:
        catalogue = catalogue or Catalogue(counts.sensor, counts.end - counts.start)
        update = catalogue.update(counts, finder.find(count_matrix(counts), catalogue.known()))
        catalogue = update.catalogue
        yield counts, update


def ids_of(update: Update, groups: Groups) -> dict[Hashable, str | None]:
    """Return for each group the id that explains most of the rows of most of its sources."""
    best: dict[int, tuple[float, str]] = {}
    for follower in update.followers:
        for source, share in follower.shares.items():
            best[source] = max(best.get(source, (0.0, "")), (share, follower.pattern.id))
    return {
        group: Counter(best[source][1] if source in best else None for source in members).most_common(1)[0][0]
        for group, members in groups.items()
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """How many windows of each group have the group's own id."""

    windows: dict[Hashable, int]
    kept: dict[Hashable, int]

    def share(self, groups: Iterable[Hashable] | None = None) -> float:
        """Return the share over all windows of these groups, or of all."""
        chosen = list(self.windows if groups is None else groups)
        return sum(self.kept[each] for each in chosen) / max(sum(self.windows[each] for each in chosen), 1)

    def steady(self, least: float = 0.95) -> float:
        """Return the share of the groups that keep their id in so many of their windows."""
        return float(np.mean([self.kept[each] >= least * self.windows[each] for each in self.windows]))


def kept(found: Sequence[dict[Hashable, str | None]]) -> Kept:
    """Give ids to groups, one to one, so that most windows agree (Kuhn 1955)."""
    windows = Counter(group for each in found for group in each)
    pairs = Counter((group, pattern) for each in found for group, pattern in each.items() if pattern)
    groups, ids = list(windows), sorted({pattern for _, pattern in pairs})
    agree = np.array([[pairs[group, pattern] for pattern in ids] for group in groups])
    chosen = dict.fromkeys(groups, 0)
    if agree.size:
        for i, j in zip(*linear_sum_assignment(agree, maximize=True), strict=True):
            chosen[groups[i]] = int(agree[i, j])
    return Kept(dict(windows), chosen)


# Made-up campaigns


def campaign_groups(window: DriftWindow) -> Groups:
    """Return the campaigns that have enough members."""
    places = {format_address(*words): at for at, words in enumerate(window.counts.sources.tolist())}
    return {
        campaign: [places[member] for member in members]
        for campaign, members in window.members.items()
        if len(members) >= LEAST_MEMBERS
    }


def precise(window: DriftWindow, update: Update) -> tuple[int, int]:
    """Return how many patterns of several sources are a campaign's, and how many there are."""
    seen = [each.pattern for each in update.followers if len(each.shares) >= LEAST_MEMBERS]
    truth = [named_form(weights.items()) for weights in window.weights.values()]
    likeness = cosines([named_form(pattern.services) for pattern in seen], truth)
    return int((likeness.max(axis=1, initial=0.0) >= ALIKE).sum()), len(seen)


def drift_row(contender: Contender, world: str, seeds: int) -> dict[str, Any]:
    """Return how one contender does in one world, over seeds 0, 1, …."""
    shares, right, patterns, ids, seconds, windows = [], 0, 0, 0, 0.0, 0
    for seed in range(seeds):
        made = drifting_windows(seed, WORLDS[world])
        began = time.process_time()
        updates = [update for _, update in followed((each.counts for each in made), contender.begin())]
        seconds += time.process_time() - began
        shares.append(
            kept([ids_of(*each) for each in zip(updates, map(campaign_groups, made), strict=True)]).share()
        )
        counted = [precise(*each) for each in zip(made, updates, strict=True)]
        right, patterns = right + sum(a for a, _ in counted), patterns + sum(b for _, b in counted)
        ids += len({follower.pattern.id for update in updates for follower in update.followers})
        windows += len(made)
    return {
        "contender": contender.name,
        "kept": float(np.mean(shares)),
        "least": min(shares),
        "most": max(shares),
        "precise": right / patterns,
        "patterns": patterns / windows,
        "ids": ids / seeds,
        "milliseconds": 1e3 * seconds / windows,
    }


# Logs


def read_log(path: Path, seconds: int) -> list[WindowCounts]:
    """Return the windows of a capture or a log of flows."""
    spec = PipelineSpec(windows=WindowSpec(length=seconds * SECOND))
    return list(read_windows([open_traffic(path, HostTable())], "log", spec, Reading()))


def service_sets(counts: WindowCounts) -> Groups:
    """Return the sources that try exactly the same set of services, where they are enough."""
    tried: dict[int, set[int]] = {}
    for source, service in zip(counts.rows.source.tolist(), counts.rows.service.tolist(), strict=True):
        tried.setdefault(source, set()).add(service)
    groups: Groups = {}
    for source, services in tried.items():
        groups.setdefault(frozenset(services), []).append(source)
    return {group: members for group, members in groups.items() if len(members) >= LEAST_MEMBERS}


def persistent(windows: Sequence[WindowCounts]) -> list[Groups]:
    """Return the service sets that persist, window by window."""
    found = [service_sets(counts) for counts in windows]
    days = Counter(group for groups in found for group in groups)
    return [{each: groups[each] for each in groups if days[each] >= LEAST_DAYS} for groups in found]


def log_row(contender: Contender, windows: Sequence[WindowCounts], groups: Sequence[Groups]) -> dict[str, Any]:
    """Return how one contender does on a log."""
    began = time.process_time()
    updates = [update for _, update in followed(windows, contender.begin())]
    seconds = time.process_time() - began
    held = kept([ids_of(*each) for each in zip(updates, groups, strict=True)])
    several = [group for group in held.windows if isinstance(group, frozenset) and len(group) > 1]
    return {
        "contender": contender.name,
        "sets": len(held.windows),
        "days": sum(held.windows.values()),
        "kept": held.share(),
        "steady": held.steady(),
        "several": len(several),
        "kept_several": held.share(several),
        "ids": len({follower.pattern.id for update in updates for follower in update.followers}),
        "milliseconds": 1e3 * seconds / len(windows),
    }


def unsteady(windows: Sequence[WindowCounts], groups: Sequence[Groups]) -> list[dict[str, Any]]:
    """Return the sets that the default loses on more than 5 % of their days."""
    updates = [update for _, update in followed(windows, PatternFinder(DEFAULT))]
    held = kept([ids_of(*each) for each in zip(updates, groups, strict=True)])
    return [
        {"services": sorted(map(format_service, group)), "days": days, "kept": held.kept[group]}
        for group, days in held.windows.items()
        if isinstance(group, frozenset) and held.kept[group] < 0.95 * days
    ]


def campaigns(windows: Sequence[WindowCounts]) -> list[dict[str, Any]]:
    """Return the patterns with most sources, a source counted on each of its days, as the catalogue has them."""
    sources: Counter[str] = Counter()
    days: Counter[str] = Counter()
    latest: dict[str, Pattern] = {}
    for _, update in followed(windows, PatternFinder(DEFAULT)):
        for follower in update.followers:
            sources[follower.pattern.id] += len(follower.shares)
            days[follower.pattern.id] += 1
            latest[follower.pattern.id] = follower.pattern
    total = sum(len(counts.sources) for counts in windows)
    return [_campaign(latest[each], days[each], count, count / total) for each, count in sources.most_common()]


def _campaign(pattern: Pattern, days: int, sources: int, share: float) -> dict[str, Any]:
    return {
        "id": pattern.id,
        "name": pattern.name,
        "days": days,
        "first": format_time(pattern.first_seen)[:10],
        "last": format_time(pattern.last_seen - 1)[:10],
        "source_days": sources,
        "share": share,
        "services": sum(weight >= 0.05 for _, weight in pattern.services),
    }


# Pages


def page(written: dict[str, Any]) -> list[str]:
    """Return the results as Markdown."""
    lines = [
        "# Do patterns keep their ids?",
        "",
        results.machine_line(written["machine"]),
        "",
        "[What is measured](../../detect/ids.py), [who takes part](../../detect/finders.py).",
    ]
    for world, rows in written["worlds"].items():
        lines += ["", f"## Made-up campaigns, {world}: seeds 0 to {written['seeds'] - 1}", ""]
        header = ("contender", "kept (least–most)", "precise", "patterns a window", "ids", "ms a window")
        lines += results.table(header, [_drift_cells(row) for row in rows])
    for log in written["logs"]:
        lines += _log_lines(log)
    return lines


def _drift_cells(row: dict[str, Any]) -> tuple[str, ...]:
    span = f"{row['kept']:.3f} ({row['least']:.3f}–{row['most']:.3f})"
    numbers = (f"{row['patterns']:.0f}", f"{row['ids']:.0f}", f"{row['milliseconds']:.0f}")
    return (row["contender"], span, f"{row['precise']:.2f}", *numbers)


def _log_lines(log: dict[str, Any]) -> list[str]:
    first = log["rows"][0]
    lines = [
        "",
        f"## {log['called']}: {log['windows']} windows of {log['seconds']} s",
        "",
        f"{first['sets']} service sets persist, {first['several']} of them of several services, on {first['days']} "
        "days in all.",
        "",
    ]
    header: tuple[str, ...] = (
        "contender",
        "kept",
        "sets that keep ≥ 95 %",
        "kept, several services",
        "ids",
        "ms a window",
    )
    lines += results.table(header, [_log_cells(row) for row in log["rows"]])
    lost = [f"{', '.join(each['services'])} ({each['kept']} of {each['days']})" for each in log["unsteady"]]
    lines += ["", "Below 95 % with the default: " + ("; ".join(lost) or "none") + "."]
    for title, chosen in (
        ("The ten largest campaigns", log["campaigns"]),
        ("The ten largest of several services", log["several"]),
    ):
        lines += ["", f"### {title}, found without labels", ""]
        header = ("pattern", "id", "days", "from", "to", "sources × days", "of all")
        lines += results.table(header, [_campaign_cells(each) for each in chosen])
    return lines


def _log_cells(row: dict[str, Any]) -> tuple[str, ...]:
    shares = (f"{row['kept']:.4f}", f"{row['steady']:.0%}", f"{row['kept_several']:.3f}")
    return (row["contender"], *shares, str(row["ids"]), f"{row['milliseconds']:.0f}")


def _campaign_cells(row: dict[str, Any]) -> tuple[str, ...]:
    when = (str(row["days"]), row["first"], row["last"])
    return (row["name"], f"`{row['id']}`", *when, str(row["source_days"]), f"{row['share']:.1%}")


def measure_log(path: Path, called: str, seconds: int) -> dict[str, Any]:
    """Return the figures of one log."""
    windows = read_log(path, seconds)
    groups = persistent(windows)
    found = campaigns(windows)
    bar = track(CONTENDERS, called, console=Console(stderr=True))
    return {
        "called": called,
        "windows": len(windows),
        "seconds": seconds,
        "rows": [log_row(each, windows, groups) for each in bar],
        "unsteady": unsteady(windows, groups),
        "campaigns": found[:LARGEST],
        "several": [each for each in found if each["services"] > 1][:LARGEST],
    }


def main() -> None:
    """Measure, and write ids.json and ids.md."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--flows", type=Path, nargs="*", default=[], help="logs of flows or captures")
    ask.add_argument("--called", nargs="*", default=[], help="what results call them")
    ask.add_argument("--window", type=int, default=86400, help="s, of logs")
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--output", type=Path, default=FOLDER)
    given = ask.parse_args()
    warnings.simplefilter("ignore")  # k-means warns of windows with fewer distinct rows than clusters
    called = [*given.called, *(f"log {number}" for number in range(1 + len(given.called), 99))]
    pairs = [(contender, world) for world in WORLDS for contender in CONTENDERS]
    rows: dict[str, list[dict[str, Any]]] = {world: [] for world in WORLDS}
    for contender, world in track(pairs, "made-up campaigns", console=Console(stderr=True)):
        rows[world].append(drift_row(contender, world, given.seeds))
    written = {
        "machine": results.machine(("numpy", "scipy", "numba", "scikit-learn")),
        "seeds": given.seeds,
        "specs": {world: asdict(spec) for world, spec in WORLDS.items()},
        "worlds": rows,
        "logs": [measure_log(path, name, given.window) for path, name in zip(given.flows, called, strict=False)],
    }
    results.save(given.output, "ids", written, page(written))


if __name__ == "__main__":
    main()
