"""A pattern as one window shows it, before it has an id."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
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
    if not groups:
        return []
    firsts = [shapes[group[0]] for group in groups.values()]
    shares = [_shares([shapes[i] for i in group]) for group in groups.values()]
    members = [np.array(list(each)[:LISTED_MEMBERS]) for each in shares]
    # The names and the traces of all are found together: one by one, most of the time would go into small steps.
    names = iter(format_addresses(window.sources[np.concatenate(members)]))
    traces = _traces(window, members, [first.services for first in firsts])
    return [
        Sighting(
            form=forms[group[0]],
            service_count=len(firsts[place].services),
            members=tuple(zip(islice(names, len(members[place])), list(shares[place].values()), strict=False)),
            member_count=len(shares[place]),
            shares=shares[place],
            traces=traces[place],
        )
        for place, group in enumerate(groups.values())
    ]


def _shares(shapes: Sequence[Shape]) -> dict[int, float]:
    """Return the share of each source that these shapes explain together, largest first."""
    found = dict(zip(shapes[0].sources.tolist(), shapes[0].shares.tolist(), strict=True))
    if len(shapes) == 1:
        return found
    for shape in shapes[1:]:
        for source, share in zip(shape.sources.tolist(), shape.shares.tolist(), strict=True):
            found[source] = min(found.get(source, 0.0) + share, 1.0)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _traces(
    window: WindowCounts, members: Sequence[NDArray[np.int64]], services: Sequence[NDArray[np.int32]]
) -> list[Traces]:
    """Return what the members of each of several groups, each not empty, did with its services."""
    rows, count = window.rows, len(members)
    first, last = (rows.source.searchsorted(np.concatenate(members), side) for side in ("left", "right"))
    lengths = last - first
    held = np.repeat(first - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
    group = np.repeat(np.repeat(np.arange(count), [len(each) for each in members]), lengths)
    wanted = np.repeat(np.arange(count) << 32, [len(each) for each in services]) | np.concatenate(services)
    wanted.sort()
    tried = group << 32 | rows.service[held]
    inside = wanted[np.minimum(wanted.searchsorted(tried), len(wanted) - 1)] == tried
    held, group = held[inside], group[inside]
    attempts, targets, answered = rows.attempts[held], rows.targets[held], rows.answered[held]
    takes_part = 2 * answered >= targets
    ends = group.searchsorted(np.arange(count + 1))

    def sums(values: NDArray[np.int64]) -> list[int]:
        total: list[int] = np.diff(np.concatenate(([0], values.cumsum()))[ends]).tolist()
        return total

    columns = attempts, targets, answered, takes_part * attempts, takes_part * targets
    figures = zip(map(len, members), np.diff(ends).tolist(), *map(sums, columns), strict=True)
    return [_trace(*each) for each in figures]


def _trace(
    members: int, rows: int, attempts: int, targets: int, answered: int, attempts_back: int, targets_back: int
) -> Traces:
    """Return the traces of members with so many rows; the last two are sums of those that mostly answered."""
    if not rows:
        return Traces(0.0, 0.0, 0.0, 1.0, 0.0)
    return Traces(
        attempts=attempts / members,
        targets=targets / rows,
        services=rows / members,
        answered=answered / targets,
        tries_of_answering=attempts_back / max(targets_back, 1),
    )
