"""Every parser of what comes from outside, as a function that any bytes are thrown at.

A target returns if the bytes were read, or refused with the error that the parser declares; anything else is a
finding. It also checks what must add up: all packets and records are followed or counted by reason, and no more
windows come out than there was traffic.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.alerts.allow import read_allow_list
from service.alerts.history import HistorySpec
from service.alerts.memory import from_bytes, to_bytes, unpacked
from service.api.schemas import WindowIn
from service.api.strict_json import parse_json, validated
from service.api.times import parse_query_time
from service.capture import chunks
from service.capture.address import parse_address
from service.capture.bpf import compile_filter
from service.capture.decoder import Decoder
from service.capture.direction import ConversationSpec
from service.capture.flow_pairs import PairSpec
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.capture.netflow import ExportSpec
from service.capture.records import RecordBlock
from service.capture.services import parse_service
from service.capture.tunnels import Tunnels
from service.collector import CollectorSpec, ExporterSensor
from service.errors import CaptureError, InputError, SettingsError, StoreError
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from service.store.documents import read_alert, read_pattern, read_version
from service.store.old_windows import read_counts
from service.windows.assign import SECOND, WindowSpec
from service.windows.budget import Budget
from service.windows.posted import posted_window
from service.windows.wire import read_window, write_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from service.capture.batch import FlowBatch, PacketBatch
    from service.capture.source import TrafficFile
    from service.windows.counts import WindowCounts

SMALL = PipelineSpec(
    conversations=ConversationSpec(slots=1 << 6, pending=8),
    windows=WindowSpec.usual(budget=Budget(32)),
)
"""Tables that a few packets fill, so that what happens then is reached."""
_HOSTS = 64
_WINDOWS_AN_ATTEMPT = 27
"""It counts in a minute, ten, an hour, and the 24 days that begin with each hour."""
_TRIES_A_FLOW = 16


def use_small_buffers() -> None:
    """Let files be read in small pieces from now on: quickly, and with inputs that cross their borders."""
    chunks.CHUNK = 1 << 10


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, and what helps to find its branches."""

    run: Callable[[bytes, Path], None]
    """Reads bytes; the path is that of a file that may be written for it."""
    words: tuple[bytes, ...] = ()
    """Pieces that inputs are made of."""
    loops: bool = True
    """Whether it reads in compiled loops."""
    unpacks: bool = False
    """Whether what it reads may be thousands of times longer than its input: too much for loops as Python."""


# --- files ---


def any_file(data: bytes, file: Path) -> None:
    """Read a file of whatever kind its first bytes show, packed or not."""
    _read_file(data, file, None)


def capture(data: bytes, file: Path) -> None:
    """Read a capture, through one or the other end of its tunnels."""
    _read_file(data, file, Input.CAPTURE, Tunnels.OUTER if len(data) % 4 == 3 else Tunnels.INNER)


def _log(kind: Input) -> Callable[[bytes, Path], None]:
    return lambda data, file: _read_file(data, file, kind)


def _hosts() -> HostTable:
    hosts = HostTable(_HOSTS)
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":  # numba's integers are all 64 bits wide, numpy's are not
        hosts.slots = hosts.slots.astype(np.int64)
    return hosts


def _read_file(data: bytes, file: Path, kind: Input | None, tunnels: Tunnels = Tunnels.INNER) -> None:
    file.write_bytes(data)
    with suppress(CaptureError):
        source = _Counting(open_traffic(file, _hosts(), kind, tunnels))
        try:
            source.first_time()
            _check_windows(read_windows([source], "fuzz", SMALL.for_files([source]), Reading()), source)
        finally:
            source.close()
        losses = source.losses()
        read = losses.flows if source.is_log else losses.packets
        _require(read == source.rows + sum(losses.unparsed.values()), f"{source.rows} followed of: {losses}")
        _require(all(bad.count > 0 and bad.first > 0 for bad in losses.bad_lines), str(losses))


class _Counting:
    """A file of traffic that counts the rows that it yields."""

    def __init__(self, source: TrafficFile) -> None:
        self._source = source
        self.hosts, self.is_log = source.hosts, source.is_log
        self.first_time, self.position = source.first_time, source.position
        self.losses, self.mark, self.close = source.losses, source.mark, source.close
        self.rows = 0

    def batches(self) -> Iterator[PacketBatch | FlowBatch]:
        for batch in self._source.batches():
            self.rows += len(batch)
            _require(bool((batch.protocol <= 4).all()), "a protocol that is none")
            yield batch

    @property
    def attempts(self) -> int:
        """The most attempts that can be in what was read."""
        return self.rows * (_TRIES_A_FLOW if self.is_log else 1)


