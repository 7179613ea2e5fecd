from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.detect.drifting import DriftSpec, drifting_windows
from benchmarks.detect.finders import CONTENDERS, DEFAULT
from benchmarks.detect.ids import (
    campaign_groups,
    campaigns,
    followed,
    ids_of,
    kept,
    log_row,
    persistent,
    precise,
    service_sets,
)
from service.capture.services import parse_service
from service.patterns.factorize import PatternFinder
from tests.traffic import SECOND, START, Try, sweep, window

if TYPE_CHECKING:
    from service.windows.counts import WindowCounts

DAY = 86400 * SECOND
OURS = [each for each in CONTENDERS if "k-means" not in each.name]


def day(number: int, groups: dict[tuple[str, ...], int]) -> WindowCounts:
    """Return a day on which so many sources, others than on any other day, try each set of services."""
    tries: list[Try] = []
    for at, (services, count) in enumerate(groups.items()):
        sources = [f"10.{number}.{at}.{i + 1}" for i in range(count)]
        tries += [t for source in sources for service in services for t in sweep(source, service, 3)]
    return window(tries, start=START // DAY * DAY + number * DAY, length=DAY)


PAIR, SINGLE, RARE = ("tcp/23", "tcp/2323"), ("tcp/445",), ("udp/53",)
DAYS = [day(n, {PAIR: 4, SINGLE: 6} | ({RARE: 3} if n < 4 else {RARE: 2})) for n in range(6)]


def test_a_set_is_those_who_try_it_and_nothing_else() -> None:
    groups = service_sets(DAYS[0])
    assert {frozenset(map(parse_service, each)) for each in (PAIR, SINGLE, RARE)} == set(groups)
    assert sorted(map(len, groups.values())) == [3, 4, 6]


def test_a_set_persists_that_is_there_on_enough_days() -> None:
    found = persistent(DAYS)
    assert {len(each) for each in found} == {2}


def test_an_id_serves_one_group_only() -> None:
    held = kept([{"a": "p1", "b": "p1"}, {"a": "p1", "b": "p1"}, {"a": "p2", "b": None}])
    assert held.windows == {"a": 3, "b": 3}
    assert held.share() == pytest.approx(3 / 6)
    assert held.steady() == 0.0
    assert kept([{"a": None}]).share() == 0.0


@pytest.mark.parametrize("contender", OURS, ids=lambda each: each.name)
def test_plain_days_are_kept_by_everyone(contender: object) -> None:
    row = log_row(contender, DAYS, persistent(DAYS))  # type: ignore[arg-type]
    assert (row["sets"], row["days"], row["kept"], row["steady"]) == (2, 12, 1.0, 1.0)


def test_campaigns_are_listed_largest_first() -> None:
    first, second, *_ = campaigns(DAYS)
    assert (first["name"], first["days"], first["source_days"]) == ("SMB tcp/445", 6, 36)
    assert (second["name"], second["services"]) == ("telnet pair 23/2323", 2)


def test_campaigns_that_drift_are_followed() -> None:
    made = drifting_windows(1, DriftSpec(windows=8, campaigns=6, noise=10))
    updates = [update for _, update in followed((each.counts for each in made), PatternFinder(DEFAULT))]
    held = kept([ids_of(update, campaign_groups(each)) for update, each in zip(updates, made, strict=True)])
    assert held.share() > 0.9
    right, patterns = precise(made[-1], updates[-1])
    assert 0 < right <= patterns
