"""A stream's state as plain arrays, and back: exact, and checked, for it may come from outside."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.errors import FactorError
from lnmf_core.rows import HeldRows, Keys, Rows
from lnmf_core.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    Floats = NDArray[np.float64]

Numbers = tuple[float, float, float, float, int, int]
"""Fit, unrest, level, age, looks and unsettled rows of `Factorizer`."""

Spec = TypeVar("Spec", bound=Any)


@dataclass(frozen=True, slots=True, eq=False)
class Parts(Generic[Spec]):
    """What a Factorizer is made of."""

    spec: Spec
    columns: Keys
    held: HeldRows
    sums: Sums
    Ct: Floats
    patterns_gram: Floats
    numbers: Numbers


def packed_state(
    spec: Any, columns: Keys, held: HeldRows, sums: Sums, Ct: Floats, gram_C: Floats, numbers: Numbers
) -> dict[str, NDArray[Any]]:
    """Return copies of all that there is, by name."""
    indptr, indices, data = held.packed()
    fit, unrest, level, age, looks, unsettled = numbers
    return {
        **{f"spec_{part.name}": np.array(getattr(spec, part.name)) for part in fields(spec)},
        "row_keys": held.keys.copy(),
        "column_keys": columns.copy(),
        "indptr": indptr,
        "indices": indices,
        "data": data,
        "D": held.memberships.copy(),
        "Ct": Ct.copy(),
        "gram_C": gram_C.copy(),
        "cross": sums.cross.copy(),
        "gram_D": sums.gram.copy(),
        "peaks": sums.peaks.copy(),
        "measures": np.array([sums.squared_norm, fit, unrest, level, age]),
        "counters": np.array([sums.changed, looks, unsettled], np.int64),
    }


def unpacked_state(state: Mapping[str, NDArray[Any]], spec_type: type[Spec]) -> Parts[Spec]:
    """Return the parts; see `Factorizer.restore` for the errors."""
    rows = Rows(_array(state, "row_keys", 1), _csr(state), _array(state, "column_keys", 1).copy())
    Ct = _floats(state, "Ct", (len(rows.columns), -1), least=0.0)
    k = Ct.shape[1]
    held = HeldRows(rows, _floats(state, "D", (len(rows), k), least=0.0))
    measures = _floats(state, "measures", (5,), most=np.inf)
    counters = [int(value) for value in _floats(state, "counters", (3,), least=0.0)]
    sums = Sums(len(rows.columns), k)
    sums.cross, sums.gram = _floats(state, "cross", (len(rows.columns), k)), _floats(state, "gram_D", (k, k))
    sums.peaks = _floats(state, "peaks", (k + 1,), least=0.0)
    sums.squared_norm, fit, unrest, level, age = (float(measure) for measure in measures)
    sums.changed, looks, unsettled = counters
    gram_C = _floats(state, "gram_C", (k, k))
    spec = _spec(state, spec_type)
    return Parts(spec, rows.columns, held, sums, Ct, gram_C, (fit, unrest, level, age, looks, unsettled))


def _spec(state: Mapping[str, NDArray[Any]], spec_type: type[Spec]) -> Spec:
    values = {}
    for part in fields(spec_type):
        array = _array(state, f"spec_{part.name}", 0)
        values[part.name] = array.item()
    spec: Spec = spec_type(**values)
    return spec


def _csr(state: Mapping[str, NDArray[Any]]) -> sparse.csr_array[Any]:
    rows, columns = len(_array(state, "row_keys", 1)), len(_array(state, "column_keys", 1))
    parts = tuple(_array(state, name, 1).copy() for name in ("data", "indices", "indptr"))
    try:
        return sparse.csr_array(parts, shape=(rows, columns))
    except ValueError as error:
        raise FactorError(f"state: indptr, indices and data are no rows of counts: {error}") from error


def _array(state: Mapping[str, NDArray[Any]], name: str, dimensions: int) -> NDArray[Any]:
    if name not in state:
        raise FactorError(f"state lacks {name!r}: pass all arrays that `Factorizer.state` returned")
    array = np.asarray(state[name])
    if array.ndim != dimensions or array.dtype.kind not in "iuf":
        raise FactorError(
            f"state[{name!r}] has {array.ndim} dimensions of {array.dtype}: {dimensions} of numbers are needed"
        )
    return array


def _floats(
    state: Mapping[str, NDArray[Any]],
    name: str,
    shape: tuple[int, ...],
    *,
    least: float = -np.inf,
    most: float = float(np.finfo(np.float64).max),
) -> Floats:
    """Return a copy as float64; an entry −1 of `shape` leaves that axis free."""
    array = _array(state, name, len(shape))
    if any(have != want for have, want in zip(array.shape, shape, strict=True) if want >= 0) or (
        0 in array.shape[1:]
    ):
        raise FactorError(f"state[{name!r}] has shape {array.shape}: {shape} is needed (-1: any)")
    values = np.array(array, np.float64, order="C")
    if not (np.abs(values) <= most).all() or not (values >= least).all():
        raise FactorError(f"state[{name!r}] holds a value that is not finite or too small: the state is damaged")
    return values
