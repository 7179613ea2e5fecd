from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in each run: a failure belongs to a change. `make fuzz` is where new ones are looked for.
# None is timed.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

REPOSITORY = Path(__file__).resolve().parent.parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def example() -> Path:
    return REPOSITORY / "examples" / "lab.pcap"


@pytest.fixture(scope="session")
def labelled_captures() -> Path:
    """Return a folder of public captures with a truth.json, which is too large to be part of the project."""
    for truth in sorted(REPOSITORY.parent.glob("*/captures/truth.json")):
        return truth.parent
    pytest.skip("no folder of labelled captures beside the checkout")


@pytest.fixture
def yocho(tmp_path: Path) -> Run:
    """Return a function that runs the command line as a user does."""

    def run(
        *arguments: str | Path, timeout: float = 120, piped: bytes = b"", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Settings are written as ``max_pairs="4096"``."""
        given = {f"YOCHO_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-c", "from service.wiring import main; main()", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            input=piped,
            timeout=timeout,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"} | given,
            check=False,
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
