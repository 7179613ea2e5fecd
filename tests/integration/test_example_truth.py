from __future__ import annotations

import importlib.util
import json
import sys
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def lab_truth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lab_truth", REPOSITORY / "examples" / "lab_truth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lab_truth"] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_truth_is_what_the_capture_holds(lab_truth: ModuleType, example: Path) -> None:
    events = json.loads(example.with_suffix(".truth.json").read_text())["events"]
    sources = [ip_address(event["source"]) for event in events]
    activities = lab_truth.observe(lab_truth.read_packets(example), sources)
    assert len(set(sources)) == len(sources)
    for event in events:
        activity = activities[ip_address(event["source"])]
        described = lab_truth.Event(
            event["name"], event["role"], event["kind"], ip_address(event["source"]), event["command"]
        )
        row = lab_truth.event_row(described, activity)
        for field in ("services", "targets", "target_count", "first", "last", "packets"):
            assert row[field] == event[field], (event["name"], field)


def test_the_capture_is_small_and_cut(lab_truth: ModuleType, example: Path) -> None:
    assert example.stat().st_size <= 4_000_000
    header = example.read_bytes()[:24]
    assert int.from_bytes(header[16:20], "little") == 128
