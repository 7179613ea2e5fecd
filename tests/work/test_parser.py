from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from service.pipeline import PipelineSpec
from service.receipts import Reason
from service.work.parser import Parser, RefusedError
from service.work.parsing import Limits
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def refused(content: bytes, limits: Limits) -> RefusedError:
    with (
        pytest.raises(RefusedError) as refusal,
        Parser(PipelineSpec(), limits).parsed([content[:100], content[100:]], "lab"),
    ):
        pytest.fail("it was read")
    return refusal.value


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(memory=1 << 20), "memory"),
        (Limits(wall_seconds=0.01), "more than 0.01 s"),
        (Limits(window_bytes=100), "a window has more than 100 bytes"),
        (Limits(total_bytes=100), "its windows have more than 100 bytes"),
    ],
)
def test_nothing_takes_more_than_it_is_given(example: Path, limits: Limits, why: str) -> None:
    error = refused(example.read_bytes(), limits)
    assert error.refusal.reason is Reason.CRASHED
    assert why in error.refusal.message


def test_computing_time_is_bounded() -> None:
    spin = "from service.work.parsing import Limits, confine; confine(Limits(cpu_seconds=1))\nwhile True: pass"
    # What importing takes counts too: it may be over before it begins.
    done = subprocess.run([sys.executable, "-c", spin], check=False, timeout=60, cwd=REPOSITORY)
    assert done.returncode == -signal.SIGXCPU


def test_a_capture_is_read_by_another_process_and_may_be_read_again(example: Path) -> None:
    beats: list[None] = []
    with Parser(PipelineSpec(), Limits()).parsed(
        [example.read_bytes()], "lab", lambda: beats.append(None)
    ) as parsed:
        first = [counts.digest() for counts in parsed.windows()]
        assert first == [counts.digest() for counts in parsed.windows()]
        assert parsed.figures.packets == 29705
    assert len(first) == 4
    assert beats


def test_it_leaves_nothing_on_the_disk_even_if_it_is_killed(example: Path, tmp_path: Path) -> None:
    found: list[Path] = []
    parser = Parser(PipelineSpec(), Limits(), folder=tmp_path)
    with parser.parsed([example.read_bytes()], "lab", lambda: found.extend(tmp_path.iterdir())) as parsed:
        assert len(list(parsed.windows())) == 4
        found.extend(tmp_path.iterdir())
    assert found == []


@pytest.mark.parametrize("field", ["memory", "cpu_seconds", "wall_seconds", "window_bytes", "total_bytes"])
def test_limits_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(**{field: 0})
