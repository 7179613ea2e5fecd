from __future__ import annotations

from typing import Any

import pytest

from lnmf_core import ParameterError, StreamSpec


@pytest.mark.parametrize(
    "wrong",
    [{"sweeps": 0}, {"passes": 0}, {"settle": 1.5}, {"alarm": 0.9},
     {"unrest": 0.9}, {"refresh": 1.5}, {"tolerance": -0.1}, {"memory": float("nan")}, {"seed": -1},
     {"seed": 2**62}, {"cold_every": 0}, {"cold_iterations": 0}, {"cold_gain": -0.1}],
)  # fmt: skip
def test_a_spec_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        StreamSpec(**wrong)
