"""What the core is meant to reach, and what it does: reads all results, writes README.md beside them.

    python -m benchmarks.core.reach [--output benchmarks/results/core]

A figure is met where the measured value itself, as it is shown, reaches what is demanded, not the friendlier end of
its interval.
Ends with an error that names the file if results are missing or lack a figure.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core import results
from benchmarks.core.growth import FITTED, LARGE, STEEPEST
from benchmarks.core.real import DEFAULT, SLOWER, load_verdicts
from benchmarks.core.tried import record_of

if TYPE_CHECKING:
    from collections.abc import Callable

FASTER = {"30×30×3 σ 0.01": 1.25, "200×500×8 σ 0.01": 1.8, "200×500×8 σ 0.1": 1.8, "1000×300×12 σ 0.01": 1.8}
"""Speed-ups over the best classical rule, to `NEAREST`, that are demanded; all else in `speed` is `SLOWER`."""
NEAREST = 0.001
AIMS = {1.25: "≥ 2×", 1.8: "≥ 3×", SLOWER: "≥ 1.5×"}
ARRIVE = 0.97
COLD = 5.0
"""Times as fast as scikit-learn's best setting on a cold sparse window."""
STREAM_AIMS = {"against scikit-learn's": "≥ 60×", "windows within 0.1 %": "≥ 97 %"}
"""By what is in the goal's name."""
NAMES = ("peers", "speed", "streams", "thesis", "growth", "curves")
CURVES = {
    "curves-dense": "Error against iterations and time, a dense problem",
    "curves-sparse": "Error against iterations and time, a sparse problem",
}
"""Pictures, and what they show."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    goal: str
    demanded: str
    aim: str
    measured: str
    met: bool | None
    """None where it could not be measured."""


@dataclass(frozen=True, slots=True)
class Part:
    """Figures from one file of results, and the decision that says what was tried for them."""

    title: str
    source: str
    """Name of the results, without ending."""
    decisions: tuple[str, ...]
    """Numbers of pages in docs/decisions."""
    figures: Callable[[Any], list[Figure]]
    pictures: dict[str, str]
    """As `CURVES`."""


def thesis_figures(found: Any) -> list[Figure]:
    """Return how many of the 16 cells reach the thesis' mean, for each training."""
    noises = sorted({cell["noise"] for cell in found["cells"]})
    demanded = {
        (train, noise): found["thesis"][row][column][0]
        for row, train in enumerate(noises)
        for column, noise in enumerate(noises)
    }
    figures = []
    cap = found["caps"]["MU"]
    for training in dict.fromkeys(cell["training"] for cell in found["cells"]):
        cells = [c for c in found["cells"] if c["training"] == training and c["criterion"] == "fall"]
        met = sum(c["against"]["MU"]["mean"] >= demanded[c["train_noise"], c["noise"]] for c in cells)
        times = [c["against"]["MU"]["time_ratio"] for c in cells]
        never = max(c["against"]["MU"]["never"] for c in cells)
        figures.append(
            Figure(
                f"weights “{training}”: iterations of MU / learned",
                f"each of {len(demanded)} means ≥ the thesis'",
                "time ≥ 7× MU",
                f"{met} of {len(demanded)}; time {min(times):.1f}–{max(times):.1f}×; {found['problems']} problems, "
                f"of which MU never arrives in {cap} iterations on {never:.0%} at the most",
                met == len(demanded),
            )
        )
    return figures


def speed_figures(found: Any) -> list[Figure]:
    """Return the default's speed-up over the best classical rule on each kind of planted problem."""
    by_case = {(row["case"], row["tolerance"]): row for row in found["rows"] if row["rule"] == DEFAULT}
    wanted = {(name, NEAREST): least for name, least in FASTER.items()}
    figures = []
    for case in [*by_case, *wanted.keys() - by_case]:
        row = by_case[case]
        least = wanted.get(case, SLOWER)
        arrive = ARRIVE if least > 1 else 0.0
        figures.append(
            Figure(
                f"{case[0]}: to {100 * case[1]:g} %, best classical rule / default",
                f"≥ {least:g}×" + (f", {arrive:.0%} arrive" if arrive else ""),
                AIMS[least],
                f"{_ratio(row['speedup'])}, {row['arrived']['mean']:.0%} arrive",
                round(row["speedup"]["mean"], 2) >= least and row["arrived"]["mean"] >= arrive,
            )
        )
    return figures


