"""Windows of an hour or a day with many small sources."""

from __future__ import annotations

import numpy as np

from service.alerts.budget import GroupBudget
from service.alerts.coordinated import Judged, judge_groups, remember
from service.alerts.history import History
from service.patterns.groups import GroupSpec, propose
from service.windows.counts import WindowCounts
from tests.traffic import SECOND, Try, window

HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 20_000 * DAY
BUDGET = GroupBudget(0.02)
USUAL = ("tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/445", "tcp/1433", "tcp/3389", "tcp/8080")


def background(chance: np.random.Generator, sources: int = 60) -> list[Try]:
    """Sources that try one usual service, some of them two."""
    tries = []
    for i in range(sources):
        services = chance.choice(len(USUAL), 1 + int(i % 8 == 0), replace=False, p=np.arange(8, 0, -1) / 36)
        tries += [Try(f"192.0.{i // 200}.{i % 200 + 1}", f"10.0.0.{1 + i % 4}", USUAL[at]) for at in services]
    return tries


def campaign(services: list[str], sources: int, each: int, chance: np.random.Generator) -> list[Try]:
    """Sources that try `each` of the services on targets of their own."""
    return [
        Try(f"198.51.100.{i + 1}", f"10.0.0.{1 + (i + at) % 4}", services[at])
        for i in range(sources)
        for at in chance.choice(len(services), each, replace=False)
    ]


def at_day(number: int, tries: list[Try]) -> WindowCounts:
    """The window of a day."""
    return window(tries, start=START + number * DAY, length=DAY)


def judged(counts: WindowCounts, history: History, loud: list[int] | None = None) -> Judged:
    """What the service says of a window."""
    marked = np.zeros(len(counts.sources), np.bool_)
    marked[loud or []] = True
    return judge_groups(counts, history, lambda rows: propose(rows, GroupSpec()), BUDGET, marked)


def learned(days: int, seed: int = 1) -> History:
    """A history of ordinary days."""
    history, chance = History(), np.random.default_rng(seed)
    for number in range(days):
        remember(history, judged(at_day(number, background(chance)), history))
    return history
