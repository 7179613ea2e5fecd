"""The learned rule of `lnmf_core.rules.learned_mlp` for many problems at once, with derivatives.

Shapes: factor and cross are problems × rows × k, gram is problems × k × k. The tests hold it against the rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from lnmf_core.rules.learned_mlp import CURVATURE, LEVEL, LONGEST
from lnmf_core.training.sweeps import settled, squared_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lnmf_core.factors import Array
    from lnmf_core.training.problems import Batch

Tensor: TypeAlias = torch.Tensor
Networks: TypeAlias = "Mapping[str, Tensor]"
"""D_in and C_in (hidden × group), D_out and C_out (group × hidden), log_schedule (period × 2)."""

EDGE = math.exp(-1)
LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class Pair:
    """D (problems × n × k) and Cᵀ (problems × m × k)."""

    D: Tensor
    Ct: Tensor


@dataclass(frozen=True, slots=True)
class Teacher:
    """A batch as tensors: X, and the factors it was made from or that a converged rule has found."""

    X: Tensor
    pair: Pair


@dataclass(frozen=True, slots=True)
class Iteration:
    """‖X − DC‖²/‖X‖² of each problem, one iteration further."""

    tried: Tensor
    """Of the pair that the networks proposed."""
    best: Tensor
    """Of the best pair so far, from which the next iteration goes on."""


def first_networks(rng: np.random.Generator, group: int, hidden: int, period: int) -> dict[str, Array]:
    """Return networks whose first step is zero; `schedule` is kept as its logarithm."""
    ranges = {f"{name}_in": rng.normal(0, group**-0.5, (hidden, group)) for name in "DC"}
    zeros = {f"{name}_out": 0.0 * ranges["D_in"].T for name in "DC"}
    return {**ranges, **zeros, "log_schedule": 0.0 * rng.random((period, 2))}


def exported(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays that `LearnedMlp` loads."""
    arrays = {name: values for name, values in parameters.items() if name != "log_schedule"}
    return {**arrays, "schedule": np.exp(parameters["log_schedule"])}


