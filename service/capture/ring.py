"""Packets of a live interface: a ring of blocks that the kernel fills and we read in place.

This is AF_PACKET with TPACKET_V3 (Linux' packet_mmap.rst): no system call and no copy for each packet.
"""

from __future__ import annotations

import ctypes
import mmap
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from service.capture.bpf import compile_filter, packed
from service.capture.kernels.ring import ring_records
from service.capture.records import RecordColumns
from service.errors import CaptureError

if TYPE_CHECKING:
    from service.capture.records import RecordBlock

ETHERNET, RAW = 1, 101
LINKS = {1: ETHERNET, 772: ETHERNET, 512: RAW, 519: RAW, 768: RAW, 769: RAW, 776: RAW, 65534: RAW}
"""ARPHRD_* of an interface (linux/if_arp.h) → the link type of its frames: Ethernet and loopback; ppp, tunnels."""
_LOOPBACK = 772

# linux/if_packet.h
_SOL_PACKET, _ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 263, 1, 5, 6, 10
_TPACKET_V3, _PROMISCUOUS, _ALL_PROTOCOLS = 2, 1, 3
_STATUS, _USER = 8, 1
_ATTACH_FILTER = 26


@dataclass(frozen=True, slots=True)
class RingSpec:
    """The ring's size. Raises ValueError unless both numbers are positive and a block is whole pages."""

    blocks: int = 64
    block_size: int = 1 << 20
    """Bytes; a block holds some thousand packets."""
    patience: int = 50
    """A block is handed over after so many ms, however few packets it holds."""

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.patience < 1:
            raise ValueError(f"blocks: {self.blocks}, patience: {self.patience}: both must be positive")
        if self.block_size < mmap.PAGESIZE or self.block_size % mmap.PAGESIZE:
            raise ValueError(f"block_size: {self.block_size} is not a multiple of {mmap.PAGESIZE}")


class PacketRing:
    """The packets of one interface, in promiscuous mode.

    Raises CaptureError if there is no such interface, its link type is unknown, or the process may not listen.
    """

    def __init__(self, interface: str, filter_expression: str = "", spec: RingSpec = RingSpec()) -> None:
        self._spec = spec
        self._socket = _open_socket(interface)
        try:
            hardware = _hardware_type(self._socket, interface)
            self.link = LINKS[hardware]
            self._skip_outgoing = hardware == _LOOPBACK
            _attach(self._socket, packed(compile_filter(filter_expression, self.link)))
            self._memory = _map_ring(self._socket, spec)
            self._socket.bind((interface, _ALL_PROTOCOLS))
            _be_promiscuous(self._socket, interface)
        except BaseException:
            self._socket.close()
            raise
        self._ring = np.frombuffer(self._memory, dtype=np.uint8)
        self._columns = RecordColumns.empty()
        self._columns.link[:] = self.link
        self._turn = 0
        self._drops = 0
        self._taken = False

    def next_block(self, patience: float) -> RecordBlock | None:
        """Return the packets of the next block, or None after `patience` seconds without one.

        The block is valid until the next call, which gives it back to the kernel.
        """
        self._give_back()
        begin = self._turn * self._spec.block_size
        if not self._ready(begin):
            select.select([self._socket], [], [], patience)
            if not self._ready(begin):
                return None
        self._taken = True
        columns = self._columns
        count = ring_records(
            self._ring,
            begin,
            self._spec.block_size,
            self._skip_outgoing,
            columns.offset,
            columns.length,
            columns.time,
        )
        return columns.block(self._ring, count)

    def drops(self) -> int:
        """Return the packets that the kernel dropped, since the ring was opened, because the ring was full."""
        _, dropped, _ = struct.unpack("III", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self._drops += dropped  # the kernel forgets what it has told
        return self._drops

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _ready(self, begin: int) -> bool:
        return bool(self._ring[begin + _STATUS] & _USER)

    def _give_back(self) -> None:
        if self._taken:
            begin = self._turn * self._spec.block_size
            self._ring[begin + _STATUS : begin + _STATUS + 4].view(np.uint32)[0] = 0
            self._turn = (self._turn + 1) % self._spec.blocks
            self._taken = False


def _open_socket(interface: str) -> socket.socket:
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise CaptureError(
            f"{interface}: this process may not listen; run it as root, or give it the capability CAP_NET_RAW"
        ) from None


def _hardware_type(listening: socket.socket, interface: str) -> int:
    try:
        listening.bind((interface, 0))
    except OSError as error:
        raise CaptureError(
            f"{interface}: can't listen there: {error.strerror}; `ip link` shows what there is"
        ) from None
    hardware = int(listening.getsockname()[3])
    if hardware not in LINKS:
        raise CaptureError(f"{interface}: its link type (ARPHRD {hardware}) is not supported; use an Ethernet one")
    return hardware


def _attach(listening: socket.socket, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    listening.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    )


def _map_ring(listening: socket.socket, spec: RingSpec) -> mmap.mmap:
    listening.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
    frame = 1 << 11  # packets are packed as they come; the frame's size only has to divide the block's
    request: tuple[Any, ...] = (
        spec.block_size,
        spec.blocks,
        frame,
        spec.block_size // frame * spec.blocks,
        spec.patience,
        0,
        0,
    )
    try:
        listening.setsockopt(_SOL_PACKET, _RX_RING, struct.pack("7I", *request))
    except OSError as error:
        raise CaptureError(
            f"the kernel refuses a ring of {spec.blocks} blocks of {spec.block_size} bytes: {error.strerror}"
        ) from None
    size, access = spec.block_size * spec.blocks, mmap.PROT_READ | mmap.PROT_WRITE
    return mmap.mmap(listening.fileno(), size, mmap.MAP_SHARED, access)


def _be_promiscuous(listening: socket.socket, interface: str) -> None:
    membership = struct.pack("iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
    listening.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
