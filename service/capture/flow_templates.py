"""Templates of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): what the records of a set look like."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.kernels import flow_records as records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

REVERSE = 29305
"""The enterprise number of fields of the opposite direction (RFC 5103, 6.1)."""

MOST_FIELDS = 256

_VARIABLE_LENGTH = 65535
_PAIR, _FOUR = struct.Struct(">HH"), struct.Struct(">I")

# (enterprise, element): (kind, lengths). Numbers may be sent shorter than they are (RFC 7011, 6.2).
_NUMBER2, _NUMBER8, _UPTIME = (1, 2), tuple(range(1, 9)), (4,)
_TIMES = {
    records.UPTIME: ((22, 21), (1, 2, 3, 4)),
    records.SECONDS: ((150, 151), (4, 8)),
    records.MILLISECONDS: ((152, 153), (8,)),
    records.NTP: ((154, 155), (8,)),
    records.BEFORE_EXPORT: ((158, 159), (1, 2, 3, 4)),
}
_FIELDS: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {
    (0, 8): (records.SOURCE4, (4,)),
    (0, 12): (records.TARGET4, (4,)),
    (0, 27): (records.SOURCE6, (16,)),
    (0, 28): (records.TARGET6, (16,)),
    (0, 7): (records.SOURCE_PORT, _NUMBER2),
    (0, 11): (records.TARGET_PORT, _NUMBER2),
    (0, 4): (records.PROTOCOL, (1,)),
    (0, 2): (records.PACKETS, _NUMBER8),
    (0, 86): (records.PACKETS, _NUMBER8),
    (REVERSE, 2): (records.RETURNED, _NUMBER8),
    (REVERSE, 86): (records.RETURNED, _NUMBER8),
    (0, 298): (records.INITIATED, _NUMBER8),
    (0, 299): (records.RETURNED, _NUMBER8),
    (0, 6): (records.FLAGS, _NUMBER2),
    (REVERSE, 6): (records.RETURNED_FLAGS, _NUMBER2),
    (0, 32): (records.ICMP, (2,)),
    (0, 139): (records.ICMP, (2,)),
    (REVERSE, 32): (records.RETURNED_ICMP, (2,)),
    (REVERSE, 139): (records.RETURNED_ICMP, (2,)),
    (0, 176): (records.ICMP_TYPE, (1,)),
    (0, 178): (records.ICMP_TYPE, (1,)),
    (0, 239): (records.DIRECTION, (1,)),
    (0, 233): (records.EVENT, (1,)),
    (0, 160): (records.BOOT, (8,)),
    (0, 161): (records.LASTED_MS, _NUMBER8),
    (0, 162): (records.LASTED_US, _NUMBER8),
    (0, 322): (records.START + records.SECONDS, (4, 8)),
    (0, 323): (records.START + records.MILLISECONDS, (8,)),
    (0, 156): (records.START + records.NTP, (8,)),
    (0, 157): (records.END + records.NTP, (8,)),
    (REVERSE, 156): (records.RETURN_START + records.NTP, (8,)),
}
for _unit, ((_start, _end), _lengths) in _TIMES.items():
    _FIELDS[0, _start] = (records.START + _unit, _lengths)
    _FIELDS[0, _end] = (records.END + _unit, _lengths)
    _FIELDS[REVERSE, _start] = (records.RETURN_START + _unit, _lengths)

# Elements of options data that matter: how many packets are sampled, and when the exporter booted.
SAMPLING_INTERVAL, SAMPLER_INTERVAL, SAMPLED, SPACE, BOOT = 34, 50, 305, 306, 160
OPTIONS = frozenset((SAMPLING_INTERVAL, SAMPLER_INTERVAL, SAMPLED, SPACE, BOOT))


class BadTemplateError(ValueError):
    """A template that makes no sense; the rest of its set can't be read."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record."""

    enterprise: int
    element: int
    length: int
    """Bytes, or `records.VARIABLE`."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """How to read the records of a set."""

    fields: tuple[Field, ...]
    least: int
    """Bytes of the shortest record."""
    program: NDArray[np.int64] | None
    """Rows of (kind, length) for flows, shape (f, 2); None if the records are no flows between addresses."""
    options: bool


def make_template(fields: Iterable[Field], *, options: bool = False) -> Template:
    """Return the template with these fields; raises BadTemplateError if they make no record."""
    fields = tuple(fields)
    least = sum(1 if field.length == records.VARIABLE else field.length for field in fields)
    if least == 0:
        raise BadTemplateError("its records are empty")
    return Template(fields, least, None if options else _program(fields), options)


def read_templates(data: bytes, at: int, end: int, *, ipfix: bool) -> Iterator[tuple[int, Template | None]]:
    """Yield the (id, template) of a template set without its header; a template without fields is withdrawn: None.

    Raises BadTemplateError where the set makes no sense; templates before that place were yielded.
    """
    while at + 4 <= end:
        number, count = _PAIR.unpack_from(data, at)
        at += 4
        if number < 256 and not (ipfix and count == 0):
            if number == count == 0:  # padding
                return
            raise BadTemplateError(f"id {number}")
        if count == 0:
            yield number, None
            continue
        fields, at = _read_fields(data, at, end, count, ipfix=ipfix)
        yield number, make_template(fields)


def read_options_templates(data: bytes, at: int, end: int, *, ipfix: bool) -> Iterator[tuple[int, Template | None]]:
    """Yield the (id, template) of an options template set, as `read_templates` does."""
    while at + 6 <= end:
        number, count = _PAIR.unpack_from(data, at)
        if ipfix and count == 0:  # a withdrawal has no scope
            yield number, None
            at += 4
            continue
        if number < 256:
            if number == count == 0:
                return
            raise BadTemplateError(f"id {number}")
        scope = int.from_bytes(data[at + 4 : at + 6], "big")
        if not ipfix:  # lengths in bytes of scope and options, in place of numbers of fields
            if count % 4 or scope % 4:
                raise BadTemplateError("a field is cut")
            count = (count + scope) // 4
        fields, at = _read_fields(data, at + 6, end, count, ipfix=ipfix)
        yield number, make_template(fields, options=True)


def read_options(template: Template, data: bytes, at: int, end: int, most: int) -> tuple[int, dict[int, int]]:
    """Return how many records of options data there are, and the `OPTIONS` of the first `most` of them."""
    told: dict[int, int] = {}
    count = 0
    while at + template.least <= end and count < most:
        for field in template.fields:
            length = field.length
            if length == records.VARIABLE:
                at, length = _variable(data, at, end)
            if at + length > end:
                return count, told
            if field.enterprise == 0 and field.element in OPTIONS and length <= 8:
                told[field.element] = int.from_bytes(data[at : at + length], "big")
            at += length
        count += 1
    return count + max(end - at, 0) // template.least, told


def _variable(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return where a field of variable length begins, and its length; more than there is if it is cut."""
    if at < end and data[at] < 255:
        return at + 1, data[at]
    if at + 3 <= end:
        return at + 3, int.from_bytes(data[at + 1 : at + 3], "big")
    return at, end - at + 1


