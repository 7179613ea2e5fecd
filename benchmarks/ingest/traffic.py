"""Capture files to measure with: the example capture over and over, and scans made up by the million."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

START = 1_700_000_000
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_ETHERNET = bytes.fromhex("020000000001020000000002") + b"\x08\x00"
_IPV4 = struct.pack(">BBHHHBBH8x", 0x45, 0, 40, 1, 0, 64, 6, 0)
_TCP = struct.pack(">HHIIBBHHH", 40000, 23, 1, 0, 0x50, 2, 1024, 0, 0)


def syns(source: NDArray[np.uint32], target: NDArray[np.uint32], seconds: float) -> bytes:
    """Return the records of one SYN to tcp/23 for each pair, evenly spread over some time."""
    n = len(source)
    rows = np.zeros((n, 16 + 54), np.uint8)
    time = START * 10**6 + (np.arange(n) * (seconds * 10**6 / n)).astype(np.int64)
    _put(rows, 0, "<u4", time // 10**6)
    _put(rows, 4, "<u4", time % 10**6)
    _put(rows, 8, "<u4", np.full(n, 54))
    _put(rows, 12, "<u4", np.full(n, 60))
    rows[:, 16:] = np.frombuffer(_ETHERNET + _IPV4 + _TCP, np.uint8)
    _put(rows, 16 + 26, ">u4", source)
    _put(rows, 16 + 30, ">u4", target)
    return rows.tobytes()


def _put(rows: NDArray[np.uint8], at: int, kind: str, values: NDArray[Any]) -> None:
    rows[:, at : at + 4] = values.astype(kind).view(np.uint8).reshape(-1, 4)


def sweep(path: Path, packets: int) -> None:
    """Write a file in which one source tries so many random targets within a minute."""
    target = np.random.default_rng(1).integers(1 << 24, 0xDF << 24, packets, dtype=np.uint32)
    path.write_bytes(HEADER + syns(np.full(packets, 0x0A000001, np.uint32), target, 60))


def strangers(path: Path, packets: int) -> None:
    """Write a file in which so many random sources try one target each within a minute."""
    source = np.random.default_rng(2).integers(1 << 24, 0xDF << 24, packets, dtype=np.uint32)
    path.write_bytes(HEADER + syns(source, np.full(packets, 0x0A000002, np.uint32), 60))


def mix(path: Path, example: Path, packets: int) -> None:
    """Write a file that repeats the example capture, each time later, and fills a quarter with sweeps."""
    data = example.read_bytes()
    if data[:4] != HEADER[:4]:
        raise SystemExit(f"{example}: not a little-endian capture with microseconds; give the example capture")
    offsets, times = records(data)
    span = int(times[-1] - times[0]) // 10**6 + 60
    rng = np.random.default_rng(3)
    scans = packets // 4
    rounds = -(-(packets - scans) // len(offsets))
    with path.open("wb") as file:
        file.write(data[:24])
        for turn in range(rounds):
            moved = np.frombuffer(data, np.uint8).copy()
            seconds = (times + turn * span * 10**6) // 10**6
            for byte in range(4):
                moved[offsets + byte] = (seconds >> 8 * byte) & 255
            file.write(moved[24:].tobytes())
            count = scans // rounds
            target = rng.integers(1 << 24, 0xDF << 24, count, dtype=np.uint32)
            swept = bytearray(syns(np.full(count, 0x0A000100 + turn % 16, np.uint32), target, 30))
            shift = int(times[-1]) // 10**6 + turn * span + 1 - START
            rows = np.frombuffer(swept, np.uint8).reshape(count, -1)
            _put(rows, 0, "<u4", rows[:, :4].copy().view("<u4").ravel() + shift)
            file.write(swept)


def records(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each record begins, and its time in µs."""
    offsets, times, at = [], [], 24
    while at + 16 <= len(data):
        seconds, micros, captured, _ = struct.unpack_from("<IIII", data, at)
        offsets.append(at)
        times.append(seconds * 10**6 + micros)
        at += 16 + captured
    return np.array(offsets), np.array(times)
