"""Runs all that a worker usually runs, once: what is not compiled and kept yet is compiled before work is taken.

Compiling takes a minute or two where nothing is kept (`service.compiled`). Without this, the first upload would
wait for it, and its time limits would count it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from struct import pack
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from service.disk import is_full, unwritten
from service.errors import YochoError
from service.pipeline import Pipeline, PipelineSpec
from service.selfcheck.frames import SYN, Ends, capture, tcp
from service.selfcheck.scans import EXAMPLES, SECOND
from service.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from service.selfcheck.frames import Frame

_log = logging.getLogger(__name__)

_BEGIN = 1_700_000_000
_SPACED = 10 * SECOND
_CROWD = 5000
"""Attempts: more than the smallest tables hold, ..."""
_RATE = 8
"""... and how many a second where there is time."""
_LONG = 3600 * SECOND
"""Examples that take longer are left out."""
_SLOW = 10.0
"""Seconds after which it is worth saying what has taken them."""


def warm_up_apart(spec: PipelineSpec, warm: Callable[[PipelineSpec], None] | None = None) -> bool:
    """Do what `warm_up` does in a process of its own, for compiling takes 0.5 GB; return whether that went well.

    To be called while this process has one thread: it is forked.
    """
    context = multiprocessing.get_context("fork")
    alive, mine = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(alive, mine, warm or warm_up, spec))
    child.start()
    try:
        child.join(_SLOW)
        if child.is_alive():
            _log.info("compiling what is not kept yet; work waits for it, a minute or two")
        child.join()
    finally:
        mine.close()
        alive.close()
    if child.exitcode:
        _log.warning("not all is compiled yet: the first work takes longer", extra={"code": child.exitcode})
    return child.exitcode == 0


def _child(alive: Connection, mine: Connection, warm: Callable[[PipelineSpec], None], spec: PipelineSpec) -> None:
    mine.close()
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    try:
        warm(spec)
    except YochoError as error:
        _log.warning("can't get ready", extra={"reason": str(error)})
        os._exit(1)


def _end_with_parent(alive: Connection) -> None:
    """Wait until the process that waits for this one is gone."""
    alive.poll(None)
    os._exit(1)


def warm_up(spec: PipelineSpec) -> None:
    """Read a capture and a log, and analyse their windows; nothing is kept of them.

    Raises FullError if there is no room for what is compiled, or for a file.
    """
    for number, (what, content) in enumerate(_TRAFFIC.items(), 1):
        began = time.monotonic()
        try:
            _run(spec, content())
        except OSError as error:
            if is_full(error):
                raise unwritten("the disk", error) from error
            raise
        seconds = time.monotonic() - began
        if seconds > _SLOW:
            told = {"what": what, "step": number, "of": len(_TRAFFIC), "seconds": round(seconds)}
            _log.info("compiled, and kept for the next start", extra=told)


def _run(spec: PipelineSpec, content: bytes) -> None:
    with NamedTemporaryFile(prefix="yocho-", suffix=".ready") as file:
        file.write(content)
        file.flush()
        Pipeline(spec, MemoryStore(most_windows=1)).accept_capture(Path(file.name), "ready")


def _as_pcapng(frames: Sequence[Frame]) -> bytes:
    """Write frames as a section of pcapng (draft-ietf-opsawg-pcapng), the second of each two with a VLAN's tag."""
    blocks = [(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), (1, pack("<HHI", 1, 0, 0))]
    for number, frame in enumerate(frames):
        data = frame.data[:12] + b"\x81\x00\x00\x07" * (number % 2) + frame.data[12:]
        high, low = divmod(frame.time // 1000, 1 << 32)
        blocks.append((6, pack("<IIIII", 0, high, low, len(data), len(data)) + data + bytes(-len(data) % 4)))
    return b"".join(pack("<II", kind, len(body) + 12) + body + pack("<I", len(body) + 12) for kind, body in blocks)


def _some_log() -> bytes:
    lines = [f"{_BEGIN + i},192.0.2.1,192.0.2.{i + 2},tcp/{20 + i}\n" for i in range(40)]
    return ("start,source,target,service\n" + "".join(lines)).encode()


def _steady() -> list[Frame]:
    """Return many sources of which each minute is like the one before, but for a little, and scans of all kinds.

    So patterns are found, and then followed.
    """
    frames, start, chance = [], _BEGIN * SECOND, Random(1)  # noqa: S311  (the same traffic each time)
    for i in range(_CROWD):
        number = i % (_RATE * 60)
        source, target = f"198.18.{number % 50}.{number % 37 + 1}", f"198.19.0.{number % 241 + 1}"
        port = chance.randrange(60, 80) if chance.random() < 0.02 else number * number % 59 + 1
        frames.append(tcp(start + i * SECOND // _RATE, Ends(source, target, target_port=port), SYN))
    start = frames[-1].time + _SPACED
    for example in EXAMPLES:
        found = list(example.frames(start))
        if found[-1].time - start < _LONG:
            frames += found
            start = found[-1].time + _SPACED
    return frames


def _lively() -> list[Frame]:
    """Return a minute in which many sources try this and that."""
    frames, chance = [], Random(1)  # noqa: S311
    for i in range(_CROWD):
        ends = Ends(f"198.18.{i % 50}.{i % 37 + 1}", f"198.19.0.{i % 250 + 1}", target_port=chance.randrange(1, 60))
        frames.append(tcp(_BEGIN * SECOND + i * SECOND // 100, ends, SYN))
    return frames


_TRAFFIC: dict[str, Callable[[], bytes]] = {
    "logs": _some_log,
    "captures": lambda: capture(_steady()),
    "lively captures": lambda: capture(_lively()),
    "captures of other kinds": lambda: _as_pcapng(_lively()[:200]),
}
