"""Compiled matching pursuit: few nonnegative memberships for each row; numpy is the oracle in the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lnmf_core.kernels.compiled import compiled

if TYPE_CHECKING:
    from lnmf_core.factors import Array

SWEEPS = 50
"""Most rounds of coordinate descent over the memberships of one row; few are needed unless patterns are alike."""

STEADY = 1e-12
"""Descent ends when a round explains less than this share more."""


@compiled
def refit(chosen: Array, count: int, weights: Array, cross: Array, gram: Array) -> float:
    """Fit weights[:count] ≥ 0 of the components chosen[:count] to one row, in place; return what they explain.

    `cross` (k) is the row's products with the components, `gram` k × k theirs with one another. What weights w
    explain of ‖x‖² is 2⟨w, cross⟩ − wᵀ·gram·w; no round lowers it.
    """
    explained = 0.0
    for _ in range(SWEEPS):
        before = explained
        explained = 0.0
        for a in range(count):
            own = chosen[a]
            slack = cross[own]
            for b in range(count):
                if b != a:
                    slack -= gram[own, chosen[b]] * weights[b]
            weights[a] = max(slack / gram[own, own], 0.0)
        for a in range(count):
            fitted = 0.0
            for b in range(count):
                fitted += gram[chosen[a], chosen[b]] * weights[b]
            explained += weights[a] * (2.0 * cross[chosen[a]] - fitted)
        if count < 2 or explained - before <= STEADY * explained:
            break
    return explained


@compiled
def match_rows(
    factor: Array, cross: Array, gram: Array, energy: Array, most: int, gain: float, least: float
) -> Array:
    """Return memberships (rows × k) with at most `most` non-zeros a row, found by greedy matching pursuit.

    A row takes the component that explains most of it, then, while it has fewer than `most`, the one that
    explains most of the rest, after which all its weights are fitted again (nonnegative orthogonal matching
    pursuit, Bruckstein, Elad & Zibulevsky 2008). From the second on, a component is taken only if it explains
    more than the share `gain` of `energy` (rows), the row's ‖x‖². If the components that `factor` gives the
    row explain more when fitted again, the row keeps them: so no row gets worse. Components with gram_jj ≤
    `least` are absent and taken by no row.
    """
    rows, k = factor.shape
    out = np.zeros_like(factor)
    chosen, weights, trial = np.empty(most, np.int64), np.zeros(most), np.zeros(most)
    for i in range(rows):
        explained = 0.0
        count = 0
        while count < most:
            best, largest = -1, 0.0
            for j in range(k):
                if not gram[j, j] > least:
                    continue
                slack = cross[i, j]
                taken = False
                for a in range(count):
                    slack -= gram[j, chosen[a]] * weights[a]
                    taken |= chosen[a] == j
                if not taken and slack > 0 and slack * slack > largest * gram[j, j]:
                    best, largest = j, slack * slack / gram[j, j]
            if best < 0:
                break
            chosen[count] = best
            for a in range(count):
                trial[a] = weights[a]
            trial[count] = 0.0
            better = refit(chosen, count + 1, trial, cross[i], gram)
            if count > 0 and not better - explained > gain * energy[i]:
                break
            explained = better
            count += 1
            for a in range(count):
                weights[a] = trial[a]
        for a in range(count):
            out[i, chosen[a]] = weights[a]
        held = 0
        for j in range(k):
            if factor[i, j] > 0 and gram[j, j] > least:
                if held < most:
                    chosen[held], trial[held] = j, factor[i, j]
                held += 1
        if 0 < held <= most and refit(chosen, held, trial, cross[i], gram) > explained:
            for j in range(k):
                out[i, j] = 0.0
            for a in range(held):
                out[i, chosen[a]] = trial[a]
    return out
