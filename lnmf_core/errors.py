"""Every error that the core raises on purpose: the message names argument, value and position.

ValueError
├── MatrixError     X is no matrix of counts that can be factorised
├── RankError       a rank that is no whole number from 1 to min(n, m)
├── FactorError     factors that are negative, not finite or of the wrong shape
├── ParameterError  a parameter of a rule, a start or a stopping test that is out of range
└── WeightsError    trained parameters that are missing, damaged, of another format or unfit for their rule
"""

import numpy as np


class MatrixError(ValueError):
    """X can't be factorised: its type, shape or one of its values is wrong."""


class RankError(ValueError):
    """The rank is no whole number from 1 to min(n, m)."""


class FactorError(ValueError):
    """D or C is negative, not finite, of the wrong shape or type, or unfit for X."""


class ParameterError(ValueError):
    """A parameter of a rule, a start or a stopping test is out of its range."""


class WeightsError(ValueError):
    """Trained parameters are missing, damaged, of another format or unfit for the rule that loads them."""


def whole_number(name: str, value: object, error: type[ValueError], *, least: int = 1) -> int:
    """Return `value` as an int; raises `error` unless it is a whole number, `least` or more, and no bool."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise error(f"{name} is {value!r}: it must be a whole number, {least} or more")
    return int(value)
