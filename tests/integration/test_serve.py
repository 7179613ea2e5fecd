from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import REPOSITORY, Run

COMMAND = [sys.executable, "-u", "-c", "from service.wiring import main; main()"]


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


def url_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"Serving on (http://127\.0\.0\.1:\d+)", line):
            return found[1]
    raise AssertionError("the server did not say where it listens")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start("serve", "--port", "0", "--database", "kept.db", folder=tmp_path)
    yield process
    process.kill()
    process.communicate(timeout=30)


def test_a_capture_is_posted_found_and_kept_over_a_restart(
    server: subprocess.Popen[str], example: Path, tmp_path: Path
) -> None:
    url = url_of(server)
    headers = {"content-type": "application/vnd.tcpdump.pcap", "prefer": "wait=50"}
    posted = httpx.post(f"{url}/v1/windows?sensor=lab", content=example.read_bytes(), headers=headers, timeout=60)
    assert posted.status_code == 201
    assert posted.json()["packets"] == 29705
    first = httpx.get(f"{url}/v1/alerts").json()
    assert len(first["items"]) == 12
    server.send_signal(signal.SIGKILL)
    server.wait(timeout=30)

    again = start("serve", "--port", "0", "--database", "kept.db", folder=tmp_path)
    try:
        url = url_of(again)
        assert httpx.get(f"{url}/v1/alerts").json() == first
        repeated = httpx.post(
            f"{url}/v1/windows?sensor=lab", content=example.read_bytes(), headers=headers, timeout=60
        )
        assert (repeated.status_code, repeated.json()) == (200, posted.json())
    finally:
        again.send_signal(signal.SIGINT)
        _, errors = again.communicate(timeout=30)
    assert again.returncode == 0
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(server: subprocess.Popen[str], number: signal.Signals) -> None:
    url_of(server)
    server.send_signal(number)
    _, errors = server.communicate(timeout=30)
    assert errors == ""
    assert server.returncode in (0, -signal.SIGTERM)


def test_a_port_in_use_is_one_line_and_code_2(server: subprocess.Popen[str], yocho: Run) -> None:
    port = url_of(server).rpartition(":")[2]
    done = yocho("serve", "--port", port, "--database", "other.db")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"can't listen on 127.0.0.1 port {port}: Address already in use; choose another" in done.stderr
