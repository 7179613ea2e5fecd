import numpy as np
import pytest

from lnmf_core import FactorError, MatrixError, ParameterError, RankError
from lnmf_core.errors import whole_number


@pytest.mark.parametrize("error", [FactorError, MatrixError, ParameterError, RankError])
def test_every_error_can_be_caught_as_a_value_error(error: type[Exception]) -> None:
    assert error.__mro__[1] is ValueError


@pytest.mark.parametrize("value", [1, 7, np.int32(7), np.uint8(7)])
def test_whole_numbers_pass_as_plain_ints(value: int) -> None:
    number = whole_number("count", value, ParameterError)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", [0, -1, True, np.True_, 2.0, np.float64(2), "2", None, float("nan")])
def test_all_else_is_named_and_refused(value: object) -> None:
    with pytest.raises(ParameterError) as caught:
        whole_number("count", value, ParameterError)
    assert str(caught.value) == f"count is {value!r}: it must be a whole number, 1 or more"


def test_the_least_value_can_be_set() -> None:
    assert whole_number("seed", 0, ParameterError, least=0) == 0
    with pytest.raises(RankError, match="seed is -1: it must be a whole number, 0 or more"):
        whole_number("seed", -1, RankError, least=0)
