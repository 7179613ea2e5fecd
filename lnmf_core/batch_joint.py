"""Joint Gauss–Newton steps of many problems at once, in torch; see `lnmf_core.kernels.joint.joint_step`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from lnmf_core.rules.sweep_plan import Damping


class Proposal(NamedTuple):
    """What a batch of iterations goes on with."""

    swept: Tensor
    """b × n × k: D as the next motion starts from it."""
    D: Tensor
    """b × n × k: D as it is handed on to C."""
    Ct: Tensor
    """b × m × k: the point from which C sweeps."""


class BatchJoint:
    """The damping of each problem, and what a step has to know of the last iteration."""

    def __init__(self, damping: Damping, D: Tensor, Ct: Tensor) -> None:
        self._rule = damping
        self._damping = D.new_full((len(D),), damping.start).double()
        self._jumped = D.new_zeros(len(D)).bool()
        self._cross = Ct.new_zeros(Ct.shape)
        self._gram = D.new_zeros(len(D), D.shape[2], D.shape[2])
        self._begun = False

    def instead(
        self, which: Tensor, rose: Tensor, best: tuple[Tensor, Tensor], of_D: tuple[Tensor, Tensor], swept: Proposal
    ) -> Proposal:
        """Return joint steps from the best pairs (D, Cᵀ); `swept` where the last iteration rose or a step fails.

        `of_D` is X·Cᵀ and CCᵀ. The first iteration has no steps: nothing is known of XᵀD.
        """
        if not self._begun:
            return swept
        rule, before = self._rule, self._damping[which]
        after = (before * rose.double() * rule.grow + before * (~rose).double() * rule.shrink).clamp(
            rule.least, rule.most
        )
        damping = after.where(self._jumped[which], before)
        D, Ct, finite = joint_steps(best, of_D, (self._cross[which], self._gram[which]), damping)
        jumped = finite & ~rose
        self._damping[which], self._jumped[which] = damping, jumped
        here = jumped.reshape(-1, 1, 1)
        D, Ct = D.to(swept.D.dtype), Ct.to(swept.D.dtype)
        return Proposal(D.where(here, swept.swept), D.where(here, swept.D), Ct.where(here, swept.Ct))

    def remember(self, which: Tensor, cross: Tensor, gram: Tensor) -> None:
        """Take note of XᵀD and DᵀD for the D that was handed on."""
        self._cross[which], self._gram[which] = cross, gram
        self._begun = True


def joint_steps(
    best: tuple[Tensor, Tensor], of_D: tuple[Tensor, Tensor], of_C: tuple[Tensor, Tensor], damping: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return D, Cᵀ after one joint step of each problem, in float64, and which of them are finite.

    `of_D` and `of_C` are cross product and gram of the problems of D and of C. The equations and their names are
    those of `lnmf_core.kernels.joint.joint_step`, but each row has an inverse of its own.
    """
    import torch  # noqa: PLC0415

    D, descent_D, P = _side(best[0], *of_D, damping)
    Ct, descent_C, Q = _side(best[1], *of_C, damping)
    k = D.shape[2]
    x, y = _times(P, descent_D), _times(Q, descent_C)
    alone_B, alone_A = (D.mT @ x).flatten(1), (y.mT @ Ct).flatten(1)
    M_D = torch.einsum("zia,zic,zibd->zabcd", D, D, P).reshape(-1, k * k, k * k)
    M_C = torch.einsum("zjb,zjd,zjac->zabcd", Ct, Ct, Q).reshape(-1, k * k, k * k)
    system = torch.eye(k * k, dtype=D.dtype, device=D.device) - M_C @ M_D
    A = torch.linalg.solve_ex(system, alone_A - _times(M_C, alone_B)).result
    B = alone_B - _times(M_D, A)
    x = _times(P, descent_D - D @ A.reshape(-1, k, k))
    y = _times(Q, descent_C - Ct @ B.reshape(-1, k, k).mT)
    finite = torch.isfinite((D + x).sum(dim=(1, 2)) + (Ct + y).sum(dim=(1, 2)))
    return (D + x).clamp(min=0), (Ct + y).clamp(min=0), finite


def _side(factor: Tensor, cross: Tensor, gram: Tensor, damping: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a factor, minus its gradient, and for each row the inverse of the damped gram on its free set."""
    import torch  # noqa: PLC0415

    least = torch.finfo(factor.dtype).tiny
    factor, cross, gram = factor.double(), cross.double(), gram.double()
    descent = cross - factor @ gram
    diagonal = gram.diagonal(dim1=1, dim2=2)
    free = ((factor > 0) | (descent > 0)) & (diagonal > least).unsqueeze(1)
    damped = gram + torch.diag_embed(damping.unsqueeze(1) * diagonal)
    both = free.unsqueeze(3) & free.unsqueeze(2)
    # What is not free is an equation of its own, x = 0.
    masked = damped.unsqueeze(1).where(both, torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device))
    return factor, descent, torch.linalg.inv_ex(masked).inverse.where(both, torch.zeros_like(masked))


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)
