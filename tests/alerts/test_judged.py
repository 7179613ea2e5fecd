"""What judged patterns explain."""

from __future__ import annotations

import numpy as np
import pytest

from service.alerts.alert import Alert
from service.alerts.allow import AllowList
from service.alerts.habits import Habits
from service.alerts.judged import JudgedPatterns
from service.alerts.sources import judge
from service.alerts.suppress import follow
from service.alerts.threshold import Thresholds
from service.capture.services import parse_service
from service.patterns.pattern import Status
from tests.builders import a_pattern
from tests.traffic import SECOND, START, Try, sweep, window

SCANNER = "192.0.2.66"
MINUTE = 60 * SECOND
PAIR = a_pattern(services=(("tcp/23", 0.6), ("tcp/2323", 0.4)), status=Status.MUTED)
LIST = a_pattern(id="p2", services=tuple((f"tcp/{port}", 1 / 40) for port in range(1, 41)), status=Status.BENIGN)
MUTED = "pattern p1 judged muted"
JUDGED = JudgedPatterns((PAIR, LIST))


def explained(targets: dict[str, int]) -> str | None:
    services = np.array([parse_service(name) for name in targets], np.int32)
    return JUDGED.explaining(services, np.array(list(targets.values()), np.int64))


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"tcp/23": 30, "tcp/2323": 20}, MUTED),
        ({"tcp/23": 3000, "tcp/2323": 20}, MUTED),
        # One of two services is another scan ...
        ({"tcp/2323": 30}, None),
        # ... and so is what does more besides, however little of it that is, ...
        ({"tcp/23": 3000, "tcp/2323": 2000, "tcp/22": 1}, None),
        ({"tcp/445": 30}, None),
        # ... unless it is one of many.
        ({f"tcp/{port}": 1 for port in range(1, 41)}, "pattern p2 judged benign"),
        ({f"tcp/{port}": 1 for port in range(1, 42)}, "pattern p2 judged benign"),
        ({f"tcp/{port}": 1 for port in range(1, 44)}, None),
        ({f"tcp/{port}": 1 if port < 41 else 9 for port in range(1, 42)}, None),
        ({}, None),
    ],
)
def test_a_pattern_explains_what_looks_like_it_and_does_nothing_else(
    targets: dict[str, int], words: str | None
) -> None:
    assert explained(targets) == words


def test_without_judged_patterns_nothing_is_explained() -> None:
    assert JudgedPatterns().explaining(np.array([23], np.int32), np.array([9])) is None
    assert JudgedPatterns().holding(["tcp/23"], 1) == ()


def test_services_that_are_not_named_are_not_held() -> None:
    assert JUDGED.holding(["tcp/23"], 1) == (MUTED, "pattern p2 judged benign")
    assert JUDGED.holding(["tcp/23"], 2) == ()


def after(alerts: list[Alert], tries: list[Try], minute: int, judged: JudgedPatterns = JUDGED) -> Alert:
    counts = window(tries, start=START + minute * MINUTE)
    allowed = AllowList(judged=judged)
    (alert,) = follow(counts, judge(counts, Thresholds()), alerts, {}, allowed, Habits())
    return alert


def pair(targets: int, *services: str) -> list[Try]:
    return [each for name in services for each in sweep(SCANNER, name, targets)]


def test_a_scanner_of_a_muted_pattern_is_counted_and_not_told_until_it_does_more() -> None:
    first = after([], pair(20, "tcp/23", "tcp/2323"), 0)
    assert (first.allowed_by, first.evidence.pairs) == (MUTED, 40)
    part = after([first], pair(5, "tcp/2323"), 1)
    assert (part.allowed_by, part.evidence.pairs) == (MUTED, 45)
    more = after([part], pair(1, "tcp/22"), 2)
    assert (more.allowed_by, more.evidence.pairs) == (None, 46)
    assert after([more], pair(20, "tcp/23", "tcp/2323"), 3).allowed_by is None


def test_a_judgement_holds_for_what_goes_on_and_can_be_taken_back() -> None:
    told = after([], pair(20, "tcp/23", "tcp/2323"), 0, JudgedPatterns())
    assert told.allowed_by is None
    hushed = after([told], pair(9, "tcp/23", "tcp/2323"), 1)
    assert hushed.allowed_by == MUTED
    assert after([hushed], pair(9, "tcp/23", "tcp/2323"), 2, JudgedPatterns()).allowed_by is None
