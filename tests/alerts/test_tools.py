from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from service.alerts.tools import LEAST_PAIRS, LEAST_SHARE, Tool, ToolName, joined, tool_of
from service.capture.address import format_addresses
from service.capture.file import CaptureFile
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.windows.counts import ToolCounts, WindowCounts
from tests.builders import a_window

if TYPE_CHECKING:
    from pathlib import Path


def with_tools(**columns: int) -> WindowCounts:
    """Return a window whose first source has these counts, and whose second has none."""
    none = ToolCounts.none(2)
    given = {name: np.array([count, 0], np.int64) for name, count in columns.items()}
    return replace(a_window(), tools=replace(none, **given))


def test_counts_that_were_posted_show_no_tool() -> None:
    assert tool_of(a_window(), 0) is None


def test_the_tool_of_most_packets_is_named() -> None:
    counts = with_tools(tcp=1000, zmap=200, masscan=600)
    assert tool_of(counts, 0) == Tool(ToolName.MASSCAN, 600, 1000)
    assert tool_of(counts, 1) is None


def test_only_zmap_shows_in_what_is_not_tcp() -> None:
    assert tool_of(with_tools(tcp=10, others=90, zmap=95), 0) == Tool(ToolName.ZMAP, 95, 100)
    assert tool_of(with_tools(tcp=10, others=90, nmap=9), 0) == Tool(ToolName.NMAP, 9, 10)


def test_a_few_marks_are_not_enough() -> None:
    assert tool_of(with_tools(tcp=LEAST_PAIRS, mirai=LEAST_PAIRS), 0) is not None
    assert tool_of(with_tools(tcp=LEAST_PAIRS, mirai=LEAST_PAIRS - 1), 0) is None


def test_a_small_share_of_a_source_is_not_its_tool() -> None:
    assert tool_of(with_tools(tcp=1000, masscan=100), 0) is not None
    assert tool_of(with_tools(tcp=1001, masscan=100), 0) is None


@given(st.integers(1, 2**31))
@settings(derandomize=True)
def test_chance_names_no_tool(of: int) -> None:
    least = max(LEAST_PAIRS, math.ceil(LEAST_SHARE * of))
    if least <= of:
        assert all(Tool(name, least, of).chance < 1e-17 for name in ToolName)


@pytest.mark.parametrize("name", ToolName)
def test_the_chance_bounds_the_tail_of_the_binomial(name: ToolName) -> None:
    p = 2.0 ** -(32 if name in {ToolName.MIRAI, ToolName.UNICORNSCAN} else 16)
    for of, pairs in [(1, 1), (5, 5), (50, 5), (10_000, 3), (10**6, 30)]:
        exact = binom.sf(pairs - 1, of, p)
        assert exact * (1 - 1e-6) <= Tool(name, pairs, of).chance <= 1.0


def test_evidence_says_how_many_and_how_likely() -> None:
    tool = Tool(ToolName.ZMAP, 90, 100)
    assert tool.share == 0.9
    assert tool.evidence.startswith("90 of 100 pairs")
    assert "54321" in tool.evidence
    assert "one in 65536" in tool.evidence


@pytest.mark.parametrize("pairs", [0, 6])
def test_a_tool_has_pairs_and_no_more_than_there_are(pairs: int) -> None:
    with pytest.raises(ValueError, match="pairs"):
        Tool(ToolName.NMAP, pairs, 5)


def test_windows_of_one_scan_add_up() -> None:
    first, second = Tool(ToolName.NMAP, 10, 12), Tool(ToolName.NMAP, 30, 30)
    assert joined(first, second) == Tool(ToolName.NMAP, 40, 42)
    assert joined(first, None) == joined(None, first) == first
    assert joined(None, None) is None
    assert joined(first, Tool(ToolName.ZMAP, 11, 90)) == Tool(ToolName.ZMAP, 11, 90)


def test_the_tools_of_the_example_are_those_that_were_run(example: Path) -> None:
    """Recordings of the tools themselves; of those that leave no mark, none is named."""
    seen: dict[str, set[str]] = {}
    for window in read_windows([CaptureFile(example)], "lab", PipelineSpec(), Reading()):
        for source, address in enumerate(format_addresses(window.sources)):
            tool = tool_of(window, source)
            seen.setdefault(address, set()).update([tool.name.value] if tool else [])
    events = json.loads(example.with_suffix(".truth.json").read_text())["events"]
    marked = {"masscan", "masscan_block", "zmap", "nmap_syn", "nmap_fin", "nmap_slow", "nmap_sweep"}
    for event in events:
        expected = {event["name"].split("_")[0]} if event["name"] in marked else set()
        assert seen.get(event["source"], set()) == expected, event["name"]
    assert marked <= {event["name"] for event in events}
