import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lnmf_core import ParameterError  # noqa: E402
from lnmf_core.rules.learned_momentum import KIND, schedule_of  # noqa: E402
from lnmf_core.training.costs import PoolSpec, drawn  # noqa: E402
from lnmf_core.training.fit import Schedule, begin, resume  # noqa: E402
from lnmf_core.training.momentum import MomentumSpec, as_pools, by_gradients, judged, main, weights_of  # noqa: E402
from lnmf_core.training.unfolded import Unfolding, unfolded_loss  # noqa: E402
from lnmf_core.weights.store import load, save  # noqa: E402

SMALL = MomentumSpec(
    pool=PoolSpec(((12, 10, 2),), (0.01,), 12),
    unfolding=Unfolding(sweeps=2, period=2, cap=4.0, from_length=2, reach=8),
    schedule=Schedule(30, 0.1, 1.0, checkpoint_every=10, log_every=10),
    rows=4,
    batch=8,
)
PROBLEMS = drawn(SMALL.pool, np.random.default_rng(0))
COMMAND = [
    "--problems",
    "4",
    "--batch",
    "2",
    "--generations",
    "2",
    "--validation",
    "3",
    "--steps",
    "3",
    "--reach",
    "5",
]


def numbers(directory: Path, spec: MomentumSpec = SMALL) -> Any:
    return by_gradients(spec, PROBLEMS, begin({"numbers": spec.first()}, spec.seed, torch.float64), directory)


def test_gradients_lower_the_loss(tmp_path: Path) -> None:
    [pool] = as_pools(PROBLEMS)
    first, last = (
        float(unfolded_loss(pool, torch.from_numpy(each), SMALL.unfolding, 8))
        for each in (SMALL.first(), numbers(tmp_path))
    )
    assert last < first


def test_equal_specs_give_equal_schedules_resumed_or_not(tmp_path: Path) -> None:
    first = numbers(tmp_path / "first")
    np.testing.assert_array_equal(first, numbers(tmp_path / "again"))
    run = resume(tmp_path / "first", SMALL.settings, torch.float64)
    np.testing.assert_array_equal(first, by_gradients(SMALL, PROBLEMS, run, tmp_path / "first"))


def test_without_a_schedule_there_are_no_gradients(tmp_path: Path) -> None:
    np.testing.assert_array_equal(numbers(tmp_path, replace(SMALL, schedule=None)), SMALL.first())


def test_what_was_trained_can_be_saved_and_run(tmp_path: Path) -> None:
    plan = SMALL.plan(SMALL.first())
    save("mine", weights_of(SMALL, plan, "unknown", {"problems": 3}), tmp_path)
    held = schedule_of(load("mine", KIND, tmp_path))
    np.testing.assert_array_equal(held.momentum, plan.momentum)
    assert (held.sweeps, held.period) == (2, 2)


def test_the_first_schedule_is_constant() -> None:
    momentum = SMALL.plan(SMALL.first()).momentum
    np.testing.assert_allclose(momentum, np.tile([0.4, 0.4, 0.8], (4, 1)))


def test_the_figures_say_what_share_arrives() -> None:
    figures = judged(SMALL.plan(SMALL.first()), PROBLEMS)
    assert figures["problems"] == 12
    assert figures["share_that_arrives"] == 1.0
    assert isinstance(figures["fewer_iterations"], float)


def test_the_command_writes_a_set_with_its_card_and_a_log(tmp_path: Path) -> None:
    where = ["--output", str(tmp_path), "--directory", str(tmp_path / "run")]
    assert main([*COMMAND, *where]) == 0
    first = load("momentum", KIND, tmp_path)
    assert json.loads((tmp_path / "momentum.json").read_text())["figures"]["problems"] == 3
    assert first.arrays["momentum"].shape == (32, 3)
    assert main([*COMMAND, *where, "--resume"]) == 0
    np.testing.assert_array_equal(load("momentum", KIND, tmp_path).arrays["momentum"], first.arrays["momentum"])


@pytest.mark.parametrize("options", [{"rows": 1}, {"batch": 0}, {"seed": -1}])
def test_impossible_specs_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        replace(SMALL, **options)
