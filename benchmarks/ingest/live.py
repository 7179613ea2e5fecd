"""Packets from a live interface without drops: `python -m benchmarks.ingest.live` (root, Linux).

Two network namespaces are joined by a veth pair. In one, frames of a sweep are sent from a ring (TPACKET_V2 with
PACKET_TX_RING), as fast as asked for; in the other, `LiveCapture` decodes them, decides on directions and counts
them in windows. For each rate: what was sent and received, what the kernel dropped, and the receiver's CPU time.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SEND, RECEIVE = "yochobench0", "yochobench1"
FRAME, FRAMES = 128, 1 << 14
SECONDS = 5.0
RATES = (100_000, 250_000, 500_000, 750_000, 1_000_000, 0)
"""Packets a second; 0: as fast as the sender can."""


def frames() -> np.ndarray[Any, Any]:
    """Return SYNs from 64 sources to changing targets, one a row, each as the kernel sends it."""
    numbers = np.arange(FRAMES, dtype=np.uint32)
    rows = np.zeros((FRAMES, 60), np.uint8)
    rows[:, :14] = np.frombuffer(b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01\x08\x00", np.uint8)
    header = struct.pack(">BBHHHBBH8x", 0x45, 0, 40, 1, 0, 64, 6, 0)
    rows[:, 14:34] = np.frombuffer(header, np.uint8)
    rows[:, 26:30] = (0x0A000001 + numbers % 64).astype(">u4").view(np.uint8).reshape(-1, 4)
    rows[:, 30:34] = (0x0B000000 + numbers).astype(">u4").view(np.uint8).reshape(-1, 4)
    rows[:, 34:54] = np.frombuffer(struct.pack(">HHIIBBHHH", 40000, 23, 1, 0, 0x50, 2, 1024, 0, 0), np.uint8)
    return rows


def send(rate: int) -> None:
    """Send for `SECONDS`; print how many packets went out."""
    sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sending.setsockopt(263, 20, 1)  # PACKET_QDISC_BYPASS
    sending.setsockopt(263, 10, 1)  # PACKET_VERSION: TPACKET_V2
    sending.setsockopt(263, 13, struct.pack("4I", FRAME * 32, FRAMES // 32, FRAME, FRAMES))  # PACKET_TX_RING
    memory = mmap.mmap(sending.fileno(), FRAME * FRAMES, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    sending.bind((SEND, 0))
    ring = np.frombuffer(memory, np.uint8).reshape(FRAMES, FRAME)
    ring[:, 32:92] = frames()
    words = ring.view(np.uint32)
    words[:, 1] = 60  # tp_len
    burst = FRAMES if not rate else max(1, min(FRAMES, rate // 500))
    at = sent = 0
    began = time.monotonic()
    while (now := time.monotonic() - began) < SECONDS:
        if rate and sent > rate * now:
            time.sleep(0.0002)
            continue
        last = min(FRAMES, at + burst)
        words[at:last, 0] = 1  # tp_status: TP_STATUS_SEND_REQUEST
        sending.send(b"")
        sent += last - at
        at = last % FRAMES
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))  # noqa: T201  (read by the parent)


def receive() -> None:
    """Listen until interrupted; print what was received."""
    from service.capture.hosts import HostTable
    from service.capture.live import LiveCapture, listen
    from service.pipeline import PipelineSpec
    from service.reading import Reading, read_live
    from service.windows.assign import WindowSpec

    capture = LiveCapture(listen(RECEIVE, "tcp"), HostTable())
    signal.signal(signal.SIGTERM, lambda *_: capture.stop())
    spec = PipelineSpec(windows=WindowSpec.usual())
    attempts, began = 0, 0.0

    def clock() -> int:
        """Tell the time, and at the first question, which follows the first batch, that it has come."""
        nonlocal began
        if not began:
            print("ready", flush=True)  # noqa: T201
            began = time.process_time()
        return time.time_ns()

    for counts in read_live(capture, "live", spec, Reading(), clock):
        if counts.whole and counts.end - counts.start == spec.windows.length:
            attempts += counts.attempts
    cpu = time.process_time() - began
    losses = capture.losses()
    print(json.dumps({"received": losses.packets, "dropped": losses.dropped, "attempts": attempts, "cpu": cpu}))  # noqa: T201


def inside(namespace: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a part of this module in a namespace."""
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-m", __spec__.name, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(rate: int) -> dict[str, Any]:
    """Return what was sent, received and dropped at a rate."""
    receiver = inside(RECEIVE, "--part", "receive")
    if receiver.stdout is None or receiver.stdout.readline() != "ready\n":
        raise SystemExit("the receiver did not begin to listen; see its message above")
    sender = inside(SEND, "--part", "send", "--rate", str(rate))
    sent = json.loads(sender.communicate()[0])
    time.sleep(1)
    receiver.terminate()
    found: dict[str, Any] = {"asked": rate, **sent, **json.loads(receiver.communicate()[0])}
    return found


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def main() -> None:
    """Measure every rate, and write live.json and live.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/ingest"))
    parser.add_argument("--part", choices=["send", "receive"], help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "send":
        send(options.rate)
    elif options.part == "receive":
        receive()
    else:
        run(options.output)


def run(output: Path) -> None:
    """Join two namespaces, measure, and take them away again."""
    for name in (SEND, RECEIVE):
        ip("netns", "add", name)
    try:
        ip("link", "add", SEND, "netns", SEND, "type", "veth", "peer", "name", RECEIVE, "netns", RECEIVE)
        for name in (SEND, RECEIVE):
            ip("-n", name, "link", "set", name, "up")
        rows = [measure(rate) for rate in RATES]
    finally:
        for name in (SEND, RECEIVE):
            ip("netns", "delete", name)
    output.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    (output / "live.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", "utf-8")
    (output / "live.md").write_text(markdown(machine, rows), encoding="utf-8")


def markdown(machine: str, rows: list[dict[str, Any]]) -> str:
    """Return the table."""
    lines = [
        "# A live interface",
        "",
        f"{machine}. SYNs of 60 bytes over a veth pair for {SECONDS:.0f} s; decoded, followed, counted in windows.",
        "",
        "| asked, packets/s | sent, packets/s | received | dropped by the kernel | receiver's CPU, µs a packet |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        asked = f"{row['asked']:,}" if row["asked"] else "all it can"
        lines.append(
            f"| {asked} | {row['sent'] / row['seconds']:,.0f} | {row['received']:,} of {row['sent']:,} "
            f"| {row['dropped']:,} | {1e6 * row['cpu'] / max(row['received'], 1):.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
