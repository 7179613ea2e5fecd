"""What a pattern looks like as numbers, and how alike two of them are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from service.capture.services import parse_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_code = lru_cache(maxsize=1 << 17)(parse_service)

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Of a multiplicative hash (Knuth, The Art of Computer Programming 3, § 6.4): 2⁶⁴ over the golden ratio."""


_DUST = 1e-3
"""What has less than this share of the largest weight is forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Services and their share of a pattern's weight; both of length s, heaviest first."""

    services: NDArray[np.int32]
    """Numbers of services, each once."""
    weights: NDArray[np.float64]
    """Positive; they sum to 1, unless the form lists only a part of the services."""

    def __len__(self) -> int:
        return len(self.services)


def named_form(services: Iterable[tuple[str, float]]) -> Form:
    """Return the form of services with their names, as `Pattern.services` has them."""
    listed = list(services)
    codes = np.fromiter((_code(name) for name, _ in listed), np.int32, len(listed))
    return Form(codes, np.fromiter((weight for _, weight in listed), np.float64, len(listed)))


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
    codes, place = np.unique(np.concatenate((old.services, new.services)), return_inverse=True)
    parts = np.concatenate(((1 - fresh) * old.weights, fresh * new.weights))
    weights = np.bincount(place, parts, len(codes)).astype(np.float64)
    order = np.lexsort((codes, -weights))
    order = order[weights[order] > _DUST * weights.max()]
    return listed(Form(codes[order], weights[order]), most)


def cosine(one: Form, other: Form) -> float:
    """Return the cosine of two forms, 0 to 1."""
    _, here, there = np.intersect1d(one.services, other.services, assume_unique=True, return_indices=True)
    product = float(one.weights[here] @ other.weights[there])
    return min(product / float(np.linalg.norm(one.weights) * np.linalg.norm(other.weights)), 1.0)


def cosines(rows: Sequence[Form], columns: Sequence[Form]) -> NDArray[np.float64]:
    """Return the cosine of each form of `rows` to each of `columns`, shape (r, c), 0 to 1."""
    if not rows or not columns:
        return np.zeros((len(rows), len(columns)))
    stacked = unit_rows([*rows, *columns])
    product = stacked[: len(rows)] @ stacked[len(rows) :].T
    return np.minimum(np.asarray(product.toarray(), np.float64), 1.0)


def unit_rows(forms: Sequence[Form]) -> csr_array:
    """Return the forms as unit rows of a sparse matrix over all of their services, f × s."""
    codes = np.concatenate([form.services for form in forms])
    weights = np.concatenate([form.weights / np.linalg.norm(form.weights) for form in forms])
    services, column = np.unique(codes, return_inverse=True)
    sizes = np.cumsum([0, *map(len, forms)])
    return csr_array((weights, column, sizes), shape=(len(forms), len(services)))


def contained(one: Form, other: Form) -> float:
    """Return the share of the weight of one form that lies in services of the other."""
    inside = np.isin(one.services, other.services)
    return float(one.weights[inside].sum() / one.weights.sum())
