"""Many problems of one size at once, in torch, on a processor or a graphics card.

torch is imported when a batch is factorised, not before: it comes with ``yocho[train]``.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lnmf_core.batch_joint import BatchJoint, Proposal
from lnmf_core.errors import MatrixError, ParameterError
from lnmf_core.factors import Factors, Solution, StopReason
from lnmf_core.matrix import Matrix, check_rank, checked
from lnmf_core.rules.hals import Hals
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.multiplicative import Multiplicative
from lnmf_core.rules.projected_gradient import DOUBLINGS, ProjectedGradient
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule
from lnmf_core.solve import ROUNDING
from lnmf_core.start import Nndsvd, Start
from lnmf_core.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

BatchableRule = SweepRule | JointGaussNewton | Multiplicative | ProjectedGradient


class _Mover(Protocol):
    def move(self, which: Tensor, rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> _Moved:
        """Do one iteration of the problems `which`, whose last one raised the error where `rose` is true."""
        ...


class _Moved(NamedTuple):
    D: Tensor
    """b × n × k"""
    Ct: Tensor
    """b × m × k"""
    cross: Tensor
    """Xᵀ·D, b × m × k"""
    gram: Tensor
    """DᵀD, b × k × k"""


def factorize_batch(
    X: NDArray[Any],
    rank: int,
    *,
    rule: BatchableRule | None = None,
    start: Start | None = None,
    stop: Stop | None = None,
    device: str = "cpu",
) -> list[Solution]:
    """Factorise b matrices of one size, X of shape (b, n, m), as `factorize` does each of them.

    The rules, starts, stopping tests and the retreat to the best pair are the same, and so are the results, up to
    the order in which sums are taken (float64: about 1e-9). Each problem stops by itself; `Solution.seconds` is the
    time of the whole batch, in seconds. `device` is a torch device, such as ``"cuda"``.

    Raises MatrixError and RankError as `factorize` does, naming the matrix, ParameterError for a rule that has no
    batched form, and ModuleNotFoundError without torch.
    """
    import torch  # noqa: PLC0415  (not needed for anything else here)

    began = time.perf_counter()
    rule = Hals() if rule is None else rule
    start = Nndsvd(fill_zeros=rule.zeros_lock) if start is None else start
    matrices = _matrices(X)
    k = check_rank(rank, matrices[0].shape)
    first = [start.factors(matrix, k) for matrix in matrices]
    run = _Batch(matrices, first, rule, Stop() if stop is None else stop, torch.device(device))
    reasons = run.iterate()
    seconds = time.perf_counter() - began
    D, Ct = run.D.cpu().numpy(), run.Ct.cpu().numpy()
    return [
        Solution(Factors(D[b], np.ascontiguousarray(Ct[b].T)), tuple(run.errors[b]), reasons[b], seconds)
        for b in range(len(matrices))
    ]


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
        self, matrices: list[Matrix], first: list[Factors], rule: BatchableRule, stop: Stop, device: Any
    ) -> None:
        import torch  # noqa: PLC0415

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
        self._mover = _mover(rule, self.D, self.Ct)
        cross = self._X @ self.Ct
        start = self._error(slice(None), cross, _gram(self.Ct), self.D, _gram(self.D))
        self.errors = [[float(value)] for value in start.cpu()]

    def iterate(self) -> list[StopReason]:
        """Move all pairs until each problem has a reason to stop; return the reasons."""
        reasons: dict[int, StopReason] = {}
        while len(reasons) < len(self.errors):
            going = [b for b in range(len(self.errors)) if b not in reasons]
            which = self._torch.tensor(going, device=self._X.device)
            for b, finite in zip(going, self._step(which, going), strict=True):
                reason = self._stop.reason(self.errors[b], self._rounding) if finite else StopReason.NON_FINITE
                if reason is not None:
                    reasons[b] = reason
        return [reasons[b] for b in range(len(reasons))]

    def _step(self, which: Tensor, going: list[int]) -> list[bool]:
        """Do one iteration of some problems; return which of them gave finite factors."""
        moved = self._mover.move(which, self._rose[which], self._X[which], self.D[which], self.Ct[which])
        reached = self._error(which, moved.cross, moved.gram, moved.Ct, _gram(moved.Ct)).cpu().tolist()
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


def _gram(factor: Tensor) -> Tensor:
    return factor.transpose(1, 2) @ factor


def _mover(rule: BatchableRule, D: Tensor, Ct: Tensor) -> _Mover:
    match rule:
        case SweepRule() | JointGaussNewton():
            return _Sweeps(rule.plan(D.shape[2]), D, Ct)
        case Multiplicative():
            return _Alone(_multiplicative)
        case ProjectedGradient():
            return _Searching(D)
    raise ParameterError(f"rule {type(rule).__name__} has no batched form")


class _Alone:
    """A rule whose updates remember nothing."""

    def __init__(self, update: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self._update = update

    def move(self, _which: Tensor, _rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> _Moved:
        new_D = self._update(D, X @ Ct, _gram(Ct))
        cross, gram = X.transpose(1, 2) @ new_D, _gram(new_D)
        return _Moved(new_D, self._update(Ct, cross, gram), cross, gram)


class _Searching:
    """Projected gradient; see `lnmf_core.rules.projected_gradient`. Each problem has a step of its own."""

    def __init__(self, D: Tensor) -> None:
        self._doublings = [D.new_zeros(len(D)), D.new_zeros(len(D))]

    def move(self, which: Tensor, _rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> _Moved:
        new_D = self._search(0, which, D, X @ Ct, _gram(Ct))
        cross, gram = X.transpose(1, 2) @ new_D, _gram(new_D)
        return _Moved(new_D, self._search(1, which, Ct, cross, gram), cross, gram)

    def _search(self, mode: int, which: Tensor, factor: Tensor, cross: Tensor, gram: Tensor) -> Tensor:
        import torch  # noqa: PLC0415

        steepest = torch.linalg.eigvalsh(gram)[:, -1]
        curved = steepest > torch.finfo(factor.dtype).tiny
        arc = _Arc(factor, factor @ gram - cross, gram, torch.where(curved, 1 / steepest, 0.0))
        doublings = self._doublings[mode][which]
        moved, change = arc.step(doublings)
        growing, grown = curved, torch.zeros_like(curved)
        while (growing := growing & (doublings < DOUBLINGS)).any():
            longer, further = arc.step(doublings + 1)
            growing = growing & (further < change)
            doublings, moved, change = _chosen(
                growing, (doublings + 1, longer, further), (doublings, moved, change)
            )
            grown = grown | growing
        falling = curved & ~grown
        while (falling := falling & (doublings > 0)).any():
            shorter, less = arc.step(doublings - 1)
            falling = falling & ~((change <= less) & (change < 0))
            further_back = (doublings - 1, shorter, less)
            doublings, moved, change = _chosen(falling, further_back, (doublings, moved, change))
        self._doublings[mode][which] = doublings
        return moved


def _chosen(where: Tensor, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> list[Tensor]:
    return [
        one.where(where.reshape(-1, *[1] * (one.dim() - 1)), other) for one, other in zip(ours, theirs, strict=True)
    ]


class _Arc(NamedTuple):
    """The projection arcs of a batch."""

    factor: Tensor
    gradient: Tensor
    gram: Tensor
    safe: Tensor
    """Length b."""

    def step(self, doublings: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points, and the changes of L there."""
        length = (self.safe * 2**doublings).reshape(-1, 1, 1)
        moved = (self.factor - length * self.gradient).clamp(min=0)
        way = moved - self.factor
        bent = ((way @ self.gram) * way).double().sum(dim=(1, 2))
        return moved, (self.gradient * way).double().sum(dim=(1, 2)) + 0.5 * bent