def real_figures(found: Any) -> list[Figure]:
    """Return the default's speed-up over the best classical rule on windows of real traffic."""
    return [
        Figure(
            f"{each['group']}: to {100 * each['tolerance']:g} %, best classical rule / default",
            f"≥ {SLOWER:g}×",
            AIMS[SLOWER],
            f"{_ratio(each['speedup'])}, {each['arrived']:.0%} arrive",
            None if each["speedup"]["mean"] is None else round(each["speedup"]["mean"], 2) >= SLOWER,
        )
        for verdicts in found.values()
        for each in verdicts
    ]


def _ratio(interval: dict[str, Any]) -> str:
    if interval["mean"] is None:
        return "–"
    known = interval["low"] is not None
    return f"{interval['mean']:.2f}" + (f" ({interval['low']:.2f}–{interval['high']:.2f})" if known else "")


def peer_figures(found: Any) -> list[Figure]:
    """Return how much faster a cold sparse window is than with scikit-learn's best setting."""
    ours = next(row for row in found["rows"] if row["contender"] == "Yocho default")
    theirs = [row for row in found["rows"] if row["contender"].startswith("scikit-learn")]
    sources, services, k, _ = found["size"]
    figures = []
    for tolerance, demanded in (("1.0%", f"≥ {COLD:g}×"), ("0.1%", "–")):
        known = [row[tolerance]["median_ms"] for row in theirs if row[tolerance]["median_ms"] is not None]
        mine = ours[tolerance]["median_ms"]
        ratio = min(known) / mine if known and mine else None
        said = "–" if ratio is None else f"{ratio:.1f}× ({min(known):.1f} / {mine:.1f} ms)"
        figures.append(
            Figure(
                f"{sources}×{services}×{k}, to {tolerance} of the best: scikit-learn's best setting / default",
                demanded,
                "≥ 15×",
                said + _by_window(ours[tolerance]),
                None if ratio is None or demanded == "–" else round(ratio, 1) >= COLD,
            )
        )
    return figures


def _by_window(cell: dict[str, Any]) -> str:
    if "ratio" not in cell:
        return ""
    return "; window by window {:.1f} ({:.1f}–{:.1f})".format(*cell["ratio"])


def stream_figures(found: Any) -> list[Figure]:
    """Return the figures that the streams' benchmark has judged itself."""
    verdicts = {"met": True, "**missed**": False}
    return [
        Figure(goal, demanded, _stream_aim(goal), measured, verdicts.get(verdict))
        for goal, demanded, measured, verdict in found["targets"]
    ]


def _stream_aim(goal: str) -> str:
    return next((aim for part, aim in STREAM_AIMS.items() if part in goal), "–")


def growth_figures(found: Any) -> list[Figure]:
    """Return the exponents of growth with nnz + n + m, of large windows."""
    return [
        Figure(
            f"{FITTED[key]}: exponent of nnz + n + m, from {LARGE} sources on",
            f"≤ {STEEPEST:g}",
            "1",
            f"{fit['exponent']:.2f} ({fit['low']:.2f}–{fit['high']:.2f})",
            round(fit["exponent"], 2) <= STEEPEST,
        )
        for key, fit in found["exponents of the large"].items()
        if not key.startswith("peer")
    ]


PARTS = (
    Part(
        "The thesis' rule",
        "thesis",
        ("0020",),
        thesis_figures,
        {"thesis": "Iterations of multiplicative updates over learned ones, and the thesis' figures"},
    ),
    Part(
        "The default beside the best classical rule",
        "speed",
        ("0012", "0015", "0011"),
        speed_figures,
        {
            "speed": "Speed-up of each rule over the best classical one on planted problems, to 0.1 %",
            "speed-near": "The same to 1 %",
        },
    ),
    Part(
        "The same on real traffic",
        "real",
        ("0015", "0012"),
        real_figures,
        {"real": "Speed-up of the default over the best classical rule on windows of real traffic"},
    ),
    Part(
        "A cold sparse window beside other packages",
        "peers",
        ("0014",),
        peer_figures,
        {"peers": "Time of each package to 1 and 0.1 % of the best error"},
    ),
    Part(
        "Streams",
        "streams",
        ("0030", "0031"),
        stream_figures,
        {"streams": "Error and time of each window of a stream"},
    ),
    Part("Growth", "growth", ("0017", "0031"), growth_figures, {"growth": "Time and memory against nnz + n + m"}),
)


