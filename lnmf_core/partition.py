"""Normal equations of rows that lie in several places: they add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.normal import NormalEquations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lnmf_core.factors import Array
    from lnmf_core.matrix import Matrix


def sharded_normal(shards: Iterable[tuple[Matrix, Array]]) -> NormalEquations:
    """Return the least-squares problem of Cᵀ for rows in shards (X_s, D_s): cross = Σ X_sᵀD_s, gram = Σ D_sᵀD_s.

    X_s is n_s × m, D_s n_s × k, of one dtype. Given C, each shard moves its own D_s; to move C, no more than
    (m + k) · k numbers of each shard have to come together, however many rows it has. Equal to the problem of
    all rows within rounding; shards are added in their order. Raises ValueError if there is no shard, or if
    shapes or dtypes do not fit.
    """
    total: NormalEquations | None = None
    for number, (X, D) in enumerate(shards):
        if len(D) != X.shape[0] or D.dtype != X.dtype:
            raise ValueError(f"shard {number}: D is {D.dtype} of shape {D.shape}, X {X.dtype} of shape {X.shape}")
        part = NormalEquations(X.transposed_times(D), D.T @ D)
        total = part if total is None else _sum(total, part, number)
    if total is None:
        raise ValueError("there is no shard: pass at least one pair of X and D")
    return total


def _sum(total: NormalEquations, part: NormalEquations, number: int) -> NormalEquations:
    if part.cross.shape != total.cross.shape or part.cross.dtype != total.cross.dtype:
        raise ValueError(
            f"shard {number}: m × k is {part.cross.shape} in {part.cross.dtype}, "
            f"but {total.cross.shape} in {total.cross.dtype} before"
        )
    return NormalEquations(np.add(total.cross, part.cross), np.add(total.gram, part.gram))
