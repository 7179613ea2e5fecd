"""What Argus' ``ra -c ,`` prints, also known as binetflow. The first line names the columns.

Times need their date: ``ra -u`` prints seconds since the epoch; ports need ``-n``. Best is ``ra -u -n -Z b``, whose
states are the flags of both ends (``S_RA``). The usual states are words, and say less:

====================  ===========================================================================
State                 what it is here
====================  ===========================================================================
REQ, INT, S0 …        unanswered attempt (Zeek's words occur, too)
ACC, EST, CON, FIN,   answered attempt
CLO
RST                   refused if as many packets came back as went, at most three; else answered
URx                   refused, of TCP and UDP; ICMP's errors themselves begin nothing
ECO                   an ICMP echo request; packets, or the direction ``<->``, tell of the answer
others                packets tell
====================  ===========================================================================

A direction with a question mark (``?>``) says that no beginning was seen: without flags it is no attempt, nor is
``<-``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import UNKNOWN, FlowState
from service.capture.flags import parse_flags
from service.capture.logs.addresses import AddressBook
from service.capture.logs.delimited import Cells, cut_all, positions
from service.capture.logs.file import BadHeaderError
from service.capture.logs.head import first_lines
from service.capture.logs.rows import Ends, Rows, Story
from service.capture.logs.zeek import STATES
from service.capture.services import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from service.capture.batch import FlowBatch
    from service.capture.hosts import HostTable
    from service.capture.logs.lines import Lines
    from service.capture.logs.tally import LineTally

_NEEDED = ("starttime", "proto", "srcaddr", "dstaddr", "state")
_FLAGS = re.compile(r"[FSRPAUEC]*_[FSRPAUEC]*")
_WORDS = {
    **STATES,
    **dict.fromkeys(("REQ", "INT", "Not Established"), FlowState.UNANSWERED),
    **dict.fromkeys(("ACC", "EST", "CON", "FIN", "CLO", "Established"), FlowState.ANSWERED),
    "RSP": FlowState.NO_ATTEMPT,
}
_FEW = 3
"""Packets of a SYN's retries: a reset after as many each way refused them."""


def recognise(head: bytes) -> bool:
    """Tell ra's output by its header."""
    lines = first_lines(head)
    return bool(lines) and set(_NEEDED) <= set(_names(lines[0]))


def _names(line: str) -> list[str]:
    return [name.strip().lower() for name in line.split(",")]


class ArgusReader:
    """Reads ra's output block by block."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._book = AddressBook(hosts)
        self._tally = tally
        self._first: str | None = None
        self._names: list[str] = []

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        return [] if self._first is None else [self._first]

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        if self._first is None:
            self._first, self._names = lines.texts[0], _names(lines.texts[0])
            missing = [name for name in _NEEDED if name not in self._names]
            if missing:
                raise BadHeaderError(
                    f"its first line does not name {', '.join(missing)}; give the output of ra -c , -u -n"
                )
        if self._first in lines.texts:
            lines = lines.pick([at for at, text in enumerate(lines.texts) if text != self._first])
        cells = cut_all(lines, ",", positions(self._names), len(self._names), self._tally)
        yield self._read(cells)

    def _read(self, cells: Cells) -> FlowBatch:
        rows = Rows(cells.lines.numbers, self._book, self._tally)
        time = rows.times(cells.column("starttime"), "StartTime")
        protocol = rows.protocols(cells.clean("proto"), "Proto")
        states = cells.clean("state")
        icmp = ((protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)).tolist()
        echo = np.array(
            [not is_icmp or state == "ECO" for is_icmp, state in zip(icmp, states, strict=True)], np.bool_
        )
        rows.skip(~echo, lambda row: f"icmp/{states[row]}")
        duration = rows.durations(cells.clean("dur"), "Dur")
        story = Story.silent(len(cells), directed=True)
        story.packets[:], story.returned[:] = _packets(rows, cells)
        answered = np.array(["<" in way and ">" in way and "?" not in way for way in cells.column("dir")], np.bool_)
        two_way = answered & (protocol != Protocol.TCP) & (story.returned == UNKNOWN)
        story.returned[two_way] = 1
        seen = zip(states, cells.clean("dir"), protocol.tolist(), strict=True)
        table = np.array([_told(*what) for what in seen], dtype=np.uint16).reshape(-1, 3)
        story.state[:], story.flags[:], story.returned_flags[:] = table.T
        reset = np.array([state == "RST" for state in states], dtype=np.bool_) & (story.state == FlowState.OPEN)
        story.state[reset] = _after_reset(story.packets[reset], story.returned[reset])
        asked = ["" if is_icmp else port for port, is_icmp in zip(cells.clean("dport"), icmp, strict=True)]
        ends = Ends(cells.clean("srcaddr"), cells.clean("dstaddr"), cells.clean("sport"), asked)
        return rows.batch(time, time + duration, protocol, ends, story)


def _packets(rows: Rows, cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the packets of both ends, from whichever columns there are."""
    total, sent, back = (rows.counts(cells.clean(name), name) for name in ("totpkts", "srcpkts", "dstpkts"))
    known = (total != UNKNOWN) & (sent != UNKNOWN) & (back == UNKNOWN)
    back = np.where(known, np.maximum(total - sent, 0), back)
    return sent, back


def _after_reset(sent: NDArray[np.int64], back: NDArray[np.int64]) -> NDArray[np.uint8]:
    found = np.full(len(sent), FlowState.ANSWERED, dtype=np.uint8)
    found[(back == sent) & (sent > 0) & (sent <= _FEW)] = FlowState.REFUSED
    found[back == 0] = FlowState.UNANSWERED
    return found


@lru_cache(maxsize=1 << 12)
def _told(state: str, way: str, protocol: int) -> tuple[int, int, int]:
    """Return the flow's state, and the flags of both ends."""
    if protocol == Protocol.TCP and _FLAGS.fullmatch(state):
        sent, _, back = state.partition("_")
        return FlowState.OPEN, parse_flags(sent), parse_flags(back)
    if way == "<-" or (protocol == Protocol.TCP and "?" in way):
        return FlowState.NO_ATTEMPT, 0, 0
    if protocol <= Protocol.UDP and state.startswith("UR"):
        return FlowState.REFUSED, 0, 0
    return _WORDS.get(state, FlowState.OPEN) if protocol <= Protocol.UDP else FlowState.OPEN, 0, 0
