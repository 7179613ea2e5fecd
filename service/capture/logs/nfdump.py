"""What ``nfdump -o csv`` prints: NetFlow and IPFIX, one direction a record.

Two generations of column names are known: ``ts,te,td,sa,da,sp,dp,pr,flg,…`` up to nfdump 1.7.3, and
``firstSeen,duration,proto,srcAddr,srcPort,…`` after it. nfdump prints local time without a zone: it is taken for
UTC (``TZ=UTC nfdump …``). Who began is left to whoever joins the two directions, see
`service.capture.flow_direction`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import UNKNOWN
from service.capture.flags import parse_flags
from service.capture.logs.addresses import AddressBook
from service.capture.logs.delimited import Cells, cut_all, positions
from service.capture.logs.file import BadHeaderError
from service.capture.logs.head import first_lines
from service.capture.logs.rows import Ends, Rows, Story
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from service.capture.batch import FlowBatch
    from service.capture.hosts import HostTable
    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally

_BINARY = (b"\x0c\xa5", b"\xa5\x0c")  # either byte order

_NAMES = {
    "time": ("ts", "firstSeen", "first"),
    "end": ("te", "lastSeen", "last"),
    "duration": ("td", "duration"),
    "source": ("sa", "srcAddr"),
    "target": ("da", "dstAddr"),
    "source_port": ("sp", "srcPort"),
    "target_port": ("dp", "dstPort"),
    "protocol": ("pr", "proto"),
    "flags": ("flg", "flags"),
    "packets": ("ipkt", "packets", "inPackets"),
    "returned": ("opkt", "outPackets"),
}
_NEEDED = ("time", "source", "target", "source_port", "target_port", "protocol")


def recognise(head: bytes) -> bool:
    """Tell nfdump's output by its header, and nfcapd's own files by their magic number."""
    lines = first_lines(head)
    return is_binary(head) or (bool(lines) and _header(lines[0]) is not None)


def is_binary(head: bytes) -> bool:
    """Tell nfcapd's own files."""
    return head[:2] in _BINARY


def _header(line: str) -> dict[str, int] | None:
    """Return where our columns stand, or None if the line is no header of nfdump."""
    at = positions([cell.strip() for cell in line.split(",")])
    found = {ours: at[name] for ours, names in _NAMES.items() for name in reversed(names) if name in at}
    return found if all(name in found for name in _NEEDED) else None


class NfdumpReader:
    """Reads nfdump's output block by block; the summary after the records is passed over."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._book = AddressBook(hosts)
        self._tally = tally
        self._header: dict[str, int] | None = None
        self._first = ""
        self._width = 0
        self._summary = False

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        if self._header is None:
            return []
        return [self._first, "Summary"] if self._summary else [self._first]

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        if self._header is None:
            self._first = lines.texts[0]
            self._begin()
        kept = [at for at, text in enumerate(lines.texts) if self._is_record(text)]
        assert self._header is not None  # noqa: S101  (`_begin` raises otherwise)
        yield self._read(cut_all(lines.pick(kept), ",", self._header, self._width, self._tally))

    def _begin(self) -> None:
        self._header, self._width = _header(self._first), self._first.count(",") + 1
        if self._header is None:
            raise BadHeaderError("its first line is no header of nfdump -o csv; give its output with the header")

    def _is_record(self, text: str) -> bool:
        """Pass over headers, and what stands from a line ``Summary`` to the next header."""
        if text == self._first:
            self._summary = False
            return False
        self._summary = self._summary or text == "Summary"
        return not self._summary and text != "No matching flows"

    def _read(self, cells: Cells) -> FlowBatch:
        rows = Rows(cells.lines.numbers, self._book, self._tally)
        time = rows.times(cells.column("time"), "first seen")
        protocol = rows.protocols(cells.column("protocol"), "protocol")
        ended = cells.clean("end") if cells.has("end") else cells.column("time")
        end = np.maximum(rows.times(ended, "last seen"), time + rows.durations(cells.clean("duration"), "duration"))
        story = Story.silent(len(cells), directed=False)
        story.flags[:] = [_flags(text) for text in cells.column("flags")]
        story.packets[:], story.returned[:] = _packets(rows, cells)
        sources, targets = _icmp_ports(cells.clean("source_port"), cells.clean("target_port"), protocol)
        ends = Ends(cells.clean("source"), cells.clean("target"), sources, targets)
        return rows.batch(time, end, protocol, ends, story, replies=True)


def _packets(rows: Rows, cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return packets there and back; a record of one direction may have its packets in either column."""
    there, back = (
        rows.counts(cells.clean("packets"), "packets"),
        rows.counts(cells.clean("returned"), "packets back"),
    )
    one_way = (there <= 0) | (back <= 0)
    return np.where(one_way, np.maximum(there, back), there), np.where(one_way, UNKNOWN, back)


def _icmp_ports(sources: list[str], targets: list[str], protocol: NDArray[np.uint8]) -> tuple[list[str], list[str]]:
    """Put the type of an ICMP message, written ``8.0`` or 2048 in the target's port, there alone."""
    for row in np.flatnonzero((protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)).tolist():
        text = targets[row]
        kind, point, _ = text.partition(".")
        targets[row] = kind if point or not text.isdecimal() or len(text) > 5 else str(int(text) >> 8)
    return sources, targets


@lru_cache(maxsize=1024)
def _flags(text: str) -> int:
    return parse_flags(text)
