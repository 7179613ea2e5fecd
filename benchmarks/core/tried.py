"""What was tried for goals that are, or were, missed: at least three measured attempts for each.

`reach` prints those of the goals that are missed now, and refuses to write its page where one has no record here.
The figures of each attempt stand in the decision that is named.
"""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 3


@dataclass(frozen=True, slots=True)
class Record:
    """Attempts at one kind of goal; raises ValueError if there are fewer than three."""

    source: str
    """Name of the results, without ending."""
    goal: str
    """What is in the goal's name; empty for all others of these results."""
    decisions: tuple[str, ...]
    """Numbers of pages in docs/decisions."""
    attempts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.attempts) < LEAST:
            raise ValueError(f"{self.source}, “{self.goal}”: {len(self.attempts)} attempts, {LEAST} are asked for")


RECORDS = (
    Record(
        "thesis",
        "",
        ("0020",),
        (
            "sampled columns of X as inputs",
            "each row brought to one scale",
            "a step that grows while updates are kept (10 of 16 cells)",
            "training through the loop on log₁₀ of the error (the row σ = 0.01 stays too low)",
            "the same on the excess over what can be reached, gradients clipped (16 of 16: “unrolled”)",
        ),
    ),
    Record(
        "speed",
        "",
        ("0015", "0012", "0021"),
        (
            "joint steps with all rows side by side",
            "sweeps in passes of three columns",
            "linear laws, then the mean of trials nearby, as the choice",
            "a trained schedule of momenta (0.87 and 1.28 in two runs on 60 × 50 × 6)",
            "rivals of 1, 2, 3, 6 and 10 sweeps",
        ),
    ),
    Record(
        "real",
        "",
        ("0015",),
        (
            "rivals of fewer sweeps (0.85–0.96 before)",
            "choices kept with their plans",
            "looking half or twice as far for what was measured nearby",
            "taking whatever is expected to be faster at all",
        ),
    ),
    Record(
        "peers",
        "",
        ("0014",),
        (
            "block Lanczos as the start",
            "two drafts of directions instead of three",
            "memberships from zero instead of NNDSVD's",
            "sketches of random and of sparse signs",
            "plans of 1, 2, 3 and 10 sweeps, and the choice among them made again",
            "rows in the order of their entries (taken)",
            "C and XᵀD side by side (taken)",
            "fewer looks at X, no scaling of drafts, one eigenproblem and two copies fewer (taken: 1.1×)",
        ),
    ),
    Record(
        "streams",
        "against scikit-learn",
        ("0031",),
        (
            "one pass, from C as it is, set off, or from a mean of windows",
            "C moved from a share of the rows",
            "a second pass only where the first moved C far",
            "a draft in float32, C moved a quarter farther, one compiled call (taken)",
            "looks that back off (taken), shorter ones, and ones from random starts",
        ),
    ),
    Record(
        "streams",
        "time of the large window",
        ("0031", "0017"),
        (
            "large pages",
            "C and XᵀD side by side",
            "asking beforehand for C, XᵀD and the next rows of D",
            "drafts in float32 (taken)",
        ),
    ),
    Record(
        "streams",
        "time of a full pass",
        ("0031",),
        (
            "numpy between kernels, then one compiled call with a hashed index (taken)",
            "asking for rows and columns beforehand (taken)",
            "C no longer moved in the columns of changed rows (taken)",
        ),
    ),
    Record(
        "streams",
        "updates in a row",
        ("0031",),
        (
            "one working memory for both halves",
            "components outside and entries within",
            "C no longer moved in the columns of changed rows (taken)",
        ),
    ),
    Record(
        "streams",
        "the same, small, seeds",
        ("0031",),
        (
            "C moved after 2 or 5 % of the rows",
            "all rows gone over after 10 %",
            "three passes over all rows",
            "a first look that converges, and up to 8 drafts (taken)",
            "C moved 60 or 90 % farther",
            "a first look of 400 iterations",
            "up to 24 drafts, to 2e-6 (taken)",
        ),
    ),
    Record(
        "streams",
        "windows within 0.1 %",
        ("0031",),
        (
            "looks every 2nd to 8th window",
            "looks that back off by two and by three, held or begun anew when something better was found",
            "two or three looks at once at a shift, from random starts",
            "2 to 60 iterations a look",
        ),
    ),
    Record(
        "streams",
        "",
        ("0031",),
        (
            "two sweeps, and one, in the first pass",
            "C 10 to 60 % farther",
            "C from a mean of the last windows",
            "the weakest component begun anew at a shift",
            "a first look that converges",
        ),
    ),
    Record(
        "growth",
        "",
        ("0017", "0031"),
        (
            "asking for the next block of D and its columns beforehand",
            "large pages for all arrays",
            "D stored past the caches",
            "C and XᵀD side by side, C replaced in place (taken)",
            "rows in the order of their entries (taken)",
        ),
    ),
)


def record_of(source: str, goal: str) -> Record | None:
    """Return the first record that fits a goal."""
    return next((each for each in RECORDS if each.source == source and each.goal in goal), None)
