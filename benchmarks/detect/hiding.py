"""How soon one scanner is named, and what hiding costs or saves it.

    python -m benchmarks.detect.hiding [--starts 20] [--output benchmarks/results/detect]

Scans are made up, try by try, and run through the whole way of a live sensor,
four looks a second of event time.
Each cell has many random starts within the hour, for windows have borders. The delay is that of the first alert.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.core import results
from benchmarks.detect.replay import SECOND, START, Named, Try, named
from service.capture.batch import Outcome
from service.capture.services import ARP_REQUEST, ECHO, Protocol, service_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = Path("benchmarks/results/detect")

SCANNER = 0xC6120042
HOST = 0xC6120101
NET = 0xC6130000
WEB = 0xC6138000
_HTTPS = service_code(Protocol.TCP, 443)
_TELNET = service_code(Protocol.TCP, 23)

Scan = list[Try]


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to scan, with one value of what is changed."""

    title: str
    value: float
    make: Callable[[int, np.random.Generator], Scan]
    """Return the tries of a scan that begins at a time, ns since the epoch."""
    scanners: tuple[int, ...] = (SCANNER,)


def pairs_of(kind: str, count: int) -> list[tuple[int, int]]:
    """Return the first (target, service) of a kind of scan."""
    tcp, udp = Protocol.TCP, Protocol.UDP
    return {
        "ports of a host, TCP": [(HOST, service_code(tcp, 20 + i)) for i in range(count)],
        "ports of a host, UDP": [(HOST, service_code(udp, 500 + i)) for i in range(count)],
        "a port of many hosts": [(NET + 1 + i, _TELNET) for i in range(count)],
        "12 ports of many hosts": [(NET + 1 + i // 12, service_code(tcp, 20 + i % 12)) for i in range(count)],
        "pings": [(NET + 1 + i, service_code(Protocol.ICMP, ECHO)) for i in range(count)],
        "ARP requests": [(NET + 1 + i, ARP_REQUEST) for i in range(count)],
    }[kind]


def scan(kind: str, gap: float, start: int, outcome: int | None = None, count: int = 60) -> Scan:
    """Return tries `gap` seconds apart."""
    return [
        Try(start + round(i * gap * SECOND), SCANNER, target, service, outcome)
        for i, (target, service) in enumerate(pairs_of(kind, count))
    ]


def delays() -> list[Cell]:
    """Return the cells for how soon each kind is named."""
    hosts = "a port of many hosts"
    kinds = ("ports of a host, TCP", "ports of a host, UDP", hosts, "12 ports of many hosts", "pings")
    cells = [
        Cell(f"{kind}{', refused' if outcome else ''}", gap, _scanning(kind, gap, outcome))
        for gap in (0.02, 0.2, 1, 5, 30, 300, 1800)
        for kind in kinds
        for outcome in ((None, Outcome.REFUSED) if kind in (kinds[0], hosts) else (None,))
    ]
    return cells + [Cell("ARP requests", gap, _scanning("ARP requests", gap)) for gap in (0.02, 0.2, 1, 5)]


def _scanning(kind: str, gap: float, outcome: int | None = None) -> Callable[[int, np.random.Generator], Scan]:
    return lambda start, _: scan(kind, gap, start, outcome, 80)


def hiding() -> list[Cell]:
    """Return the cells for what hiding changes: a sweep of one port, unless the title says otherwise."""
    return [
        *(Cell("slower: seconds between tries", gap, _scanning("a port of many hosts", gap)) for gap in
          (0.1, 1, 10, 60, 300, 900, 1800, 3600, 7200, 14400)),
        *(Cell("more sources, taking turns", n, _shared(n), tuple(SCANNER + i for i in range(n)))
          for n in (1, 2, 5, 10, 20, 50)),
        *(Cell("honest connections for each try", share, _mixed("a port of many hosts", share))
          for share in (0, 0.5, 1, 2, 5, 10)),
        *(Cell("the same, ports of a host", share, _mixed("ports of a host, TCP", share))
          for share in (0, 0.5, 1, 2, 5, 10)),
        *(Cell("decoys for each try", n, _decoys(n)) for n in (0, 1, 3, 9)),
        *(Cell("tries of each target", n, _retrying(n)) for n in (1, 2, 3, 4, 5, 8)),
        *(Cell("share of targets that answer", share, _answered(share)) for share in (0, 0.2, 0.4, 0.6, 0.8)),
        *(Cell("ports that take turns, a host each", n, _diagonal(n)) for n in (1, 2, 3, 5, 10, 80)),
    ]  # fmt: skip


def _shared(n: int) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, _: np.random.Generator) -> Scan:
        tries = scan("a port of many hosts", 1, start, count=30 * n)
        return [replace(one, source=SCANNER + i % n) for i, one in enumerate(tries)]

    return make


def _mixed(kind: str, share: float) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, chance: np.random.Generator) -> Scan:
        tries = scan(kind, 1, start)
        honest = [
            Try(start + int(chance.integers(60 * SECOND)), SCANNER, WEB + i % 200, _HTTPS, Outcome.ANSWERED)
            for i in range(round(share * len(tries)))
        ]
        return tries + honest

    return make


def _decoys(n: int) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, _: np.random.Generator) -> Scan:
        tries = scan("ports of a host, TCP", 1, start)
        return [replace(one, source=SCANNER + i) for one in tries for i in range(n + 1)]

    return make


