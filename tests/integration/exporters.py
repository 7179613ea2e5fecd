"""Real exporters and collectors, where they are installed."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.capture.datagrams import DatagramReceiver, ReceiveSpec, granted_bytes, open_datagrams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENOUGH = 4 << 20
"""Bytes of receive buffer that hold what softflowd sends at once."""
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def tool(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def skip_if_small(receive_buffer: int) -> None:
    """Skip the test where the kernel's buffer can't hold what softflowd sends at once."""
    if receive_buffer < ENOUGH:
        pytest.skip(f"the kernel grants {receive_buffer} bytes of receive buffer; raise net.core.rmem_max")


def export(capture: Path, port: int, folder: Path, *options: str) -> None:
    """Let softflowd read a capture and export its flows, dated as the capture is, to a port of this machine."""
    command = [
        tool("softflowd"),
        "-a",
        "-d",
        "-m",
        "100000",
        "-p",
        str(folder / "softflowd.pid"),
        "-c",
        "none",
        *options,
        "-r",
        str(capture),
        "-n",
        f"127.0.0.1:{port}",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def exported(capture: Path, folder: Path, *options: str) -> list[bytes]:
    """Return the datagrams that softflowd sends."""
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener:
        skip_if_small(granted_bytes(listener))
        receiver = DatagramReceiver(listener)
        with receiver:
            export(capture, listener.getsockname()[1], folder, *options)
        assert receiver.kernel_drops == receiver.queue_drops == 0
        return [data for _, data in receiver.take(0)]


@contextmanager
def _nfcapd(folder: Path) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["-b", "127.0.0.1", "-p", str(port), "-w", str(folder)]
    command = [tool("nfcapd"), "-4", *where, "-t", "3600", "-B", "8000000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for(port, listening=True)
        yield port
        process.terminate()


def _wait_for(port: int, *, listening: bool = False) -> None:
    """Wait until something listens on a port, or has read all that was sent to it."""
    for _ in range(400):
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        queues = [line[4].partition(":")[2] for line in lines if line[1].endswith(f":{port:04X}")]
        if queues and (listening or int(queues[0], 16) == 0):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing reads from port {port}")


def told_by_nfdump(datagrams: Sequence[bytes], folder: Path) -> list[dict[str, str]]:
    """Return the flows that nfcapd takes from datagrams, as nfdump prints them."""
    nfdump = tool("nfdump")
    folder.mkdir()
    with _nfcapd(folder) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for at in range(0, len(datagrams), 20):
            for data in datagrams[at : at + 20]:
                sender.sendto(data, ("127.0.0.1", port))
            _wait_for(port)
    done = subprocess.run(
        [nfdump, "-R", str(folder), "-o", "csv", "-q"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"TZ": "UTC", "PATH": PATH},
    )
    names = ["ts", "te", "td", "sa", "da", "sp", "dp", "pr", "flg", "fwd", "stos", "ipkt", "ibyt", "opkt", "obyt"]
    return [dict(zip(names, line, strict=False)) for line in csv.reader(done.stdout.splitlines()) if len(line) > 20]
