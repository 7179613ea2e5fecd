from typing import Any

import numpy as np
import pytest

from lnmf_core import ParameterError, SteadyHals


def test_d_is_handed_on_twice_as_far() -> None:
    np.testing.assert_allclose(SteadyHals(momentum=0.3).plan(5).momentum, [[0.3, 0.3, 0.6]])


@pytest.mark.parametrize("wrong", [{"sweeps": 0}, {"momentum": -0.1}, {"momentum": np.inf}])
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SteadyHals(**wrong)
