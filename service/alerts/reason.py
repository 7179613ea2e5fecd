"""Why an alert is one, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.alerts.alert import Ground
from service.alerts.ranges import format_services

if TYPE_CHECKING:
    from service.alerts.alert import Alert, Baseline, Distinct, Usual

_SECOND = 1_000_000_000
_WORDS = 40
_NAMED = 2
_ENOUGH = 10
"""Windows before from which on it is said what was usual in them."""

_DECIDED = {
    Ground.SERVICES: ("unanswered services of one target", "a scan"),
    Ground.TARGETS: ("unanswered targets of one service", "a sweep"),
    Ground.GRID: ("services, each unanswered by several targets and many by one,", "a scan"),
    Ground.DARK: ("targets of one service that many try and that answer nobody", "a sweep"),
    Ground.PINGED: ("targets of one kind of request, few times each,", "a sweep"),
    Ground.ASKED: ("hosts asked for in vain", "a sweep"),
}


_UNUSUAL = {
    Ground.SURGE: "tried it",
    Ground.NOVELTY: "tried it",
    Ground.BREADTH: "tried so broadly",
    Ground.PATTERN: "followed this pattern",
}


def explain(alert: Alert) -> str:
    """Return one sentence with the numbers that decided."""
    if alert.baseline is not None:
        return _explain_group(alert, alert.baseline)
    evidence = alert.evidence
    about = "about " if evidence.estimated else ""
    what = name_services(evidence.services, _WORDS)
    one = evidence.targets.count == 1 and alert.targets_sample
    whom = alert.targets_sample[0] if one else _count(evidence.targets, "target")
    tried, scan = _DECIDED[alert.ground]
    tool = f"; its packets are those of {alert.tool.name}" if alert.tool else ""
    before = _explain_usual(alert.usual) if alert.usual else ""
    return (
        f"{alert.sources[0]} tried {what} on {whom} in {_time(alert.last_seen - alert.first_seen)}, and "
        f"{about}{evidence.answered} of {evidence.pairs} pairs of target and service answered; "
        f"{alert.score:.0f} {tried} within {scale(alert.scale)}, from {alert.threshold:.0f} on it is {scan}{tool}"
        f"{before}."
    )


def _explain_usual(usual: Usual) -> str:
    """Say what was usual before, where enough windows tell."""
    if usual.windows < _ENOUGH:
        return ""
    before = f"{usual.windows} windows of {scale(usual.length)} before"
    others = f"99 % of this sensor's sources try at most {_pairs(usual.high.pairs)}"
    if usual.seen:
        return f"; in {usual.seen} of {before} it tried {_pairs(usual.source.pairs)} on average, and {others}"
    return f"; in {before} it was not seen, and {others}" if usual.complete else f"; in {before} {others}"


def usual_before(alert: Alert) -> str:
    """Say what was usual before, for a table: of the source and its sensor, or of a group's counter."""
    if alert.baseline is not None:
        days = _days(alert.baseline.days)
        return f"{alert.baseline.sources:.1f} ± {alert.baseline.spread:.1f} such sources, by {days} of history"
    usual = alert.usual
    if usual is None or not usual.windows:
        return "nothing known yet"
    mine = f"it: {_pairs(usual.source.pairs)} in {usual.seen} of " if usual.seen else "it: not seen in "
    others = (
        f"of all sources half try at most {_pairs(usual.median.pairs)}, 99 % at most {_pairs(usual.high.pairs)}"
    )
    if not (usual.seen or usual.complete):
        return f"{others}, in {usual.windows} windows of {scale(usual.length)}"
    return f"{mine}{usual.windows} windows of {scale(usual.length)}; {others}"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{24 * days:.0f} h"


def _pairs(count: float) -> str:
    return f"{count:.3g} pair{'' if count == 1 else 's'}" if count < 1000 else f"{count:.0f} pairs"


def _explain_group(alert: Alert, baseline: Baseline) -> str:
    evidence = alert.evidence
    what = name_services(evidence.services, _WORDS)
    return (
        f"{len(alert.sources)} sources, none of them loud by itself, tried {what} on "
        f"{_count(evidence.targets, 'target')} in {_time(alert.last_seen - alert.first_seen)}; within "
        f"{scale(alert.scale)} {baseline.sources:.1f} ± {baseline.spread:.1f} were to be expected that "
        f"{_UNUSUAL[alert.ground]}, by {_days(baseline.days)} of history, and so many are an accident once in "
        f"{_rarity(baseline.alarms)}."
    )


def _rarity(alarms: float) -> str:
    days = 1 / max(alarms, 1e-9)
    if days < 1:
        return f"{24 * days:.1f} h"
    return f"{days:.0f} days" if days < 1000 else "over 1000 days"


def who(alert: Alert) -> str:
    """Name the sources of an alert, or only the first and how many there are."""
    if len(alert.sources) <= _NAMED:
        return ", ".join(alert.sources)
    return f"{alert.sources[0]} and {len(alert.sources) - 1} more"


def name_services(services: Distinct, longest: int) -> str:
    """Name the services of a scan, or only count them if that would take more than `longest` characters."""
    whole = services.count == len(services.sample)
    named = format_services(services.sample) if whole else ""
    return named if named and len(named) <= longest else _count(services, "service")


def _count(members: Distinct, noun: str) -> str:
    about = "" if members.exact else "about "
    return f"{about}{members.count} {noun}{'' if members.count == 1 else 's'}"


def _time(duration: int) -> str:
    seconds = duration / _SECOND
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def scale(length: int) -> str:
    """Write the length of windows, ns: ``1 min``, ``24 h``."""
    seconds = length / _SECOND
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:g} s"