def figures_of(part: Part, found: Any) -> list[Figure]:
    """Return a part's figures; raises ResultError if the results lack one of them."""
    try:
        figures = part.figures(found)
    except (KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
        raise results.ResultError(
            f"{part.source}.json lacks a figure ({type(error).__name__}: {error}): run python -m "
            f"benchmarks.core.{part.source} again, or adapt benchmarks/core/reach.py to what it writes now"
        ) from error
    if not figures:
        raise results.ResultError(f"{part.source}.json holds none of the figures of “{part.title}”: run all of it")
    return figures


def markdown(found: dict[str, Any], decisions: Path, up: str) -> list[str]:
    """Return the page; `up` leads from its folder to the repository. Raises ResultError as `figures_of` does."""
    parts = [(part, figures_of(part, found[part.source])) for part in PARTS]
    judged = [figure.met for _, figures in parts for figure in figures if figure.met is not None]
    lines = [
        "# What the numerical core is meant to reach, and what it does",
        "",
        f"{sum(judged)} of {len(judged)} figures are met. {results.machine_line(found['curves']['machine'])}",
        "",
        "Speeds are ratios of CPU times measured in one run, one thread each, start included, with 95 % intervals.",
        "An error never rises: the loop takes back what would raise it, and the tests of every rule hold that.",
        "`make bench-core` measures all of it again and writes this page.",
        "",
    ]
    lines += _missed(parts, decisions, up)
    for part, figures in parts:
        links = _links(part.decisions, decisions, up)
        lines += [
            f"## {part.title}",
            "",
            f"From [{part.source}.md]({part.source}.md). What was tried: {links}.",
            "",
        ]
        lines += results.table(("goal", "demanded", "aim", "measured", ""), [_cells(each) for each in figures])
        lines += _pictures(part.pictures)
    lines += ["## How the error falls", "", "From [curves.md](curves.md)."]
    return [*lines, *_pictures(CURVES)]


def _missed(parts: list[tuple[Part, list[Figure]]], decisions: Path, up: str) -> list[str]:
    """Return what is missed with what was tried for it; raises ResultError if that is nowhere on record."""
    rows = []
    for part, figures in parts:
        for figure in figures:
            if figure.met is not False:
                continue
            record = record_of(part.source, figure.goal)
            if record is None:
                raise results.ResultError(
                    f"“{figure.goal}” is missed, and benchmarks/core/tried.py does not say what was tried for it"
                )
            links = _links(record.decisions, decisions, up)
            rows.append((figure.goal, figure.demanded, figure.measured, f"{'; '.join(record.attempts)} ({links})"))
    if not rows:
        return []
    lines = ["## What is missed, and what was tried", ""]
    return [*lines, *results.table(("goal", "demanded", "measured", "attempts"), rows), ""]


def _links(numbers: tuple[str, ...], decisions: Path, up: str) -> str:
    return ", ".join(f"[{number}]({up}/{_page(decisions, number)})" for number in numbers)


def _cells(figure: Figure) -> tuple[str, ...]:
    verdict = {True: "met", False: "**missed**", None: "–"}[figure.met]
    return (figure.goal, figure.demanded, figure.aim, figure.measured, verdict)


def _pictures(pictures: dict[str, str]) -> list[str]:
    return ["", *(line for name, title in pictures.items() for line in (f"![{title}]({name}.svg)", ""))]


def _page(decisions: Path, number: str) -> str:
    """Return the decision's page; raises ResultError if it is gone."""
    pages = sorted(decisions.glob(f"{number}-*.md"))
    if not pages:
        raise results.ResultError(
            f"{decisions} has no page {number}: name the one that says what was tried, in PARTS"
        )
    return f"docs/decisions/{pages[0].name}"


def check_threads(found: dict[str, Any]) -> None:
    """Raise ResultError if results say that they were not measured with one thread."""
    for name, each in found.items():
        about = each.get("machine") if isinstance(each, dict) else None
        threads = about.get("threads", "1") if isinstance(about, dict) else "1"
        if threads != "1":
            raise results.ResultError(
                f"{name}.json was measured with {threads} threads: set {'=1, '.join(results.THREADS)}=1"
            )


def main() -> None:
    """Write README.md."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--output", type=Path, default=results.FOLDER)
    folder = ask.parse_args().output
    try:
        found = {name: results.load(folder, name) for name in NAMES}
        found["real"] = load_verdicts(folder)
        check_threads(found | {name: results.load(folder, name) for name in found["real"]})
        lines = markdown(found, Path("docs/decisions"), "../../..")
    except results.ResultError as error:
        raise SystemExit(f"reach: {error}") from error
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