def _retrying(n: int) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, _: np.random.Generator) -> Scan:
        tries = scan("a port of many hosts", 1, start, count=200)
        return [replace(one, time=one.time + again * SECOND) for one in tries for again in range(n)]

    return make


def _answered(share: float) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, chance: np.random.Generator) -> Scan:
        tries = scan("a port of many hosts", 1, start)
        return [replace(one, outcome=Outcome.ANSWERED) if chance.random() < share else one for one in tries]

    return make


def _diagonal(n: int) -> Callable[[int, np.random.Generator], Scan]:
    def make(start: int, _: np.random.Generator) -> Scan:
        tries = scan("a port of many hosts", 1, start, count=80)
        return [replace(one, service=service_code(Protocol.TCP, 20 + i % n)) for i, one in enumerate(tries)]

    return make


def measure(cell: Cell, starts: int, seed: int) -> dict[str, Any]:
    """Return how often the first scanner was named, after how many tries and pairs, and how soon."""
    chance = np.random.default_rng(seed)
    found: list[Named] = []
    for _ in range(starts):
        verdicts = named(cell.make(START + int(chance.integers(3600 * SECOND)), chance))
        mine = [verdicts[scanner] for scanner in cell.scanners if scanner in verdicts]
        found += [min(mine, key=lambda one: one.seconds)] if mine else []
    return {
        "title": cell.title,
        "value": cell.value,
        "starts": starts,
        "named": len(found),
        "kinds": sorted({one.kind.value for one in found}),
        "scales": sorted({one.scale for one in found}),
        **{name: _spread([asdict(one)[name] for one in found]) for name in ("tries", "pairs", "seconds")},
    }


def _spread(values: Sequence[float]) -> list[float] | None:
    """Return the median and the 95 % quantile."""
    return [float(np.quantile(values, q)) for q in (0.5, 0.95)] if values else None


def lines(found: dict[str, Any]) -> list[str]:
    """Return the page."""
    text = ["# How soon one scanner is named, and what hiding changes", ""]
    text += [
        "Made-up scans through the whole way of a live sensor; nobody answers unless it says so. Each row has "
        f"{found['starts']} random starts within the hour, seed {found['seed']}. Median (95 %) of the tries "
        "that had been made when the first alert came, of the distinct pairs of target and service that the alert "
        "rests on, and of the seconds since the first try. What is silent is known 3 s later: a fast scanner has "
        "made more tries by then than its verdict needs.",
        "",
    ]
    for heading, part in (("Delay", "delays"), ("Hiding", "hiding")):
        text += [f"## {heading}", ""]
        titles = list(dict.fromkeys(row["title"] for row in found[part]))
        unit = "s between tries" if part == "delays" else "value"
        header = ["", unit, "named", "as", "in windows of", "tries", "pairs", "seconds"]
        rows = [_cells(row) for title in titles for row in found[part] if row["title"] == title]
        text += [*results.table(header, rows), ""]
    return [*text, "![Tries until a scanner is named, for each way to hide](hiding.svg)"]


def _cells(row: dict[str, Any]) -> list[str]:
    spreads = [row[name] for name in ("tries", "pairs", "seconds")]
    shown = [f"{_short(spread[0])} ({_short(spread[1])})" if spread else "–" for spread in spreads]
    scales = ", ".join(_length(scale) for scale in row["scales"])
    named = f"{row['named']} of {row['starts']}"
    return [row["title"], f"{row['value']:g}", named, ", ".join(row["kinds"]), scales, *shown]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _length(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"


def main() -> None:
    """Measure all cells and write the results."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    ask.add_argument("--starts", type=int, default=20)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--output", type=Path, default=FOLDER)
    args = ask.parse_args()
    found = {
        "starts": args.starts,
        "seed": args.seed,
        "delays": [measure(cell, args.starts, args.seed) for cell in delays()],
        "hiding": [measure(cell, args.starts, args.seed) for cell in hiding()],
    }
    results.save(args.output, "hiding", found, lines(found))
    draw(found["hiding"], args.output / "hiding.svg")


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the median of tries against what is changed; crosses at the top were not named in half of the runs."""
    from matplotlib import pyplot as plt

    import benchmarks.core.charts  # noqa: F401  (sets the style of all pictures)

    titles = list(dict.fromkeys(row["title"] for row in rows))
    figure, axes = plt.subplots(2, (len(titles) + 1) // 2, figsize=(11, 5), sharey=True, layout="constrained")
    for axis, title in zip(axes.ravel(), titles, strict=False):
        mine = [row for row in rows if row["title"] == title]
        often = [row for row in mine if 2 * row["named"] >= row["starts"]]
        rarely = [row for row in mine if 2 * row["named"] < row["starts"]]
        axis.plot([row["value"] for row in often], [row["tries"][0] for row in often], "o-")
        axis.plot([row["value"] for row in rarely], [1000] * len(rarely), "x", color="C1")
        axis.set(title=title, yscale="log", ylim=(5, 1500))
        axis.title.set_fontsize(8)
        if mine[-1]["value"] > 100:
            axis.set_xscale("log")
    for axis in axes[:, 0]:
        axis.set_ylabel("tries until named (× not)")
    for axis in axes.ravel()[len(titles) :]:
        axis.set_axis_off()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
