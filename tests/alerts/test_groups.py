"""Groups from window to window, on top of what tests of `judge_groups` show of one."""

from __future__ import annotations

import numpy as np
import pytest

from service.alerts.alert import Alert, Ground, Kind
from service.alerts.allow import AllowList, read_allow_list
from service.alerts.groups import CoordinationSpec, groups_of
from service.alerts.habits import Habits
from service.alerts.history import History
from service.alerts.judged import JudgedPatterns
from service.alerts.sources import judge
from service.alerts.suppress import follow
from service.alerts.threshold import Thresholds
from service.patterns.pattern import Status
from tests.builders import a_pattern
from tests.traffic import SECOND, START, Try, sweep, window

HOUR = 3600 * SECOND
MEMBERS = [f"203.0.113.{i}" for i in range(1, 13)]


def noise(chance: np.random.Generator) -> list[Try]:
    """Background radiation: strangers that try a usual service once or twice."""
    services = ("tcp/22", "tcp/23", "tcp/445", "tcp/1433", "udp/5060")
    tries = {
        (f"198.51.{chance.integers(100)}.{chance.integers(1, 255)}", f"10.0.0.{chance.integers(1, 10)}",
         services[int(chance.integers(5))])
        for _ in range(40)
    }  # fmt: skip
    return [Try(*one) for one in sorted(tries)]


def campaign(members: list[str], services: tuple[str, ...] = ("tcp/9527",), **how: bool) -> list[Try]:
    return [
        Try(source, f"10.0.0.{i % 9 + 1}", name, **how) for i, source in enumerate(members) for name in services
    ]


class Sensor:
    """Hours, one after the other."""

    def __init__(self) -> None:
        self.history = History()
        self.alerts: dict[str, Alert] = {}
        self._chance = np.random.default_rng(3)
        self._hour = 0

    def hour(self, tries: list[Try] | None = None, allowed: AllowList = AllowList()) -> list[Alert]:  # noqa: B008
        """Return the alerts of groups that begin or go on in the next hour."""
        counts = window(
            noise(self._chance) + (tries or []), start=START // HOUR * HOUR + self._hour * HOUR, length=HOUR
        )
        self._hour += 1
        known = [alert for alert in self.alerts.values() if alert.open_until >= counts.start]
        verdicts = judge(counts, Thresholds())
        alone = follow(counts, verdicts, known, {}, allowed, Habits())
        found = groups_of(counts, self.history, CoordinationSpec(), verdicts, known, allowed)
        self.alerts.update((alert.id, alert) for alert in [*alone, *found])
        return found


@pytest.fixture
def sensor() -> Sensor:
    quiet = Sensor()
    for _ in range(48):
        assert quiet.hour() == []
    return quiet


def test_sources_that_are_each_small_are_named_together(sensor: Sensor) -> None:
    (alert,) = sensor.hour(campaign(MEMBERS))
    assert (alert.kind, alert.services, alert.scale) == (Kind.COORDINATED, ("tcp/9527",), HOUR)
    assert sorted(alert.sources) == sorted(MEMBERS)
    assert len(alert.memberships) == 12
    assert min(alert.memberships) > 0.5
    assert (alert.evidence.pairs, alert.evidence.answered, alert.evidence.targets.count) == (12, 0, 9)
    assert alert.ground in (Ground.SURGE, Ground.NOVELTY)
    assert alert.baseline is not None
    assert alert.baseline.sources < 1
    assert alert.baseline.days == pytest.approx(2.0)
    assert alert.reason.startswith("12 sources, none of them loud by itself, tried tcp/9527 on 9 targets")


def test_a_crowd_that_is_served_is_no_group(sensor: Sensor) -> None:
    assert sensor.hour(campaign(MEMBERS, answered=True)) == []


def test_whoever_is_named_alone_is_part_of_no_group(sensor: Sensor) -> None:
    loud = sweep(MEMBERS[0], "tcp/9527", 40)
    (alert,) = sensor.hour(loud + campaign(MEMBERS[1:]))
    assert sorted(alert.sources) == sorted(MEMBERS[1:])
    assert sensor.alerts.keys() > {alert.id}


def test_a_campaign_that_goes_on_is_one_alert(sensor: Sensor) -> None:
    (first,) = sensor.hour(campaign(MEMBERS))
    (second,) = sensor.hour(campaign(MEMBERS[4:]))
    assert (second.id, second.sources) == (first.id, first.sources)
    assert (second.evidence.pairs, second.evidence.windows) == (20, 2)
    assert (second.score, second.named_at, second.updates) == (first.score, first.named_at, 0)
    (third,) = sensor.hour(campaign(MEMBERS))
    assert (third.evidence.pairs, third.updates) == (32, 1)
    assert sensor.hour(campaign(MEMBERS[:2])) == []


def test_what_a_person_said_of_its_pattern_holds_while_it_lasts(sensor: Sensor) -> None:
    muted = a_pattern(services=(("tcp/9527", 1.0),), status=Status.MUTED)
    harmless = AllowList(judged=JudgedPatterns((muted,)))
    told = [
        sensor.hour(campaign(MEMBERS), allowed)[0].allowed_by for allowed in (AllowList(), harmless, AllowList())
    ]
    assert told == [None, "pattern p1 judged muted", None]


def test_a_group_may_do_what_each_of_its_sources_may(sensor: Sensor) -> None:
    (alert,) = sensor.hour(campaign(MEMBERS), read_allow_list(["203.0.113.0/24 tcp/9527"], "allow"))
    assert (len(alert.sources), alert.allowed_by) == (12, "203.0.113.0/24 tcp/9527")
    (alert,) = sensor.hour(campaign(MEMBERS), read_allow_list(["203.0.113.0/29 tcp/9527"], "allow"))
    assert alert.allowed_by is None


def test_another_campaign_at_the_same_time_is_another_alert(sensor: Sensor) -> None:
    others = [f"192.0.2.{i}" for i in range(1, 13)]
    found = sensor.hour(campaign(MEMBERS) + campaign(others, ("tcp/7547", "tcp/5555")))
    assert sorted(min(alert.sources) for alert in found) == ["192.0.2.1", "203.0.113.1"]


def test_a_new_sensor_names_no_group() -> None:
    new = Sensor()
    assert [new.hour(campaign(MEMBERS)) for _ in range(3)] == [[], [], []]
