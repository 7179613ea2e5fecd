"""What happens to patterns in one window, and how it is written down."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.patterns.describe import pattern_name
from service.patterns.forms import Form, blended, cosine, cosines, listed
from service.patterns.matching import MatchSpec
from service.patterns.pattern import (
    LISTED_SERVICES,
    SKETCHED_SERVICES,
    Event,
    Pattern,
    PatternVersion,
    State,
    Status,
)
from service.patterns.techniques import techniques

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.patterns.kinship import Kinship
    from service.patterns.matching import Match
    from service.patterns.sighting import Sighting
    from service.windows.counts import WindowCounts

FORGOTTEN = 24 * 3600 * 1_000_000_000
"""A pattern is live at least so long after it was found, ns."""


@dataclass(frozen=True, slots=True)
class CatalogueSpec:
    """How patterns are followed."""

    match: MatchSpec = field(default_factory=MatchSpec)
    fresh: float = 0.4
    """Weight of the latest window in a pattern's services."""
    same: float = 0.9
    """Cosine of the services above which two patterns are merged."""
    unused: int = 8
    """Windows' lengths without a finding after which a pattern retires, though not before `FORGOTTEN`."""
    known_after: int = 5
    """Windows in which a new pattern must be found to count as known."""
    noted: float = 0.05
    """1 − cosine to the version before from which on a drift is a new version."""


