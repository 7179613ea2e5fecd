"""Many problems of one size at once, in torch, on a processor or a graphics card.

torch is imported when a batch is factorised, not before: it comes with ``yocho[train]``. How each rule moves a
batch is in `lnmf_core.batch_rules`.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnmf_core.batch_rules import BatchableRule, gram_of, mover_of
from lnmf_core.choice import default_choice
from lnmf_core.errors import FactorError, MatrixError
from lnmf_core.factors import Factors, Solution, StopReason
from lnmf_core.matrix import Matrix, check_rank, checked
from lnmf_core.rules.base import RuleChoice
from lnmf_core.solve import OVERFLOW, ROUNDING, STARTS, planned
from lnmf_core.stopping import Stop

if TYPE_CHECKING:
    from torch import Tensor

    from lnmf_core.start import Start


def factorize_batch(
    X: NDArray[Any],
    rank: int,
    *,
    rule: BatchableRule | RuleChoice | None = None,
    start: Start | None = None,
    stop: Stop | None = None,
    device: str = "cpu",
) -> list[Solution]:
    """Factorise b matrices of one size, X of shape (b, n, m), as `factorize` does each of them.

    The rules, the default among them, starts, stopping tests and the retreat to the best pair are the same, and so
    are the results, up to the order in which sums are taken (float64: about 1e-9). Each problem stops by itself;
    `Solution.seconds` is the time of the whole batch, in seconds. `device` is a torch device, such as ``"cuda"``.

    Raises MatrixError and FactorError as `factorize` does, naming the matrix, RankError, ParameterError for a rule
    that has no batched form (`SparseRows`, or one of your own), and ModuleNotFoundError without torch.
    """
    began = time.perf_counter()
    rule = default_choice() if rule is None else rule
    start = STARTS[rule.zeros_lock] if start is None else start
    stop = Stop() if stop is None else stop
    matrices = _matrices(X)
    k = check_rank(rank, matrices[0].shape)
    first = [start.factors(matrix, k) for matrix in matrices]
    ended: dict[int, tuple[Factors, list[float], StopReason]] = {}
    for one, which in _by_rule(rule, matrices, k):
        run = _Batch([matrices[b] for b in which], [first[b] for b in which], one, stop, device)
        ended |= zip(which, run.iterate(), strict=True)
    seconds = time.perf_counter() - began
    return [Solution(pair, tuple(errors), reason, seconds) for _, (pair, errors, reason) in sorted(ended.items())]


def _by_rule(
    rule: BatchableRule | RuleChoice, matrices: list[Matrix], rank: int
) -> list[tuple[BatchableRule, list[int]]]:
    """Return each rule with the problems that it is for: a choice may differ with their zeros."""
    if not isinstance(rule, RuleChoice):
        return [(rule, list(range(len(matrices))))]
    groups: dict[Any, list[int]] = {}
    for b, matrix in enumerate(matrices):
        groups.setdefault(planned(rule, matrix, rank)[0], []).append(b)
    return list(groups.items())


def _matrices(X: NDArray[Any]) -> list[Matrix]:
    if X.ndim != 3:
        raise MatrixError("X must be a numpy array of three dimensions: problems × sources × services")
    if not len(X):
        raise MatrixError("X holds no problem: it needs at least one")
    found = []
    for b in range(len(X)):
        try:
            found.append(checked(X[b]))
        except MatrixError as error:
            raise MatrixError(f"problem {b}: {error}") from error
    return found


class _Batch:
    """The state of a batch: the best pairs so far, their errors, and which problems go on."""

    def __init__(
        self, matrices: list[Matrix], first: list[Factors], rule: BatchableRule, stop: Stop, device: str
    ) -> None:
        import torch  # noqa: PLC0415  (not needed for anything else here)

        self._torch = torch
        self._stop = stop
        self._rounding = math.sqrt(ROUNDING * np.finfo(matrices[0].dtype).eps)
        self._X = torch.from_numpy(np.stack([np.asarray(matrix.values) for matrix in matrices])).to(device)
        self._squared = torch.tensor(
            [matrix.squared_norm for matrix in matrices], dtype=torch.float64, device=device
        )
        self.D = torch.from_numpy(np.stack([pair.D for pair in first])).to(device)
        self.Ct = torch.from_numpy(np.stack([np.ascontiguousarray(pair.C.T) for pair in first])).to(device)
        self._rose = torch.zeros(len(matrices), dtype=torch.bool, device=device)
        self._mover = mover_of(rule, self.D, self.Ct)
        cross = self._X @ self.Ct
        start = self._error(slice(None), cross, gram_of(self.Ct), self.D, gram_of(self.D))
        self.errors = [[float(value)] for value in start.cpu()]
        if not torch.isfinite(start).all():
            raise FactorError(OVERFLOW)

    def iterate(self) -> list[tuple[Factors, list[float], StopReason]]:
        """Move all pairs until each problem has a reason to stop; return the best, the errors, the reasons."""
        reasons: dict[int, StopReason] = {}
        while len(reasons) < len(self.errors):
            going = [b for b in range(len(self.errors)) if b not in reasons]
            which = self._torch.tensor(going, device=self._X.device)
            for b, finite in zip(going, self._step(which, going), strict=True):
                reason = self._stop.reason(self.errors[b], self._rounding) if finite else StopReason.NON_FINITE
                if reason is not None:
                    reasons[b] = reason
        D, Ct = self.D.cpu().numpy(), self.Ct.cpu().numpy()
        return [
            (Factors(D[b], np.ascontiguousarray(Ct[b].T)), self.errors[b], reasons[b]) for b in range(len(reasons))
        ]

    def _step(self, which: Tensor, going: list[int]) -> list[bool]:
        """Do one iteration of some problems; return which of them gave finite factors."""
        moved = self._mover.move(which, self._rose[which], self._X[which], self.D[which], self.Ct[which])
        reached = self._error(which, moved.cross, moved.gram, moved.Ct, gram_of(moved.Ct)).cpu().tolist()
        finite, better = [], []
        for b, error in zip(going, reached, strict=True):
            finite.append(math.isfinite(error))
            better.append(finite[-1] and error <= math.hypot(self.errors[b][-1], self._rounding))
            if finite[-1]:
                self.errors[b].append(min(error, self.errors[b][-1]))
        kept = self._torch.tensor(better, device=self._X.device)
        self.D[which[kept]], self.Ct[which[kept]] = moved.D[kept], moved.Ct[kept]
        self._rose[which] = ~kept
        return finite

    def _error(self, which: Any, cross: Tensor, gram: Tensor, factor: Tensor, factor_gram: Tensor) -> Tensor:
        """Return the relative errors; see `NormalEquations.squared_error`. NaN and infinity stay visible."""
        norm = self._squared[which]
        fitted = (factor.double() * cross.double()).sum(dim=(1, 2))
        squared = norm - 2 * fitted + (factor_gram.double() * gram.double()).sum(dim=(1, 2))
        # What rounding makes negative is 0; what overflowed must not pass for a perfect fit.
        infinite = ~self._torch.isfinite(squared)
        relative = (squared.clamp(min=0) / norm).sqrt()
        return self._torch.where(infinite, self._torch.full_like(relative, math.inf), relative)
