"""Who is named in recorded traffic, and who should be: writes docs/quality.md.

    python -m benchmarks.detect.quality [--captures FOLDER] [--optional PREFIX …] [--groups] [--output PAGE]

A folder has a truth.json, see `benchmarks.detect.truth`. Without one only our own recording is judged. With
``--groups`` nothing is judged: the page is there, and what it says of groups of sources is written anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from benchmarks.core.results import table
from benchmarks.detect import report
from benchmarks.detect.columns import per_source
from benchmarks.detect.truth import Recording, read_collection, read_example
from service.capture.address import format_address
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.errors import CaptureError
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.scan import scan_captures
from service.store.memory import MemoryStore
from service.windows.assign import SECOND, WindowSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.alerts.alert import Alert

EXAMPLE = Path("examples/lab.pcap")
GROUPS = Path("benchmarks/results/detect/honeypots-asked.json")
NOTES = Path(__file__).with_name("notes.md")
"""What other benchmarks found, in words: it becomes part of the page."""
_ZEEK_WINDOW = 300 * SECOND
"""Zeek's scan policy counts within five minutes."""
_WALK_ENOUGH = float(np.log10(0.99 / 0.01))
"""The upper threshold of a random walk with 99 % detection and 1 % false alarms (Jung et al. 2004, eq. 5)."""


@dataclass(slots=True)
class Outcome:
    """What was said of one recording."""

    recording: Recording
    alerts: list[Alert] = field(default_factory=list)
    packets: int | None = None
    """None: it was refused."""
    others: dict[str, set[str]] = field(default_factory=dict)
    """Baseline → the sources that it names."""

    @property
    def named(self) -> dict[str, set[str]]:
        """Source → the kinds of scan that it was named for."""
        found: dict[str, set[str]] = defaultdict(set)
        for alert in self.alerts:
            for source in alert.sources:
                found[source].add(alert.kind.value)
        return dict(found)

    def wrong(self, named: Iterable[str]) -> set[str]:
        """Return those of the named who should not be."""
        if self.recording.all_unsolicited:
            return set()
        return set(named) - set(self.recording.scanners) - self.recording.excused

    @property
    def right_kind(self) -> int:
        """How many scanners were named with their kind; a block is also one of either."""
        named = self.named
        return sum(
            kind in named.get(source, ()) or (source in named and "block" in (kind, *named[source]))
            for source, kind in self.recording.scanners.items()
        )


def judge(recording: Recording) -> Outcome:
    """Read a recording as `yocho scan` does, and where there is a truth for it, as the baselines would judge it."""
    outcome = Outcome(recording)
    spec = PipelineSpec(windows=WindowSpec.usual(), log_windows=WindowSpec.usual(3600 * SECOND))
    try:
        report = scan_captures([recording.path], "quality", spec, MemoryStore(most_windows=1))
    except CaptureError:
        return outcome
    outcome.alerts = list(report.alerts)
    outcome.packets = report.summary.packets
    if recording.role in ("scan", "quiet"):
        outcome.others = _baselines(recording)
    return outcome


def _baselines(recording: Recording) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"Zeek's counts": set(), "threshold random walk": set()}
    spec = replace(PipelineSpec(), windows=WindowSpec(length=_ZEEK_WINDOW))
    for window in read_windows([open_traffic(recording.path, HostTable())], "baseline", spec, Reading()):
        names = [format_address(high, low) for high, low in window.sources.tolist()]
        zeek, walk = per_source.zeek(window) >= 1, per_source.random_walk(window) >= _WALK_ENOUGH
        for name, loud, walked in zip(names, zeek, walk, strict=True):
            found["Zeek's counts"] |= {name} if loud else set()
            found["threshold random walk"] |= {name} if walked else set()
    return found


