import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lnmf_core import ParameterError  # noqa: E402
from lnmf_core.errors import WeightsError  # noqa: E402
from lnmf_core.training.fit import Run, Schedule, begin, fit, resume  # noqa: E402

START = {"a": np.array([1.0, -2.0]), "unused": np.zeros(1)}
SETTINGS = {"seed": 3}


def noisy_square(_step: int, rng: np.random.Generator, parameters: Any) -> Any:
    return ((parameters["a"] - torch.from_numpy(rng.normal(3.0, 0.1, 2))) ** 2).sum()


def trained(directory: Path, steps: int = 60, run: Run | None = None, **options: Any) -> Run:
    schedule = Schedule(steps, 0.3, checkpoint_every=20, log_every=10, **options)
    return fit(begin(START, 3, torch.float64) if run is None else run, schedule, noisy_square, directory, SETTINGS)


def logged(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_loss_is_lowered(tmp_path: Path) -> None:
    np.testing.assert_allclose(trained(tmp_path).arrays["a"], 3.0, atol=0.5)
    log = logged(tmp_path)
    assert [line["step"] for line in log] == [10, 20, 30, 40, 50, 60]
    assert log[-1]["loss"] < 0.1 * log[0]["loss"]
    assert log[-1]["rate"] < log[0]["rate"]


def test_equal_seeds_give_equal_parameters(tmp_path: Path) -> None:
    first, again = (trained(tmp_path / name).arrays["a"] for name in ("first", "again"))
    np.testing.assert_array_equal(first, again)


def test_a_run_that_was_cut_off_goes_on_exactly(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")

    class CutOffError(Exception):
        pass

    def cut_off(step: int, rng: np.random.Generator, parameters: Any) -> Any:
        if step == 47:
            raise CutOffError
        return noisy_square(step, rng, parameters)

    schedule = Schedule(60, 0.3, checkpoint_every=20, log_every=10)
    with pytest.raises(CutOffError):
        fit(begin(START, 3, torch.float64), schedule, cut_off, tmp_path / "cut", SETTINGS)
    resumed = resume(tmp_path / "cut", SETTINGS, torch.float64)
    assert resumed.step == 40
    finished = trained(tmp_path / "cut", run=resumed)
    np.testing.assert_array_equal(finished.arrays["a"], whole.arrays["a"])
    losses = [[(line["step"], line["loss"]) for line in logged(tmp_path / name)] for name in ("whole", "cut")]
    assert losses[0] == losses[1]


def test_only_the_last_checkpoint_is_kept(tmp_path: Path) -> None:
    trained(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("checkpoint*")) == [
        "checkpoint-000000060.json",
        "checkpoint-000000060.npz",
    ]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        resume(tmp_path, SETTINGS, torch.float64)
    trained(tmp_path)
    with pytest.raises(WeightsError, match="other settings"):
        resume(tmp_path, {"seed": 4}, torch.float64)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    def bad(_step: int, _rng: np.random.Generator, parameters: Any) -> Any:
        return parameters["a"].sum() * float("nan")

    with pytest.raises(ParameterError, match="the loss is nan at step 0"):
        fit(begin(START, 3, torch.float64), Schedule(5), bad, tmp_path, SETTINGS)


def test_the_rate_falls_along_half_a_cosine() -> None:
    schedule = Schedule(10, 2.0)
    assert schedule.rate_at(0) == 2.0
    assert schedule.rate_at(5) == pytest.approx(1.0)
    assert schedule.rate_at(10) == pytest.approx(0.0)


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 1, "rate": 0.0}, {"steps": 1, "log_every": 0}])
def test_impossible_schedules_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Schedule(**options)