def _check_windows(windows: Iterable[WindowCounts], source: _Counting | _Sensor) -> None:
    for count, counts in enumerate(windows, 1):
        _require(count <= source.attempts * _WINDOWS_AN_ATTEMPT, f"{count} windows of {source.attempts} attempts")
        _require(bool((counts.rows.attempts > 0).all()), "a row without attempts")
        _check_stored(counts)


def _check_stored(counts: WindowCounts) -> None:
    stored = read_window(write_window(counts))
    _require(stored.digest() == counts.digest(), "a window changed when it was stored")


def frame(data: bytes, _: Path) -> None:
    """Decode one packet; its first two bytes are the link type. Nothing lies behind its last byte."""
    if len(data) < 3:
        return
    link, packet = int.from_bytes(data[:2], "little"), data[2:]
    columns: list[NDArray[np.int64]] = [np.array([value]) for value in (0, len(packet), SECOND, link)]
    for tunnels in Tunnels:
        decoder = Decoder(_hosts(), tunnels)
        found = decoder.decode(RecordBlock(np.frombuffer(packet, np.uint8), *columns))
        _require(len(found) + sum(decoder.unparsed().values()) == 1, f"one packet: {decoder.unparsed()}")
        _require(sum(decoder.tunnelled().values()) <= 1, "a packet in several tunnels")


# --- datagrams ---


def exports(data: bytes, _: Path) -> None:
    """Read NetFlow and IPFIX; before each datagram stand two bytes with its length."""
    sent = []
    while len(data) > 2:
        size = int.from_bytes(data[:2], "big")
        sent.append(data[2 : 2 + size])
        data = data[2 + size :]
    spec = CollectorSpec(
        windows=SMALL.windows,
        pairs=PairSpec(slots=1 << 10, waiting=8),
        exports=ExportSpec(domains=2, templates=4, waiting_sets=4, waiting_bytes=256),
    )
    sensor = _Sensor("fuzz", spec, lambda: 0)
    half = len(sent) // 2
    _check_windows(chain(sensor.take(sent[:half]), sensor.take(sent[half:])), sensor)
    for counts in sensor.look():
        _check_stored(counts)
    _check_windows(sensor.finish(), sensor)
    _require(all(count > 0 for count in sensor.losses().values()), f"losses: {sensor.losses()}")


class _Sensor(ExporterSensor):
    @property
    def attempts(self) -> int:
        """The most attempts that can be in what was read: an answer that comes late has a flow told again."""
        return 2 * _TRIES_A_FLOW * self.flows


# --- texts ---


def posted(data: bytes, _: Path) -> None:
    """Read the counts of a window as they are posted."""
    with suppress(HTTPException, RequestValidationError, InputError):
        window = validated(WindowIn, parse_json(data))
        rows = [row.posted() for row in window.rows]
        totals = [total.posted() for total in window.sources]
        _check_stored(posted_window(window.sensor, window.start, window.end, rows, totals))


def words(data: bytes, _: Path) -> None:
    """Read addresses, services, times and allow-lists."""
    text = data.decode("utf-8", "replace")
    for parse in (parse_address, parse_service, parse_query_time):
        with suppress(ValueError):
            parse(text)
    with suppress(SettingsError):
        read_allow_list(text.split("\n"), "fuzz").covering(0, 0xFFFF << 32, [23])


def packet_filter(data: bytes, _: Path) -> None:
    """Compile a filter in libpcap's language; where libpcap is missing that is what the error says."""
    with suppress(CaptureError):
        program = compile_filter(data.decode("utf-8", "replace"), 1)
        _require(0 < len(program) <= 4096, f"a filter of {len(program)} instructions")


# --- what was stored ---


def window(data: bytes, _: Path) -> None:
    """Read a window as it is sent and stored: what is in its zlib stream, and a stream that is none."""
    for document in (_WINDOW + zlib.compress(data, 1), data):
        with suppress(InputError):
            _check_stored(read_window(document))


def old_window(data: bytes, _: Path) -> None:
    """Read a window as it was stored before: what is in its zlib stream, and a stream that is none."""
    for compressed in (zlib.compress(data, 1), data):
        with suppress(StoreError):
            read_counts("fuzz", 0, SECOND, compressed).digest()


def documents(data: bytes, _: Path) -> None:
    """Read the stored documents of alerts, patterns and their versions."""
    text = data.decode("utf-8", "replace")
    readers: tuple[Callable[[str], object], ...] = (read_alert, read_pattern, read_version)
    for read in readers:
        with suppress(StoreError):
            read(text)


def history(data: bytes, _: Path) -> None:
    """Read what is remembered of windows, from the bytes in which it is stored."""
    with suppress(InputError):
        to_bytes(from_bytes(data, HistorySpec()))