def share(part: int, whole: int) -> str:
    """Return a share with its 95 % interval (Clopper and Pearson 1934)."""
    if not whole:
        return "–"
    low = beta.ppf(0.025, part, whole - part + 1) if part else 0.0
    high = beta.ppf(0.975, part + 1, whole - part) if part < whole else 1.0
    return f"{part} of {whole} ({low:.3f}–{high:.3f})"


def figures(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return rows of (figure, value)."""
    scans = [each for each in outcomes if each.recording.role == "scan"]
    quiet = [each for each in outcomes if each.recording.role == "quiet"]
    flows = [each for each in outcomes if each.recording.role == "flows"]
    listed = sum(len(each.recording.scanners) for each in scans)
    found = sum(len(set(each.recording.scanners) & set(each.named)) for each in scans)
    wrong = sum(len(each.wrong(each.named)) for each in [*scans, *quiet])
    counted = [each for each in outcomes if each.packets is not None and each.recording.packets is not None]
    miscounted = sum(each.packets != each.recording.packets for each in counted if each.recording.role != "flows")
    in_flows = [len(set(each.recording.scanners) & set(each.named)) for each in flows]
    return [
        ["recall: listed scanners that were named", share(found, listed)],
        ["precision: named sources that are listed scanners", share(found, found + wrong)],
        ["right kind, of those found", share(sum(each.right_kind for each in scans), found)],
        ["quiet captures in which anybody was named", share(sum(bool(each.named) for each in quiet), len(quiet))],
        ["logs of flows: listed scanners that were named",
         share(sum(in_flows), sum(len(each.recording.scanners) for each in flows))],
        ["logs of flows: sources named wrongly", str(sum(len(each.wrong(each.named)) for each in flows))],
        ["captures with a wrong number of packets", f"{miscounted} of {len(counted)}"],
    ]  # fmt: skip


def kinds(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return a row for each kind of scan: found, and the evidence when it was named."""
    rows = []
    for kind in ("vertical", "horizontal", "block"):
        truth = [
            (each, source) for each in outcomes if each.recording.role == "scan"
            for source, of in each.recording.scanners.items() if of == kind
        ]  # fmt: skip
        firsts = [
            min((alert for alert in each.alerts if source in alert.sources), key=lambda alert: alert.named_at)
            for each, source in truth if source in each.named
        ]  # fmt: skip
        pairs = [alert.named_after for alert in firsts]
        seconds = [(alert.named_at - alert.first_seen) / SECOND for alert in firsts]
        shown = [f"{np.median(values):.0f}" if values else "–" for values in (pairs, seconds)]
        rows.append([kind, share(len(firsts), len(truth)), *shown])
    return rows


def baselines(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return a row for Yocho and each baseline: recall, precision, quiet captures with an alarm."""
    judged = [each for each in outcomes if each.recording.role in ("scan", "quiet") and each.others]
    rows = []
    for name in ("Yocho", *judged[0].others) if judged else ():
        named = {id(each): set(each.named) if name == "Yocho" else each.others[name] for each in judged}
        listed = sum(len(each.recording.scanners) for each in judged if each.recording.role == "scan")
        found = sum(len(set(each.recording.scanners) & named[id(each)]) for each in judged)
        wrong = sum(len(each.wrong(named[id(each)])) for each in judged)
        quiet = [each for each in judged if each.recording.role == "quiet"]
        alarmed = sum(bool(named[id(each)]) for each in quiet)
        rows.append([name, share(found, listed), share(found, found + wrong), f"{alarmed} of {len(quiet)}"])
    return rows


def page(outcomes: Sequence[Outcome], folder: str) -> list[str]:
    """Return docs/quality.md."""
    return [
        "# Quality",
        "",
        f"Written by `python -m benchmarks.detect.quality{folder}`; version {version('yocho')}, default "
        "settings. The truth was written by hand or counted from the packets, independently of Yocho. Intervals: "
        "95 %, Clopper and Pearson.",
        "",
        *table(["figure", "value"], figures(outcomes)),
        "",
        "The thresholds were set with captures of this kind in view, so the figures say that these scans are found "
        "and these honest cases are not, no more; the intervals say how little so few quiet captures prove.",
        "",
        "By kind, with the distinct pairs of target and service that had been tried when the scan was named, and "
        "the seconds since its first try (medians; in recorded traffic a scan is named at the end of a window):",
        "",
        *table(["kind", "found", "pairs", "seconds"], kinds(outcomes)),
        "",
        "Beside the counts that Zeek's scan policy has by default (25 targets of a service or 15 services of a "
        "target without an answer, in five minutes) and threshold random walk (Jung et al. 2004, 0.8, 0.2, 99 %, "
        "1 %), both over Yocho's counts of the same windows:",
        "",
        *table(["", "recall", "precision", "quiet captures with an alarm"], baselines(outcomes)),
        "",
        "More: [how soon a live sensor names a scan, and what hiding changes]"
        "(../benchmarks/results/detect/hiding.md), [groups of sources](../benchmarks/results/detect/honeypots.md), "
        "[ids of patterns](../benchmarks/results/detect/ids.md).",
        "",
        *groups(),
        "",
        *NOTES.read_text(encoding="utf-8").splitlines(),
        "",
        "## Recordings",
        "",
        "*scan*: scanners are listed. *quiet*: nobody may be named. *flows*: logs. *parse*: read, and not judged.",
        "",
        *table(["recording", "role", "found", "named wrongly", "packets"], map(_row, outcomes)),
    ]


def groups(results: Path = GROUPS) -> list[str]:
    """Return what is found of groups of sources, as `benchmarks.detect.run` has written it."""
    found = json.loads(results.read_text(encoding="utf-8"))
    return [
        "## Groups of sources",
        "",
        "Campaigns of sources that are each small, made up and injected into four months of nine honeypots; "
        "thresholds from the days before; % found (95 % interval) and F1 of the members. Written by `python -m "
        f"benchmarks.detect.run FILE --asked --name {results.stem}`; [all columns]"
        f"(../{results.with_suffix('.md')}).",
        "",
        *report.met(found),
    ]


def with_groups(written: str, section: Sequence[str]) -> str:
    """Return a page with another section on groups of sources; raises ValueError if it has none."""
    before, _, rest = written.partition(f"{section[0]}\n")
    _, mark, after = rest.partition("\n## ")
    if not mark:
        raise ValueError(f"the page has no section {section[0]!r}: write it without --groups")
    return before + "\n".join(section) + "\n" + mark + after


def _row(each: Outcome) -> list[str]:
    listed = len(each.recording.scanners)
    found = f"{len(set(each.recording.scanners) & set(each.named))} of {listed}" if listed else ""
    judged = each.recording.role != "parse"
    packets = "refused" if each.packets is None else str(each.packets or "")
    return [
        each.recording.name,
        each.recording.role,
        found,
        str(len(each.wrong(each.named))) if judged else "",
        packets,
    ]


def main() -> None:
    """Judge all recordings and write the page."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    ask.add_argument("--captures", type=Path)
    ask.add_argument("--optional", nargs="*", default=[], help="beginnings of names that are read and not judged")
    ask.add_argument("--output", type=Path, default=Path("docs/quality.md"))
    ask.add_argument("--groups", action="store_true", help="write only what is said of groups of sources")
    args = ask.parse_args()
    if args.groups:
        args.output.write_text(with_groups(args.output.read_text(encoding="utf-8"), groups()), encoding="utf-8")
        return
    recordings = [read_example(EXAMPLE)]
    if args.captures:
        recordings += read_collection(args.captures, tuple(args.optional))
    outcomes = []
    for recording in recordings:
        outcomes.append(judge(recording))
        sys.stderr.write(f"{recording.name}: {len(outcomes[-1].named)} named\n")
    lines = page(outcomes, " --captures FOLDER" if args.captures else "")
    args.output.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
