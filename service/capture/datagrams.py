"""Datagrams from the network: a thread empties the kernel's buffer into a bounded queue, whatever else goes on.

Exporters send in bursts: what comes while a window is analysed must not be lost. The kernel's own buffer is small
unless the system's administrator has it otherwise, so the queue is in our memory.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_LARGEST = 65535
_POLL_MS = 200
_AT_A_TIME = 256
_LAST_ROUNDS = 64
"""After the end is asked for, the kernel's buffer is emptied so often at most: an exporter may never pause."""

# Linux only, and not in Python's socket module: see socket(7) and linux/sock_diag.h.
_SO_RCVBUFFORCE, _SO_MEMINFO = 33, 55
_MEMINFO = struct.Struct("9I")
_DROPS = 8


@dataclass(frozen=True, slots=True)
class ReceiveSpec:
    """How much may be on its way.

    Raises ValueError if one of them is not positive.
    """

    kernel_bytes: int = 32 << 20
    """Asked for the kernel's buffer; it may grant less (``net.core.rmem_max``)."""
    queue_bytes: int = 64 << 20
    """Most bytes that wait to be read by us; what comes then is counted as dropped."""

    def __post_init__(self) -> None:
        if self.kernel_bytes < 1 or self.queue_bytes < 1:
            raise ValueError("kernel_bytes, queue_bytes: must be positive")


def open_datagrams(host: str, port: int, spec: ReceiveSpec) -> socket.socket:
    """Return a UDP socket that listens on an address, with as large a buffer as is granted; raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        with contextlib.suppress(OSError):  # what is granted is read back
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, spec.kernel_bytes)
        if granted_bytes(opened) < spec.kernel_bytes:
            with contextlib.suppress(OSError):  # it takes a privilege, on Linux
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, spec.kernel_bytes)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind(address)
        opened.settimeout(0)
    except OSError:
        opened.close()
        raise
    return opened


def granted_bytes(listener: socket.socket) -> int:
    """Return the size of the kernel's buffer of a socket; Linux counts its own overhead in."""
    return listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def kernel_drops(listener: socket.socket) -> int:
    """Return how many datagrams the kernel dropped for want of room; 0 where it can't be asked (not Linux)."""
    try:
        told = listener.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(told)[_DROPS]) if len(told) == _MEMINFO.size else 0


class DatagramReceiver:
    """Receives datagrams in a thread of its own, as long as it is entered."""

    def __init__(self, listener: socket.socket, spec: ReceiveSpec = ReceiveSpec()) -> None:
        self._listener = listener
        self._spec = spec
        self._ready = threading.Condition()
        self._queue: list[tuple[str, bytes]] = []
        self._bytes = 0
        self._stop = False
        self._thread = threading.Thread(target=self._receive, name="datagrams", daemon=True)
        self.received = 0
        self.queue_drops = 0
        """Datagrams dropped because the queue was full."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the thread; what was received until then can still be taken."""
        self._stop = True
        self._thread.join()

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped for want of room."""
        return kernel_drops(self._listener)

    def take(self, timeout: float) -> list[tuple[str, bytes]]:
        """Return (sender's address, datagram) of all that came, in order; wait up to `timeout` seconds for one."""
        with self._ready:
            if not self._queue:
                self._ready.wait(timeout)
            taken, self._queue = self._queue, []
            self._bytes = 0
            return taken

    def _receive(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        buffer = bytearray(_LARGEST)
        view = memoryview(buffer)
        senders: dict[object, str] = {}
        rounds = _LAST_ROUNDS
        while rounds:
            taken = self._empty(buffer, view, senders)
            if taken:
                self._hand_over(taken)
            elif self._stop:
                return
            else:
                poll.poll(_POLL_MS)
            rounds -= self._stop

    def _empty(self, buffer: bytearray, view: memoryview, senders: dict[object, str]) -> list[tuple[str, bytes]]:
        """Return what is in the kernel's buffer now, up to a number."""
        taken: list[tuple[str, bytes]] = []
        receive, put = self._listener.recvfrom_into, taken.append
        for _ in range(_AT_A_TIME):
            try:
                length, sender = receive(buffer)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error about something that somebody claimed we sent
                continue
            name = senders.get(sender)
            if name is None:
                if len(senders) >= 4096:
                    senders.clear()
                name = senders[sender] = _plain(sender[0])
            put((name, bytes(view[:length])))
        return taken

    def _hand_over(self, taken: list[tuple[str, bytes]]) -> None:
        size = sum(len(data) for _, data in taken)
        with self._ready:
            self.received += len(taken)
            if self._bytes + size > self._spec.queue_bytes:
                self.queue_drops += len(taken)
                return
            self._queue += taken
            self._bytes += size
            self._ready.notify()


def _plain(address: str) -> str:
    """Return an address as people write it: IPv4 as such also where it comes to an IPv6 socket."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed)
