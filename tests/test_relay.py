from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.relay import Exposition, Writer


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return all samples, each of which must be there once, as must be the name of its family."""
    families = list(text_string_to_metric_families(page.decode()))
    assert len({family.name for family in families}) == len(families)
    found = [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value) for f in families for sample in f.samples
    ]
    assert len({key[:2] for key in found}) == len(found)
    return {(name, labels): value for name, labels, value in found}


@pytest.fixture
def registries() -> tuple[CollectorRegistry, CollectorRegistry]:
    return CollectorRegistry(), CollectorRegistry()


def test_what_several_processes_count_is_added_up(
    tmp_path: Path, registries: tuple[CollectorRegistry, CollectorRegistry]
) -> None:
    mine, other = registries
    here, there = Metrics(mine, "1.0"), Metrics(other, "1.0")
    here.dropped(2)
    there.dropped(3)
    here.factorized(0.5, 0.1)
    there.factorized(0.001, 0.1)
    there.opened("block")
    Writer(other, tmp_path / "worker.prom").write()
    found = samples(Exposition(mine, tmp_path).page())
    assert found["yocho_dropped_packets_total", ()] == 5
    assert found["yocho_factorization_seconds_count", ()] == 2
    assert found["yocho_factorization_seconds_bucket", (("le", "0.001"),)] == 1
    assert found["yocho_alerts_opened_total", (("kind", "block"),)] == 1
    assert found["yocho_build_info", (("version", "1.0"),)] == 1
    assert not [name for name, _ in found if name.endswith("_created")]


def test_asking_twice_counts_once(tmp_path: Path, registries: tuple[CollectorRegistry, CollectorRegistry]) -> None:
    mine, other = registries
    Metrics(mine, "1").dropped(2)
    Metrics(other, "1").dropped(3)
    Writer(other, tmp_path / "worker.prom").write()
    exposition = Exposition(mine, tmp_path)
    assert samples(exposition.page()) == samples(exposition.page())


def test_a_process_that_ended_is_left_out(
    tmp_path: Path, registries: tuple[CollectorRegistry, CollectorRegistry]
) -> None:
    mine, other = registries
    Metrics(mine, "1")
    Metrics(other, "1").dropped(3)
    writer = Writer(other, tmp_path / "worker.prom", seconds=60)
    writer.start()
    assert samples(Exposition(mine, tmp_path).page())["yocho_dropped_packets_total", ()] == 3
    writer.stop()
    assert list(tmp_path.iterdir()) == []
    assert samples(Exposition(mine, tmp_path).page())["yocho_dropped_packets_total", ()] == 0


def test_a_disk_that_was_full_for_a_while_ends_nothing(
    tmp_path: Path, registries: tuple[CollectorRegistry, CollectorRegistry], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "here" / "worker.prom"
    file.parent.mkdir()
    writer = Writer(registries[0], file, seconds=0.001)
    writer.start()
    file.unlink()
    file.parent.rename(tmp_path / "there")
    while not caplog.records:
        threading.Event().wait(0.001)
    (tmp_path / "there").rename(file.parent)
    while not file.exists():
        threading.Event().wait(0.001)
    writer.stop()
    assert [record.message for record in caplog.records] == ["the metrics can't be written"]
