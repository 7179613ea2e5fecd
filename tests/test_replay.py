from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from service.pipeline import Pipeline, PipelineSpec
from service.replay import Replay, ReplaySpec
from service.store.memory import MemoryStore
from service.store.repository import AlertQuery


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def replay(store: MemoryStore, tmp_path: Path) -> Replay:
    return Replay(ReplaySpec(tmp_path), Pipeline(PipelineSpec(), store))


def sensors(store: MemoryStore) -> set[str]:
    with store.read() as unit:
        return {alert.sensor for alert in unit.alerts(AlertQuery()).items}


def test_each_file_is_replayed_once(replay: Replay, store: MemoryStore, example: Path, tmp_path: Path) -> None:
    shutil.copy(example, tmp_path / "monday.pcap")
    replay.replay_all()
    with store.read() as unit:
        before = unit.alerts(AlertQuery()).items
    assert len(before) == 12
    replay.replay_all()
    with store.read() as unit:
        assert unit.alerts(AlertQuery()).items == before


def test_a_log_of_flows_is_replayed_too(replay: Replay, store: MemoryStore, tmp_path: Path) -> None:
    rows = [f"1700000000.{i:03},192.0.2.9,10.0.0.{i},tcp/23,false" for i in range(1, 41)]
    (tmp_path / "flows.csv").write_text("\n".join(["time,src_ip,dst_ip,service,answered", *rows]) + "\n")
    replay.replay_all()
    assert sensors(store) == {"flows.csv"}


def test_a_file_is_left_alone_while_it_grows(
    replay: Replay, store: MemoryStore, example: Path, tmp_path: Path
) -> None:
    data = example.read_bytes()
    growing = tmp_path / "growing.pcap"
    growing.write_bytes(data[:1000])
    replay.replay_ready()
    growing.write_bytes(data)
    replay.replay_ready()
    assert sensors(store) == set()
    replay.replay_ready()
    assert sensors(store) == {"growing.pcap"}


def test_a_restarted_replay_repeats_nothing(store: MemoryStore, example: Path, tmp_path: Path) -> None:
    shutil.copy(example, tmp_path / "monday.pcap")
    for _ in range(2):
        Replay(ReplaySpec(tmp_path), Pipeline(PipelineSpec(), store)).replay_all()
    with store.read() as unit:
        alerts = unit.alerts(AlertQuery()).items
    assert len(alerts) == 12
    assert max(alert.evidence.windows for alert in alerts) <= 4


def test_what_is_no_capture_is_logged_and_the_rest_goes_on(
    replay: Replay, store: MemoryStore, example: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a-notes.txt").write_text("hello, I am a text")
    (tmp_path / ".hidden").write_text("unfinished")
    (tmp_path / "folder").mkdir()
    shutil.copy(example, tmp_path / "b.pcap")
    with caplog.at_level(logging.INFO):
        replay.replay_all()
    assert [record.message for record in caplog.records] == ["capture not replayed", "capture replayed"]
    assert sensors(store) == {"b.pcap"}
