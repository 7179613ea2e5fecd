"""Suricata's eve.json: its events of type flow. Other events are skipped and counted.

Suricata says which end is the client; flags and packets tell the rest. Where it did not follow a TCP session, both
sets of flags are empty, and packets alone tell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from service.capture.logs.addresses import AddressBook
from service.capture.logs.head import first_lines
from service.capture.logs.objects import read_objects
from service.capture.logs.rows import Ends, Rows, Story
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.batch import FlowBatch
    from service.capture.hosts import HostTable
    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally


def recognise(head: bytes) -> bool:
    """Tell eve.json by the first object."""
    lines = first_lines(head)
    return bool(lines) and lines[0].startswith("{") and '"event_type"' in lines[0]


class SuricataReader:
    """Reads eve.json block by block."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._book = AddressBook(hosts)
        self._tally = tally

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        return []  # each line names what it tells

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        events = read_objects(lines, self._tally)
        kinds = events.column("event_type")
        rows = Rows(events.lines.numbers, self._book, self._tally)
        rows.refuse(np.array([not kind for kind in kinds], dtype=np.bool_), "event_type is missing")
        rows.skip(
            np.array([kind != "flow" for kind in kinds], dtype=np.bool_), lambda at: f"event_type/{kinds[at]}"
        )
        protocol = rows.protocols(events.column("proto"), "proto")
        flow, tcp = events.inner("flow"), events.inner("tcp")
        time = rows.times(flow.column("start"), "flow.start")
        ended = flow.column("end")
        end = rows.times(
            [last or first for last, first in zip(ended, flow.column("start"), strict=True)], "flow.end"
        )
        story = Story.silent(len(events), directed=True)
        story.flags[:] = [_hex(text) for text in tcp.column("tcp_flags_ts")]
        story.returned_flags[:] = [_hex(text) for text in tcp.column("tcp_flags_tc")]
        story.packets[:] = rows.counts(flow.column("pkts_toserver"), "flow.pkts_toserver")
        story.returned[:] = rows.counts(flow.column("pkts_toclient"), "flow.pkts_toclient")
        ports = zip(events.column("dest_port"), events.column("icmp_type"), protocol.tolist(), strict=True)
        asked = [port if number <= Protocol.UDP else kind for port, kind, number in ports]
        ends = Ends(events.column("src_ip"), events.column("dest_ip"), events.column("src_port"), asked)
        yield rows.batch(time, end, protocol, ends, story)


@lru_cache(maxsize=512)
def _hex(text: str) -> int:
    """Return flags that are written as two hexadecimal digits; anything else are none."""
    try:
        return int(text, 16) & 0xFF if len(text) == 2 else 0
    except ValueError:
        return 0
