"""The only iteration loop, and its compiled likeness for rules that are a plan of sweeps."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lnmf_core.choice import default_choice
from lnmf_core.errors import FactorError, ParameterError, whole_number
from lnmf_core.factors import FLOATS, Array, Factors, Solution, StopReason
from lnmf_core.kernels.loop import EXACT, NON_FINITE, TOLERANCE, extrapolated_sweeps
from lnmf_core.kernels.rows import count_positive
from lnmf_core.kernels.sparse import room_of, sparse_sweeps
from lnmf_core.matrix import Counts, Matrix, check_rank, checked
from lnmf_core.normal import NormalEquations
from lnmf_core.rules.base import Alternating, JointRule, Point, RuleChoice, Traits, UpdateRule
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule
from lnmf_core.start import Nndsvd, RandomStart, Start
from lnmf_core.stopping import MEMORY, Stop
from lnmf_core.threads import parts_of, run_loop

if TYPE_CHECKING:
    from collections.abc import Callable


Rule: TypeAlias = UpdateRule[Any] | JointRule[Any]
"""What the loop can run."""

PLANNED = (JointGaussNewton, SweepRule)
"""What the compiled loop can run."""

STARTS = (Nndsvd(), Nndsvd(fill_zeros=True))
"""Where nothing else is asked for, by whether the rule's zeros lock."""

MADE = (Nndsvd, RandomStart)
"""Starts that make new arrays, which nobody else has: the loop goes on in them."""

ROUNDING = 4
"""Uncertainty of a squared relative error, in machine epsilons; see `NormalEquations.squared_error`."""
OVERFLOW = "D and C overflow: scale the start's factors to the size of X"
ENDINGS = {
    EXACT: StopReason.EXACT,
    TOLERANCE: StopReason.TOLERANCE,
    NON_FINITE: StopReason.NON_FINITE,
}
ROUNDINGS = {dtype: math.sqrt(ROUNDING * float(np.finfo(dtype).eps)) for dtype in FLOATS}


