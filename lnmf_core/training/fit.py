"""Gradient training of any loss: Adam, checkpoints that can be resumed exactly, a log as JSON lines."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lnmf_core.errors import ParameterError, WeightsError, whole_number
from lnmf_core.weights.store import ModelCard, Weights, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from lnmf_core.factors import Array
    from lnmf_core.weights.store import Value

CHECKPOINT = "checkpoint"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's running means of the gradient and of its square, as torch names them."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast. The learning rate falls from `rate` to zero along half a cosine.

    A gradient longer than `clip` is shortened to it: one problem in a batch that runs away through an unrolled
    loop would outweigh all others. Raises ParameterError for numbers below 1, a rate that is not positive and
    finite, or a clip that is not positive.
    """

    steps: int
    rate: float = 1e-2
    clip: float = math.inf
    checkpoint_every: int = 1000
    log_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "checkpoint_every", "log_every"):
            whole_number(name, getattr(self, name), ParameterError)
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ParameterError(f"rate is {self.rate}: it must be positive and finite")
        if not self.clip > 0:
            raise ParameterError(f"clip is {self.clip}: it must be positive")

    def rate_at(self, step: int) -> float:
        """Return the learning rate of step 0 … steps − 1."""
        return self.rate * (1 + math.cos(math.pi * step / self.steps)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A training as it stands: parameters, Adam's memory, the random generator."""

    step: int
    parameters: dict[str, torch.Tensor]
    optimiser: torch.optim.Adam
    rng: np.random.Generator

    @property
    def arrays(self) -> dict[str, Array]:
        """The parameters as arrays."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self.parameters.items()}


def begin(arrays: Mapping[str, Array], seed: int, dtype: torch.dtype) -> Run:
    """Return a run at step 0. Raises ParameterError for a negative seed."""
    rng = np.random.default_rng(whole_number("seed", seed, ParameterError, least=0))
    parameters = {
        name: torch.from_numpy(np.array(array)).to(dtype).requires_grad_() for name, array in arrays.items()
    }
    return Run(0, parameters, torch.optim.Adam(parameters.values()), rng)


def fit(
    run: Run,
    schedule: Schedule,
    loss: Callable[[int, np.random.Generator, Mapping[str, torch.Tensor]], torch.Tensor],
    directory: Path,
    settings: Mapping[str, Value],
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Run:
    """Lower `loss(step, rng, parameters)`; return the finished run.

    `directory` receives `log.jsonl` (step, loss, rate, seconds) and the last checkpoint. `track` wraps the
    steps, to show progress. Raises ParameterError if a loss is not finite: the learning rate is too high.
    """
    directory.mkdir(parents=True, exist_ok=True)
    began, recent = time.perf_counter(), 0.0
    with (directory / "log.jsonl").open("a", encoding="utf-8") as log:
        for step in track(range(run.step, schedule.steps)):
            rate = schedule.rate_at(step)
            value = _advance(run, rate, schedule.clip, loss(step, run.rng, run.parameters))
            if not math.isfinite(value):
                raise ParameterError(f"the loss is {value} at step {step}: lower the learning rate {rate}")
            recent += value
            done = step + 1
            if done % schedule.log_every == 0:
                seconds = round(time.perf_counter() - began, 3)
                line = {"step": done, "loss": recent / schedule.log_every, "rate": rate, "seconds": seconds}
                log.write(json.dumps(line) + "\n")
                log.flush()
                recent = 0.0
            if done % schedule.checkpoint_every == 0 or done == schedule.steps:
                _save_checkpoint(Run(done, run.parameters, run.optimiser, run.rng), directory, settings)
    return Run(schedule.steps, run.parameters, run.optimiser, run.rng)


def resume(directory: Path, settings: Mapping[str, Value], dtype: torch.dtype) -> Run:
    """Return the run as its last checkpoint in `directory` has it; log lines after it are dropped.

    Raises WeightsError if there is none, or if it was made with other settings.
    """
    names = sorted(path.stem for path in directory.glob(f"{CHECKPOINT}-*.json"))
    if not names:
        raise WeightsError(f"{directory}: holds no checkpoint; begin without --resume")
    held = load(names[-1], CHECKPOINT, directory)
    if held.card.settings != settings:
        raise WeightsError(f"{directory}: was begun with other settings; use those, or another directory")
    state: dict[str, Any] = dict(held.card.figures)
    run = begin(_part(held, "parameters"), 0, dtype)
    run.rng.bit_generator.state = state["rng"]
    step = int(state["step"])
    moments = {name: _part(held, name) for name in MOMENTS}
    for name, tensor in run.parameters.items():
        run.optimiser.state[tensor] = {"step": torch.tensor(float(step))} | {
            moment: torch.from_numpy(np.array(moments[moment][name])) for moment in MOMENTS
        }
    _cut_log(directory / "log.jsonl", step)
    return Run(step, run.parameters, run.optimiser, run.rng)


def _advance(run: Run, rate: float, clip: float, loss: torch.Tensor) -> float:
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    run.optimiser.zero_grad()
    # Without a gradient Adam would keep no moments, and the checkpoint would miss them.
    torch.autograd.backward(loss + 0.0 * sum(tensor.sum() for tensor in run.parameters.values()))
    if clip < math.inf:
        torch.nn.utils.clip_grad_norm_(run.parameters.values(), clip)
    run.optimiser.step()
    return float(loss.detach())


def _save_checkpoint(run: Run, directory: Path, settings: Mapping[str, Value]) -> None:
    """Write the new checkpoint before the old ones go, so that one always lasts."""
    arrays = {f"parameters.{name}": array for name, array in run.arrays.items()}
    for name, tensor in run.parameters.items():
        for moment in MOMENTS:
            arrays[f"{moment}.{name}"] = run.optimiser.state[tensor][moment].numpy()
    name = f"{CHECKPOINT}-{run.step:09d}"
    card = ModelCard(
        CHECKPOINT, "see settings", 0, "unknown", dict(settings), {"step": run.step, "rng": _plain(run.rng)}
    )
    old = [path for path in directory.glob(f"{CHECKPOINT}-*") if path.stem != name]
    save(name, Weights(arrays, card), directory)
    for path in old:
        path.unlink()


def _plain(rng: np.random.Generator) -> Value:
    state: Value = json.loads(json.dumps(rng.bit_generator.state))
    return state


def _part(weights: Weights, prefix: str) -> dict[str, Array]:
    start = prefix + "."
    return {name.removeprefix(start): array for name, array in weights.arrays.items() if name.startswith(start)}


def _cut_log(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] <= step]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
