from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnmf_core import Multiplicative, NormalEquations, ParameterError, RandomStart, Stop, factorize
from lnmf_core.errors import WeightsError
from lnmf_core.rules.learned_mlp import LEVEL, LONGEST, LearnedMlp, learned_step, preprocessed, row_level
from lnmf_core.weights.store import ModelCard, Weights

CARD = ModelCard("mlp", "none", 0, "none")


def weights(**changes: Any) -> Weights:
    rng = np.random.default_rng(1)
    shapes = {"D_in": (5, 3), "D_out": (3, 5), "C_in": (5, 3), "C_out": (3, 5)}
    arrays: dict[str, Any] = {name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()}
    arrays = arrays | {"schedule": np.ones((1, 2))} | changes
    return Weights({name: array for name, array in arrays.items() if array is not None}, CARD)


def normal(rows: int = 6, k: int = 3, columns: int = 9) -> tuple[Any, NormalEquations]:
    rng = np.random.default_rng(2)
    partner = rng.random((columns, k))
    return rng.random((rows, k)), NormalEquations(rng.random((rows, columns)) @ partner, partner.T @ partner)


def test_the_preprocessing_by_hand() -> None:
    values = preprocessed(np.array([0.0, 0.1, -0.1, 1.0, -1.0, np.e, -(np.e**3)]))
    np.testing.assert_allclose(values, [0, 0.1 * np.e, -0.1 * np.e, 2, -2, 3, -5])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_preprocessing_is_continuous_where_its_branches_meet(sign: float) -> None:
    edge = np.exp(-1)
    below, at, above = preprocessed(sign * np.array([np.nextafter(edge, 0), edge, np.nextafter(edge, 1)]))
    assert below == pytest.approx(sign, abs=1e-14)
    assert at == pytest.approx(sign, abs=1e-14)
    assert above == pytest.approx(sign, abs=1e-14)


@settings(derandomize=True)
@given(low=st.floats(-1e30, 1e30), high=st.floats(-1e30, 1e30))
def test_the_preprocessing_keeps_sign_and_order(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    first, second = preprocessed(np.array([low, high]))
    assert np.sign(first) == np.sign(low)
    assert first <= second


def test_the_step_is_the_networks_answer_to_the_scaled_gradient() -> None:
    rng = np.random.default_rng(4)
    w_in, w_out = rng.normal(size=(5, 3)), 0.01 * rng.normal(size=(3, 5))
    # gram_jj = 10 and a level of 1: nothing is scaled.
    gram = np.array([[10.0, 7.0, 6.0], [7.0, 10.0, 8.0], [6.0, 8.0, 10.0]])
    cross = np.array([[24.0, 22.0, 26.0]]) / LEVEL
    assert row_level(cross, gram) == pytest.approx(1)
    factor = np.array([[0.5, 0.4, 0.3]])
    gradient = preprocessed(factor @ gram - cross)[0]
    expected = np.maximum(factor[0] - w_out @ np.tanh(w_in @ gradient), 0)
    np.testing.assert_allclose(learned_step(factor, cross, gram, w_in, w_out)[0], expected)


def test_rows_are_updated_alone_as_they_are_together() -> None:
    factor, equations = normal()
    rule = LearnedMlp(weights())
    together, _ = rule.update(factor, equations, rule.init(factor, 0))
    for i in range(len(factor)):
        part = slice(i, i + 1)
        alone, _ = rule.update(
            factor[part], NormalEquations(equations.cross[part], equations.gram), rule.init(factor[part], 0)
        )
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-12)


@settings(derandomize=True, deadline=None)
@given(data=st.floats(1e-9, 1e9), own=st.floats(1e-6, 1e6))
def test_units_change_nothing(data: float, own: float) -> None:
    factor, equations = normal()
    rule = LearnedMlp(weights())
    plain, _ = rule.update(factor, equations, rule.init(factor, 0))
    # X in another unit, and the partner in its own: the factor follows.
    scaled = NormalEquations(data * own * equations.cross, own**2 * equations.gram)
    moved, _ = rule.update(factor * data / own, scaled, rule.init(factor, 0))
    np.testing.assert_allclose(moved, plain * data / own, rtol=1e-9)


