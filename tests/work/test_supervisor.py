from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from service.work.supervisor import Supervisor, SupervisorSpec

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "


def pids(file: Path, count: int) -> list[int]:
    """Return the processes that wrote their number, once there are so many."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = file.read_text().split() if file.exists() else []
        if len(lines) >= count:
            return [int(line) for line in lines]
        time.sleep(0.01)
    raise AssertionError(f"fewer than {count} processes were started")


def supervisor(file: Path, then: str) -> Supervisor:
    spec = SupervisorSpec(pause=0.01, patience=1)
    return Supervisor([sys.executable, "-c", NOTE + then, str(file)], os.environ, spec)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_ends_is_started_again(tmp_path: Path) -> None:
    kept = supervisor(tmp_path / "pids", "")
    kept.start()
    assert len(set(pids(tmp_path / "pids", 3))) >= 3
    kept.stop()


@pytest.mark.parametrize(
    "then",
    ["sys.stdin.read()", "import signal; signal.signal(15, lambda *_: None); [signal.pause() for _ in range(9)]"],
)
def test_it_ends_at_the_end_kindly_or_not(tmp_path: Path, then: str) -> None:
    kept = supervisor(tmp_path / "pids", then)
    kept.start()
    (pid,) = pids(tmp_path / "pids", 1)
    assert not gone(pid)
    kept.stop()
    assert gone(pid)


def test_what_can_do_its_work_says_so_once(tmp_path: Path) -> None:
    again = f"open({str(tmp_path / 'again')!r}, 'x')"  # fails the second time
    kept = supervisor(tmp_path / "pids", f"{again}; print('so'); print('ready', flush=True)")
    assert not kept.ready.is_set()
    kept.start()
    assert kept.ready.wait(30)
    assert len(pids(tmp_path / "pids", 3)) >= 3
    assert kept.ready.is_set()
    kept.stop()


def test_a_descendant_that_holds_the_output_holds_nobody_up(tmp_path: Path) -> None:
    sleeper = "import subprocess; subprocess.Popen(['sleep', '5'])"
    kept = supervisor(tmp_path / "pids", f"{sleeper}; sys.stdin.read()")
    kept.start()
    (pid,) = pids(tmp_path / "pids", 1)
    kept.stop()
    assert gone(pid)
    assert not kept.ready.is_set()


def test_pauses_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        SupervisorSpec(pause=0)
