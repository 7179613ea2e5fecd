"""How the results of `streams` are summed up, judged and written."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from benchmarks.core import results

SHIFT = 12
"""The window in which two patterns are replaced."""
AGAIN = 3
"""Runs from one state, of which the quickest counts."""
FRESH = 200
"""First seed of the streams that no choice was made on."""
TOLERANCES = (0.01, 0.001)
"""Of scikit-learn, to the best error."""
ONCE = "warm only, 1 pass"
TIMES = {
    "median ms": "",
    "median ms without a look": ", windows without a cold look",
    "again, median ms": ", again",
}
"""Which time of a window is compared with scikit-learn's, and what that is called."""
IN_A_ROW = ", updates in a row and full passes in a row"
Target: TypeAlias = tuple[str, str, str, bool | None]


def summary(records: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return what the report says of one contender."""
    later = [record for record in records if record["window"]]
    gaps = np.array([record[name]["gap"] for record in later])
    steady = np.array([record[name]["gap"] for record in later if record["window"] < SHIFT])
    shift = [np.median([r[name]["gap"] for r in later if r["window"] == SHIFT + after]) for after in range(3)]
    looked = [record[name]["ms"] for record in later if record[name]["looked"]]
    return {
        "again, median ms": float(np.median([record[name]["again ms"] for record in later])),
        "median ms": float(np.median([record[name]["ms"] for record in later])),
        "median ms without a look": float(
            np.median([record[name]["ms"] for record in later if not record[name]["looked"]])
        ),
        "share that look": len(looked) / len(later),
        "mean ms": float(np.mean([record[name]["ms"] for record in later])),
        "ms of a cold look": float(np.median(looked)) if looked else None,
        "steady gap, median": float(np.median(steady)),
        "steady gap, largest": float(steady.max()),
        "gap at the shift and after": [float(gap) for gap in shift],
        "largest gap at the third window of a shift": float(
            max((r[name]["gap"] for r in later if r["window"] == SHIFT + 2), default=np.nan)
        ),
        "windows within 1 %": float((gaps <= 1e-2).mean()),
        "windows within 0.1 %": float((gaps <= 1e-3).mean()),
    }


def report(found: dict[str, Any]) -> list[str]:
    """Return the results as Markdown."""
    small, large = ("{sources} × {services}".format(**found["sizes"][size]) for size in ("small", "large"))
    lines = [
        "# Streams",
        "",
        results.machine_line(found["machine"]),
        "",
        f"Small: {small}, {found['small nnz']:.0f} entries; large: {large}, {found['large nnz']:.0f} entries; rank "
        f"{found['rank']}. Gap: of the relative error ‖X − DC‖_F to the best of 10 (large: 2) converged cold runs. "
        "Times include the check of the input. Fresh: small, of "
        f"seeds from {FRESH} on, that no choice was made on. Again: the quickest of {AGAIN} runs from one state. "
        "MiB: by how much three windows, the first of them cold, raise the peak of a process. Intervals of ratios: "
        "95 %, bootstrap over windows.",
        "",
    ]
    header = (
        "stream", "contender", "median ms", "without a look", "again", "mean ms", "with a cold look, ms (share)",
        "steady gap, median (largest)", "at the shift, +1, +2", "within 1 % of best", "within 0.1 %", "MiB",
    )  # fmt: skip
    rows = [
        (size, name, *_cells(row), _peak(found["peak MiB"].get(size, {}).get(name)))
        for size in ("small", "fresh", "large")
        for name, row in found[size].items()
    ]
    lines += [*results.table(header, rows), ""]
    return [*lines, *results.table(("target", "asked", "measured", ""), found["targets"])]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    looked = row["ms of a cold look"]
    return (
        f"{row['median ms']:.2f}",
        f"{row['median ms without a look']:.2f}",
        f"{row['again, median ms']:.2f}",
        f"{row['mean ms']:.2f}",
        "–" if looked is None else f"{looked:.1f} ({100 * row['share that look']:.0f} %)",
        f"{100 * row['steady gap, median']:.3f} % ({100 * row['steady gap, largest']:.3f} %)",
        ", ".join(f"{100 * gap:.2f} %" for gap in row["gap at the shift and after"]),
        f"{100 * row['windows within 1 %']:.0f} %",
        f"{100 * row['windows within 0.1 %']:.0f} %",
    )


def _peak(mebibytes: float | None) -> str:
    return "–" if mebibytes is None else f"{mebibytes:.1f}"


def times_of(records: list[dict[str, Any]], name: str, how: str) -> list[float]:
    """Return the times of the windows after the first that a key of `TIMES` is the median of, ms."""
    later = [record[name] for record in records if record["window"]]
    if how == "median ms without a look":
        later = [each for each in later if not each["looked"]]
    return [each["again ms" if how == "again, median ms" else "ms"] for each in later]


def _speeds(found: dict[str, Any]) -> list[Target]:
    """Return how many times as fast as scikit-learn's best cold setting windows are."""
    rows: list[Target] = []
    for at, tolerance in enumerate(TOLERANCES):
        theirs = [run[at]["ms"] for run in found["scikit-learn"]]
        for spec, contender in (("default", "default"), ("1 pass", ONCE)):
            for how, said in TIMES.items():
                if spec != "default" and how == "median ms without a look":
                    continue
                name = f"{spec}{said}, against scikit-learn's best cold setting, to {100 * tolerance:g} %"
                if not theirs:
                    rows.append((name, "≥ 20×", "not installed", None))
                    continue
                ratio, low, high = results.ratio_of_medians(theirs, times_of(found["windows"], contender, how))
                measured = f"{ratio:.1f}× ({low:.1f}–{high:.1f}; {np.median(theirs):.1f} ms)"
                rows.append((name, "≥ 20×", measured, round(ratio, 1) >= 20))
    return rows


def _partial(found: dict[str, Any], size: str) -> list[Target]:
    """Return what is asked of updates of 1 % of the rows."""
    rows: list[Target] = []
    named = f"1 % of the rows, {size}"
    partial, row = found[f"{size} partial"], found[f"{size} partial in a row"]
    for times, gap, how, what in (
        (partial, "largest gap", ": time of a full pass", "a full pass from the same factors"),
        (row, "largest gap to full passes", IN_A_ROW, "a stream of full passes only"),
    ):
        share, low, high = (100 * each for each in times["share of time"])
        said = f"{share:.1f} % ({low:.1f}–{high:.1f}; {times['ms']:.3f} of {times['full ms']:.2f} ms)"
        rows.append((named + how, "≤ 5 %", said, round(share, 1) <= 5))
        said = f"{100 * partial[gap]:.3f} %"
        rows.append((f"{named}: largest gap to {what}", "≤ 0.1 %", said, partial[gap] <= 0.001))
    return rows


def targets(found: dict[str, Any]) -> list[list[str]]:
    """Return each target with what was asked, what was measured, and whether it was met."""
    small = found["small"]["default"]
    three = found["small"]["warm only, 3 passes"]
    rows = _speeds(found)
    gap = found["small"]["warm only, 1 pass"]["steady gap, median"]
    rows.append(("steady gap of 1 pass, median", "≤ 0.15 %", f"{100 * gap:.3f} %", gap <= 0.0015))
    gap = found["small"]["warm only, 1 pass"]["gap at the shift and after"][2]
    rows.append(("gap of 1 pass, third window of a shift, median", "≤ 1 %", f"{100 * gap:.2f} %", gap <= 0.01))
    gap = small["steady gap, median"]
    rows.append(("steady gap, median", "≤ 0.15 %", f"{100 * gap:.3f} %", gap <= 0.0015))
    gap = small["largest gap at the third window of a shift"]
    rows.append(("largest gap, third pass after a shift", "≤ 1 %", f"{100 * gap:.2f} %", gap <= 0.01))
    gap = three["gap at the shift and after"][0]
    rows.append(("the same without cold looks, 3 passes, median", "≤ 1 %", f"{100 * gap:.2f} %", gap <= 0.01))
    large_ms, small_ms = (times_of(found[key], ONCE, "median ms") for key in ("large windows", "windows"))
    times, low, high = results.ratio_of_medians(large_ms, small_ms)
    measured = f"{times:.1f}× ({low:.1f}–{high:.1f})"
    rows.append(("time of the large window, 1 pass each", "≤ 12×", measured, round(times, 1) <= 12))
    for size in ("small", "large"):
        rows += _partial(found, size)
    gaps = found["gaps of updates to full passes"]
    said = ", ".join(f"{100 * gap:.3f}" for gap in gaps.values()) + " %"
    name = f"the same, small, seeds {', '.join(gaps)}"
    rows.append((name, "≤ 0.1 %", said, max(gaps.values()) <= 0.001))
    for size, said in (("small", ""), ("fresh", ", fresh seeds")):
        share = found[size]["default"]["windows within 0.1 %"]
        name = f"windows within 0.1 % of the best of 10 restarts{said}"
        rows.append((name, "≥ 90 %", f"{100 * share:.0f} %", share >= 0.9))
    return [[*row[:3], {True: "met", False: "**missed**"}.get(row[3], "–")] for row in rows]  # type: ignore[arg-type]
