"""Any table with named columns: values separated by commas, semicolons, tabs or bars under a line of names.

Names are compared without their case, spaces, dots, dashes and underlines (``Src IP`` is ``src_ip``); of several
columns with one meaning, the one whose name stands first in `NAMES` counts. Needed are a time, a source, a target,
and either a service (``tcp/23``) or a protocol with a port. A target may be a name (of a honeypot, say), which
stands for an address of its own; IPv4 addresses may be written as one decimal number.

Without a column that tells the outcome, or packets that came back, every attempt counts as unanswered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.batch import FlowState
from service.capture.logs.addresses import AddressBook, Dialect
from service.capture.logs.delimited import Cells, cut, cut_all
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

NAMES = {
    "time": (
        "time",
        "timestamp",
        "datetime",
        "ts",
        "start",
        "starttime",
        "stime",
        "firstseen",
        "datefirstseen",
        "flowstart",
        "frametimeepoch",
        "date",
    ),
    "duration": ("duration", "dur"),
    "source": (
        "source",
        "src",
        "saddr",
        "srcaddr",
        "srcip",
        "sourceip",
        "sourceaddr",
        "sourceaddress",
        "srcaddress",
        "srcipaddr",
        "ipsrc",
        "srchost",
        "sourcehost",
        "idorigh",
        "origh",
        "client",
        "clientip",
        "attacker",
    ),
    "target": (
        "target",
        "dst",
        "daddr",
        "dstaddr",
        "dstip",
        "dest",
        "destip",
        "destination",
        "destinationip",
        "destinationaddr",
        "destinationaddress",
        "dstaddress",
        "dstipaddr",
        "ipdst",
        "dsthost",
        "desthost",
        "destaddress",
        "targetip",
        "idresph",
        "resph",
        "server",
        "serverip",
        "victim",
        "host",
    ),
    "service": ("service",),
    "protocol": ("protocol", "proto", "ipproto", "transport", "pr", "l4proto"),
    "port": (
        "port",
        "targetport",
        "dstport",
        "destport",
        "destinationport",
        "dport",
        "dpt",
        "dstpt",
        "idrespp",
        "respp",
        "serverport",
        "tcpdstport",
    ),
    "source_port": (
        "sourceport",
        "srcport",
        "sport",
        "spt",
        "srcpt",
        "idorigp",
        "origp",
        "clientport",
        "tcpsrcport",
    ),
    "icmp_type": ("icmptype", "type"),
    "packets": ("packets", "pkts", "srcpkts", "spkts", "origpkts", "srcpackets", "sourcepackets", "packetssent"),
    "returned": ("returned", "dstpkts", "dpkts", "resppkts", "dstpackets", "returnedpackets", "packetsreceived"),
    "outcome": ("answered", "outcome", "state", "connstate", "action", "result"),
}
"""The names that are accepted for each meaning."""

_ANSWERED = ("answered", "yes", "true", "1", "established", "accepted", "accept", "allow", "allowed", "pass")
_UNANSWERED = ("unanswered", "no", "false", "0", "timeout", "silent")
_REFUSED = ("refused", "reject", "rejected", "deny", "denied", "drop", "dropped", "block", "blocked", "reset")

OUTCOMES = {
    **{state.lower(): what for state, what in STATES.items()},
    **dict.fromkeys(_ANSWERED, FlowState.ANSWERED),
    **dict.fromkeys(_UNANSWERED, FlowState.UNANSWERED),
    **dict.fromkeys(_REFUSED, FlowState.REFUSED),
    **dict.fromkeys(("", "-", "unknown"), FlowState.OPEN),
}
"""The words that are accepted for an outcome, Zeek's too. What a firewall let through counts as answered: its log
does not say more."""

_NEEDED = ("time", "source", "target")
_SEPARATORS = ",;\t|"


def recognise(head: bytes) -> bool:
    """Tell a table by the names in its first line."""
    lines = first_lines(head)
    return bool(lines) and not _find(lines[0])[2]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _find(line: str) -> tuple[str, dict[str, int], list[str]]:
    """Return the separator, where each meaning stands, and what is missing."""
    tries = []
    for separator in _SEPARATORS:
        cells = [_plain(cell) for cell in cut(line, separator) or []]
        found = {
            meaning: cells.index(name)
            for meaning, names in NAMES.items()
            for name in [next((name for name in names if name in cells), "")]
            if name
        }
        missing = [meaning for meaning in _NEEDED if meaning not in found]
        if "service" not in found or "port" in found:  # beside a port, it is a name such as http
            found.pop("service", None)
            missing += [meaning for meaning in ("protocol", "port") if meaning not in found]
        tries.append((separator, found, missing))
    return min(tries, key=lambda attempt: len(attempt[2]))


class TableReader:
    """Reads a table block by block."""

    def __init__(self, hosts: HostTable, tally: LineTally) -> None:
        self._sources = AddressBook(hosts, Dialect(integers=True))
        self._targets = AddressBook(hosts, Dialect(integers=True, names=True))
        self._tally = tally
        self._first: str | None = None
        self._separator = ","
        self._header: dict[str, int] = {}
        self._width = 0

    def preamble(self) -> list[str]:
        """Return its header, see `service.capture.logs.file.LogReader`."""
        return [] if self._first is None else [self._first]

    def flows(self, lines: Lines) -> Iterator[FlowBatch]:
        """See `service.capture.logs.file.LogReader`."""
        if self._first is None:
            self._first = lines.texts[0]
            self._separator, self._header, missing = _find(self._first)
            if missing:
                raise BadHeaderError(
                    f"its first line names no column for: {', '.join(missing)}; see the README for names"
                )
            self._width = len(cut(self._first, self._separator) or [])
        if self._first in lines.texts:
            lines = lines.pick([at for at, text in enumerate(lines.texts) if text != self._first])
        yield self._read(cut_all(lines, self._separator, self._header, self._width, self._tally))

    def _read(self, cells: Cells) -> FlowBatch:
        rows = Rows(cells.lines.numbers, self._sources, self._tally, targets=self._targets)
        time = rows.times(cells.clean("time"), "the time")
        protocols, ports = _services(cells)
        protocol = rows.protocols(protocols, "the protocol")
        duration = rows.durations(cells.clean("duration"), "the duration")
        story = Story.silent(len(cells), directed=True)
        story.packets[:] = rows.counts(cells.clean("packets"), "packets")
        story.returned[:] = rows.counts(cells.clean("returned"), "returned")
        words = [word.lower() for word in cells.clean("outcome")]
        rows.refuse(
            np.array([word not in OUTCOMES for word in words], dtype=np.bool_), "the outcome is no word for one"
        )
        story.state[:] = [OUTCOMES.get(word, FlowState.OPEN) for word in words]
        if cells.has("icmp_type"):
            ports = _with_types(ports, cells.clean("icmp_type"), protocol)
        ends = Ends(cells.clean("source"), cells.clean("target"), cells.clean("source_port"), ports)
        return rows.batch(time, time + duration, protocol, ends, story)


def _services(cells: Cells) -> tuple[list[str], list[str]]:
    """Return protocols and ports."""
    if not cells.has("service"):
        return cells.clean("protocol"), cells.clean("port")
    parts = [text.partition("/") for text in cells.clean("service")]
    return [name for name, _, _ in parts], ["8" if port == "echo" else port for _, _, port in parts]


def _with_types(ports: list[str], types: list[str], protocol: NDArray[np.uint8]) -> list[str]:
    for row in np.flatnonzero((protocol == Protocol.ICMP) | (protocol == Protocol.ICMP6)).tolist():
        ports[row] = types[row]
    return ports