def imported(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters of arrays that `LearnedMlp` loads, the opposite of `exported`."""
    parameters = {name: values for name, values in arrays.items() if name != "schedule"}
    return {**parameters, "log_schedule": np.log(arrays["schedule"])}


def as_teacher(batch: Batch, dtype: torch.dtype) -> Teacher:
    """Return the batch as tensors."""
    X, D, Ct = (torch.from_numpy(array).to(dtype) for array in (batch.X, batch.D, batch.Ct))
    return Teacher(X, Pair(D, Ct))


def preprocessed(gradient: Tensor) -> Tensor:
    """Return what `learned_mlp.preprocessed` returns."""
    size = gradient.abs()
    # The clamp keeps the derivative of the branch that is not taken finite.
    bent = gradient.sign() * (size.clamp_min(EDGE).log() + 2)
    return torch.where(size >= EDGE, bent, math.e * gradient)


def learned_step(factor: Tensor, cross: Tensor, gram: Tensor, w_in: Tensor, w_out: Tensor) -> Tensor:
    """Return what `learned_mlp.learned_step` returns, before the projection: the step to subtract."""
    k, group = factor.shape[-1], w_in.shape[1]
    diagonal = gram.diagonal(dim1=-2, dim2=-1)[:, None, :]
    alive = diagonal > LEAST
    unit = (torch.where(alive, diagonal, torch.ones_like(diagonal)) / CURVATURE).sqrt()
    total = (gram / unit / unit.transpose(1, 2)).sum((1, 2), keepdim=True).clamp_min(LEAST)
    scale = (LEVEL * (cross / unit).sum(-1, keepdim=True) / total).clamp_min(LEAST)
    gradient = (factor @ gram - cross) / (unit * scale)
    padding = -k % group
    inputs = torch.nn.functional.pad(preprocessed(gradient), (0, padding))
    inputs = inputs.reshape(*inputs.shape[:-1], -1, group)
    step = ((inputs @ w_in.T).tanh() @ w_out.T).flatten(-2)[..., :k]
    return torch.where(alive, step * (scale / unit), torch.zeros_like(step))


def one_step_loss(teacher: Teacher, start: Pair, networks: Networks) -> Tensor:
    """Return the thesis' loss: the mean over problems of ‖D* − D̂₁‖² + ‖X − D̂₁C*‖², and the same for C.

    D̂₁ is D₀ after one update with the partner C*; both terms are divided by the square of the unit of D*,
    and of X, which are 1 for U(0, 1).
    """
    X, true = teacher.X, teacher.pair
    ofs = (
        ("D", start.D, true.D, true.Ct, X),
        ("C", start.Ct, true.Ct, true.D, X.transpose(1, 2)),
    )
    unit = (2 * true.D.mean((1, 2)) * 2 * true.Ct.mean((1, 2))) ** 2
    total = torch.zeros((), dtype=X.dtype)
    for name, factor, goal, partner, data in ofs:
        step = learned_step(
            factor,
            data @ partner,
            partner.transpose(1, 2) @ partner,
            networks[f"{name}_in"],
            networks[f"{name}_out"],
        )
        moved = (factor - step).clamp_min(0)
        own = ((goal - moved) ** 2).sum((1, 2)) / (2 * goal.mean((1, 2))) ** 2
        fit = ((data - moved @ partner.transpose(1, 2)) ** 2).sum((1, 2)) / unit
        total = total + (own + fit).mean()
    return total


def unrolled(
    X: Tensor, start: Pair, networks: Networks, length: int, growth: float = 1.5, shrink: float = 0.5
) -> list[Iteration]:
    """Return the first `length` iterations of each problem, as `factorize` runs them.

    A problem whose error rises goes back to its best pair, and its step shrinks; the others' grows.
    """
    squared = (X**2).sum((1, 2))
    best, pair = squared_error(X, start.D, start.Ct) / squared, start
    lasting = torch.ones_like(best)
    iterations: list[Iteration] = []
    schedule = networks["log_schedule"].exp()
    for iteration in range(length):
        times = schedule[iteration % len(schedule)]
        D = _moved("D", pair.D, pair.Ct, X, networks, lasting * times[0])
        Ct = _moved("C", pair.Ct, D, X.transpose(1, 2), networks, lasting * times[1])
        moved = Pair(D, Ct)
        error = squared_error(X, moved.D, moved.Ct) / squared
        kept = error <= best
        pair = Pair(*(torch.where(kept[:, None, None], new, old) for new, old in _both(moved, pair)))
        best = torch.where(kept, error, best)
        lasting = torch.where(kept, (lasting * growth).clamp_max(LONGEST), lasting * shrink)
        iterations.append(Iteration(error, best))
    return iterations


def unrolled_loss(teacher: Teacher, start: Pair, networks: Networks, length: int, least: float = 1e-5) -> Tensor:
    """Return the mean log₁₀([e_t − e*]₊ + `least`) of all iterations t; e is the squared relative error.

    e* is what HALS reaches from the teacher's factors: otherwise the noise, which no rule can remove, would hide
    what is left to gain. The errors are those that were tried: what is taken back would teach nothing otherwise.
    """
    known = settled(teacher.X, teacher.pair.D, teacher.pair.Ct) / (teacher.X**2).sum((1, 2))
    errors = torch.stack([each.tried for each in unrolled(teacher.X, start, networks, length)])
    return ((errors - known).clamp_min(0) + least).log10().mean()


def _moved(name: str, factor: Tensor, partner: Tensor, data: Tensor, networks: Networks, times: Tensor) -> Tensor:
    gram = partner.transpose(1, 2) @ partner
    step = learned_step(factor, data @ partner, gram, networks[f"{name}_in"], networks[f"{name}_out"])
    return (factor - times[:, None, None] * step).clamp_min(0)


def _both(new: Pair, old: Pair) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (new.D, old.D), (new.Ct, old.Ct)
