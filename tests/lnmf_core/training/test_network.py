from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lnmf_core import RandomStart, Stop, WarmStart, factorize  # noqa: E402
from lnmf_core.rules import learned_mlp  # noqa: E402
from lnmf_core.rules.learned_mlp import LearnedMlp  # noqa: E402
from lnmf_core.training import network  # noqa: E402
from lnmf_core.training.network import Pair, Teacher  # noqa: E402
from lnmf_core.training.problems import Uniform  # noqa: E402
from lnmf_core.weights.store import ModelCard, Weights  # noqa: E402


def arrays(hidden: int = 8, period: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    made = network.first_networks(rng, 3, hidden, period)
    made |= {f"{name}_out": rng.normal(0, 0.02, (3, hidden)) for name in "DC"}
    made["log_schedule"] = rng.normal(0, 0.3, (period, 2))
    # A step along the gradient, so that most updates lower the error and some do not.
    for name in "DC":
        made[f"{name}_in"][:3] = 0.3 * np.eye(3)
        made[f"{name}_out"][:, :3] += 0.15 * np.eye(3)
    return made


def tensors(made: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(values).requires_grad_() for name, values in made.items()}


def problems(count: int = 4, rank: int = 3, noise: float = 0.05) -> tuple[Teacher, Pair]:
    rng = np.random.default_rng(8)
    batch = Uniform(9, 7, rank, noise).draw(rng, count)
    D, Ct = rng.random(batch.D.shape), rng.random(batch.Ct.shape)
    return network.as_teacher(batch, torch.float64), Pair(torch.from_numpy(D), torch.from_numpy(Ct))


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 7])
def test_the_step_is_that_of_the_rule(rank: int) -> None:
    teacher, start = problems(rank=rank)
    made = arrays()
    cross, gram = teacher.X @ start.Ct, start.Ct.transpose(1, 2) @ start.Ct
    step = network.learned_step(
        start.D, cross, gram, *(torch.from_numpy(made[f"D_{side}"]) for side in ("in", "out"))
    )
    for i, (factor, one_cross, one_gram) in enumerate(zip(start.D, cross, gram, strict=True)):
        expected = learned_mlp.learned_step(
            factor.numpy(), one_cross.numpy(), one_gram.numpy(), made["D_in"], made["D_out"]
        )
        np.testing.assert_allclose((start.D[i] - step[i]).clamp_min(0).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("period", [1, 3])
def test_the_unrolled_run_is_the_loop_of_the_core(period: int) -> None:
    teacher, start = problems()
    made = arrays(period=period)
    run = network.unrolled(teacher.X, start, tensors(made), 12)
    errors = torch.stack([each.best for each in run]).sqrt().detach().numpy()
    rule = LearnedMlp(Weights(network.exported(made), ModelCard("mlp", "none", 0, "none")))
    rises = 0
    for i, X in enumerate(teacher.X.numpy()):
        warm = WarmStart(start.D[i].numpy(), start.Ct[i].numpy().T)
        solution = factorize(X, 3, rule=rule, start=warm, stop=Stop(12, 0.0))
        ran = solution.iterations
        np.testing.assert_allclose(errors[:ran, i], solution.errors[1:], rtol=1e-6)
        rises += sum(now == before for before, now in zip(solution.errors, solution.errors[1:], strict=False))
    assert rises > 0


def test_the_gradient_of_the_loss_is_what_rules_are_told() -> None:
    teacher, start = problems()
    D = start.D.clone().requires_grad_()
    torch.autograd.backward(((teacher.X - D @ start.Ct.transpose(1, 2)) ** 2).sum() / 2)
    told = start.D @ (start.Ct.transpose(1, 2) @ start.Ct) - teacher.X @ start.Ct
    torch.testing.assert_close(D.grad, told)


@pytest.mark.parametrize("loss", ["one step", "unrolled"])
def test_the_derivatives_are_those_of_finite_differences(loss: str) -> None:
    teacher, start = problems(noise=0.2)

    def value(*values: Any) -> Any:
        networks = dict(zip(names, values, strict=True))
        if loss == "one step":
            return network.one_step_loss(teacher, start, networks)
        return network.unrolled_loss(teacher, start, networks, 3)

    parameters = tensors(arrays(hidden=4, period=2))
    names = list(parameters)
    assert torch.autograd.gradcheck(value, tuple(parameters.values()), eps=1e-7, atol=1e-4)


def test_the_preprocessing_is_that_of_the_rule_and_can_be_derived_everywhere() -> None:
    values = torch.tensor([0.0, 1e-300, -0.2, np.exp(-1), 0.4, -3.0, 1e9], dtype=torch.float64, requires_grad=True)
    bent = network.preprocessed(values)
    np.testing.assert_allclose(bent.detach().numpy(), learned_mlp.preprocessed(values.detach().numpy()))
    torch.autograd.backward(bent.sum())
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()


def test_dead_components_and_empty_rows_leave_the_derivatives_finite() -> None:
    teacher, start = problems()
    X = teacher.X.clone()
    X[:, 2] = 0
    Ct = start.Ct.clone()
    Ct[:, :, 1] = 0
    parameters = tensors(arrays())
    torch.autograd.backward(network.unrolled_loss(Teacher(X, teacher.pair), Pair(start.D, Ct), parameters, 3))
    assert all(torch.isfinite(tensor.grad).all() for tensor in parameters.values())


def test_the_one_step_loss_is_zero_for_the_true_factors_alone() -> None:
    teacher, start = problems(noise=0.0)
    parameters = tensors(arrays())
    assert network.one_step_loss(teacher, teacher.pair, parameters).item() < 1e-9
    assert network.one_step_loss(teacher, start, parameters).item() > 1


def test_first_networks_do_not_step() -> None:
    teacher, start = problems()
    made = network.first_networks(np.random.default_rng(0), 3, 5, 2)
    exported = network.exported(made)
    assert (exported["schedule"] == 1).all()
    rule = LearnedMlp(Weights(exported, ModelCard("mlp", "none", 0, "none")))
    solution = factorize(teacher.X[0].numpy(), 3, rule=rule, start=RandomStart(), stop=Stop(3))
    assert solution.error == solution.errors[0]
    assert start.D.shape[-1] == 3


def test_steps_that_are_taken_back_still_teach() -> None:
    teacher, start = problems()
    parameters = tensors(arrays() | {"log_schedule": np.full((1, 2), 2.5)})
    [first] = network.unrolled(teacher.X, start, parameters, 1)
    assert (first.tried > first.best).all()
    torch.autograd.backward(network.unrolled_loss(teacher, start, parameters, 1))
    assert all(tensor.grad.abs().max() > 0 for tensor in parameters.values())
