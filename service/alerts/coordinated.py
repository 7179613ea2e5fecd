"""Many sources, each small, one pattern: groups that a sensor's past does not explain.

Four channels look at the sources of a window that are not loud by themselves: surges of a usual service, novelty
(the same of a service that hardly anybody tried), breadth (several targets, hours or services), and followers of
the patterns that a factorisation proposes. Each has candidates with a score, −log₁₀ of a probability by the
sensor's own past; which score is enough follows from a budget of false alarms a day and the tail that past scores
have. What several channels say of the same sources is one verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from service.alerts import surge
from service.alerts.following import follow
from service.alerts.history import Past
from service.alerts.incidents import DAY, FLOOR, Channel, incident_key
from service.alerts.surge import Counter
from service.patterns.groups import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from service.alerts.budget import GroupBudget
    from service.alerts.history import History
    from service.patterns.groups import Proposal
    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

LEAST = 3
"""Fewer sources are no group."""
LISTED_SERVICES = 64

_USUAL = 4.0
"""Sources a day from which on a service is usual."""
_NO_SERVICE = 1 << 24
_STRANGERS = surge.counter_id(Counter.STRANGE, 0, 0)
_STRANGE = 0.05
"""Sources a day below which a service is strange."""
_FEWEST_TESTS = 100
"""Counters that a window is taken to have, at least, while there is no past."""
_CANDIDATES = 16
"""Of a channel and window, at most."""
_SAME_SOURCES = 0.5
"""Two candidates of a channel with this share of the smaller one's sources in common are one event."""
_JOINED = 0.15
"""The same for verdicts of any channel, with two sources in common at least."""
_LEAST_WEIGHT = 0.05
"""Of a source that is counted but that the past explains."""
_LIKELY = 0.5
"""Sources that belong to a group with this probability or more stand for it, if there are enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Sources of a window that may be a group."""

    channel: Channel
    services: tuple[int, ...]
    """What they have in common, ascending; the number of a counter where that is no service."""
    sources: Ints
    """Indices in `WindowCounts.sources`, ascending."""
    weights: Floats
    """The probability of each to belong to the group, rather than to what the past explains."""
    score: float
    mean: float
    """How many such sources the past leads to expect, ..."""
    spread: float
    """... and their standard deviation."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupVerdict:
    """A group of sources that scans together."""

    key: str
    """The same in all windows that show the group."""
    parts: tuple[str, ...]
    """The keys of all that was joined in it, its own first."""
    evidence: Channel
    """The channel that says most."""
    sources: Ints
    """Indices in `WindowCounts.sources`, ascending."""
    weights: Floats
    """Each source's membership, in (0, 1]."""
    services: tuple[int, ...]
    """Numbers of services, those with most of the sources first; at most `LISTED_SERVICES`."""
    score: float
    """−log₁₀ of the probability of so many sources by the past of this very counter."""
    threshold: float
    """The score from which on the budget lets an alarm through."""
    mean: float
    """Sources that were to be expected, ..."""
    spread: float
    """... and their standard deviation."""
    expected: float
    """False alarms a day with such a score, by the tail of past scores."""
    days: float
    """Days of history that this rests on."""
    known: bool
    """Whether the group was named in an earlier window already."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a window says of groups, and what is to be kept of it."""

    verdicts: list[GroupVerdict]
    """Groups, each once."""
    candidates: list[GroupVerdict]
    """All that was looked at, by channel and as it was found, also what is below its threshold."""
    past: Past


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A window as groups see it."""

    start: int
    end: int
    rows: surge.Activity
    counted: surge.Counted
    several: Rows
    """The sources with several services."""
    several_sources: Ints

    @property
    def length(self) -> int:
        return self.end - self.start


def judge_groups(
    window: WindowCounts,
    history: History,
    propose: Callable[[Rows], Sequence[Proposal]] | None,
    budget: GroupBudget,
    loud: Bools,
    hours: Ints | None = None,
) -> Judged:
    """Return the groups of a window by what `history` holds of earlier ones; nothing is changed.

    `loud` marks the sources that are named by themselves: they belong to no group. `hours` tells for each row in
    how many hours the source tried the service, for windows of a day. `propose` names service sets that sources may
    follow together; without it there is no pattern channel. Of windows of a day that overlap only those that begin
    at midnight (UTC) are asked for patterns: more looks at the same rows cost more false alarms than they find.
    """
    seen, strange = _with_strangers(_see(window, loud, hours), history)
    found = _counters(seen, history, strange)
    if propose is not None and (seen.length < DAY or seen.start % DAY == 0):
        found += _patterns(seen, history, propose)
    rated = [_rated(seen, each, history, budget) for each in found]
    named = [verdict for verdict in rated if verdict.score >= verdict.threshold]
    strangers = [verdict for verdict in named if verdict.services == (_STRANGERS,)]
    others = [verdict for verdict in named if verdict not in strangers]
    # What is known already does not swallow what is new; strangers are told of where nothing else explains them.
    verdicts = [
        verdict for known in (False, True) for verdict in _joined([v for v in others if v.known is known], seen)
    ]
    alone = [each for each in strangers if not any(overlap(each.sources, other.sources) for other in verdicts)]
    verdicts += _joined(alone, seen)
    return Judged(verdicts, rated, _past(seen, len(window.sources)))


def remember(history: History, judged: Judged) -> None:
    """Take a judged window into the history: its counts, its rows and its scores."""
    past = judged.past
    surest: list[tuple[str, GroupVerdict]] = []
    for each in sorted(judged.candidates, key=lambda candidate: -candidate.score):
        if each.score < FLOOR:
            break
        beside = next((key for key, other in surest if _one_event(each, other)), None)
        key = history.incidents.note(
            each.evidence, each.services, each.score, past.start, past.end, each.threshold, beside
        )
        if beside is None:
            surest.append((key, each))
    history.add(past)


def _one_event(a: GroupVerdict, b: GroupVerdict) -> bool:
    """Tell whether two candidates of a channel are what the same sources did."""
    return a.evidence is b.evidence and _shared(a.sources, b.sources) >= _SAME_SOURCES


def _see(window: WindowCounts, loud: Bools, hours: Ints | None) -> _Window:
    rows = surge.activity(window, loud, hours)
    several = rows.services >= 2
    source = rows.source[several]
    starts = np.flatnonzero(np.diff(source, prepend=-1))
    return _Window(
        start=window.start,
        end=window.end,
        rows=rows,
        counted=surge.count(rows),
        several=Rows(
            services=rows.service[several],
            attempts=rows.attempts[several],
            start=np.append(starts, len(source)),
        ),
        several_sources=source[starts],
    )


def _past(seen: _Window, sources: int) -> Past:
    return Past(
        start=seen.start,
        end=seen.end,
        sources=sources,
        counted=seen.counted,
        rows=seen.several,
    )


def _with_strangers(seen: _Window, history: History) -> tuple[_Window, Ints]:
    """Return the window with the counter of strangers, and who they are."""
    is_surge = seen.counted.ids >> 32 == Counter.SOURCES
    services = seen.counted.ids[is_surge]
    fit = history.baseline(seen.start, seen.length).fit(services)
    strange = fit.mean * DAY / seen.length < _STRANGE
    mine = surge.strangers(seen.rows, services[strange] & 0xFFFFFF)
    if not len(mine):
        return seen, mine
    number = surge.counter_id(Counter.STRANGE, 1, 0)
    counted = surge.Counted(np.append(seen.counted.ids, number), np.append(seen.counted.counts, len(mine)))
    return replace(seen, counted=counted), mine


def _counters(seen: _Window, history: History, strange: Ints) -> list[Candidate]:
    """Return the surges and breadth counters with the highest scores, for each service the best."""
    fit = history.baseline(seen.start, seen.length).fit(seen.counted.ids)
    scores = surge.scores(seen.counted, fit, LEAST)
    is_surge = seen.counted.ids >> 32 == Counter.SOURCES
    usual = fit.mean * DAY / seen.length >= _USUAL
    channels = (
        (Channel.SURGE, is_surge & usual),
        (Channel.NOVELTY, is_surge & ~usual),
        (Channel.BREADTH, ~is_surge),  # and strangers, whose count is as steady
    )
    found = []
    for channel, which in channels:
        at = np.flatnonzero(which & (scores > 0))
        taken: set[int] = set()
        for place in at[np.argsort(-scores[at], kind="stable")].tolist():
            number = int(seen.counted.ids[place])
            counter, _, service = surge.counter_parts(number)
            of_all = counter in (Counter.SERVICES, Counter.STRANGE)
            what = surge.counter_id(counter, 0, 0) if of_all else service
            if what in taken or len(taken) == _CANDIDATES:
                continue
            taken.add(what)
            sources = strange if counter is Counter.STRANGE else surge.members(seen.rows, number)
            excess = max(_LEAST_WEIGHT, 1 - float(fit.mean[place]) / len(sources))
            found.append(
                Candidate(
                    channel=channel,
                    services=(what,),
                    sources=sources,
                    weights=np.full(len(sources), excess),
                    score=float(scores[place]),
                    mean=float(fit.mean[place]),
                    spread=float(fit.spread[place]),
                )
            )
    return found


def _patterns(seen: _Window, history: History, propose: Callable[[Rows], Sequence[Proposal]]) -> list[Candidate]:
    """Return the service sets with most followers beyond what the past explains, of like groups the best."""
    proposals = propose(seen.several)
    if not proposals:
        return []
    past = history.recall(seen.start)
    followed = follow(proposals, seen.several, past.rows, past.window, past.weights, LEAST)
    found: list[Candidate] = []
    for each in sorted(followed, key=lambda each: -each.score):
        sources = seen.several_sources[each.rows]
        if len(found) == _CANDIDATES:
            break
        if any(_shared(sources, other.sources) >= _SAME_SOURCES for other in found):
            continue
        excess = max(_LEAST_WEIGHT, 1 - each.mean / len(sources))
        found.append(
            Candidate(
                channel=Channel.PATTERN,
                services=tuple(proposals[each.proposal].services.tolist()),
                sources=sources,
                weights=np.full(len(sources), excess),
                score=each.score,
                mean=each.mean,
                spread=each.spread,
            )
        )
    return found


def _shared(a: Ints, b: Ints) -> float:
    """Return which share of the smaller set lies in the other."""
    return len(np.intersect1d(a, b, assume_unique=True)) / max(1, min(len(a), len(b)))


def _rated(seen: _Window, found: Candidate, history: History, budget: GroupBudget) -> GroupVerdict:
    """Return the candidate with what the budget and the tail of past scores say of it."""
    incidents = history.incidents
    tests = max(_FEWEST_TESTS, len(seen.counted.ids)) * DAY / seen.length
    tail, threshold = incidents.tail(found.channel, budget.of(found.channel, seen.length), tests)
    known = incidents.match(found.channel, found.services, seen.start, seen.length)
    key = known.key if known else incident_key(found.channel, found.services, seen.start, seen.end)
    return GroupVerdict(
        key=key,
        parts=(key,),
        evidence=found.channel,
        sources=found.sources,
        weights=found.weights,
        services=found.services,
        score=found.score,
        threshold=min(threshold, known.named) if known else threshold,
        mean=found.mean,
        spread=found.spread,
        expected=tail.expected(found.score),
        days=incidents.days,
        known=known is not None and math.isfinite(known.named),
    )


def _joined(verdicts: list[GroupVerdict], seen: _Window) -> list[GroupVerdict]:
    """Return the verdicts, those that share sources as one."""
    left = sorted(verdicts, key=lambda verdict: verdict.expected)
    found = []
    while left:
        group, left = [left[0]], left[1:]
        at = 0
        while at < len(group):
            near = [other for other in left if overlap(group[at].sources, other.sources)]
            left = [other for other in left if other not in near]
            group += near
            at += 1
        found.append(_one(group, seen))
    return found


def overlap(a: Ints, b: Ints) -> bool:
    """Tell whether the verdicts on these sources, ascending, are of one group."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared >= max(2.0, _JOINED * min(len(a), len(b)))


