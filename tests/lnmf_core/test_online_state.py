from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnmf_core import FactorError, Factorizer, MatrixError, ParameterError
from tests.lnmf_core.streams import followed


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("D", None, "lacks 'D'"),
        ("D", np.zeros((3, 3)), r"shape \(3, 3\)"),
        ("D", np.full((200, 3), -1.0), "too small"),
        ("Ct", np.full((30, 3), np.nan), "not finite"),
        ("Ct", np.zeros((30, 0)), "shape"),
        ("cross", np.zeros(3), "dimensions"),
        ("spec_sweeps", np.array(0), "sweeps"),
        ("spec_seed", np.array(["x"]), "dimensions"),
        ("indices", np.array([5000], np.int32), "CSR|rows of counts"),
        ("data", np.array([-1.0]), "CSR|rows of counts"),
        ("row_keys", np.zeros(200, np.int64), "occurs twice"),
    ],
)
def test_a_damaged_state_is_refused(name: str, value: Any, message: str) -> None:
    state = followed()[0].state()
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=message) as caught:
        Factorizer.restore(state)
    assert isinstance(caught.value, FactorError | MatrixError | ParameterError)
