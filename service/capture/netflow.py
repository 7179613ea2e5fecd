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
from service.capture.flow_messages import BadHeaderError, Header, read_header
from service.capture.flow_sequence import Sequence
from service.capture.flow_sets import SetBatch
from service.capture.kernels import flow_records as records

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from service.capture.batch import FlowBatch
    from service.capture.flow_templates import Template
    from service.capture.hosts import HostTable

SECOND = 1_000_000_000

_MS = 1_000_000
_SET = struct.Struct(">HH")
_V5_RECORD, _V5_MOST = 48, 30
_V5_COUNT, _V5_SAMPLING = 2, 22
_UPTIME = 4
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


class _Waiting(NamedTuple):
    """A set whose template did not come yet."""

    key: tuple[tuple[int, int], int]
    data: bytes
    export: int


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
        self._awaited: set[tuple[tuple[int, int], int]] = set()
        self._resumed = False
        self._held: tuple[bytes, int] | None = None
        self._latest = -1
        self._messages: list[tuple[_Domain, int, int, int, int]] = []
        """Of IPFIX: domain, sequence number, records of options data, first and last set of the batch."""
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
        batch = SetBatch()
        for data in datagrams:
            self.datagrams += 1
            header = self._header(data)
            if header is not None:
                self._take_dated(batch, data, header.export)
        return self._decode(batch)

    def finish(self) -> FlowBatch:
        """Return the flows of a datagram that still waits for another one that confirms its date."""
        batch = SetBatch()
        if self._held is not None:
            (data, export), self._held = self._held, None
            self._latest = export
            self._take(batch, data)
        return self._decode(batch)

    def _take_dated(self, batch: SetBatch, data: bytes, export: int) -> None:
        """Take a datagram if its date is likely: one dated years ahead would make all others late."""
        jump = self._spec.jump
        held, self._held = self._held, None
        if self._latest >= 0 and export <= self._latest + jump:
            self._lost["absurd_export_time"] += held is not None
            self._latest = max(self._latest, export)
            self._take(batch, data)
            return
        if held is not None and abs(export - held[1]) <= jump:
            self._latest = max(export, held[1])
            self._take(batch, held[0])
            self._take(batch, data)
            return
        self._lost["absurd_export_time"] += held is not None
        self._held = (data, export)

    def _header(self, data: bytes) -> Header | None:
        """Return the header of a datagram if it is one that can be read."""
        try:
            return read_header(data)
        except BadHeaderError as reason:
            self._lost[str(reason)] += 1
            return None

    def _take(self, batch: SetBatch, data: bytes) -> None:
        header = self._header(data)
        if header is None:
            return
        domain = self._domain(header.domain)
        if header.domain[0] == 5:
            self._take_v5(batch, data, header, domain)
            return
        if header.domain[0] == 9:
            self._note_uptime(header, domain, int.from_bytes(data[_UPTIME : _UPTIME + 4], "big"))
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

    def _note_uptime(self, header: Header, domain: _Domain, uptime: int) -> None:
        """Keep the time of the exporter's boot steady, so that the records of two datagrams can be compared."""
        boot = max(header.export - uptime * _MS, 0)
        back = (domain.uptime - uptime) % (1 << 32)
        if domain.boot < 0 or abs(boot - domain.boot) > _STEADY:
            if domain.boot >= 0 and _RESTART < back < 1 << 31 and uptime < domain.uptime:
                domain.sequence.restart()
                self._forget_templates(header.domain)
            domain.boot = boot
        domain.uptime = uptime

    def _take_v5(self, batch: SetBatch, data: bytes, header: Header, domain: _Domain) -> None:
        count, sampling = (int.from_bytes(data[at : at + 2], "big") for at in (_V5_COUNT, _V5_SAMPLING))
        uptime = int.from_bytes(data[_UPTIME : _UPTIME + 4], "big")
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

    def _take_sets(self, batch: SetBatch, data: bytes, header: Header, domain: _Domain) -> None:
        base = batch.begin(data)
        first, options, whole = len(batch), 0, True
        self._resumed = False
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
            if whole and not self._resumed:  # else it is not known how many records came
                self._messages.append((domain, header.sequence, options, first, len(batch)))
            else:
                self._messages.append((domain, -1, 0, 0, 0))

    def _export(self, header: Header, domain: _Domain) -> int:
        """Return the time of the export by the clock that the domain's boot is told by."""
        return domain.boot + domain.uptime * _MS if header.domain[0] == 9 and domain.boot else header.export

    def _take_templates(
        self, batch: SetBatch, data: bytes, number: int, body: tuple[int, int], header: Header
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
        self, batch: SetBatch, key: tuple[tuple[int, int], int], template: Template | None, *, options: bool
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
        if key in self._awaited:
            self._resume(batch, key, template)

    def _wait(self, waiting: _Waiting) -> None:
        self._awaited.add(waiting.key)
        self._waiting.append(waiting)
        self._waiting_bytes += len(waiting.data)
        while len(self._waiting) > self._spec.waiting_sets or self._waiting_bytes > self._spec.waiting_bytes:
            self._waiting_bytes -= len(self._waiting.popleft().data)
            self._lost["sets_without_template"] += 1

    def _resume(self, batch: SetBatch, key: tuple[tuple[int, int], int], template: Template) -> None:
        """Take the sets that waited for a template."""
        ready = [waiting for waiting in self._waiting if waiting.key == key]
        self._waiting = deque(waiting for waiting in self._waiting if waiting.key != key)
        self._awaited = {waiting.key for waiting in self._waiting}
        self._resumed = bool(ready)
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

    def _decode(self, batch: SetBatch) -> FlowBatch:
        flows, found = batch.decode(self._hosts, self._tally)
        self.flows += len(flows)
        for domain, number, options, first, last in self._messages:
            if number < 0:
                domain.sequence.forget()
            else:
                domain.sequence.take(number, options + int(found[first:last].sum()), options)
        self._messages = []
        return flows


def _reason(at: int) -> str:
    if at < records.IP_PROTOCOL:
        return _TALLIED[at]
    if at < records.ICMP_OTHER:
        return f"ip_protocol/{at - records.IP_PROTOCOL}"
    if at < records.ICMP6_OTHER:
        return f"icmp_type/{at - records.ICMP_OTHER}"
    return f"icmp6_type/{at - records.ICMP6_OTHER}"
