"""The first upload after a start: nothing has to be compiled for it any more when the service says it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.integration.serving import await_true, served

if TYPE_CHECKING:
    from pathlib import Path

PCAP = {"Content-Type": "application/vnd.tcpdump.pcap", "Prefer": "wait=60"}


def test_it_is_ready_when_its_worker_is(tmp_path: Path, example: Path) -> None:
    with served(tmp_path, worker=True) as server:
        early = server.get("/readyz")
        assert early.status_code == 503
        assert "the worker gets ready" in early.json()["detail"]
        # Work is taken in all the same: it waits.
        assert server.get("/healthz").status_code == 200
        await_true(lambda: server.get("/readyz").status_code == 200)
        answer = httpx.post(f"{server.url}/v1/windows", content=example.read_bytes(), headers=PCAP, timeout=90)
        assert answer.status_code == 201


def test_without_a_worker_beside_it_none_is_waited_for(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        assert server.get("/readyz").status_code == 200
