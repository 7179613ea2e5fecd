"""The page of a run: what was found, whom it named, and how often the background alone raised an alarm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.core.results import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.detect.trials import Outcome

SHIPPED = "Yocho, all lengths"
_Z = 1.959963985
_ORDER = (
    "Zeek's counts",
    "threshold random walk",
    "entropy of ports",
    "Dark-NMF",
    "surge alone",
    "surge + breadth",
    "… + itemsets",
    "… + sampled rows",
    "… + k-means++",
    "… + HDBSCAN",
    "… + all four of these",
    "Yocho",
    SHIPPED,
)
_COMPARED = ("surge + breadth", "… + itemsets")
_WITHOUT = (*_COMPARED, "… + sampled rows", "… + k-means++", "… + HDBSCAN", "… + all four of these")


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how many were found, with Wilson's 95 % interval, and the mean F1 of those."""
    n, found = len(outcomes), sum(outcome.found for outcome in outcomes)
    scores = [outcome.f1 for outcome in outcomes if outcome.found and not math.isnan(outcome.f1)]
    low, high = wilson(found, n)
    return {"trials": n, "found": found, "low": low, "high": high, "f1": float(np.mean(scores)) if scores else None}


def wilson(found: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    share, z2 = found / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def pooled(cells: Sequence[dict[str, Any]], column: str) -> dict[str, Any] | None:
    """Return the same over several cells."""
    parts = [cell["columns"][column] for cell in cells if column in cell["columns"]]
    n, found = sum(part["trials"] for part in parts), sum(part["found"] for part in parts)
    if not n:
        return None
    low, high = wilson(found, n)
    scored = [(part["f1"], part["found"]) for part in parts if part["f1"] is not None and part["found"]]
    f1 = sum(f * k for f, k in scored) / sum(k for _, k in scored) if scored else None
    return {"trials": n, "found": found, "low": low, "high": high, "f1": f1}


def words(value: dict[str, Any] | None) -> str:
    """Write a share found, its interval and F1: ``97 (95–98) .91``."""
    if value is None or not value["trials"]:
        return "–"
    share = f"{100 * value['found'] / value['trials']:.0f} ({100 * value['low']:.0f}–{100 * value['high']:.0f})"
    return share if value["f1"] is None else f"{share} {value['f1']:.2f}"


def lines_of(found: dict[str, Any]) -> list[str]:
    """Return the page."""
    return [
        f"# Coordinated scans: {found['background']}",
        "",
        f"{found['attempts']} attempts in {found['days']:.1f} days; {_trials(found['cells'])} trials a cell, seed "
        f"{found['seed']}; {found['seconds'] / 60:.0f} min. Cells: % found (95 % interval) and the members' F1 of "
        "what was found.",
        "",
        "## False alarms a day on the test days, without campaigns",
        "",
        *_false_alarms(found["false_alarms"]),
        "",
        "## Met or missed",
        "",
        "Of the service as shipped, its windows of all lengths together; all cells that a line is about as one.",
        "",
        *met(found),
        "",
        "## What was asked for, and the counters beside it",
        "",
        *_musts(found["cells"]),
        "",
        *_added(found["cells"]),
        *_by_kind(found["cells"]),
        *_mixtures(found["cells"]),
    ]


def _false_alarms(measured: dict[str, Any]) -> list[str]:
    rows = []
    for name in _ORDER:
        cells = [measured.get(span, {}).get(name) for span in ("1 h", "24 h")]
        if any(cells):
            rows.append(
                (name, *(f"{cell['nominal']:.2f} → {cell['equal']:.2f}" if cell else "–" for cell in cells))
            )
    lines = table(("column", "1 h: by its budget → as compared", "24 h"), rows)
    for name in ("one a day", "one a week"):
        by = ", ".join(
            f"{minutes} min {rate:.3f}" for minutes, rate in measured[name]["by minutes of length"].items()
        )
        lines += ["", f"Yocho, all lengths, budget of {name}: {measured[name]['all']:.3f} a day ({by})."]
    return lines


def _trials(cells: Sequence[dict[str, Any]]) -> str:
    """Return how many trials the cells have, the fewest and the most."""
    made = [max((part["trials"] for part in cell["columns"].values()), default=0) for cell in cells]
    fewest, most = min(made, default=0), max(made, default=0)
    return str(most) if fewest == most else f"{fewest} to {most}"


def _select(cells: Sequence[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """Return the cells whose fields are, or are among, what is wanted."""
    return [
        cell
        for cell in cells
        if all(
            cell[name] in value if isinstance(value, tuple) else cell[name] == value
            for name, value in wanted.items()
        )
    ]


_MUSTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("rare port, S ≥ 10", "98 .85", {"kind": "rare", "sources": (10, 20, 50, 200)}),
    ("pair, S ≥ 10", "98 .85", {"kind": "pair", "sources": (10, 20, 50, 200)}),
    (
        "rare list, A ≥ 3, S ≥ 10",
        "95 .80",
        {"kind": "rare list", "attempts": (3, 10), "sources": (10, 20, 50, 200)},
    ),
    ("usual list, A ≥ 3, S ≥ 20", "95 .80", {"kind": "usual list", "attempts": (3, 10), "sources": (20, 50, 200)}),
    (
        "blurred list, A ≥ 3, S ≥ 20",
        "95 .80",
        {"kind": "blurred list", "attempts": (3, 10), "sources": (20, 50, 200)},
    ),
    ("445, S = 20", "90 (1 h)", {"kind": "445", "sources": 20}),
    ("23, S = 10", "85 (1 h)", {"kind": "23", "sources": 10}),
    ("445, S = 10, bursts", "85 (24 h)", {"kind": "445", "sources": 10, "bursts": True}),
    ("23, S = 10, bursts", "85 (24 h)", {"kind": "23", "sources": 10, "bursts": True}),
)


def met(found: dict[str, Any]) -> list[str]:
    """Return a table of what was asked for, what was measured, and whether it is met."""
    cells, rows = found["cells"], []
    for name, wanted, which in _MUSTS:
        least, _, rest = wanted.partition(" ")
        spans = [rest.strip("()")] if "(" in rest else list(dict.fromkeys(cell["span"] for cell in cells))
        for span in spans:
            value = pooled(_select(cells, span=span, **which), SHIPPED)
            if value:
                is_met = value["found"] >= float(least) / 100 * value["trials"]
                is_met = is_met and ("(" in rest or (value["f1"] or 0.0) >= float(rest))
                asked_for = f"{least} %" if "(" in rest else f"{least} %, F1 {rest}"
                rows.append((f"{name}, {span}", asked_for, words(value), str(value["trials"]), _word(is_met)))
    for m in sorted({cell["services"] for cell in cells if cell["kind"] == "mixture"}):
        value = pooled(_select(cells, span="24 h", kind="mixture", services=m), SHIPPED)
        if value:
            is_met = value["found"] >= 0.93 * value["trials"]
            name = f"mixture of {m} common services, S = 3–5, 24 h"
            rows.append((name, "93 %", words(value), str(value["trials"]), _word(is_met)))
    mixed = [cell for cell in _select(cells, span="24 h", kind="mixture") if "Yocho" in cell["columns"]]
    for title, rivals in (("itemsets or nothing", _COMPARED), ("any clustering of rows, or all of them", _WITHOUT)):
        own, others = pooled(mixed, "Yocho"), [pooled(mixed, name) for name in rivals]
        shares = [other["found"] / other["trials"] for other in others if other]
        if own and shares:
            more = own["found"] / own["trials"] - max(shares)
            name = f"mixtures: points that the factorisation adds to counters with {title}"
            rows.append((name, "+5", _points(more, 0.0), str(own["trials"]), _word(more >= 0.05)))
    for name, budget in (("one a day", 1.0), ("one a week", 1 / 7)):
        rate, days = found["false_alarms"][name]["all"], found["false_alarms"]["days"]
        said = f"{rate:.3f} a day, {rate / budget:.2f} × budget"
        is_met = _word(rate <= 1.5 * budget)
        rows.append((f"false alarms at a budget of {name}", "1.5 × budget", said, f"{days:.0f} days", is_met))
    return table(("what", "asked for", "measured", "trials", ""), rows)


def _word(is_met: bool) -> str:  # noqa: FBT001
    return "met" if is_met else "**missed**"


def asked(cell: dict[str, Any]) -> bool:
    """Tell whether a cell belongs to what was asked for."""
    spans = {name: wanted.partition("(")[2].rstrip(")") for name, wanted, _ in _MUSTS}
    return any(_select([cell], **which) and spans[name] in ("", cell["span"]) for name, _, which in _MUSTS) or (
        cell["kind"] == "mixture" and cell["span"] == "24 h"
    )


def _musts(cells: Sequence[dict[str, Any]]) -> list[str]:
    spans = list(dict.fromkeys(cell["span"] for cell in cells))
    columns = ("surge alone", "surge + breadth", SHIPPED)
    rows = [
        (
            name,
            wanted,
            *(words(pooled(_select(cells, span=span, **which), column)) for span in spans for column in columns),
        )
        for name, wanted, which in _MUSTS
    ]
    return table(("campaign", "asked for", *(f"{span}: {column}" for span in spans for column in columns)), rows)


def _added(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the factorisation adds where it could add most: mixtures of common services."""
    mixed = [cell for cell in cells if cell["kind"] == "mixture" and "Yocho" in cell["columns"]]
    rows = []
    for blur in sorted({cell["blur"] for cell in mixed}):
        for m in (*sorted({cell["services"] for cell in mixed}), None):
            mine = _select(mixed, span="24 h", blur=blur, **({} if m is None else {"services": m}))
            found = {name: pooled(mine, name) for name in (*_WITHOUT, "Yocho")}
            shares = {name: value["found"] / value["trials"] for name, value in found.items() if value}
            if "Yocho" not in shares or len(shares) < 2:
                continue
            best = max((name for name in _WITHOUT if name in shares), key=lambda name: shares[name])
            rows.append(
                (
                    f"{blur:.0%}",
                    "all" if m is None else str(m),
                    *(words(found.get(name)) for name in (*_COMPARED, "Yocho")),
                    *(_points(shares["Yocho"], shares.get(name)) for name in _COMPARED),
                    f"{_points(shares['Yocho'], shares[best])} ({best})",
                )
            )
    if not rows:
        return []
    header = [
        "astray",
        "m",
        *_COMPARED,
        "Yocho",
        *(f"over {name}" for name in _COMPARED),
        "over the best without it",
    ]
    title = "## What the factorisation adds: mixtures of m common services, S = 3–5, 24 h, the same false alarms"
    return [title, "", *table(header, rows), ""]


def _points(share: float, other: float | None) -> str:
    return "–" if other is None else f"{100 * (share - other):+.1f}"


def _by_kind(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table of the columns for each span: all cells in which a column was asked."""
    lines = []
    kinds = list(dict.fromkeys(cell["kind"] for cell in cells if cell["kind"] != "mixture"))
    views: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
        ("all cells", lambda _: True),
        (
            "sources with several services, spread evenly, S ≤ 50",
            lambda cell: "Yocho" in cell["columns"] and "… + itemsets" in cell["columns"],
        ),
    )
    for span in dict.fromkeys(cell["span"] for cell in cells):
        for title, which in views:
            mine = [cell for cell in cells if cell["span"] == span and which(cell)]
            shown = [kind for kind in kinds if _select(mine, kind=kind)]
            rows = []
            for name in _ORDER:
                values = [words(pooled(_select(mine, kind=kind), name)) for kind in shown]
                if any(value != "–" for value in values):
                    rows.append((name, *values))
            if rows:
                lines += [f"## {span}: {title}", "", *table(("column", *shown), rows), ""]
    return lines


def _mixtures(cells: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for span in ("24 h", "1 h"):
        mixed = _select(cells, span=span, kind="mixture")
        if not mixed:
            continue
        blurs = sorted({cell["blur"] for cell in mixed})
        rows = []
        for name in _ORDER:
            values = [words(pooled(_select(mixed, blur=blur), name)) for blur in blurs]
            most = _select(mixed, blur=blurs[-1])
            values += [
                words(pooled(_select(most, services=m), name)) for m in sorted({cell["services"] for cell in most})
            ]
            if any(value != "–" for value in values):
                rows.append((name, *values))
        header = ["column", *(f"{blur:.0%} astray" for blur in blurs)]
        header += [f"{blurs[-1]:.0%}, m = {m}" for m in sorted({cell["services"] for cell in mixed})]
        lines += [f"## {span}: blurred mixtures of m common services, S = 3–5", "", *table(header, rows), ""]
    return lines
