from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_the_compose_file_is_valid() -> None:
    command = ["docker-compose", "-f", str(REPOSITORY / "deploy" / "docker-compose.yml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # The tokens go over it in the clear: the port must not be open to the network.
    assert "127.0.0.1:8000:8000" in done.stdout


def test_what_the_image_installs_holds_no_torch() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert "install --no-compile --constraint constraints.txt '.[tracing]'" in dockerfile
    assert "torch" not in (REPOSITORY / "constraints.txt").read_text()
