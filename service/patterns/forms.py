"""What a pattern looks like as numbers, and how alike two of them are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from service.capture.services import format_service, parse_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Of a multiplicative hash (Knuth, The Art of Computer Programming 3, § 6.4): 2⁶⁴ over the golden ratio."""


_DUST = 1e-3
"""What has less than this share of the largest weight is forgotten."""
_COMPARED = 64
"""Forms that are compared with all others at a time: that product is dense."""


class _WithMore:
    """Room for what follows from a form, worked out when it is first asked for."""

    __slots__ = ("_shares", "_unit")
    _shares: tuple[tuple[str, float], ...]
    _unit: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Form(_WithMore):
    """Services and their share of a pattern's weight; both of length s, heaviest first."""

    services: NDArray[np.int32]
    """Numbers of services, each once."""
    weights: NDArray[np.float64]
    """Positive; they sum to 1, unless the form lists only a part of the services."""

    def __len__(self) -> int:
        return len(self.services)

    @property
    def unit(self) -> NDArray[np.float64]:
        """The weights as a vector of length 1."""
        try:
            return self._unit
        except AttributeError:
            unit = self.weights / math.sqrt(self.weights.dot(self.weights))
            object.__setattr__(self, "_unit", unit)
            return unit

    def shares(self) -> tuple[tuple[str, float], ...]:
        """Return services by name and their weights, as `named_form` takes them: always the same tuple."""
        try:
            return self._shares
        except AttributeError:
            shares = tuple(zip(map(format_service, self.services.tolist()), self.weights.tolist(), strict=True))
            object.__setattr__(self, "_shares", shares)
            return shares


def named_form(services: Iterable[tuple[str, float]]) -> Form:
    """Return the form of services with their names, as `Pattern.services` has them."""
    shares = tuple(services)
    codes = np.fromiter((parse_service(name) for name, _ in shares), np.int32, len(shares))
    form = Form(codes, np.fromiter((weight for _, weight in shares), np.float64, len(shares)))
    object.__setattr__(form, "_shares", shares)
    return form


def listed(form: Form, most: int) -> Form:
    """Return at most so many of the services: the heaviest, and of those of like weight always the same ones.

    Weights count as like within a factor of two, and a hash of the service decides among them. So two windows
    of one list of a thousand ports show the same part of it, whatever noise its weights have.
    """
    if len(form) <= most:
        return form
    level = np.floor(np.log2(form.weights.max() / form.weights) + 0.5)
    chance = (form.services.astype(np.uint64) + np.uint64(1)) * _MIX
    kept = np.sort(np.lexsort((chance, level))[:most])
    return Form(form.services[kept], form.weights[kept])


def blended(old: Form, new: Form, fresh: float, most: int) -> Form:
    """Return `fresh` parts of the new form and the rest of the old one, at most `most` services of it."""
    blend = dict(zip(old.services.tolist(), ((1 - fresh) * old.weights).tolist(), strict=True))
    for code, weight in zip(new.services.tolist(), (fresh * new.weights).tolist(), strict=True):
        blend[code] = blend.get(code, 0.0) + weight
    least = _DUST * max(blend.values())
    ranked = sorted((-weight, code) for code, weight in blend.items() if weight > least)
    codes, weights = np.array([code for _, code in ranked], np.int32), np.array([-weight for weight, _ in ranked])
    return listed(Form(codes, weights), most)


def cosine(one: Form, other: Form) -> float:
    """Return the cosine of two forms, 0 to 1."""
    if len(one) == len(other) == 1:
        return min(float(one.unit[0] * other.unit[0]), 1.0) if one.services[0] == other.services[0] else 0.0
    there = dict(zip(other.services.tolist(), other.unit.tolist(), strict=True))
    pairs = zip(one.services.tolist(), one.unit.tolist(), strict=True)
    return min(math.fsum(weight * there[code] for code, weight in pairs if code in there), 1.0)


def cosines(rows: Sequence[Form], columns: Sequence[Form]) -> NDArray[np.float64]:
    """Return the cosine of each form of `rows` to each of `columns`, shape (r, c), 0 to 1."""
    found = np.zeros((len(rows), len(columns)))
    if not (rows and columns):
        return found
    theirs = _packed(columns)
    for start in range(0, len(rows), _COMPARED):
        mine = _packed(rows[start : start + _COMPARED])
        services, place = np.unique(mine.codes, return_inverse=True)
        dense = np.zeros((len(services), len(mine.lengths)))
        dense[place, np.repeat(np.arange(len(mine.lengths)), mine.lengths)] = mine.units
        found[start : start + _COMPARED] = (theirs.within(services) @ dense).T
    return np.minimum(found, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Packed:
    """Forms as unit rows, one after the other."""

    codes: NDArray[np.int32]
    units: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def within(self, services: NDArray[np.int32]) -> csr_array:
        """Return what the rows have in some services, ascending: a sparse matrix, f × s."""
        place = np.minimum(services.searchsorted(self.codes), len(services) - 1)
        here = services[place] == self.codes
        start = np.concatenate(([0], here.cumsum()))[np.concatenate(([0], self.lengths.cumsum()))]
        return csr_array((self.units[here], place[here], start), shape=(len(self.lengths), len(services)))


def _packed(forms: Sequence[Form]) -> _Packed:
    return _Packed(
        np.concatenate([form.services for form in forms]),
        np.concatenate([form.unit for form in forms]),
        np.array([len(form.services) for form in forms], np.int64),
    )


def contained(one: Form, other: Form) -> float:
    """Return the share of the weight of one form that lies in services of the other."""
    services = set(other.services.tolist())
    inside = np.array([code in services for code in one.services.tolist()], np.bool_)
    return float(one.weights[inside].sum() / one.weights.sum())
