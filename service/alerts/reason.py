"""Why an alert is one, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.alerts.alert import Kind

if TYPE_CHECKING:
    from service.alerts.alert import Distinct, Evidence

_SECOND = 1_000_000_000
_NAMED = 4


def explain(
    kind: Kind,
    source: str,
    services: tuple[str, ...],
    targets: tuple[str, ...],
    evidence: Evidence,
    duration: int,
    score: float,
    threshold: float,
) -> str:
    """Return one sentence with the numbers that decided; `duration` in ns."""
    what = _services(services, evidence.services)
    whom = targets[0] if evidence.targets.count == 1 and targets else _count(evidence.targets, "target")
    if kind is Kind.HORIZONTAL:
        decided = f"{score:.0f} targets of one service within a window, from {threshold:.0f} on it is a sweep"
    else:
        decided = (
            f"{score:.0f} unanswered services of one target within a window, from {threshold:.0f} on it is a scan"
        )
    return (
        f"{source} tried {what} on {whom} in {_time(duration)}, and {evidence.answered} of {evidence.pairs} "
        f"pairs of target and service answered; {decided}."
    )


def _services(services: tuple[str, ...], count: Distinct) -> str:
    if count.count <= _NAMED:
        return ", ".join(services[:_NAMED])
    return _count(count, "service")


def _count(members: Distinct, noun: str) -> str:
    about = "" if members.exact else "about "
    return f"{about}{members.count} {noun}{'' if members.count == 1 else 's'}"


def _time(duration: int) -> str:
    seconds = duration / _SECOND
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
