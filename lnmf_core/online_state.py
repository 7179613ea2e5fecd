"""A stream's state as plain arrays, and back: exact, and checked, for it may come from outside."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lnmf_core.errors import FactorError
from lnmf_core.rows import Rows
from lnmf_core.sums import Sums
from lnmf_core.tracking import Tracking

if TYPE_CHECKING:
    from collections.abc import Mapping

    Floats = NDArray[np.float64]

Numbers = tuple[float, float, float, float, int]
"""Unrest, level, wait, due and looks of `Factorizer`."""

Spec = TypeVar("Spec", bound=Any)


def packed_state(spec: Any, now: Tracking, numbers: Numbers) -> dict[str, NDArray[Any]]:
    """Return copies of all that there is, by name."""
    indptr, _, indices, data, _ = now.held.whole()
    unrest, level, wait, due, looks = numbers
    sums = now.sums
    return {
        **{f"spec_{part.name}": np.array(getattr(spec, part.name)) for part in fields(spec)},
        "row_keys": now.held.keys.copy(),
        "column_keys": now.columns.copy(),
        "indptr": indptr.copy(),
        "indices": indices.copy(),
        "data": data.copy(),
        "D": now.held.memberships.copy(),
        "Ct": now.patterns.copy(),
        "gram_C": now.gram_C.copy(),
        "cross": now.cross.copy(),
        "gram_D": sums.gram.copy(),
        "peaks": sums.peaks.copy(),
        "measures": np.array([sums.squared_norm, now.fit, unrest, level, wait, due]),
        "counters": np.array([sums.changed, looks, now.unsettled], np.int64),
    }


def unpacked_state(state: Mapping[str, NDArray[Any]], spec_type: type[Spec]) -> tuple[Spec, Tracking, Numbers]:
    """Return what was packed; see `Factorizer.restore` for the errors."""
    rows = Rows(_array(state, "row_keys", 1), _csr(state), _array(state, "column_keys", 1).copy())
    Ct = _floats(state, "Ct", (len(rows.columns), -1), least=0.0)
    k = Ct.shape[1]
    D = _floats(state, "D", (len(rows), k), least=0.0)
    measures = _floats(state, "measures", (6,), most=np.inf)
    counters = [int(value) for value in _floats(state, "counters", (3,), least=0.0)]
    sums = Sums(0, k)
    sums.gram = _floats(state, "gram_D", (k, k))
    sums.peaks = _floats(state, "peaks", (k + 1,), least=0.0)
    now = Tracking(k)
    now.restore(Ct, rows.columns, rows, D, _floats(state, "cross", (len(rows.columns), k)), sums)
    now.gram_C = _floats(state, "gram_C", (k, k))
    sums.squared_norm, now.fit, unrest, level, wait, due = (float(measure) for measure in measures)
    sums.changed, looks, now.unsettled = counters
    now.account()
    return _spec(state, spec_type), now, (unrest, level, wait, due, looks)


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
