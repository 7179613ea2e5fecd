import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

torch = pytest.importorskip("torch")

from lnmf_core import ParameterError, RandomStart, Stop, factorize  # noqa: E402
from lnmf_core.rules.learned_mlp import LearnedMlp  # noqa: E402
from lnmf_core.training.fit import Schedule  # noqa: E402
from lnmf_core.training.mlp import Plan, main  # noqa: E402
from lnmf_core.training.problems import Uniform  # noqa: E402
from lnmf_core.weights.store import Weights, load  # noqa: E402

SHORT = ["--samples", "600", "--batch", "10", "--hidden", "8", "--checkpoint-every", "30", "--seed", "1"]


def trained(directory: Path, *options: str) -> Weights:
    where = ["--directory", str(directory / "run"), "--output", str(directory), "--name", "made"]
    assert main([*SHORT, *where, *options]) == 0
    return load("made", "mlp", directory)


@pytest.mark.parametrize("options", [[], ["--unroll", "3", "--period", "2"], ["--problems", "mixed"]], ids=str)
def test_what_is_trained_lowers_the_error_of_a_problem_it_has_not_seen(tmp_path: Path, options: list[str]) -> None:
    rule = LearnedMlp(trained(tmp_path, *options))
    X = Uniform(noise=0.01).draw(np.random.default_rng(9), 1).X[0]
    solution = factorize(X, 3, rule=rule, start=RandomStart(1), stop=Stop(30, 0.0))
    assert solution.error < 0.5 * solution.errors[0]


def test_the_card_says_where_the_weights_come_from(tmp_path: Path) -> None:
    card = trained(tmp_path, "--commit", "abc", "--noise", "0.1").card
    assert (card.commit, card.seed, card.data) == ("abc", 1, "uniform, noise 0.1")
    assert card.settings["samples"] == 600
    assert card.figures["one_step_loss"]


def test_equal_options_give_equal_weights_resumed_or_not(tmp_path: Path) -> None:
    first = trained(tmp_path / "first")
    again = trained(tmp_path / "again")
    resumed = trained(tmp_path / "first", "--resume")
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
        np.testing.assert_array_equal(array, resumed.arrays[name])


def test_a_new_training_begins_a_new_log(tmp_path: Path) -> None:
    for _ in range(2):
        trained(tmp_path, "--samples", "2000")
    lines = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [100, 200]


def test_real_counts_can_be_learned_from(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(2.0, (12, 9))
    sparse.save_npz(tmp_path / "counts.npz", sparse.csr_array(counts))
    card = trained(tmp_path, "--counts", str(tmp_path / "counts.npz")).card
    assert card.settings["counts"] == ["counts.npz"]


def test_the_unrolled_run_grows_step_by_step() -> None:
    plan = Plan(Uniform(), Schedule(100), 5, 4, torch.float64)
    lengths = [plan.length_at(step) for step in range(100)]
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths.index(4) == 38
    assert lengths[-1] == 4


@pytest.mark.parametrize("options", [["--batch", "0"], ["--seed", "-1"], ["--hidden", "0"], ["--noise", "-1"]])
def test_impossible_options_are_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(ParameterError):
        trained(tmp_path, *options)


def test_a_training_can_begin_with_an_earlier_set(tmp_path: Path) -> None:
    first = trained(tmp_path)
    options = ["--name", "next", "--start-from", "made", "--samples", "10", "--rate", "1e-9"]
    trained(tmp_path, *options)
    for name, array in load("next", "mlp", tmp_path).arrays.items():
        np.testing.assert_allclose(array, first.arrays[name], atol=1e-7)