def test_rows_of_zeros_become_zero_and_absent_components_stay() -> None:
    factor, equations = normal()
    cross, gram = equations.cross.copy(), equations.gram.copy()
    cross[2] = 0
    cross[:, 1] = gram[1] = gram[:, 1] = 0
    rule = LearnedMlp(weights())
    moved, _ = rule.update(factor, NormalEquations(cross, gram), rule.init(factor, 0))
    np.testing.assert_array_equal(moved[:, 1], factor[:, 1])
    assert moved[2].tolist() == [0, factor[2, 1], 0]


@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_other_ranks_are_taken_in_groups(k: int) -> None:
    factor, equations = normal(k=k)
    rule = LearnedMlp(weights())
    moved, _ = rule.update(factor, equations, rule.init(factor, 0))
    assert moved.shape == factor.shape
    assert (moved != factor).all()


def test_steps_grow_while_they_are_kept_and_shrink_when_one_is_taken_back() -> None:
    factor, equations = normal()
    rule = LearnedMlp(weights(), growth=2.0, shrink=0.25)
    lengths = []
    state = rule.init(factor, 0)
    current = factor
    for kept in (True, True, False, True):
        current, state = rule.update(current if kept else factor, equations, state)
        lengths.append(state.length)
    assert lengths == [1.0, 2.0, 0.5, 1.0]


def test_the_length_is_bounded() -> None:
    factor, equations = normal()
    rule = LearnedMlp(weights(), growth=4.0)
    state = rule.init(factor, 0)
    for _ in range(9):
        factor, state = rule.update(factor, equations, state)
    assert state.length == LONGEST


def test_the_schedule_is_periodic_and_each_mode_has_its_own() -> None:
    factor, equations = normal()
    schedule = np.array([[1.0, 2.0], [0.0, 0.5]])
    rule = LearnedMlp(weights(schedule=schedule), growth=1.0, shrink=1.0)
    for mode in (0, 1):
        state = rule.init(factor, mode)
        seen = []
        for _ in range(4):
            moved, state = rule.update(factor, equations, state)
            seen.append(moved)
        np.testing.assert_array_equal(seen[0], seen[2])
        np.testing.assert_array_equal(seen[1], seen[3])
        assert np.array_equal(seen[1], factor) is (mode == 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"D_in": None}, "'D_in' is missing"),
        ({"C_out": np.ones((3, 4))}, r"'C_out' has shape \(3, 4\), not \(3, 5\)"),
        ({"schedule": np.ones((1, 3))}, "'schedule' has shape"),
        ({"schedule": np.ones((0, 2))}, "'schedule' is empty"),
    ],
)
def test_weights_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        LearnedMlp(weights(**changes))


def test_weights_of_another_rule_are_refused() -> None:
    with pytest.raises(WeightsError, match="'momentum', not 'mlp'"):
        LearnedMlp(Weights(weights().arrays, ModelCard("momentum", "none", 0, "none")))


@pytest.mark.parametrize("options", [{"growth": 0.9}, {"growth": 99.0}, {"shrink": 0.0}, {"shrink": 1.1}])
def test_impossible_paces_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(options))):
        LearnedMlp(weights(), **options)


def test_the_shipped_rule_needs_far_fewer_iterations_than_multiplicative_updates() -> None:
    rng = np.random.default_rng(11)
    X = rng.random((30, 3)) @ rng.random((3, 30))
    learned = factorize(X, 3, rule=LearnedMlp(), start=RandomStart(), stop=Stop(30, 0.0))
    classical = factorize(X, 3, rule=Multiplicative(), start=RandomStart(), stop=Stop(150, 0.0))
    assert learned.error < classical.error
