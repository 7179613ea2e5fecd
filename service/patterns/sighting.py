"""A pattern as one window shows it, before it has an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import format_addresses
from service.patterns.forms import Form, cosines, listed
from service.patterns.pattern import LISTED_MEMBERS, LISTED_SERVICES, Shares
from service.patterns.techniques import Traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from service.patterns.factorize import Shape
    from service.windows.counts import WindowCounts


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A shape with its members' names and what they did."""

    form: Form
    """Its services, at most `LISTED_SERVICES`."""
    service_count: int
    members: Shares
    """At most `LISTED_MEMBERS`, largest share first."""
    member_count: int
    shares: dict[int, float]
    """Source (index in the window) → the share of its row that the shape explains."""
    traces: Traces


def sightings(window: WindowCounts, shapes: Sequence[Shape], same: float) -> list[Sighting]:
    """Return the shapes of a window; of those with a larger cosine than `same` the first takes in the others."""
    forms = [listed(Form(shape.services, shape.weights), LISTED_SERVICES) for shape in shapes]
    alike = cosines(forms, forms) > same
    leaders = [int(np.argmax(alike[i])) for i in range(len(shapes))]
    groups: dict[int, list[int]] = {}
    for i, leader in enumerate(leaders):
        groups.setdefault(leaders[leader], []).append(i)
    return [_sighting(window, [shapes[i] for i in group], forms[group[0]]) for group in groups.values()]


def _sighting(window: WindowCounts, shapes: Sequence[Shape], form: Form) -> Sighting:
    shares: dict[int, float] = {}
    for shape in shapes:
        for source, share in zip(shape.sources.tolist(), shape.shares.tolist(), strict=True):
            shares[source] = min(shares.get(source, 0.0) + share, 1.0)
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:LISTED_MEMBERS]
    sources = np.array([source for source, _ in ranked])
    names = format_addresses(window.sources[sources])
    return Sighting(
        form=form,
        service_count=len(shapes[0].services),
        members=tuple(zip(names, (share for _, share in ranked), strict=True)),
        member_count=len(shares),
        shares=shares,
        traces=_traces(window, sources, shapes[0].services),
    )


def _traces(window: WindowCounts, members: NDArray[np.int64], services: NDArray[np.int32]) -> Traces:
    rows = window.rows
    first, last = (rows.source.searchsorted(members, side) for side in ("left", "right"))
    lengths = last - first
    held = np.repeat(first - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
    ordered, tried = np.sort(services), rows.service[held]
    held = held[ordered[np.minimum(ordered.searchsorted(tried), len(ordered) - 1)] == tried]
    if not len(held):
        return Traces(0.0, 0.0, 0.0, 1.0, 0.0)
    attempts, targets, answered = rows.attempts[held], rows.targets[held], rows.answered[held]
    takes_part = 2 * answered >= targets
    return Traces(
        attempts=float(attempts.sum()) / len(members),
        targets=float(targets.mean()),
        services=len(held) / len(members),
        answered=float(answered.sum() / targets.sum()),
        tries_of_answering=float(attempts[takes_part].sum()) / max(int(targets[takes_part].sum()), 1),
    )
