"""Gauss–Seidel sweeps for many problems at once, with derivatives; the tests hold them against the kernels.

Shapes: X is problems × n × m, D problems × n × k, Ct problems × m × k, a gram problems × k × k.
"""

from __future__ import annotations

from typing import TypeAlias

import torch

Tensor: TypeAlias = torch.Tensor


def swept(factor: Tensor, cross: Tensor, gram: Tensor, sweeps: int) -> Tensor:
    """Return what `kernels.sweeps.hals_sweeps` returns: problems × rows × k, gram problems × k × k."""
    k = factor.shape[-1]
    least = torch.finfo(factor.dtype).tiny
    diagonal = gram.diagonal(dim1=-2, dim2=-1)[:, None, :]
    present = diagonal > least
    whole = bool(present.all())
    inverse = torch.where(present, diagonal, torch.ones_like(diagonal)).reciprocal()
    targets = (cross * inverse).unbind(-1)
    weights = -gram * inverse.transpose(1, 2)
    columns = list(factor.unbind(-1))
    for _ in range(sweeps):
        for j in range(k):
            fresh = targets[j]
            for other in (*range(j), *range(j + 1, k)):
                fresh = torch.addcmul(fresh, weights[:, j, other, None], columns[other])
            fresh = fresh.clamp_min(0)
            columns[j] = fresh if whole else torch.where(present[..., j], fresh, columns[j])
    return torch.stack(columns, dim=-1)


def gram_of(factor: Tensor) -> Tensor:
    """Return Fᵀ·F of each problem."""
    return factor.transpose(1, 2) @ factor


def squared_error(X: Tensor, D: Tensor, Ct: Tensor) -> Tensor:
    """Return ‖X − D·C‖² of each problem."""
    return ((X - D @ Ct.transpose(1, 2)) ** 2).sum((1, 2))


def settled(X: Tensor, D: Tensor, Ct: Tensor, iterations: int = 8, sweeps: int = 3) -> Tensor:
    """Return ‖X − D·C‖² once HALS has moved both factors `iterations` times, without derivatives.

    From the factors that X was made from, that is close to the least error that any rule can reach.
    """
    with torch.no_grad():
        for _ in range(iterations):
            D = swept(D, X @ Ct, gram_of(Ct), sweeps)
            Ct = swept(Ct, X.transpose(1, 2) @ D, gram_of(D), sweeps)
        return squared_error(X, D, Ct)
