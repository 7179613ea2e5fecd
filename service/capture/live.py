"""A live interface as a source of traffic."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Protocol

import numpy as np

from service.capture.batch import PacketBatch
from service.capture.decoder import Decoder
from service.capture.records import RecordBlock, RecordColumns
from service.capture.ring import ETHERNET, PacketRing
from service.capture.source import Losses
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.hosts import HostTable

PATIENCE = 0.1
"""Seconds without packets after which an empty batch is handed on, so that time goes on."""
_LAST_BLOCKS = 64
"""Blocks that are read at most after the end was asked for."""
_TAKEN = 1 << 16
"""Bytes of the buffer of packets that a listening socket hands over one by one."""


class Listener(Protocol):
    """What hands over the packets of an interface."""

    def next_block(self, patience: float) -> RecordBlock | None:
        """Return packets, or None after so many seconds without any."""
        ...

    def drops(self) -> int | None:
        """Return the packets that the system dropped, or None if it does not say."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class LiveCapture:
    """The packets of an interface as a `TrafficSource`, until `stop` is called."""

    def __init__(self, listener: Listener, hosts: HostTable) -> None:
        self.hosts = hosts
        self._listener = listener
        self._decoder = Decoder(hosts)
        self._stopped = threading.Event()
        self._bytes = 0
        self._dropped: int | None = 0
        # The first call compiles, which takes longer than the ring has room.
        self._decoder.decode(RecordColumns.empty().block(np.empty(0, np.uint8), 0))

    def batches(self) -> Iterator[PacketBatch]:
        """Yield packets as they come, and an empty batch now and then if none do."""
        try:
            left = _LAST_BLOCKS
            while left:
                block = self._listener.next_block(PATIENCE)
                if self._stopped.is_set():
                    left = left - 1 if block else 0
                if block is None:
                    yield PacketBatch.room(0)
                    continue
                self._bytes += int(block.length.sum())
                yield self._decoder.decode(block)
            self._dropped = self._listener.drops()
        finally:
            self._listener.close()

    def stop(self) -> None:
        """End `batches` after the packets that are at hand; may be called from a signal handler."""
        self._stopped.set()

    def position(self) -> int:
        """Return how many bytes were captured."""
        return self._bytes

    def losses(self) -> Losses:
        """Return what was not followed up to now, and what the system dropped."""
        dropped = self._dropped if self._stopped.is_set() else self._listener.drops()
        return Losses(self._decoder.packets, self._decoder.unparsed(), None, dropped, self._decoder.tunnelled())


def listen(interface: str, filter_expression: str = "") -> Listener:
    """Return the fastest listener that the system has; raises CaptureError if it has none for the interface."""
    if hasattr(socket, "AF_PACKET"):
        return PacketRing(interface, filter_expression)
    return ScapyListener(interface, filter_expression)


class ScapyListener:
    """scapy's listening socket: one packet at a time, on systems that have no packet ring.

    Raises CaptureError if scapy can't listen on the interface.
    """

    def __init__(self, interface: str, filter_expression: str = "") -> None:
        from scapy.config import conf  # noqa: PLC0415  (slow to import)
        from scapy.error import Scapy_Exception  # noqa: PLC0415
        from scapy.packet import Packet  # noqa: PLC0415

        try:
            self._socket = conf.L2listen(iface=interface, filter=filter_expression or None, promisc=True)
        except (OSError, Scapy_Exception, ValueError) as error:
            raise CaptureError(
                f"{interface}: can't listen there: {error}; check its name and your rights"
            ) from None
        self._links = conf.l2types.layer2num
        self._unknown = Packet
        self._columns = RecordColumns.empty()
        self._buffer = np.empty(1 << 22, np.uint8)

    def next_block(self, patience: float) -> RecordBlock | None:
        """Return the packets that came within `patience` seconds, or None."""
        end = time.monotonic() + patience
        count = filled = 0
        columns = self._columns
        while count < len(columns.offset) and filled + _TAKEN <= len(self._buffer):
            left = end - time.monotonic()
            if left <= 0 or not self._socket.select([self._socket], left):
                break
            layer, data, moment = self._socket.recv_raw(_TAKEN)
            if not data:
                continue
            size = len(data)
            self._buffer[filled : filled + size] = np.frombuffer(data, np.uint8)
            columns.offset[count], columns.length[count] = filled, size
            columns.time[count] = int(moment * 1_000_000_000) if moment else time.time_ns()
            columns.link[count] = self._links.get(layer or self._unknown, ETHERNET)
            filled, count = filled + size, count + 1
        return columns.block(self._buffer, count) if count else None

    def drops(self) -> None:
        """Return None: scapy does not say what was dropped."""

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
