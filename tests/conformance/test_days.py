"""What a year in sums promises, held against every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.store.days import DAY, Day
from tests.builders import START, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore

TODAY = START // DAY * DAY
MINUTE = 60 * 10**9


def test_days_of_all_sensors_add_up(database: SqlStore) -> None:
    one = Day("a", MINUTE, TODAY, windows=3, attempts=1 << 40, answered=4, most_sources=5, most_services=6, shed=1)
    other = replace(one, sensor="b", attempts=2, most_sources=2, most_services=9)
    with database.begin() as unit:
        unit.days.add([one, other, replace(one, start=TODAY + DAY), replace(one, length=2 * MINUTE)])
        assert unit.days.totals(TODAY, TODAY + DAY) == [
            Day("", MINUTE, TODAY, 6, (1 << 40) + 2, 8, 5, 9, 2),
            replace(one, sensor="", length=2 * MINUTE),
        ]
        assert unit.days.totals(0, TODAY) == []


def test_alerts_are_counted_by_the_day_they_began(database: SqlStore) -> None:
    alert = an_alert()
    many = [
        replace(alert, id=f"a{number}", first_seen=TODAY + number, last_seen=TODAY + DAY)
        for number in (-1, 0, DAY - 1)
    ]
    with database.begin() as unit:
        unit.save_alerts([*many, replace(alert, id="allowed", allowed_by="192.0.2.1")])
        kind = alert.kind.value
        assert unit.overview.alerts_by_day(TODAY - DAY, TODAY + DAY) == {(TODAY - DAY, kind): 1, (TODAY, kind): 2}
        assert unit.overview.alerts_by_day(TODAY, TODAY + DAY - 1) == {(TODAY, kind): 1}
