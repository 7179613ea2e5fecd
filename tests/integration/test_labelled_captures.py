"""Quality on public captures whose truth is known; they are too large to be part of the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import CaptureError
from service.pipeline import PipelineSpec
from service.scan import Report, scan_captures
from service.store.memory import MemoryStore

QUIET = {"benign", "hard-negative"}

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def reports(labelled_captures: Path) -> list[tuple[Entry, Report | None]]:
    found: list[tuple[Entry, Report | None]] = []
    for entry in json.loads((labelled_captures / "truth.json").read_text()):
        path = labelled_captures / entry["file"]
        if entry["category"] == "flows":  # months of them; their readers have tests of their own
            continue
        try:
            report = scan_captures([path], "lab", PipelineSpec(), MemoryStore())
        except CaptureError:
            report = None
        found.append((entry, report))
    return found


def test_every_packet_is_read(reports: list[tuple[Entry, Report | None]]) -> None:
    for entry, report in reports:
        packets = (entry["stats"] or {}).get("packets")
        if report is not None and packets is not None:
            assert report.summary.packets == packets, entry["file"]


def test_only_what_is_no_capture_is_refused(reports: list[tuple[Entry, Report | None]]) -> None:
    for entry, report in reports:
        assert (report is not None) == (not entry["file"].endswith(".snoop")), entry["file"]


def test_scanners_are_named(reports: list[tuple[Entry, Report | None]]) -> None:
    scans = [(entry, report) for entry, report in reports if entry["category"] == "scan" and report]
    found = listed = 0
    for entry, report in scans:
        named = {alert.sources[0] for alert in report.alerts}
        listed += len(entry["scanners"])
        found += sum(scanner["source"] in named for scanner in entry["scanners"])
        assert named <= {scanner["source"] for scanner in entry["scanners"]}, entry["file"]
    # Some of them are slower than a window, or have fewer targets than any threshold.
    assert found >= 0.85 * listed > 0


def test_nobody_is_named_in_honest_traffic(reports: list[tuple[Entry, Report | None]]) -> None:
    for entry, report in reports:
        if entry["category"] in QUIET and report is not None:
            assert report.alerts == (), entry["file"]
