"""Why an alert is one, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.alerts.alert import Kind
from service.alerts.ranges import format_services

if TYPE_CHECKING:
    from service.alerts.alert import Distinct, Evidence

_SECOND = 1_000_000_000
_WORDS = 40


def explain(
    kind: Kind,
    source: str,
    targets: tuple[str, ...],
    evidence: Evidence,
    duration: int,
    score: float,
    threshold: float,
) -> str:
    """Return one sentence with the numbers that decided; `duration` in ns."""
    about = "about " if evidence.estimated else ""
    what = name_services(evidence.services, _WORDS)
    whom = targets[0] if evidence.targets.count == 1 and targets else _count(evidence.targets, "target")
    if kind is Kind.HORIZONTAL:
        decided = f"{score:.0f} targets of one service within a window, from {threshold:.0f} on it is a sweep"
    else:
        decided = (
            f"{score:.0f} unanswered services of one target within a window, from {threshold:.0f} on it is a scan"
        )
    return (
        f"{source} tried {what} on {whom} in {_time(duration)}, and {about}{evidence.answered} of {evidence.pairs} "
        f"pairs of target and service answered; {decided}."
    )


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