def _one(group: list[GroupVerdict], seen: _Window) -> GroupVerdict:
    """Return what several verdicts say of one group: the first leads.

    A source belongs to it unless all of them are wrong about it, 1 − Π (1 − w). Where enough sources are likely
    members, the others are left to the past that explains them.
    """
    sources = np.unique(np.concatenate([verdict.sources for verdict in group]))
    weights = np.zeros(len(sources))
    for verdict in sorted(group, key=lambda verdict: verdict.evidence is not Channel.PATTERN):
        mine = np.searchsorted(sources, verdict.sources)
        weights[mine] = 1 - (1 - weights[mine]) * (1 - _left_over(verdict, weights[mine]))
    likely = weights >= _LIKELY
    if likely.sum() >= LEAST:
        sources, weights = sources[likely], weights[likely]
    parts = tuple(verdict.key for verdict in group)
    services = _services(group, sources, seen)
    return replace(group[0], parts=parts, sources=sources, weights=weights, services=services)


def _left_over(verdict: GroupVerdict, members: Floats) -> float:
    """Return the probability of each further source of a verdict to belong to its group.

    `members` are the probabilities that other verdicts, patterns first, have given to its sources already. Whoever
    is likely to belong explains a part of what is more than usual; of those that are left, the past explains its
    mean.
    """
    own = float(verdict.weights[0])
    explained = float((members >= _LIKELY).sum())
    if not explained:
        return own
    left = len(members) - explained
    return min(own, max(_LEAST_WEIGHT, 1 - verdict.mean / left)) if left else own


def _services(group: list[GroupVerdict], sources: Ints, seen: _Window) -> tuple[int, ...]:
    """Return the services that the verdicts name, or, if none does, those of several sources, widest first."""
    named = {service for verdict in group for service in verdict.services if service < _NO_SERVICE}
    mine = np.isin(seen.rows.source, sources)
    services, followers = np.unique(seen.rows.service[mine], return_counts=True)
    kept = np.isin(services, list(named)) if named else followers >= min(2, followers.max())
    order = np.lexsort((services[kept], -followers[kept]))[:LISTED_SERVICES]
    return tuple(services[kept][order].tolist())
