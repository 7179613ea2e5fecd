import numpy as np

from lnmf_core import Multiplicative, NormalEquations


def test_an_update_is_the_ratio_of_data_to_prediction() -> None:
    rng = np.random.default_rng(0)
    X, D, C = rng.random((6, 5)), rng.random((6, 2)), rng.random((2, 5))
    updated, state = Multiplicative().update(D, NormalEquations(X @ C.T, C @ C.T), None)
    np.testing.assert_allclose(updated, D * (X @ C.T) / (D @ C @ C.T))
    assert state is None


def test_where_nothing_is_predicted_nothing_moves() -> None:
    normal = NormalEquations(np.array([[2.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]))
    updated, _ = Multiplicative().update(np.array([[1.0, 7.0], [0.0, 7.0]]), normal, None)
    assert updated.tolist() == [[2.0, 7.0], [0.0, 7.0]]
