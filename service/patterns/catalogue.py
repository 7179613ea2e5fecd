"""Patterns across windows: the same services keep the same id."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.capture.address import format_address
from service.capture.services import format_service
from service.patterns.describe import pattern_name
from service.patterns.pattern import LISTED_MEMBERS, LISTED_SERVICES, Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.patterns.factorize import Shape
    from service.windows.counts import WindowCounts

FORGOTTEN = 24 * 3600 * 1_000_000_000
"""A pattern that was not found for longer, ns, gets a new id when it returns."""

_ALIKE = 0.8
"""Cosine of service weights from which on two patterns are the same."""
_FRESH = 0.4
"""Weight of the latest window when a known pattern is found again."""


@dataclass(frozen=True, slots=True)
class Followers:
    """A pattern as it was found in one window."""

    pattern: Pattern
    shares: dict[int, float]
    """Source (index in the window) → the share of its row that the pattern explains."""


def identify(window: WindowCounts, shapes: Sequence[Shape], known: Sequence[Pattern]) -> list[Followers]:
    """Give each shape the id of the most similar known pattern that no other shape took, or a new one."""
    services = [_named(shape) for shape in shapes]
    alike = sorted(
        (
            (-_cosine(mine, dict(pattern.services)), i, j)
            for i, mine in enumerate(services)
            for j, pattern in enumerate(known)
        ),
    )
    taken: dict[int, int] = {}
    for negative, i, j in alike:
        if -negative < _ALIKE:
            break
        if i not in taken and j not in taken.values():
            taken[i] = j
    return [
        _followers(window, shape, services[i], known[taken[i]] if i in taken else None, i)
        for i, shape in enumerate(shapes)
    ]


def _named(shape: Shape) -> dict[str, float]:
    listed = slice(LISTED_SERVICES)
    codes, weights = shape.services[listed].tolist(), shape.weights[listed].tolist()
    return {format_service(code): weight for code, weight in zip(codes, weights, strict=True)}


def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
    dot = sum(weight * b[name] for name, weight in a.items() if name in b)
    return dot / math.sqrt(sum(w * w for w in a.values()) * sum(w * w for w in b.values()))


def _followers(
    window: WindowCounts, shape: Shape, services: dict[str, float], before: Pattern | None, place: int
) -> Followers:
    blended = _blend(services, before)
    count = max(len(shape.services), before.service_count if before else 0)
    members = tuple(
        (format_address(*window.sources[source].tolist()), share)
        for source, share in zip(shape.sources[:LISTED_MEMBERS].tolist(), shape.shares.tolist(), strict=False)
    )
    pattern = Pattern(
        id=before.id if before else _new_id(window, place),
        sensor=window.sensor,
        name=pattern_name(blended, count),
        services=blended,
        service_count=count,
        members=members,
        member_count=len(shape.sources),
        first_seen=min(before.first_seen, window.start) if before else window.start,
        last_seen=max(before.last_seen, window.end) if before else window.end,
        windows=before.windows + 1 if before else 1,
    )
    return Followers(pattern, dict(zip(shape.sources.tolist(), shape.shares.tolist(), strict=True)))


def _blend(services: dict[str, float], before: Pattern | None) -> tuple[tuple[str, float], ...]:
    """Mix the latest weights with those of before, so that a pattern may drift but not leap."""
    mixed = dict(services)
    if before:
        old = dict(before.services)
        mixed = {
            name: _FRESH * services.get(name, 0.0) + (1 - _FRESH) * old.get(name, 0.0) for name in services | old
        }
    ranked = sorted(mixed.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ranked[:LISTED_SERVICES])


def _new_id(window: WindowCounts, place: int) -> str:
    return "p" + hashlib.sha256(f"{window.id}\0{place}".encode()).hexdigest()[:12]
