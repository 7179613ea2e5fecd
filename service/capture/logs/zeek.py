"""Zeek's conn.log, as tab-separated values or as JSON lines.

TCP's `history` tells packet by packet what each end sent, and becomes flags; without it, `conn_state` decides:

=================  ==========================================  ==================================
conn_state         what Zeek saw                               what it is here
=================  ==========================================  ==================================
S0, RSTOS0, SH     a SYN, perhaps RST or FIN, no answer        unanswered attempt
REJ                a SYN, and a RST                            refused attempt
S1, S2, S3, SF,    a handshake, ended or not                   answered attempt
RSTO, RSTR
RSTRH, SHR         a SYN-ACK without its SYN                   no attempt: the answer alone
OTH                no SYN: the middle of a conversation        no attempt
=================  ==========================================  ==================================

UDP knows S0, SF, SHR and OTH alone (`conn_state` of Zeek's base/protocols/conn/main.zeek); SHR is an answered
attempt where `history` has a C: the question was there, with a wrong checksum, as a host writes that lets its card
compute them. ICMP is always OTH: there packets tell.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import FlowState
from service.capture.flags import ACK, FIN, PSH, RST, SYN
from service.capture.logs.addresses import AddressBook
from service.capture.logs.delimited import Cells, cut_all, positions
from service.capture.logs.file import BadHeaderError
from service.capture.logs.head import first_lines
from service.capture.logs.objects import Objects, read_objects
from service.capture.logs.rows import Ends, Rows, Story
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.capture.batch import FlowBatch
    from service.capture.hosts import HostTable
    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally

_ESCAPED = re.compile(r"\\x[0-9a-fA-F]{2}")
_NEEDED = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "conn_state")

STATES = {
    **dict.fromkeys(("S0", "RSTOS0", "SH"), FlowState.UNANSWERED),
    "REJ": FlowState.REFUSED,
    **dict.fromkeys(("S1", "S2", "S3", "SF", "RSTO", "RSTR"), FlowState.ANSWERED),
    **dict.fromkeys(("RSTRH", "SHR", "OTH"), FlowState.NO_ATTEMPT),
}
"""What each `conn_state` says of a flow over TCP or UDP, `history` aside."""

# Zeek's `history`, capital letters for the originator: Q is SYN with FIN or RST, D data.
_LETTERS = {"S": SYN, "H": SYN | ACK, "A": ACK, "D": PSH, "F": FIN, "R": RST, "Q": SYN}


def recognise(head: bytes) -> bool:
    """Tell a Zeek log by its header, or by the names in its first object."""
    lines = first_lines(head)
    if not lines:
        return False
    return lines[0].startswith(("#separator", "#fields\t")) or (
        lines[0].startswith("{") and '"id.orig_h"' in lines[0] and '"conn_state"' in lines[0]
    )


class ZeekReader:
    """Reads conn.log block by block; a new header may come at any time, as in logs that were put together."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._book = AddressBook(hosts)
        self._tally = tally
        self._separator = "\t"
        self._told: list[str] = []
        self._fields: list[str] = []
        """Lines that tell the separator, and those that tell the fields."""
        self._header: dict[str, int] | None = None
        self._width = 0

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        return [*self._fields, *self._told]

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        if self._header is None and lines.texts[0].lstrip().startswith("{"):
            yield self._read(read_objects(lines, self._tally))
            return
        start = 0
        for at, text in enumerate([*lines.texts, "#"]):
            if text.startswith("#"):
                if at > start:
                    yield self._read(self._cells(lines.pick(range(start, at))))
                self._comment(text)
                start = at + 1

    def _cells(self, lines: Lines) -> Cells:
        if self._header is None:
            raise BadHeaderError("there is no #fields line before the first record; give the log with its header")
        return cut_all(lines, self._separator, self._header, self._width, self._tally)

    def _comment(self, text: str) -> None:
        if text.startswith("#separator "):
            code = text[11:].strip()
            self._told = [text]
            self._separator = chr(bytes.fromhex(code[2:])[0]) if _ESCAPED.fullmatch(code) else code[:1] or "\t"
        elif text.startswith("#fields"):
            names = text[len("#fields") + 1 :].split(self._separator)
            missing = [name for name in _NEEDED if name not in names]
            if missing:
                raise BadHeaderError(f"its #fields lack {', '.join(missing)}; of Zeek's logs give conn.log")
            self._header, self._width = positions(names), len(names)
            self._fields = [*self._told, text]

    def _read(self, records: Cells | Objects) -> FlowBatch:
        rows = Rows(records.lines.numbers, self._book, self._tally)
        time = rows.times(records.column("ts"), "ts")
        duration = rows.durations(records.column("duration"), "duration")
        protocol = rows.protocols(records.column("proto"), "proto")
        states, from_port = records.column("conn_state"), records.column("id.orig_p")
        rows.refuse(np.array([not state for state in states], dtype=np.bool_), "conn_state is missing")
        story = Story.silent(len(records), directed=True)
        told = [_told(*seen) for seen in zip(protocol.tolist(), states, records.column("history"), strict=True)]
        table = np.array(told, dtype=np.uint16).reshape(-1, 3)
        story.state[:], story.flags[:], story.returned_flags[:] = table.T
        story.packets[:] = rows.counts(records.column("orig_pkts"), "orig_pkts")
        story.returned[:] = rows.counts(records.column("resp_pkts"), "resp_pkts")
        to_port = records.column("id.resp_p")
        icmp = (protocol >= Protocol.ICMP).tolist()  # the type stands in the port of the originator
        asked = [mine if is_icmp else port for mine, port, is_icmp in zip(from_port, to_port, icmp, strict=True)]
        ends = Ends(records.column("id.orig_h"), records.column("id.resp_h"), from_port, asked)
        return rows.batch(time, time + duration, protocol, ends, story)


@lru_cache(maxsize=1 << 12)
def _told(protocol: int, state: str, history: str) -> tuple[int, int, int]:
    """Return the flow's state, and the flags of both ends."""
    silent = history in ("", "-", "(empty)")
    if protocol == Protocol.UDP:
        asked = state == "SHR" and "C" in history and "^" not in history
        return FlowState.ANSWERED if asked else STATES.get(state, FlowState.OPEN), 0, 0
    if protocol != Protocol.TCP:
        return FlowState.OPEN, 0, 0
    if silent:
        return STATES.get(state, FlowState.OPEN), 0, 0
    sent = _flags(history)
    returned = _flags("".join(letter.upper() for letter in history if letter.islower()))
    if "S" not in history and "Q" not in history:
        if "C" in history and ("h" in history or "r" in history):
            sent |= SYN  # its checksum was wrong, so Zeek left it out
        elif "H" in history or "^" in history:
            return FlowState.NO_ATTEMPT, 0, 0  # it answered
    return FlowState.OPEN if sent or returned else STATES.get(state, FlowState.OPEN), sent, returned


def _flags(letters: str) -> int:
    found = 0
    for letter in letters:
        found |= _LETTERS.get(letter, 0)
    return found