def factorize(
    X: Counts,
    rank: int,
    *,
    rule: Rule | RuleChoice | None = None,
    start: Start | None = None,
    stop: Stop | None = None,
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Solution:
    """Return nonnegative D (n × k) and C (k × m) with X ≈ D·C, found by lowering L = ½‖X − DC‖²_F.

    X is n × m with counts ≥ 0: a dense array, or a scipy sparse matrix, which stays sparse. float32 is
    computed in float32, all else in float64; X is not changed. `rank` is k, from 1 to min(n, m). Without a
    `rule` it is `Learned()`; without a `start`, `Nndsvd()`, its zeros filled if the rule's zeros lock; without
    `stop`, `Stop()`. `clock` returns seconds.

    `threads` take the passes over a large X side by side, if the rule is a plan of sweeps, as the default is; the
    result is the same, bit by bit, however many there are. (BLAS, which makes dense products, may have threads of
    its own: OPENBLAS_NUM_THREADS=1 leaves it one.)

    Errors below about 3e-8 (float32: 7e-4) can't be told from rounding and end the run as exact.

    Raises MatrixError, RankError, ParameterError (`threads` below 1) or FactorError (a warm start that does not
    fit), all ValueErrors.
    """
    began = clock()
    whole_number("threads", threads, ParameterError)
    matrix = checked(X)
    k = check_rank(rank, matrix.shape)
    rule, plan = planned(default_choice() if rule is None else rule, matrix, k)
    start = STARTS[rule.zeros_lock] if start is None else start
    first = start.factors(matrix, k)
    stop = Stop() if stop is None else stop
    if plan is not None:
        D, Ct = (_own(part, made=isinstance(start, MADE)) for part in (first.D, first.C.T))
        factors, errors, reason = _iterate_compiled(matrix, D, Ct, plan, stop, threads)
    else:
        # A rule may overflow: that is a stop reason, not a warning.
        with np.errstate(all="ignore"):
            factors, errors, reason = _iterate(matrix, first, rule, stop)
    return Solution(factors, tuple(errors), reason, clock() - began)


def planned(rule: Rule | RuleChoice, matrix: Matrix, rank: int) -> tuple[Rule, SweepPlan | None]:
    """Return the rule, and its plan if it is one that the compiled loop can run."""
    if isinstance(rule, RuleChoice):
        rows, columns = matrix.shape
        values = matrix.values
        if isinstance(values, np.ndarray):
            return _chosen(rule, rows, columns, rank, count_positive(values.ravel("K")), sparse=False)
        return _chosen(rule, rows, columns, rank, len(values.data), sparse=True)
    return rule, rule.plan(rank) if isinstance(rule, PLANNED) else None


@lru_cache(maxsize=1024)
def _chosen(
    choice: RuleChoice, rows: int, columns: int, rank: int, held: int, *, sparse: bool
) -> tuple[Rule, SweepPlan | None]:
    rule = choice.choose(Traits(rows, columns, rank, held / (rows * columns), sparse))
    return rule, rule.plan(rank) if isinstance(rule, PLANNED) else None


def _own(part: Array, *, made: bool) -> Array:
    """Return a start's factor as an array to write in: itself, if it was made for this run."""
    if not made or not part.flags.c_contiguous:
        return part.copy()
    own = part.view()
    own.flags.writeable = True
    return own


def _iterate(matrix: Matrix, first: Factors, rule: Rule, stop: Stop) -> tuple[Factors, list[float], StopReason]:
    """Move D and Cᵀ in turn; return the best pair, the errors, and why it ended.

    An iteration that raises the error is taken back, and the rule, with the state that it has returned, tries
    again from the best pair.
    """
    rounding = ROUNDINGS[matrix.dtype]
    D, Ct = np.array(first.D, order="C"), np.array(first.C.T, order="C")
    of_D = NormalEquations(matrix.times(Ct), Ct.T @ Ct)
    errors = [_relative_error(matrix, of_D, D, D.T @ D)]
    if not math.isfinite(errors[0]):
        raise FactorError(OVERFLOW)
    mover = rule if isinstance(rule, JointRule) else Alternating(rule)
    state: Any = mover.begin(D, Ct)
    here = Point(D, Ct, of_D, None)
    while True:
        new_D, proposed, state = mover.move(here, state)
        of_C = NormalEquations(matrix.transposed_times(new_D), new_D.T @ new_D)
        if not np.isfinite(of_C.gram).all():
            return Factors(D, Ct.T), errors, StopReason.NON_FINITE
        new_Ct, state = mover.settle(proposed, of_C, state)
        gram = new_Ct.T @ new_Ct
        error = _relative_error(matrix, of_C, new_Ct, gram)
        if not math.isfinite(error):
            return Factors(D, Ct.T), errors, StopReason.NON_FINITE
        # A rise that rounding alone can explain is none.
        better = error <= math.hypot(errors[-1], rounding)
        if better:
            D, Ct = new_D, new_Ct
        errors.append(min(error, errors[-1]))
        reason = stop.reason(errors, rounding)
        if reason is not None:
            return Factors(D, Ct.T), errors, reason
        if better:
            here = Point(D, Ct, NormalEquations(matrix.times(Ct), gram), of_C)


def _iterate_compiled(
    matrix: Matrix, D: Array, Ct: Array, plan: SweepPlan, stop: Stop, threads: int = 1
) -> tuple[Factors, list[float], StopReason]:
    """Do what `_iterate` does, in D and Cᵀ, without returning to Python in between (docs/decisions/0010)."""
    errors = np.empty(stop.max_iterations + 1)
    pace, joint = plan.constants
    dense, indptr, indices, data = matrix.parts()
    run = matrix.squared_norm, D, Ct, plan.sweeps, plan.momentum, plan.period, pace
    stopping = errors, ROUNDINGS[matrix.dtype], stop.tolerance, MEMORY
    # Two loops, so that whoever needs one does not wait until both are compiled.
    if len(dense) or len(joint):
        parts = parts_of(dense.size, sparse=False)
        arguments: tuple[Any, ...] = (dense, indptr, indices, data, *run, joint, *stopping, parts)
        count, ending = run_loop(extrapolated_sweeps, arguments, min(threads, parts))
    else:
        parts = parts_of(len(D) + len(data), sparse=True)
        room = np.empty(room_of(matrix.shape, D.shape[1], parts), matrix.dtype)
        arguments = (*matrix.ordered(), *run, *stopping, parts, room)
        count, ending = run_loop(sparse_sweeps, arguments, min(threads, parts))
    if not math.isfinite(errors[0]):
        raise FactorError(OVERFLOW)
    return Factors.known(D, Ct.T), errors[:count].tolist(), ENDINGS.get(ending, StopReason.BUDGET)


def _relative_error(matrix: Matrix, normal: NormalEquations, factor: Array, gram: Array) -> float:
    """Return ‖X − DC‖_F / ‖X‖_F; what rounding makes negative is 0."""
    squared = normal.squared_error(factor, gram, matrix.squared_norm)
    # What overflows must not pass for a perfect fit, whatever its sign.
    return 0.0 if -math.inf < squared < 0 else math.sqrt(abs(squared) / matrix.squared_norm)
