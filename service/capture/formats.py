"""All kinds of input in one table: how each is recognised, and what reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.capture import pcap, pcapng
from service.capture.chunks import Chunks
from service.capture.file import CaptureFile
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.capture.logs import argus, nfdump, suricata, table, vpc, zeek
from service.capture.logs.file import LogFile
from service.capture.stream import open_stream
from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.capture.source import TrafficSource

HEAD = 1 << 16
"""Bytes at the beginning of a file that a kind is recognised by."""
_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of input."""

    recognise: Callable[[bytes], bool]
    """Tells by the first bytes of a file, at most `HEAD`, whether it is of this kind."""
    open: Callable[[Path, HostTable], TrafficSource]
    """Opens a file of this kind; raises CaptureError."""


def _head(path: Path) -> bytes:
    file, stream = open_stream(path)
    try:
        chunks = Chunks(stream)
        chunks.need(HEAD)
        if chunks.broken and chunks.end < 4:
            raise CaptureError(f"{path}: the packed data is damaged ({chunks.broken})")
        if chunks.end == 0:
            raise CaptureError(f"{path}: the file is empty")
        return chunks.data[: min(chunks.end, HEAD)].tobytes()
    finally:
        stream.close()
        file.close()


def _open_nfdump(path: Path, hosts: HostTable) -> TrafficSource:
    if nfdump.is_binary(_head(path)):
        raise CaptureError(
            f"{path}: a binary file of nfcapd; give what this prints: TZ=UTC nfdump -r {path.name} -o csv"
        )
    return LogFile(path, nfdump.NfdumpReader, hosts)


FORMATS = {
    Input.CAPTURE: Format(lambda head: head[:4] in pcap.MAGIC or head[:4] == pcapng.MAGIC, CaptureFile),
    Input.ZEEK: Format(zeek.recognise, lambda path, hosts: LogFile(path, zeek.ZeekReader, hosts)),
    Input.SURICATA: Format(suricata.recognise, lambda path, hosts: LogFile(path, suricata.SuricataReader, hosts)),
    Input.NFDUMP: Format(nfdump.recognise, _open_nfdump),
    Input.ARGUS: Format(argus.recognise, lambda path, hosts: LogFile(path, argus.ArgusReader, hosts)),
    Input.VPC: Format(vpc.recognise, lambda path, hosts: LogFile(path, vpc.VpcReader, hosts)),
    Input.CSV: Format(table.recognise, lambda path, hosts: LogFile(path, table.TableReader, hosts)),
}
"""Asked in this order: a table with named columns is what several of the others are, too."""


def open_traffic(path: Path, hosts: HostTable, kind: Input | None = None) -> TrafficSource:
    """Open a file of a kind, or of the kind that its first bytes show.

    Raises CaptureError if it can't be opened, or is of no known kind.
    """
    return FORMATS[kind or recognise(path)].open(path, hosts)


def recognise(path: Path) -> Input:
    """Return the kind of a file; raises CaptureError if it can't be read or is of no known kind."""
    head = _head(path)
    for kind, form in FORMATS.items():
        if form.recognise(head):
            return kind
    raise CaptureError(
        f"{path}: no capture or log that is known: it begins with {_shown(head)}; give pcap, pcapng, or "
        "flows of Zeek, Suricata, nfdump, Argus, AWS VPC or in named columns; if it is one, name it with --input"
    )


def _shown(head: bytes) -> str:
    """Write the beginning of a file: as text if it is one."""
    text = head[:_SHOWN].split(b"\n")[0]
    return repr(text.decode()) if text.isascii() and text.decode().isprintable() else head[:4].hex(" ")
