#!/usr/bin/env python3
"""Write the truth of a lab recording: who did what, measured in the capture itself.

    lab_truth.py CAPTURE EVENTS TOOLS OUTPUT

CAPTURE is a classic pcap file of Ethernet frames. EVENTS has a line for each source, separated by tabs:
name, role, kind (may be empty), source, command. TOOLS has name and version. OUTPUT is JSON.

Roles and kinds are what the recording's author set out to do. Times, packets, services and targets are
counted in the capture: a conversation belongs to the address that sent its first packet.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address = IPv4Address | IPv6Address
Service = tuple[str, int]
"""Protocol name and destination port; the type of the request for ICMP."""

ROLES = ("scan", "flood", "guessing", "benign")
KINDS = ("vertical", "horizontal", "block")
LISTED_TARGETS = 16

_BYTE_ORDERS = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
_ETHERNET = 1
_ICMP_REQUESTS = {("icmp", 8): "echo", ("icmp", 13): "timestamp", ("icmp6", 128): "echo"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
_NEIGHBOUR_DISCOVERY = range(133, 138)  # RFC 4861: IPv6's ARP


class TruthError(Exception):
    """The recording or the description of its events can't be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one source was made to do."""

    name: str
    role: str
    kind: str | None
    source: Address
    command: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise TruthError(f"{self.name}: role {self.role!r} is none of {', '.join(ROLES)}")
        if (self.role == "scan") != (self.kind in KINDS):
            raise TruthError(f"{self.name}: a scan, and only a scan, has a kind: one of {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Packet:
    """The part of an IP packet that tells who speaks to whom; ports are 0 for ICMP."""

    time: float
    """Seconds since the epoch."""
    protocol: str
    source: Address
    source_port: int
    target: Address
    target_port: int
    icmp_type: int | None


@dataclass(slots=True)
class Activity:
    """What a source was seen to do."""

    times: list[float] = field(default_factory=list)
    services: set[Service] = field(default_factory=set)
    targets: set[Address] = field(default_factory=set)


def read_events(path: Path) -> list[Event]:
    """Read the events; raises TruthError with the line that is wrong."""
    events = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cells = line.split("\t")
        if len(cells) != 5:
            raise TruthError(f"{path.name}, line {number}: {len(cells)} columns, expected 5")
        name, role, kind, source, command = cells
        events.append(Event(name, role, kind or None, ip_address(source), command))
    return events


def read_tools(path: Path) -> dict[str, str]:
    """Read names and versions, separated by a tab."""
    rows = (line.partition("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: version for name, _, version in rows}


def read_packets(path: Path) -> Iterator[Packet]:
    """Yield the IP packets of a capture; raises TruthError if it is no classic pcap of Ethernet frames."""
    data = path.read_bytes()
    order = _BYTE_ORDERS.get(data[:4])
    if order is None or len(data) < 24:
        raise TruthError(f"{path.name}: is no classic pcap file with microseconds; record it with tcpdump -w")
    (link,) = struct.unpack_from(f"{order}I", data, 20)
    if link != _ETHERNET:
        raise TruthError(f"{path.name}: link type {link}, expected {_ETHERNET} (Ethernet)")
    offset = 24
    while offset < len(data):
        if offset + 16 > len(data):
            raise TruthError(f"{path.name}, byte {offset}: ends inside a record header; record it again")
        seconds, micros, kept, _ = struct.unpack_from(f"{order}IIII", data, offset)
        offset += 16
        frame = data[offset : offset + kept]
        if len(frame) < kept:
            raise TruthError(f"{path.name}, byte {offset}: ends inside a packet; record it again")
        offset += kept
        packet = decode(seconds + micros / 1e6, frame)
        if packet is not None:
            yield packet


def decode(time: float, frame: bytes) -> Packet | None:
    """Return the packet in an Ethernet frame, or None if it is not TCP, UDP or ICMP."""
    ethertype, header = frame[12:14], frame[14:]
    source: Address
    target: Address
    if ethertype == b"\x08\x00" and len(header) >= 20:
        protocol, body = _PROTOCOLS.get(header[9]), header[(header[0] & 15) * 4 :]
        source, target = IPv4Address(header[12:16]), IPv4Address(header[16:20])
    elif ethertype == b"\x86\xdd" and len(header) >= 40:
        protocol, body = _PROTOCOLS.get(header[6]), header[40:]
        source, target = IPv6Address(header[8:24]), IPv6Address(header[24:40])
    else:
        return None
    if protocol is None or len(body) < 4:
        return None
    if protocol.startswith("icmp"):
        return Packet(time, protocol, source, 0, target, 0, body[0])
    source_port, target_port = struct.unpack_from("!HH", body)
    return Packet(time, protocol, source, source_port, target, target_port, None)


def observe(packets: Iterable[Packet], sources: Iterable[Address]) -> dict[Address, Activity]:
    """Return what each of the sources sent, and the services and targets that it turned to by itself."""
    activities = {source: Activity() for source in sources}
    begun: set[tuple[str, frozenset[tuple[Address, int]]]] = set()
    for packet in packets:
        conversation = (
            packet.protocol,
            frozenset({(packet.source, packet.source_port), (packet.target, packet.target_port)}),
        )
        begins = packet.icmp_type is not None or conversation not in begun
        begun.add(conversation)
        activity = activities.get(packet.source)
        if activity is None or packet.icmp_type in _NEIGHBOUR_DISCOVERY:
            continue
        activity.times.append(packet.time)
        request = packet.icmp_type is None or (packet.protocol, packet.icmp_type) in _ICMP_REQUESTS
        if begins and request:
            activity.services.add((packet.protocol, packet.icmp_type or packet.target_port))
            activity.targets.add(packet.target)
    return activities


def describe_services(services: set[Service]) -> list[str]:
    """Write services with runs of ports drawn together: ``tcp/1-1000``, ``udp/53``, ``icmp/echo``."""
    texts = [f"{name}/{_ICMP_REQUESTS[name, kind]}" for name, kind in sorted(services) if "icmp" in name]
    for protocol in ("tcp", "udp"):
        ports = sorted(port for name, port in services if name == protocol)
        starts = [port for last, port in pairwise([-2, *ports]) if port != last + 1]
        ends = [port for port, following in pairwise([*ports, 1 << 17]) if following != port + 1]
        texts += [
            f"{protocol}/{start}" if start == end else f"{protocol}/{start}-{end}"
            for start, end in zip(starts, ends, strict=True)
        ]
    return texts


def describe_targets(targets: set[Address]) -> list[str] | str:
    """Return up to `LISTED_TARGETS` addresses, or the smallest network that holds them all."""
    if len(targets) <= LISTED_TARGETS:
        return [str(target) for target in sorted(targets, key=int)]
    lowest, highest = min(targets, key=int), max(targets, key=int)
    length = lowest.max_prefixlen - (int(lowest) ^ int(highest)).bit_length()
    return str(ip_network(f"{lowest}/{length}", strict=False))


def event_row(event: Event, activity: Activity) -> dict[str, object]:
    """Return the event as it stands in the truth; raises TruthError if its source was never seen."""
    if not activity.times:
        raise TruthError(f"{event.name}: {event.source} sent nothing; see why its command failed")
    return {
        "name": event.name,
        "role": event.role,
        "kind": event.kind,
        "source": str(event.source),
        "services": describe_services(activity.services),
        "targets": describe_targets(activity.targets),
        "target_count": len(activity.targets),
        "first": round(min(activity.times), 6),
        "last": round(max(activity.times), 6),
        "packets": len(activity.times),
        "command": event.command,
    }


def write_truth(capture: Path, events: Path, tools: Path, output: Path) -> None:
    """Measure the events in the capture and write the truth."""
    described = read_events(events)
    activities = observe(read_packets(capture), (event.source for event in described))
    rows = [event_row(event, activities[event.source]) for event in described]
    began = min(time for activity in activities.values() for time in activity.times)
    truth = {
        "capture": capture.name,
        "recorded": datetime.fromtimestamp(began, UTC).date().isoformat(),
        "tools": read_tools(tools),
        "events": sorted(rows, key=lambda row: str(row["first"])),
    }
    output.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write the truth of a lab recording.")
    for name in ("capture", "events", "tools", "output"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    try:
        write_truth(arguments.capture, arguments.events, arguments.tools, arguments.output)
    except (TruthError, OSError) as error:
        sys.exit(f"lab_truth: {error}")


if __name__ == "__main__":
    main()
