"""All kinds of input in one table: how each is recognised, and what reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.capture import pcap, pcapng
from service.capture.file import CaptureFile
from service.capture.foreign import advice
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.capture.logs import argus, nfdump, suricata, table, vpc, zeek
from service.capture.logs.file import LogFile
from service.capture.mark import BEGINNING, Mark
from service.capture.opening import Opening
from service.capture.tunnels import Tunnels
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.capture.inflation import InflationSpec
    from service.capture.logs.file import LogReader
    from service.capture.logs.tally import LineTally
    from service.capture.source import TrafficFile

HEAD = 1 << 16
"""Bytes at the beginning of a file that a kind is recognised by."""
_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of input."""

    recognise: Callable[[bytes], bool]
    """Tells by the first bytes of a file, at most `HEAD`, whether it is of this kind."""
    read: Callable[[Opening, HostTable, Tunnels, Mark], TrafficFile]
    """Reads what is of this kind; raises CaptureError."""


def _log(
    reader: Callable[[HostTable, LineTally], LogReader],
) -> Callable[[Opening, HostTable, Tunnels, Mark], LogFile]:
    return lambda opening, hosts, _, at: LogFile(opening, reader, hosts, at)


def _nfdump(opening: Opening, hosts: HostTable, _: Tunnels, at: Mark) -> TrafficFile:
    if nfdump.is_binary(_head(opening)):
        raise CaptureError(
            f"{opening.path}: a binary file of nfcapd; give what this prints: "
            f"TZ=UTC nfdump -r {opening.path.name} -o csv"
        )
    return LogFile(opening, nfdump.NfdumpReader, hosts, at)


FORMATS = {
    Input.CAPTURE: Format(lambda head: head[:4] in pcap.MAGIC or head[:4] == pcapng.MAGIC, CaptureFile),
    Input.ZEEK: Format(zeek.recognise, _log(zeek.ZeekReader)),
    Input.SURICATA: Format(suricata.recognise, _log(suricata.SuricataReader)),
    Input.NFDUMP: Format(nfdump.recognise, _nfdump),
    Input.ARGUS: Format(argus.recognise, _log(argus.ArgusReader)),
    Input.VPC: Format(vpc.recognise, _log(vpc.VpcReader)),
    Input.CSV: Format(table.recognise, _log(table.TableReader)),
}
"""Asked in this order: a table with named columns is what several of the others are, too."""


def open_traffic(
    path: Path,
    hosts: HostTable,
    kind: Input | None = None,
    tunnels: Tunnels = Tunnels.INNER,
    at: Mark = BEGINNING,
    inflation: InflationSpec | None = None,
) -> TrafficFile:
    """Open a file, a pipe or standard input (``-``) of a kind, or of the kind that its first bytes show.

    It is read from `at` on, where another reader of it stopped (`TrafficFile.mark`). Raises CaptureError if it
    can't be opened, is of no known kind, or `at` is no mark of it; then and later, if it unpacks to more than
    `inflation` allows.
    """
    opening = Opening(path, inflation)
    try:
        return FORMATS[kind or recognise(opening)].read(opening, hosts, tunnels, at)
    except CaptureError:
        opening.close()
        raise


def recognise(opening: Opening) -> Input:
    """Return the kind of what is open; raises CaptureError if it can't be read or is of no known kind."""
    head = _head(opening)
    for kind, form in FORMATS.items():
        if form.recognise(head):
            return kind
    foreign = advice(head)
    if foreign is not None:
        raise CaptureError(f"{opening.path}: {foreign}")
    raise CaptureError(
        f"{opening.path}: no capture or log that is known: it begins with {_shown(head)}; give pcap, pcapng, or "
        "flows of Zeek, Suricata, nfdump, Argus, AWS VPC or in named columns; if it is one, name it with --input"
    )


def _head(opening: Opening) -> bytes:
    chunks = opening.chunks
    chunks.need(HEAD)
    if chunks.broken and chunks.end < 4:
        raise CaptureError(f"{opening.path}: the packed data is damaged ({chunks.broken})")
    if chunks.end == 0:
        raise CaptureError(f"{opening.path}: the file is empty")
    return chunks.data[: min(chunks.end, HEAD)].tobytes()


def _shown(head: bytes) -> str:
    """Write the beginning of a file: as text if it is one."""
    text = head[:_SHOWN].split(b"\n")[0]
    return repr(text.decode()) if text.isascii() and text.decode().isprintable() else head[:4].hex(" ")
