"""A server in a process of its own, and clients that speak to it byte by byte."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COMMAND = [sys.executable, "-u", "-c", "from service.wiring import main; main()"]
_PATIENCE = 60.0
"""Seconds after which a test has failed: far more than anything takes."""


@dataclass(frozen=True, slots=True)
class Served:
    process: subprocess.Popen[str]
    port: int
    trusted: ssl.SSLContext | None = None
    """Of a server that speaks TLS."""

    @property
    def url(self) -> str:
        return f"http{'s' if self.trusted else ''}://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        verify = True if self.trusted is None else self.trusted
        return httpx.get(self.url + path, verify=verify, timeout=_PATIENCE)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), _PATIENCE, source_address=(source, 0))

    def ask(self, request: bytes) -> bytes:
        """Return all that is answered until the server closes the connection."""
        with self.connect() as client:
            client.sendall(request)
            return rest_of(client)

    def figure(self, name: str, **labels: str) -> float:
        page = self.get("/metrics").text
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0

    def memory(self) -> int:
        """Return the bytes of memory that the process has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def served(
    folder: Path,
    trusted: ssl.SSLContext | None = None,
    complaint: str = "",
    launcher: Sequence[str] = (),
    *,
    worker: bool = False,
    **settings: object,
) -> Iterator[Served]:
    """Run `yocho serve`, with settings such as ``idle_seconds=1``; in the end it may complain.

    `launcher` is a command that becomes the one that follows it.
    """
    command = [*launcher, *_COMMAND, "serve", "--port", "0", "--database", "yocho.db"]
    command += [] if worker else ["--no-worker"]
    settings = {"log_level": "warning"} | settings
    given = {f"YOCHO_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | given,
    )
    try:
        yield Served(process, _port_of(process), trusted)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=_PATIENCE)
    # Hostile clients are no errors of the service.
    assert complaint in errors if complaint else not errors, errors


def rest_of(client: socket.socket) -> bytes:
    """Return what comes until the other side closes the connection, or breaks it off."""
    answer = b""
    try:
        while piece := client.recv(1 << 16):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def status_of(answer: bytes) -> int:
    """Return the status of an answer, or 0 if there is none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0


def await_true(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"Serving on https?://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError("the server did not say where it listens")
