"""Files written and read, batches turned into packets that can be compared."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import V4_PREFIX, format_addresses, parse_address
from service.capture.batch import AttemptBatch, PacketBatch
from service.capture.file import CaptureFile
from service.capture.formats import recognise
from service.capture.kernels import headers
from service.capture.opening import Opening
from service.capture.services import Protocol, format_service
from tests.reference import Packet, Told

if TYPE_CHECKING:
    from pathlib import Path

    from service.capture.hosts import HostTable
    from service.capture.inputs import Input
    from service.capture.source import Losses

_EVENTS = {
    headers.TCP: "tcp",
    headers.UDP: "udp",
    headers.REQUEST: "request",
    headers.REPLY: "reply",
    headers.UNREACHABLE: "unreachable",
    headers.TIME_EXCEEDED: "expired",
}
_NUMBERS = {event: number for number, event in _EVENTS.items()}
_OUTCOMES = ("attempt", "answered", "refused", "expired", "hung_up", "empty")


@dataclass(frozen=True)
class Reading:
    packets: list[Packet]
    losses: Losses

    @property
    def times(self) -> list[int]:
        return [packet.time for packet in self.packets]


def read(path: Path, data: bytes, hosts: HostTable | None = None) -> Reading:
    """Write a file and read all of it."""
    path.write_bytes(data)
    capture = CaptureFile(path, hosts)
    packets = [packet for batch in capture.batches() for packet in packets_of(batch, capture.hosts)]
    return Reading(packets, capture.losses())


def packets_of(batch: PacketBatch, hosts: HostTable) -> list[Packet]:
    sources = format_addresses(hosts.addresses(batch.source))
    targets = format_addresses(hosts.addresses(batch.target))
    return [
        Packet(
            int(batch.time[i]),
            sources[i],
            targets[i],
            Protocol(int(batch.protocol[i])).name.lower(),
            int(batch.source_port[i]),
            int(batch.target_port[i]),
            _EVENTS[int(batch.event[i])],
            int(batch.flags[i]) & 255,
            bool(batch.flags[i] & headers.PAYLOAD),
            bool(batch.flags[i] & headers.GROUP),
            bool(batch.flags[i] & headers.BARE),
        )
        for i in range(len(batch))
    ]


def batch_of(packets: list[Packet]) -> PacketBatch:
    """Turn packets between IPv4 hosts into a batch, without a file."""
    return PacketBatch(
        time=np.array([packet.time for packet in packets], dtype=np.int64),
        source=np.array([_host(packet.source) for packet in packets], dtype=np.uint32),
        target=np.array([_host(packet.target) for packet in packets], dtype=np.uint32),
        source_port=np.array([packet.source_port for packet in packets], dtype=np.uint16),
        target_port=np.array([packet.target_port for packet in packets], dtype=np.uint16),
        protocol=np.array([Protocol[packet.protocol.upper()] for packet in packets], dtype=np.uint8),
        event=np.array([_NUMBERS[packet.event] for packet in packets], dtype=np.uint8),
        flags=np.array(
            [
                packet.flags
                | packet.payload * headers.PAYLOAD
                | packet.group * headers.GROUP
                | packet.bare * headers.BARE
                for packet in packets
            ],
            dtype=np.uint16,
        ),
    )


def told_by(batch: AttemptBatch, hosts: HostTable) -> list[Told]:
    """Return the rows of a batch as the reference writes them."""
    sources = format_addresses(hosts.addresses(batch.source))
    targets = format_addresses(hosts.addresses(batch.target))
    return [
        Told(
            int(batch.time[i]),
            sources[i],
            targets[i],
            format_service(int(batch.service[i])),
            _OUTCOMES[int(batch.outcome[i])],
        )
        for i in range(len(batch))
    ]


def _host(text: str) -> int:
    return parse_address(text)[1] - V4_PREFIX


def kind_of(path: Path) -> Input:
    """Return the kind of a file by its first bytes."""
    with closing(Opening(path)) as opening:
        return recognise(opening)