def _read_fields(data: bytes, at: int, end: int, count: int, *, ipfix: bool) -> tuple[list[Field], int]:
    if count > MOST_FIELDS:
        raise BadTemplateError(f"{count} fields")
    fields = []
    for _ in range(count):
        if at + 4 > end:
            raise BadTemplateError("a field is cut")
        element, length = _PAIR.unpack_from(data, at)
        at += 4
        enterprise = 0
        if element & 0x8000:
            element &= 0x7FFF
            if ipfix:
                if at + 4 > end:
                    raise BadTemplateError("an enterprise number is cut")
                (enterprise,) = _FOUR.unpack_from(data, at)
                at += 4
            else:
                enterprise = -1  # a vendor's own in v9
        fields.append(
            Field(enterprise, element, records.VARIABLE if length == _VARIABLE_LENGTH and ipfix else length)
        )
    return fields, at


def _program(fields: tuple[Field, ...]) -> NDArray[np.int64] | None:
    rows: list[tuple[int, int]] = []
    for field in fields:
        kind, lengths = _FIELDS.get((field.enterprise, field.element), (records.SKIP, ()))
        if field.length not in lengths:
            kind = records.SKIP
        if kind == records.SKIP and rows and rows[-1][0] == kind and min(rows[-1][1], field.length) >= 0:
            rows[-1] = (kind, rows[-1][1] + field.length)
        else:
            rows.append((kind, field.length))
    kinds = {kind for kind, _ in rows}
    addressed = {records.SOURCE4, records.TARGET4} <= kinds or {records.SOURCE6, records.TARGET6} <= kinds
    if not addressed or records.PROTOCOL not in kinds:
        return None
    return np.array(rows, dtype=np.int64)


V5 = make_template(
    Field(0 if element else -1, element, length)
    for element, length in (
        (8, 4), (12, 4), (0, 8), (2, 4), (0, 4), (22, 4), (21, 4), (7, 2), (11, 2), (0, 1), (6, 1), (4, 1), (0, 9),
    )
)  # fmt: skip
"""The fixed record of NetFlow v5."""