class _Sweeps:
    """HALS sweeps with momentum, or joint steps; see `lnmf_core.rules.sweep_plan.SweepPlan`."""

    def __init__(self, plan: SweepPlan, D: Tensor, Ct: Tensor) -> None:
        self._plan = plan
        self._step = 0
        self._kept = [D.clone(), Ct.clone()]
        self._before = [D.clone(), Ct.clone()]
        self._scale = D.new_full((len(D),), plan.pace.start)
        self._ceiling = D.new_full((len(D),), plan.pace.most)
        self._joint = None if plan.joint is None else BatchJoint(plan.joint, D, Ct)

    def move(self, which: Tensor, rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> _Moved:
        scale = self._pace(which, rose)
        first, second, third = (scale * float(part) for part in self._plan.row(self._step))
        self._step += 1
        of_D = X @ Ct, _gram(Ct)
        kept_D, origin_D = self._origin(0, which, rose, D, first)
        kept_C, origin_C = self._origin(1, which, rose, Ct, second)
        swept_D = self._sweep(origin_D, *of_D)
        go = Proposal(swept_D, _extrapolated(swept_D, kept_D, third), origin_C)
        if self._joint is not None:
            go = self._joint.instead(which, rose, (D, Ct), of_D, go)
        cross, gram = X.transpose(1, 2) @ go.D, _gram(go.D)
        new_Ct = self._sweep(go.Ct, cross, gram)
        if self._joint is not None:
            self._joint.remember(which, cross, gram)
        for mode, (kept, swept) in enumerate(((kept_D, go.swept), (kept_C, new_Ct))):
            self._before[mode][which], self._kept[mode][which] = kept, swept
        return _Moved(go.D, new_Ct, cross, gram)

    def _pace(self, which: Tensor, rose: Tensor) -> Tensor:
        """Let scale and ceiling answer to the last iteration; return the scale of this one."""
        import torch  # noqa: PLC0415

        pace = self._plan.pace
        scale, ceiling = self._scale[which], self._ceiling[which]
        if self._step:
            grown = torch.minimum(ceiling, scale * pace.grow)
            raised = (ceiling * pace.raise_ceiling).clamp(max=pace.most)
            scale, ceiling = torch.where(rose, scale / pace.shrink, grown), torch.where(rose, scale, raised)
        self._scale[which], self._ceiling[which] = scale, ceiling
        return torch.where(rose, torch.zeros_like(scale), scale)

    def _origin(
        self, mode: int, which: Tensor, rose: Tensor, factor: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the point that the motion goes on from, and that from which to sweep."""
        import torch  # noqa: PLC0415

        back = rose.reshape(-1, 1, 1)
        kept = torch.where(back, factor, self._kept[mode][which])
        before = torch.where(back, factor, self._before[mode][which])
        return kept, _extrapolated(kept, before, momentum)

    def _sweep(self, factor: Tensor, cross: Tensor, gram: Tensor) -> Tensor:
        """See `lnmf_core.kernels.sweeps.hals_sweeps`."""
        import torch  # noqa: PLC0415

        out = factor.clone()
        least = torch.finfo(factor.dtype).tiny
        for _ in range(self._plan.sweeps):
            for j in range(factor.shape[2]):
                curvature = gram[:, j, j].unsqueeze(1)
                slack = cross[:, :, j] - (out @ gram[:, :, j].unsqueeze(2)).squeeze(2)
                moved = (out[:, :, j] + slack / curvature).clamp(min=0)
                out[:, :, j] = torch.where(curvature > least, moved, out[:, :, j])
        return out


def _extrapolated(new: Tensor, old: Tensor, momentum: Tensor) -> Tensor:
    return (new + momentum.reshape(-1, 1, 1) * (new - old)).clamp(min=0)


def _multiplicative(factor: Tensor, cross: Tensor, gram: Tensor) -> Tensor:
    """See `lnmf_core.rules.multiplicative`."""
    import torch  # noqa: PLC0415

    predicted = factor @ gram
    ratio = cross / predicted
    return factor * torch.where(predicted > torch.finfo(factor.dtype).tiny, ratio, torch.ones_like(ratio))
