"""NetFlow v5, v9 (RFC 3954) and IPFIX (RFC 7011) of one exporter: datagrams become flows.

A datagram is taken apart in Python down to its sets; the records of all sets of a batch are decoded in one compiled
loop. Nothing in a datagram is trusted: what makes no sense is counted by reason, and the rest is read.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from service.capture import flow_templates as templates
from service.capture.batch import FlowBatch, take
from service.capture.flow_sequence import Sequence
from service.capture.kernels import flow_records as records

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from numpy.typing import NDArray

    from service.capture.flow_templates import Template
    from service.capture.hosts import HostTable

SECOND = 1_000_000_000

_MS = 1_000_000
_V5 = struct.Struct(">HHIIIIBBH")
_V9 = struct.Struct(">HHIIII")
_IPFIX = struct.Struct(">HHIII")
_SET = struct.Struct(">HH")
_V5_RECORD, _V5_MOST = 48, 30
_FIRST_DATA = 256
_OPTIONS_RECORDS = 64
_RESTART = 60_000
"""An exporter's uptime that goes back by more than this, ms, tells of a restart."""
_STEADY = 3 * SECOND // 2
"""The boot time that a header tells is off by up to a second, for its clock has seconds: it is kept if near."""

_TALLIED = {
    records.BAD_RECORD: "malformed_record",
    records.NO_PORTS: "no_ports",
    records.ABSURD_TIME: "absurd_time",
    records.NO_TIME: "no_time",
    records.ADDRESSES: "address_table_full",
}
_FOLLOWED_ALL_THE_SAME = frozenset((records.ABSURD_TIME, records.NO_TIME))


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """Bounds of what is kept for one exporter.

    Raises ValueError if one of them is not positive.
    """

    domains: int = 64
    """Observation domains (v9: source ids, v5: engines); the one longest silent makes place."""
    templates: int = 1024
    """Templates of all domains; the one told longest ago makes place."""
    waiting_sets: int = 256
    """Sets that may wait for their template; the oldest makes place."""
    waiting_bytes: int = 1 << 20
    jump: int = 600 * SECOND
    """A datagram dated so much later than all before it waits until the next one says the same, ns."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not positive")


@dataclass(slots=True)
class _Domain:
    """What is known of one observation domain."""

    sequence: Sequence = field(default_factory=Sequence)
    boot: int = -1
    """ns since the epoch"""
    uptime: int = 0
    """ms"""
    sampling: int = 1


class _Header(NamedTuple):
    """The header of a message."""

    domain: tuple[int, int]
    export: int
    """ns since the epoch"""
    sequence: int
    body: int
    """Offset of the first set."""
    end: int


class _Waiting(NamedTuple):
    """A set whose template did not come yet."""

    key: tuple[tuple[int, int], int]
    data: bytes
    export: int


class _Batch:
    """The sets of some datagrams, until they are decoded together."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.length = 0
        self.sets: list[tuple[int, int, int, int, int, int, int]] = []
        self.messages: list[tuple[_Domain, int, int, int, int]] = []
        """Domain, sequence number, records of options data, first and last set of the IPFIX messages."""
        self._programs: dict[int, tuple[int, int]] = {}
        self._rows: list[NDArray[np.int64]] = []
        self._used = 0

    def begin(self, data: bytes) -> int:
        """Add a datagram, and return where its first byte stands."""
        self.chunks.append(data)
        self.length += len(data)
        return self.length - len(data)

    def add(self, begin: int, end: int, template: Template, export: int, boot: int) -> None:
        """Add a set of records of flows."""
        assert template.program is not None  # noqa: S101  (others are not added)
        place = self._programs.get(id(template))
        if place is None:
            place = (self._used, self._used + len(template.program))
            self._programs[id(template)] = place
            self._rows.append(template.program)
            self._used = place[1]
        self.sets.append((begin, end, *place, template.least, export, boot))

    def program(self) -> NDArray[np.int64]:
        """Return the programs of all templates, one after the other."""
        return np.concatenate(self._rows)


