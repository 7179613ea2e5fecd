"""AWS VPC flow logs: the fields of version 2 in their usual order, or any order under a line with their names.

A record is one direction within one interval of aggregation. ACCEPT says that the packets were let through, REJECT
that a security group or access list refused them. Records without traffic (NODATA, SKIPDATA) are skipped and
counted. Who began is left to whoever joins the two directions, see `service.capture.flow_direction`. The types of
ICMP are not in the log: only rejected ICMP counts, as an echo request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import FlowState
from service.capture.logs.addresses import AddressBook
from service.capture.logs.delimited import Cells, cut_all, positions
from service.capture.logs.file import BadHeaderError
from service.capture.logs.head import first_lines
from service.capture.logs.rows import Ends, Rows, Story
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.capture.batch import FlowBatch
    from service.capture.hosts import HostTable
    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally

_VERSION_2 = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
_NEEDED = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end", "action")
_ACTION, _STATUS = _VERSION_2.index("action"), _VERSION_2.index("log-status")


def recognise(head: bytes) -> bool:
    """Tell a flow log by the names in its first line, or by the words of a record of version 2."""
    lines = first_lines(head)
    if not lines:
        return False
    cells = lines[0].split()
    return set(_NEEDED) <= set(cells) or _is_version_2(cells)


def _is_version_2(cells: list[str]) -> bool:
    return (
        len(cells) == len(_VERSION_2)
        and cells[_ACTION] in ("ACCEPT", "REJECT", "-")
        and cells[_STATUS] in ("OK", "NODATA", "SKIPDATA")
    )


class VpcReader:
    """Reads a flow log block by block; a new line of names may come at any time."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._book = AddressBook(hosts)
        self._tally = tally
        self._names: Sequence[str] | None = None

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        return [] if self._names is None else [" ".join(self._names)]

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        start = 0
        for at, text in enumerate(lines.texts):
            if "srcaddr" in text:
                yield from self._read(lines.pick(range(start, at)))
                self._names, start = text.split(), at + 1
                missing = [name for name in _NEEDED if name not in self._names]
                if missing:
                    raise BadHeaderError(
                        f"line {lines.numbers[at]}: its fields lack {', '.join(missing)}; log them, too"
                    )
        yield from self._read(lines.after(start))

    def _read(self, lines: Lines) -> Iterator[FlowBatch]:
        if not len(lines):
            return
        if self._names is None:
            if not _is_version_2(lines.texts[0].split()):
                raise BadHeaderError("its first line is neither a record of version 2 nor the names of the fields")
            self._names = _VERSION_2
        yield self._flows(cut_all(lines, " ", positions(self._names), len(self._names), self._tally))

    def _flows(self, cells: Cells) -> FlowBatch:
        rows = Rows(cells.lines.numbers, self._book, self._tally)
        status, actions = cells.column("log-status"), cells.column("action")
        rows.skip(
            np.array([text in ("NODATA", "SKIPDATA") for text in status], np.bool_), lambda at: status[at].lower()
        )
        protocol = rows.protocols(cells.column("protocol"), "protocol")
        time, end = rows.times(cells.column("start"), "start"), rows.times(cells.column("end"), "end")
        rejected = np.array([text == "REJECT" for text in actions], dtype=np.bool_)
        accepted = np.array([text == "ACCEPT" for text in actions], dtype=np.bool_)
        rows.refuse(~rejected & ~accepted, "action is neither ACCEPT nor REJECT")
        icmp = (protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)
        rows.skip(icmp & accepted, lambda _: "icmp_of_unknown_type")
        story = Story.silent(len(cells), directed=False)
        story.state[rejected] = FlowState.REFUSED
        story.directed[rejected & icmp] = True
        story.packets[:] = rows.counts(cells.column("packets"), "packets")
        flags = rows.counts(cells.column("tcp-flags"), "tcp-flags")
        story.flags[:] = np.where(flags > 0, flags & 0xFF, 0)
        no_port = icmp.tolist()
        asked = ["" if without else port for port, without in zip(cells.column("dstport"), no_port, strict=True)]
        ends = Ends(cells.column("srcaddr"), cells.column("dstaddr"), cells.column("srcport"), asked)
        return rows.batch(time, end, protocol, ends, story)
