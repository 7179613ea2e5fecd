"""Datagrams of NetFlow and IPFIX, built by hand as the standards draw them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from service.capture.address import format_addresses
from service.capture.hosts import HostTable
from service.capture.netflow import Exports, ExportSpec
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.capture.batch import FlowBatch

SECOND = 1_000_000_000
EXPORT = 1_790_000_000
"""When datagrams are exported, seconds since the epoch."""
UPTIME = 100_000
"""Milliseconds that the exporter is up by then."""
REVERSE = 29305

SOURCE4, TARGET4, SOURCE_PORT, TARGET_PORT, PROTOCOL, PACKETS, FLAGS = (
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (2, 4),
    (6, 1),
)
START_UPTIME, END_UPTIME = (22, 4), (21, 4)
FLOW = (SOURCE4, TARGET4, SOURCE_PORT, TARGET_PORT, PROTOCOL, FLAGS, PACKETS)

FieldOf = tuple[int, int] | tuple[int, int, int]


@dataclass(frozen=True)
class Row:
    """A flow as people write it."""

    source: str
    source_port: int
    target: str
    target_port: int
    protocol: str
    packets: int
    returned: int
    flags: int
    returned_flags: int
    start: float
    """Seconds from the export."""
    end: float
    state: int = 0
    directed: bool = False


SYN = Row("192.0.2.1", 40000, "198.51.100.2", 80, "tcp", 1, -1, 2, 0, -3.0, -1.0)
"""The flow of `v5_record()`."""
NOW = replace(SYN, start=0.0, end=0.0)


def rows_of(flows: FlowBatch, hosts: HostTable, origin: int = EXPORT) -> list[Row]:
    sources = format_addresses(hosts.addresses(flows.source))
    targets = format_addresses(hosts.addresses(flows.target))
    return [
        Row(
            sources[i],
            int(flows.source_port[i]),
            targets[i],
            int(flows.target_port[i]),
            Protocol(int(flows.protocol[i])).name.lower(),
            int(flows.packets[i]),
            int(flows.returned[i]),
            int(flows.flags[i]),
            int(flows.returned_flags[i]),
            round((int(flows.time[i]) - origin * SECOND) / SECOND, 6),
            round((int(flows.end[i]) - origin * SECOND) / SECOND, 6),
            int(flows.state[i]),
            bool(flows.directed[i]),
        )
        for i in range(len(flows))
    ]


class Reader:
    """Reads datagrams one by one, as they come."""

    def __init__(self, spec: ExportSpec | None = None) -> None:
        self.hosts = HostTable(1000)
        self.exports = Exports(self.hosts, spec or ExportSpec())

    def read(self, *datagrams: bytes) -> list[Row]:
        rows = [row for data in datagrams for row in rows_of(self.exports.read([data]), self.hosts)]
        return rows + rows_of(self.exports.finish(), self.hosts)

    @property
    def losses(self) -> dict[str, int]:
        return self.exports.losses()


def address(text: str) -> bytes:
    return ip_address(text).packed


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def v5_record(
    source: str = "192.0.2.1",
    target: str = "198.51.100.2",
    *,
    sport: int = 40000,
    dport: int = 80,
    protocol: int = 6,
    flags: int = 2,
    packets: int = 1,
    first: int = UPTIME - 3000,
    last: int = UPTIME - 1000,
) -> bytes:
    return struct.pack(
        ">4s4s4sHHIIIIHHBBBBHHBBH",
        address(source),
        address(target),
        bytes(4),
        1,
        2,
        packets,
        60 * packets,
        first,
        last,
        sport,
        dport,
        0,
        flags,
        protocol,
        0,
        64512,
        64513,
        24,
        24,
        0,
    )


def v5(
    records: Sequence[bytes],
    *,
    count: int | None = None,
    sequence: int = 0,
    uptime: int = UPTIME,
    seconds: int = EXPORT,
    nanoseconds: int = 0,
    engine: int = 0,
    sampling: int = 0,
) -> bytes:
    count = len(records) if count is None else count
    header = struct.pack(">HHIIIIBBH", 5, count, uptime, seconds, nanoseconds, sequence, 0, engine, sampling)
    return header + b"".join(records)


def v9(
    *sets: bytes, sequence: int = 0, uptime: int = UPTIME, seconds: int = EXPORT, source: int = 0, count: int = 1
) -> bytes:
    return struct.pack(">HHIIII", 9, count, uptime, seconds, sequence, source) + b"".join(sets)


def ipfix(
    *sets: bytes, sequence: int = 0, seconds: int = EXPORT, domain: int = 0, length: int | None = None
) -> bytes:
    body = b"".join(sets)
    length = 16 + len(body) if length is None else length
    return struct.pack(">HHIII", 10, length, seconds, sequence, domain) + body


def a_set(number: int, *parts: bytes, length: int | None = None, padding: int = 0) -> bytes:
    body = b"".join(parts) + bytes(padding)
    return struct.pack(">HH", number, 4 + len(body) if length is None else length) + body


def fields(given: Iterable[FieldOf]) -> bytes:
    """Write field specifiers: (element, length), or (element, length, enterprise)."""
    written = b""
    for field in given:
        if len(field) == 3:
            written += struct.pack(">HHI", field[0] | 0x8000, field[1], field[2])
        else:
            written += struct.pack(">HH", *field)
    return written


def template(given: Sequence[FieldOf], *, name: int = 256, count: int | None = None) -> bytes:
    return struct.pack(">HH", name, len(given) if count is None else count) + fields(given)


def flow(
    source: str = "192.0.2.1",
    target: str = "198.51.100.2",
    *,
    sport: int = 40000,
    dport: int = 80,
    protocol: int = 6,
    flags: int = 2,
    packets: int = 1,
) -> bytes:
    """Write a record of the template `FLOW`."""
    return (
        address(source)
        + address(target)
        + number(sport, 2)
        + number(dport, 2)
        + number(protocol, 1)
        + number(flags, 1)
        + number(packets, 4)
    )


def v9_template(given: tuple[FieldOf, ...] = FLOW, name: int = 256) -> bytes:
    return a_set(0, template(given, name=name))


def ipfix_template(given: tuple[FieldOf, ...] = FLOW, name: int = 256) -> bytes:
    return a_set(2, template(given, name=name))