class Chronicle:
    """The patterns of a catalogue while a window is taken in; everything that happens to one makes a version."""

    def __init__(self, window: WindowCounts, number: int, spec: CatalogueSpec, before: Sequence[Pattern]) -> None:
        self._window = window
        self._number = number
        self._spec = spec
        self._before = before
        self.patterns = {pattern.id: pattern for pattern in before}
        self.versions: list[PatternVersion] = []

    def take_in(self, found: Sequence[Sighting], matched: Match, kin: Kinship) -> list[str]:
        """Let known patterns go on and new ones be born, split and merged; return the id of each sighting."""
        ids = [self._before[matched.known[i]].id if i in matched.known else self._id(i) for i in range(len(found))]
        for i, seen in enumerate(found):
            if i in matched.known:
                self._go_on(self._before[matched.known[i]], seen)
            else:
                parents = tuple(self._before[j].id for j in kin.parents.get(i, ()))
                self._bear(ids[i], seen, float(1 - matched.cosines[i].max(initial=0.0)), parents)
        for j, parts in kin.split.items():
            self._note(self.patterns[self._before[j].id], Event.SPLIT, tuple(ids[i] for i in parts))
        for j, i in kin.merged.items():
            self._merge(self._before[j].id, ids[i])
        return ids

    def merge_converged(self, ids: Sequence[str]) -> None:
        """Merge those of the window's patterns that have become the same as a live one; the older one stays."""
        here = [self.patterns[each] for each in ids if self.patterns[each].state is State.LIVE]
        live = [pattern for pattern in self.patterns.values() if pattern.state is State.LIVE]
        alike = cosines([each.form for each in here], [each.form for each in live]) > self._spec.same
        for a, b in zip(*alike.nonzero(), strict=True):
            pair = [self.patterns[each.id] for each in (here[a], live[b])]
            if pair[0].id != pair[1].id and all(each.state is State.LIVE for each in pair):
                old, young = sorted(pair, key=lambda each: (-each.windows, each.first_seen, each.id))
                self._merge(young.id, old.id)

    def retire(self) -> None:
        """Retire live patterns that were not found for long."""
        patience = max(self._spec.unused * (self._window.end - self._window.start), FORGOTTEN)
        for pattern in list(self.patterns.values()):
            if pattern.state is State.LIVE and pattern.last_seen + patience < self._window.start:
                self._note(pattern.changed(state=State.RETIRED), Event.RETIRED)

    def changed(self) -> tuple[Pattern, ...]:
        """Return the patterns that are not as they were."""
        before = {pattern.id: pattern for pattern in self._before}
        return tuple(pattern for key, pattern in self.patterns.items() if pattern is not before.get(key))

    def _go_on(self, before: Pattern, seen: Sighting) -> None:
        form = blended(before.form, seen.form, self._spec.fresh, LISTED_SERVICES)
        services = form.shares()
        windows = before.windows + 1
        is_known = before.status is Status.NEW and windows >= self._spec.known_after
        count = max(seen.service_count, len(services))
        sketch = listed(form, SKETCHED_SERVICES)
        pattern = before.changed(
            form,
            name=pattern_name(services, count),
            services=services,
            service_count=count,
            members=seen.members,
            member_count=seen.member_count,
            first_seen=min(before.first_seen, self._window.start),
            last_seen=max(before.last_seen, self._window.end),
            windows=windows,
            status=Status.KNOWN if is_known else before.status,
            prevalence=min(windows / (self._number - before.born_in + 1), 1.0),
            reach=self._reach(seen),
            drift=_unlike(sketch, before.birth_form),
            techniques=tuple(sorted({*before.techniques, *techniques(services, seen.traces)})),
        )
        if before.state is not State.LIVE:
            self._note(pattern.changed(state=State.LIVE, successor=None), Event.RETURNED)
        elif _unlike(sketch, before.version_form) >= self._spec.noted:
            self._note(pattern, Event.DRIFTED)
        else:
            self.patterns[pattern.id] = pattern

    def _bear(self, pattern_id: str, seen: Sighting, novelty: float, parents: tuple[str, ...]) -> None:
        services = seen.form.shares()
        sketch = listed(seen.form, SKETCHED_SERVICES).shares()
        pattern = Pattern(
            id=pattern_id,
            sensor=self._window.sensor,
            name=pattern_name(services, seen.service_count),
            services=services,
            service_count=seen.service_count,
            members=seen.members,
            member_count=seen.member_count,
            first_seen=self._window.start,
            last_seen=self._window.end,
            windows=1,
            length=self._window.end - self._window.start,
            version=0,
            parents=parents,
            born_in=self._number,
            reach=self._reach(seen),
            novelty=novelty,
            techniques=techniques(services, seen.traces),
            at_birth=sketch,
        )
        self._note(pattern, Event.BORN, parents)

    def _merge(self, pattern_id: str, successor: str) -> None:
        merged = self.patterns[pattern_id].changed(state=State.MERGED, successor=successor)
        self._note(merged, Event.MERGED, (successor,))

    def _note(self, pattern: Pattern, event: Event, others: tuple[str, ...] = ()) -> None:
        noted, version = next_version(pattern, event, self._window.start, others)
        self.patterns[pattern.id] = noted
        self.versions.append(version)

    def _reach(self, seen: Sighting) -> float:
        return seen.member_count / max(len(self._window.sources), 1)

    def _id(self, place: int) -> str:
        return "p" + hashlib.sha256(f"{self._window.id}\0{place}".encode()).hexdigest()[:12]


def next_version(
    pattern: Pattern, event: Event, time: int, others: tuple[str, ...] = ()
) -> tuple[Pattern, PatternVersion]:
    """Return a pattern with the next number, and the record of it."""
    form = listed(pattern.form, SKETCHED_SERVICES)
    sketch = form.shares()
    noted = pattern.changed(sketch=form, version=pattern.version + 1, at_version=sketch)
    version = PatternVersion(
        pattern=noted.id,
        version=noted.version,
        event=event,
        time=time,
        status=noted.status,
        name=noted.name,
        services=sketch,
        member_count=noted.member_count,
        windows=noted.windows,
        others=others,
    )
    return noted, version


def _unlike(sketch: Form, before: Form) -> float:
    """Return 1 − cosine to what the sketch of a form was before; 0 if there was none."""
    return 1 - cosine(sketch, before) if len(before) else 0.0
