"""Ids of patterns over restarts, with a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.patterns.pattern import Event, Pattern, Status
from service.pipeline import Pipeline, PipelineSpec
from service.store.repository import PatternQuery
from service.store.sql import SqlStore
from tests.traffic import SECOND, START, Try, sweep, window

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60 * SECOND


def campaigns(net: int) -> list[Try]:
    groups = {"tcp/23 tcp/2323": 8, "tcp/135 tcp/445": 5, "udp/161": 4}
    return [
        t
        for at, (services, count) in enumerate(groups.items())
        for i in range(1, count + 1)
        for service in services.split()
        for t in sweep(f"10.{net}.{at}.{i}", service, 5)
    ]


def test_ids_versions_and_judgements_survive_restarts(tmp_path: Path) -> None:
    found: list[dict[str, Pattern]] = []
    for number in range(6):
        store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
        Pipeline(PipelineSpec(), store).accept(window(campaigns(number + 1), start=START + number * MINUTE))
        with store.read() as reader:
            patterns = reader.patterns(PatternQuery()).items
            found.append({pattern.name: pattern for pattern in patterns})
            versions = {pattern.id: reader.versions(pattern.id) for pattern in patterns}
        store.close()
    assert {len(each) for each in found} == {3}
    assert len({frozenset(pattern.id for pattern in each.values()) for each in found}) == 1
    assert {(pattern.windows, pattern.prevalence, pattern.status) for pattern in found[-1].values()} == {
        (6, 1.0, Status.KNOWN)
    }
    assert {tuple(version.event for version in each) for each in versions.values()} == {(Event.BORN,)}
    assert "telnet pair 2323/23" in found[-1] or "telnet pair 23/2323" in found[-1]