class Exports:
    """Reads the datagrams of one exporter, in the order in which they came.

    It keeps the exporter's templates, and what came before its template, in memory bounded by `ExportSpec`.
    """

    def __init__(self, hosts: HostTable, spec: ExportSpec = ExportSpec()) -> None:
        self._hosts = hosts
        self._spec = spec
        self._domains: OrderedDict[tuple[int, int], _Domain] = OrderedDict()
        self._templates: OrderedDict[tuple[tuple[int, int], int], Template] = OrderedDict()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._held: tuple[bytes, int] | None = None
        self._latest = -1
        self._tally = np.zeros(records.TALLY_SIZE, dtype=np.int64)
        self._lost: Counter[str] = Counter()
        self.flows = 0
        """Records that became flows."""
        self.datagrams = 0

    @property
    def sampling(self) -> int:
        """One packet of so many is looked at, as the exporter says; 1 if it does not say."""
        return max((domain.sampling for domain in self._domains.values()), default=1)

    def losses(self) -> dict[str, int]:
        """Return what was not followed up to now, by reason; what still waits for its template counts too."""
        lost = Counter(self._lost)
        for at in np.flatnonzero(self._tally).tolist():
            lost[_reason(at)] += int(self._tally[at])
        for (version, _), domain in self._domains.items():
            unit = {5: "missing_flows", 9: "missing_datagrams"}.get(version, "missing_records")
            lost[unit] += domain.sequence.missing
            lost["restarts"] += domain.sequence.restarts
        lost["sets_without_template"] += len(self._waiting)
        return {reason: count for reason, count in sorted(lost.items()) if count}

    def read(self, datagrams: Many[bytes]) -> FlowBatch:
        """Return the flows that datagrams tell of."""
        batch = _Batch()
        for data in datagrams:
            self.datagrams += 1
            header = self._header(data)
            if header is not None:
                self._take_dated(batch, data, header.export)
        return self._decode(batch)

    def finish(self) -> FlowBatch:
        """Return the flows of a datagram that still waits for another one that confirms its date."""
        batch = _Batch()
        if self._held is not None:
            (data, export), self._held = self._held, None
            self._latest = export
            self._take(batch, data)
        return self._decode(batch)

    def _take_dated(self, batch: _Batch, data: bytes, export: int) -> None:
        """Take a datagram if its date is likely: one dated years ahead would make all others late."""
        jump = self._spec.jump
        if self._latest >= 0 and export <= self._latest + jump:
            self._latest = max(self._latest, export)
            self._take(batch, data)
            return
        held, self._held = self._held, None
        if held is not None and abs(export - held[1]) <= jump:
            self._latest = max(export, held[1])
            self._take(batch, held[0])
            self._take(batch, data)
            return
        self._lost["absurd_export_time"] += held is not None
        self._held = (data, export)

    def _header(self, data: bytes) -> _Header | None:
        """Return the header of a datagram if it is one that can be read."""
        version = int.from_bytes(data[:2], "big") if len(data) >= 2 else -1
        if version not in (5, 9, 10):
            self._lost["unknown_version" if version >= 0 else "truncated"] += 1
            return None
        if len(data) < {5: _V5, 9: _V9, 10: _IPFIX}[version].size:
            self._lost["truncated"] += 1
            return None
        if version == 5:
            _, _, _, seconds, nanoseconds, sequence, kind, engine, _ = _V5.unpack_from(data)
            export = seconds * SECOND + min(nanoseconds, SECOND - 1)
            return _Header((5, kind << 8 | engine), export, sequence, _V5.size, len(data))
        if version == 9:
            _, _, _, seconds, sequence, source = _V9.unpack_from(data)
            return _Header((9, source), seconds * SECOND, sequence, _V9.size, len(data))
        _, length, seconds, sequence, domain = _IPFIX.unpack_from(data)
        if not _IPFIX.size <= length <= len(data):
            self._lost["truncated"] += 1
            return None
        return _Header((10, domain), seconds * SECOND, sequence, _IPFIX.size, length)

    def _take(self, batch: _Batch, data: bytes) -> None:
        header = self._header(data)
        if header is None:
            return
        domain = self._domain(header.domain)
        if header.domain[0] == 5:
            self._take_v5(batch, data, header, domain)
            return
        if header.domain[0] == 9:
            self._note_uptime(header, domain, int.from_bytes(data[4:8], "big"))
            domain.sequence.take(header.sequence, 1)
        self._take_sets(batch, data, header, domain)

    def _domain(self, key: tuple[int, int]) -> _Domain:
        domain = self._domains.get(key)
        if domain is None:
            if len(self._domains) == self._spec.domains:
                gone, old = self._domains.popitem(last=False)
                self._forget_templates(gone)
                self._lost["domains_forgotten"] += 1
                self._lost["restarts"] += old.sequence.restarts
            domain = self._domains[key] = _Domain()
        self._domains.move_to_end(key)
        return domain

    def _forget_templates(self, domain: tuple[int, int]) -> None:
        for key in [key for key in self._templates if key[0] == domain]:
            del self._templates[key]

    def _note_uptime(self, header: _Header, domain: _Domain, uptime: int) -> None:
        """Keep the time of the exporter's boot steady, so that the records of two datagrams can be compared."""
        boot = max(header.export - uptime * _MS, 0)
        back = (domain.uptime - uptime) % (1 << 32)
        if domain.boot < 0 or abs(boot - domain.boot) > _STEADY:
            if domain.boot >= 0 and _RESTART < back < 1 << 31 and uptime < domain.uptime:
                domain.sequence.restart()
                self._forget_templates(header.domain)
            domain.boot = boot
        domain.uptime = uptime

    def _take_v5(self, batch: _Batch, data: bytes, header: _Header, domain: _Domain) -> None:
        _, count, uptime, *_, sampling = _V5.unpack_from(data)
        if not 0 < count <= _V5_MOST or header.body + count * _V5_RECORD > len(data):
            self._lost["truncated"] += 1
            return
        self._note_uptime(header, domain, uptime)
        domain.sequence.take(header.sequence, count)
        domain.sampling = max(sampling & 0x3FFF, 1)
        begin = batch.begin(data) + header.body
        # In place of the header's time: the same clock as that of the datagrams before it.
        export = domain.boot + uptime * _MS if domain.boot else header.export
        batch.add(begin, begin + count * _V5_RECORD, templates.V5, export, domain.boot)

    def _take_sets(self, batch: _Batch, data: bytes, header: _Header, domain: _Domain) -> None:
        base = batch.begin(data)
        first, options, whole = len(batch.sets), 0, True
        at = header.body
        while at + _SET.size <= header.end:
            number, length = _SET.unpack_from(data, at)
            if number == length == 0:  # padding
                break
            end = at + length
            if length < _SET.size or end > header.end:
                self._lost["malformed_set"] += 1
                whole = False
                break
            body = at + _SET.size
            at = end
            if number < _FIRST_DATA:
                self._take_templates(batch, data, number, (body, end), header)
                continue
            template = self._templates.get((header.domain, number))
            if template is None:
                self._wait(_Waiting((header.domain, number), data[body:end], header.export))
                whole = False
            elif template.options:
                options += self._take_options(template, data, (body, end), domain)
            elif template.program is None:
                self._lost["records_without_addresses"] += (end - body) // template.least
                whole = False
            else:
                batch.add(base + body, base + end, template, self._export(header, domain), domain.boot)
        if header.domain[0] == 10:
            if whole:
                batch.messages.append((domain, header.sequence, options, first, len(batch.sets)))
            else:
                batch.messages.append((domain, -1, 0, 0, 0))

    def _export(self, header: _Header, domain: _Domain) -> int:
        """Return the time of the export by the clock that the domain's boot is told by."""
        return domain.boot + domain.uptime * _MS if header.domain[0] == 9 and domain.boot else header.export

    def _take_templates(
        self, batch: _Batch, data: bytes, number: int, body: tuple[int, int], header: _Header
    ) -> None:
        ipfix = header.domain[0] == 10
        kinds = {2: False, 3: True} if ipfix else {0: False, 1: True}
        if number not in kinds:
            self._lost["unknown_set"] += 1
            return
        read = templates.read_options_templates if kinds[number] else templates.read_templates
        try:
            for name, template in read(data, *body, ipfix=ipfix):
                self._learn(batch, (header.domain, name), template, options=kinds[number])
        except templates.BadTemplateError:
            self._lost["malformed_template"] += 1

    def _learn(
        self, batch: _Batch, key: tuple[tuple[int, int], int], template: Template | None, *, options: bool
    ) -> None:
        """Keep, replace or withdraw a template (RFC 7011, 8.1: id 2 or 3 withdraws all of a kind)."""
        if template is None and key[1] < _FIRST_DATA:
            for held in [k for k, t in self._templates.items() if k[0] == key[0] and t.options == options]:
                del self._templates[held]
            return
        before = self._templates.pop(key, None)
        if template is None:
            return
        if before is not None and before.fields == template.fields and before.options == template.options:
            template = before
        if len(self._templates) == self._spec.templates:
            self._templates.popitem(last=False)
            self._lost["templates_forgotten"] += 1
        self._templates[key] = template
        if before is None and self._waiting:
            self._resume(batch, key, template)

    def _wait(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._waiting_bytes += len(waiting.data)
        while len(self._waiting) > self._spec.waiting_sets or self._waiting_bytes > self._spec.waiting_bytes:
            self._waiting_bytes -= len(self._waiting.popleft().data)
            self._lost["sets_without_template"] += 1

    def _resume(self, batch: _Batch, key: tuple[tuple[int, int], int], template: Template) -> None:
        """Take the sets that waited for a template."""
        ready = [waiting for waiting in self._waiting if waiting.key == key]
        if not ready:
            return
        self._waiting = deque(waiting for waiting in self._waiting if waiting.key != key)
        domain = self._domains[key[0]]
        for waiting in ready:
            self._waiting_bytes -= len(waiting.data)
            if template.options:
                self._take_options(template, waiting.data, (0, len(waiting.data)), domain)
            elif template.program is None:
                self._lost["records_without_addresses"] += len(waiting.data) // template.least
            else:
                begin = batch.begin(waiting.data)
                batch.add(begin, begin + len(waiting.data), template, waiting.export, domain.boot)

    def _take_options(self, template: Template, data: bytes, body: tuple[int, int], domain: _Domain) -> int:
        count, told = templates.read_options(template, data, *body, most=_OPTIONS_RECORDS)
        if templates.BOOT in told:
            domain.boot = min(told[templates.BOOT], 1 << 42) * _MS
        every = told.get(templates.SAMPLER_INTERVAL) or told.get(templates.SAMPLING_INTERVAL)
        if told.get(templates.SAMPLED):
            every = 1 + told.get(templates.SPACE, 0) // told[templates.SAMPLED]
        if every:
            domain.sampling = every
        return count

    def _decode(self, batch: _Batch) -> FlowBatch:
        if not batch.sets:
            self._note_messages(batch, np.empty(0, np.int64))
            return FlowBatch.room(0)
        sets = np.array(batch.sets, dtype=np.int64)
        found = np.zeros(len(sets), dtype=np.int64)
        flows = FlowBatch.room(int(((sets[:, 1] - sets[:, 0]) // sets[:, 4]).sum()))
        rows = records.decode(
            np.frombuffer(b"".join(batch.chunks), dtype=np.uint8),
            sets,
            batch.program(),
            self._hosts.words,
            self._hosts.slots,
            self._tally,
            found,
            flows.time,
            flows.end,
            flows.source,
            flows.target,
            flows.source_port,
            flows.target_port,
            flows.protocol,
            flows.packets,
            flows.returned,
            flows.flags,
            flows.returned_flags,
            flows.state,
            flows.directed,
        )
        self.flows += rows
        self._note_messages(batch, found)
        return take(flows, slice(rows))

    def _note_messages(self, batch: _Batch, found: NDArray[np.int64]) -> None:
        for domain, number, options, first, last in batch.messages:
            if number < 0:
                domain.sequence.forget()
            else:
                domain.sequence.take(number, options + int(found[first:last].sum()), options)


def _reason(at: int) -> str:
    if at < records.IP_PROTOCOL:
        return _TALLIED[at]
    if at < records.ICMP_OTHER:
        return f"ip_protocol/{at - records.IP_PROTOCOL}"
    if at < records.ICMP6_OTHER:
        return f"icmp_type/{at - records.ICMP_OTHER}"
    return f"icmp6_type/{at - records.ICMP6_OTHER}"
