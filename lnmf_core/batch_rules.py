"""How each rule moves many problems of one size at once, in torch; see `lnmf_core.batch`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lnmf_core.batch_joint import BatchJoint, Proposal
from lnmf_core.errors import ParameterError
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.learned_mlp import CURVATURE, LEVEL, LONGEST, LearnedMlp
from lnmf_core.rules.multiplicative import Multiplicative
from lnmf_core.rules.projected_gradient import DOUBLINGS, ProjectedGradient
from lnmf_core.rules.sweep_plan import SweepPlan, SweepRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

BatchableRule = SweepRule | JointGaussNewton | LearnedMlp | Multiplicative | ProjectedGradient
"""What has a batched form."""


class Mover(Protocol):
    """A rule at work on a batch."""

    def move(self, which: Tensor, rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> Moved:
        """Do one iteration of the problems `which`, whose last one raised the error where `rose` is true."""
        ...


class Moved(NamedTuple):
    """Both factors after an iteration, and the normal equations of C."""

    D: Tensor
    """b × n × k"""
    Ct: Tensor
    """b × m × k"""
    cross: Tensor
    """Xᵀ·D, b × m × k"""
    gram: Tensor
    """DᵀD, b × k × k"""


def gram_of(factor: Tensor) -> Tensor:
    """Return FᵀF of each problem: b × rows × k in, b × k × k out."""
    return factor.transpose(1, 2) @ factor


def mover_of(rule: BatchableRule, D: Tensor, Ct: Tensor) -> Mover:
    """Return what moves a batch from these factors; raises ParameterError for a rule without a batched form."""
    match rule:
        case SweepRule() | JointGaussNewton():
            return _Sweeps(rule.plan(D.shape[2]), D, Ct)
        case LearnedMlp():
            return _Networks(rule, D)
        case Multiplicative():
            return _Alone(_multiplicative)
        case ProjectedGradient():
            return _Searching(D)
    raise ParameterError(f"rule {type(rule).__name__} has no batched form")


class _Alone:
    """A rule whose updates remember nothing."""

    def __init__(self, update: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self._update = update

    def move(self, _which: Tensor, _rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> Moved:
        new_D = self._update(D, X @ Ct, gram_of(Ct))
        cross, gram = X.transpose(1, 2) @ new_D, gram_of(new_D)
        return Moved(new_D, self._update(Ct, cross, gram), cross, gram)


class _Networks:
    """The learned networks; see `lnmf_core.rules.learned_mlp`. Each problem has a pace of its own."""

    def __init__(self, rule: LearnedMlp, D: Tensor) -> None:
        import torch  # noqa: PLC0415

        self._rule = rule
        self._updates = 0
        self._length = D.new_ones(len(D)).double()
        self._arrays = {
            name: torch.tensor(array, dtype=D.dtype, device=D.device) for name, array in rule.weights.arrays.items()
        }

    def move(self, which: Tensor, rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> Moved:
        length = self._length[which]
        if self._updates:
            grown = (length * self._rule.growth).clamp(max=LONGEST)
            length = (length * self._rule.shrink).where(rose, grown)
        self._length[which] = length
        schedule = self._rule.weights.arrays["schedule"]
        of_D, of_C = schedule[self._updates % len(schedule)]
        self._updates += 1
        new_D = self._step("D", D, X @ Ct, gram_of(Ct), length * float(of_D))
        cross, gram = X.transpose(1, 2) @ new_D, gram_of(new_D)
        return Moved(new_D, self._step("C", Ct, cross, gram, length * float(of_C)), cross, gram)

    def _step(self, name: str, factor: Tensor, cross: Tensor, gram: Tensor, length: Tensor) -> Tensor:
        """See `lnmf_core.rules.learned_mlp.learned_step`."""
        import torch  # noqa: PLC0415

        w_in, w_out = self._arrays[f"{name}_in"], self._arrays[f"{name}_out"]
        least = torch.finfo(factor.dtype).tiny
        diagonal = gram.diagonal(dim1=1, dim2=2).unsqueeze(1)
        alive = diagonal > least
        unit = (diagonal.where(alive, torch.ones_like(diagonal)) / CURVATURE).sqrt()
        total = (gram / (unit.transpose(1, 2) @ unit)).sum(dim=(1, 2), keepdim=True)
        level = LEVEL * (cross / unit).sum(dim=2, keepdim=True) / total.where(total > 0, torch.ones_like(total))
        filled = level > least
        scale = level.where(filled, torch.ones_like(level))
        gradient = _preprocessed((factor @ gram - cross) / (unit * scale))
        k, group = factor.shape[2], w_in.shape[1]
        padded = torch.nn.functional.pad(gradient, (0, -k % group)).unflatten(2, (-1, group))
        step = ((padded @ w_in.T).tanh() @ w_out.T).flatten(2)[:, :, :k]
        longer = length.to(factor.dtype).reshape(-1, 1, 1)
        moved = (factor - longer * step * (scale / unit)).clamp(min=0)
        return moved.where(filled, torch.zeros_like(moved)).where(alive, factor)


def _preprocessed(gradient: Tensor) -> Tensor:
    """See `lnmf_core.rules.learned_mlp.preprocessed`."""
    size, edge = gradient.abs(), math.exp(-1)
    bent = (size.clamp(min=edge).log() + 2).copysign(gradient)
    return bent.where(size >= edge, math.e * gradient)


class _Searching:
    """Projected gradient; see `lnmf_core.rules.projected_gradient`. Each problem has a step of its own."""

    def __init__(self, D: Tensor) -> None:
        self._doublings = [D.new_zeros(len(D)), D.new_zeros(len(D))]

    def move(self, which: Tensor, _rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> Moved:
        new_D = self._search(0, which, D, X @ Ct, gram_of(Ct))
        cross, gram = X.transpose(1, 2) @ new_D, gram_of(new_D)
        return Moved(new_D, self._search(1, which, Ct, cross, gram), cross, gram)

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

    def move(self, which: Tensor, rose: Tensor, X: Tensor, D: Tensor, Ct: Tensor) -> Moved:
        scale = self._pace(which, rose)
        first, second, third = (scale * float(part) for part in self._plan.row(self._step))
        self._step += 1
        of_D = X @ Ct, gram_of(Ct)
        kept_D, origin_D = self._origin(0, which, rose, D, first)
        kept_C, origin_C = self._origin(1, which, rose, Ct, second)
        swept_D = self._sweep(origin_D, *of_D)
        go = Proposal(swept_D, _extrapolated(swept_D, kept_D, third), origin_C)
        if self._joint is not None:
            go = self._joint.instead(which, rose, (D, Ct), of_D, go)
        cross, gram = X.transpose(1, 2) @ go.D, gram_of(go.D)
        new_Ct = self._sweep(go.Ct, cross, gram)
        if self._joint is not None:
            self._joint.remember(which, cross, gram)
        for mode, (kept, swept) in enumerate(((kept_D, go.swept), (kept_C, new_Ct))):
            self._before[mode][which], self._kept[mode][which] = kept, swept
        return Moved(go.D, new_Ct, cross, gram)

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
