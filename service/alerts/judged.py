"""Patterns that a person judged benign or muted: what they explain is counted and kept, and not told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.services import parse_service
from service.patterns.forms import Form, cosines, named_form
from service.patterns.matching import MatchSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.patterns.pattern import Pattern

_OUTSIDE = 0.05
"""Share of a scan's services, and of its pairs, that may lie outside of the pattern: it would hide what else a
source does, so for fewer than twenty services it is none."""


@dataclass(frozen=True, slots=True)
class JudgedPatterns:
    """The patterns of one sensor, of windows of any length, that are judged benign or muted."""

    patterns: tuple[Pattern, ...] = ()

    def explaining(self, services: NDArray[np.int32], targets: NDArray[np.int64]) -> str | None:
        """Return the words of the pattern that explains some rows of a window best, or None if none does.

        Both have shape (r,): the rows' services, which may repeat, and their distinct targets. A pattern explains
        them if it lists nearly all of the services and of the pairs, and if what was done looks like it: a cosine,
        of log(1 + targets), with which patterns of two windows are one.
        """
        if not self.patterns or not len(services):
            return None
        names, place = np.unique(services, return_inverse=True)
        weights = np.bincount(place, np.log1p(targets)).astype(np.float64)
        pairs = np.bincount(place, targets) / targets.sum()
        forms = [_meant(pattern) for pattern in self.patterns]
        likeness = cosines([Form(names.astype(np.int32), weights)], forms)[0]
        for at in np.argsort(-likeness, kind="stable").tolist():
            if likeness[at] < MatchSpec().alike:
                break
            outside = ~np.isin(names, forms[at].services)
            if outside.mean() <= _OUTSIDE and pairs[outside].sum() <= _OUTSIDE:
                return _words(self.patterns[at])
        return None

    def holding(self, services: Sequence[str], count: int) -> tuple[str, ...]:
        """Return the words of each pattern that lists nearly all of `count` services, some of which are named."""
        if not self.patterns:
            return ()
        named = [parse_service(service) for service in services]
        inside = [len(set(named) & set(_meant(pattern).services.tolist())) for pattern in self.patterns]
        return tuple(
            _words(pattern)
            for pattern, held in zip(self.patterns, inside, strict=True)
            if held >= (1 - _OUTSIDE) * count
        )


def _meant(pattern: Pattern) -> Form:
    """Return what a person judged: a pattern that takes in more since then explains no more than that."""
    return named_form(pattern.at_judgement) if pattern.at_judgement else pattern.form


def _words(pattern: Pattern) -> str:
    return f"pattern {pattern.id} judged {pattern.status.value}"