SHAPES: dict[str, tuple[int, ...]] = {
    "version": (-1,),
    "windows": (-1, 3),
    **dict.fromkeys(("counters", "ids", "counts", "rows", "lengths", "services", "attempts"), (-1,)),
    "keys": (-1,),
    "incidents": (-1, 4),
    **dict.fromkeys(("best", "named", "incident_services", "observed"), (-1,)),
}
"""The arrays of a history, in the order in which `history_arrays` takes them."""
_LARGE = {127: (1 << 63) - 1, -128: -(1 << 63), 126: 1 << 62}


def history_arrays(data: bytes, _: Path) -> None:
    """Read what is remembered of windows, from its arrays: of each a byte with its length, then a byte a number."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, shape in SHAPES.items():
        length = data[0] if data else 0
        numbers = [int(number) for number in np.frombuffer(data[1 : 1 + length], np.int8)]
        data = data[1 + length :]
        found: NDArray[Any] = np.array([_LARGE.get(number, number) for number in numbers], np.int64)
        if name in ("best", "named"):
            found = found / 4
        elif name == "keys":
            found = found.astype("S21")
        arrays[name] = found.reshape(shape) if len(found) % abs(shape[-1]) == 0 else found
    with suppress(InputError):
        to_bytes(unpacked(arrays, HistorySpec()))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


_WINDOW = b"YOW\x01"
_LINES = (
    b"\n",
    b"-",
    b"0",
    b"1e9",
    b"\xef\xbb\xbf",
    b"2026-03-01T12:00:00Z",
    b"192.0.2.7",
    b"::ffff:1.2.3.4",
    b"tcp",
)
_JSON = (b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e400", b"\\ud800", b"-1", b"0.1")
_PACKED = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a")
_LINKS = tuple(bytes((link & 255, link >> 8)) for link in (0, 1, 9, 50, 101, 104, 105, 113, 127, 192, 239, 276))
_ETHER = (
    b"\x08\x00E",
    b"\x86\xdd`",
    b"\x08\x06",
    b"\x81\x00",
    b"\x88\x47",
    b"\x88\x64",
    b"\x89\x26",
    b"\xaa\xaa\x03",
)
_TUNNELS = (b"\x12\xb5", b"\x08\x68", b"\x17\xc1", b"\x0d\xd8", b"\x65\x58", b"\x88\xbe", b"\x22\xeb", b"\x88\x0b")

TARGETS: dict[str, Target] = {
    "any_file": Target(any_file, _PACKED + _LINES, unpacks=True),
    "pcap": Target(capture, (*_ETHER, *_TUNNELS, b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1")),
    "pcapng": Target(capture, (b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d", b"\x09\x00\x01\x00")),
    "frame": Target(frame, _LINKS + _ETHER + _TUNNELS),
    "zeek": Target(_log(Input.ZEEK), (*_LINES, b"#fields\t", b"#separator \\x", b"\t", b"conn_state", b"history")),
    "zeek_json": Target(_log(Input.ZEEK), (*_LINES, *_JSON, b'"ts":', b'"conn_state":"S0"')),
    "suricata": Target(_log(Input.SURICATA), (*_LINES, *_JSON, b'"event_type":"flow"', b'"flow":', b'"tcp":')),
    "nfdump": Target(_log(Input.NFDUMP), (*_LINES, b",", b"Summary", b"firstSeen", b"8.0")),
    "argus": Target(_log(Input.ARGUS), (*_LINES, b",", b"S_RA", b"ECO", b"<?>", b"StartTime")),
    "vpc": Target(_log(Input.VPC), (*_LINES, b" ", b"NODATA", b"REJECT", b"srcaddr", b"tcp-flags")),
    "csv": Target(_log(Input.CSV), (*_LINES, b",", b";", b"|", b'"', b"answered", b"icmp/echo", b"icmp_type")),
    "exports": Target(exports, (b"\0\5", b"\0\x09", b"\0\x0a", b"\xff\xff", b"\x01\0", b"\0\2\0", b"\0\3\0")),
    "posted": Target(posted, (*_JSON, b'"rows":', b'"sources":', b'"attempts":1', b"tcp/23"), loops=False),
    "words": Target(words, (*_LINES, b"/", b"tcp/9000-9100", b"icmp/echo", b"#", b"2001:db8::/32"), loops=False),
    "packet_filter": Target(
        packet_filter, (b"tcp", b" and ", b"not ", b"(", b")", b"net ", b"\0", b"[13]"), loops=False
    ),
    "window": Target(window, (*_JSON, b'"width":0', b'"targets":3221225472', b'"sources":1048576'), loops=False),
    "old_window": Target(old_window, (*_JSON, b"9223372036854775808"), loops=False),
    "documents": Target(documents, (*_JSON, b"1e999"), loops=False),
    "history": Target(
        history, (b"PK\x03\x04", b"PK\x01\x02", b"\x93NUMPY", b"'shape': (", b"'descr': '"), loops=False
    ),
    "history_arrays": Target(history_arrays, (b"\x7f", b"\x80", b"\x01\x01", b"\x03\0\x3c\x02"), loops=False),
}
