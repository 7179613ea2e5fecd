from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from service.capture.inflation import InflationSpec
from service.errors import StoreError
from service.pipeline import PipelineSpec
from service.receipts import Reason
from service.work.parser import Parser, Read, RefusedError
from service.work.parsing import Limits
from tests.conftest import REPOSITORY
from tests.packets import zipped
from tests.work import readers

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
    ("limits", "why", "final"),
    [
        (Limits(memory=1 << 20), "memory", False),
        (Limits(wall_seconds=0.01), "more than 0.01 s", False),
        (Limits(window_bytes=100), "a window has more than 100 bytes", True),
        (Limits(total_bytes=100), "its windows have more than 100 bytes", True),
    ],
)
def test_nothing_takes_more_than_it_is_given(example: Path, limits: Limits, why: str, *, final: bool) -> None:
    error = refused(example.read_bytes(), limits)
    assert (error.refusal.reason, error.final) == (Reason.CRASHED, final)
    assert why in error.refusal.message


def test_a_bomb_is_refused_for_good() -> None:
    content = zipped(b"start,source,target,service\n" + b"1700000000,192.0.2.1,192.0.2.2,tcp/443\n" * 50_000)
    error = refused(content, Limits(inflation=InflationSpec(ratio=50, overlooked=1 << 20)))
    assert (error.refusal.reason, error.final) == (Reason.CAPTURE, True)
    assert "more than 50 times its size" in error.refusal.message


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


def test_temporary_files_may_lie_deep(example: Path, tmp_path: Path) -> None:
    """The path of a socket beside them would be longer than the system allows."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    program = (
        "import sys\nfrom pathlib import Path\nfrom service.pipeline import PipelineSpec\n"
        "from service.work.parser import Parser\nfrom service.work.parsing import Limits\n"
        "if __name__ == '__main__':\n"
        "    with Parser(PipelineSpec(), Limits()).parsed([Path(sys.argv[1]).read_bytes()], 'lab') as parsed:\n"
        "        print(len(list(parsed.windows())))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), str(example)],
        check=False, timeout=120, capture_output=True, cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(deep), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, b"4"), done.stderr
    assert list(deep.iterdir()) == []


def test_it_leaves_nothing_on_the_disk_even_if_it_is_killed(example: Path, tmp_path: Path) -> None:
    found: list[Path] = []
    parser = Parser(PipelineSpec(), Limits(), folder=tmp_path)
    with parser.parsed([example.read_bytes()], "lab", lambda: found.extend(tmp_path.iterdir())) as parsed:
        assert len(list(parsed.windows())) == 4
        found.extend(tmp_path.iterdir())
    assert found == []


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (readers.crash, f"signal {signal.SIGSEGV.value}"),
        (readers.be_killed, f"signal {signal.SIGKILL.value}"),
        (readers.eat, "more memory than there may be"),
        (readers.spin, f"signal {signal.SIGXCPU.value}"),
        (readers.go_away, "broke down"),
        (readers.babble, "makes no sense"),
        (readers.promise, "makes no sense"),
    ],
)
def test_whatever_becomes_of_a_reader_is_told_and_the_next_one_works(
    read: Read, why: str, example: Path, tmp_path: Path
) -> None:
    limits = Limits(memory=1 << 28, cpu_seconds=1)
    with (
        pytest.raises(RefusedError) as refused,
        Parser(PipelineSpec(), limits, tmp_path, read).parsed([b"whatever"], "lab"),
    ):
        pytest.fail("it was read")
    assert refused.value.refusal.reason is Reason.CRASHED
    # What took all its computing time would take it again.
    assert refused.value.final == (read is readers.spin)
    assert why in refused.value.refusal.message
    with Parser(PipelineSpec(), Limits(), tmp_path).parsed([example.read_bytes()], "lab") as parsed:
        assert parsed.figures.packets == 29705
    assert not list(tmp_path.iterdir())


def test_a_reader_that_does_nothing_is_ended() -> None:
    parser = Parser(PipelineSpec(), Limits(wall_seconds=0.5), read=readers.sleep)
    with pytest.raises(RefusedError, match=r"more than 0\.5 s"), parser.parsed([b"whatever"], "lab"):
        pytest.fail("it was read")


def test_the_process_that_readers_are_forked_from_may_end(example: Path) -> None:
    parser = Parser(PipelineSpec(), Limits(), read=readers.kill_the_parent)
    with pytest.raises(RefusedError, match="broke down"), parser.parsed([b"whatever"], "lab"):
        pytest.fail("it was read")
    assert packets_at_last(Parser(PipelineSpec(), Limits()), example.read_bytes()) == 29705


def packets_at_last(parser: Parser, content: bytes) -> int:
    """Read as a worker does: what could not be started is tried again."""
    for _ in range(1000):
        try:
            with parser.parsed([content], "lab") as parsed:
                return parsed.figures.packets
        except StoreError as error:
            assert "could not be started" in str(error)  # noqa: PT017
    raise AssertionError("it was never read")


def test_readers_are_forked_from_a_process_that_is_ready() -> None:
    with (
        pytest.raises(RefusedError, match="ready"),
        Parser(PipelineSpec(), Limits(), read=readers.tell_if_ready).parsed([b"whatever"], "lab"),
    ):
        pytest.fail("it was read")


@pytest.mark.parametrize("field", ["memory", "cpu_seconds", "wall_seconds", "window_bytes", "total_bytes"])
def test_limits_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(**{field: 0})  # type: ignore[arg-type]
