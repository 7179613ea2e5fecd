"""A worker as a process of its own, and what its outputs write."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.store.sql import SqlStore
from tests.builders import an_alert
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 60.0


@contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker until the block ends, or it was killed."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "YOCHO_OUTPUTS": "outputs.toml",
        "YOCHO_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-c", "from service.wiring import main; main()", "worker"]
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(int(_PATIENCE / 0.05)):
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(process.returncode)
    raise AssertionError(path)


def test_a_worker_that_is_killed_leaves_no_event_out(tmp_path: Path) -> None:
    (tmp_path / "outputs.toml").write_text('[eve]\ntype = "file"\npath = "eve.json"\n')
    store, file = SqlStore(f"sqlite:///{tmp_path}/yocho.db"), tmp_path / "eve.json"
    with store.begin() as unit:
        unit.deliveries.enrol("eve", 0)
        unit.save_alerts([an_alert(id=f"a{number}") for number in range(40)])
    with worker(tmp_path) as process:
        wait_for_lines(file, 5, process)
        process.send_signal(signal.SIGKILL)
    # As if the minute of its lease were over.
    with store.begin() as unit:
        state = unit.deliveries.of("eve")
        assert state is not None
        unit.deliveries.change(state, type(state)("eve", state.position))
        unit.save_alerts([an_alert(id="last")])
    with worker(tmp_path) as process:
        wait_for_lines(file, 41, process)
        if b'"last"' not in file.read_bytes():  # one line was repeated
            wait_for_lines(file, 42, process)
    assert process.returncode == 0
    found = [json.loads(line)["yocho"]["alert"]["id"] for line in file.read_text().splitlines()]
    assert list(dict.fromkeys(found)) == [*(f"a{number}" for number in range(40)), "last"]
    assert len(found) <= 42
    store.close()
