"""A window as bytes: what sensors send, and what waits for its turn.

    "YOW" and the version, 1; then in zlib: length of the head (4 bytes, little-endian), head (JSON), columns

Each column holds unsigned integers above a base of its own, in the narrowest of 0, 1, 2, 4 or 8 bytes; the head
says which. Whoever reads one checks all of it: it may come from anywhere.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.capture.services import LAST_SERVICE, Means
from service.errors import InputError
from service.windows.counts import (
    SAMPLE_SIZE,
    Ints,
    ServiceCounts,
    Shed,
    SourceTotals,
    TargetSamples,
    ToolCounts,
    WindowCounts,
)
from service.windows.posted import MAX_COUNT, MAX_LENGTH, check_sensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MEDIA_TYPE = "application/vnd.yocho.window"

_MAGIC = b"YOW\x01"
# Columns compress well at any level; the higher ones take most of the time.
_LEVEL = 1
_LONGEST_HEAD = 1 << 16
_TARGET_BYTES = 16
_WIDTHS = (0, 1, 2, 4, 8)
_LATEST = (1 << 63) - 1
_MOST_HOURS = 24
_MOST_HALVINGS = 63
_ROW_COLUMNS = tuple(column.name for column in fields(ServiceCounts))
_COUNTS = ("attempts", "targets", "answered", "probed", "dark")
_TOTAL_COLUMNS = tuple(column.name for column in fields(SourceTotals))
_TOOL_COLUMNS = tuple(column.name for column in fields(ToolCounts))

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Time = Annotated[int, Field(ge=0, le=_LATEST)]
Part = TypeVar("Part", ServiceCounts, SourceTotals, ToolCounts)


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How much one window may hold; raises ValueError unless all is positive."""

    rows: int = 1 << 20
    """(source, service), and as many sources."""
    bytes: int = 1 << 28
    """Uncompressed."""

    def __post_init__(self) -> None:
        if min(self.rows, self.bytes) < 1:
            raise ValueError(f"limits: {self} are not all positive")


class _Shed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    sources: Count
    pairs: Count
    attempts: Count
    sampled: Count


class _Column(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    base: Annotated[int, Field(ge=0, le=_LATEST)]
    width: int


class _Head(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    sensor: str
    start: Time
    end: Time
    seen_until: Time | None
    exact: bool
    shed: _Shed
    sources: int = Field(ge=0)
    rows: int = Field(ge=0)
    targets: int = Field(ge=0)
    columns: list[_Column] = Field(max_length=64)


def write_window(counts: WindowCounts) -> bytes:
    """Return all of a window as bytes."""
    packed = [_pack(column) for column in _columns(counts)]
    head = {
        "sensor": counts.sensor,
        "start": counts.start,
        "end": counts.end,
        "seen_until": counts.seen_until,
        "exact": counts.exact,
        "shed": asdict(counts.shed),
        "sources": len(counts.sources),
        "rows": len(counts.rows),
        "targets": len(counts.samples.targets),
        "columns": [{"base": base, "width": values.dtype.itemsize if span else 0} for base, span, values in packed],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    body = [values.tobytes() for _, span, values in packed if span]
    return _MAGIC + zlib.compress(b"".join([len(text).to_bytes(4, "little"), text, *body]), _LEVEL)


def read_window(document: bytes, limits: WireLimits | None = None) -> WindowCounts:
    """Return the window that `write_window` made bytes of; raises InputError that names what makes no sense."""
    limits = limits or WireLimits()
    content = _decompress(document, limits.bytes)
    length = int.from_bytes(content[:4], "little")
    if length > min(_LONGEST_HEAD, len(content) - 4):
        raise InputError("window", f"a head of {length} bytes does not fit; send it again")
    head = _head(content[4 : 4 + length])
    check_sensor(head.sensor)
    _check_interval(head)
    if max(head.sources, head.rows) > limits.rows:
        raise InputError(
            "window", f"has {head.rows} rows and {head.sources} sources; at most {limits.rows} are taken"
        )
    if head.targets * _TARGET_BYTES > limits.bytes:  # columns of equal numbers take no bytes in the document
        raise InputError("targets", f"{head.targets} take more than {limits.bytes} bytes; send shorter windows")
    return _assemble(head, _Columns(head, content, 4 + length))


def _decompress(document: bytes, most: int) -> bytes:
    if not document.startswith(_MAGIC):
        raise InputError(
            "window", f"begins with {document[:4]!r}, not {_MAGIC!r}; is it of another version of Yocho?"
        )
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(document[len(_MAGIC) :], most)
    except zlib.error as error:
        raise InputError("window", f"is damaged ({error}); send it again") from None
    if not stream.eof or stream.unused_data:
        raise InputError("window", f"is cut off, goes on after its end, or has more than {most} bytes")
    return content


def _head(text: bytes) -> _Head:
    try:
        return _Head.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "window"
        raise InputError(field, first["msg"].lower()) from None


def _check_interval(head: _Head) -> None:
    if not 0 < head.end - head.start <= MAX_LENGTH:
        raise InputError("end", f"is not between the start and {MAX_LENGTH // 10**9} s after it")


def _columns(counts: WindowCounts) -> Iterator[NDArray[np.integer]]:
    """Yield the columns in the order in which they are written."""
    yield counts.sources[:, 0]
    yield counts.sources[:, 1]
    for part, names in (
        (counts.rows, _ROW_COLUMNS),
        (counts.totals, _TOTAL_COLUMNS),
        (counts.tools, _TOOL_COLUMNS),
    ):
        for name in names:
            yield getattr(part, name)
    yield counts.halvings
    yield np.diff(counts.samples.start)
    yield counts.samples.targets[:, 0]
    yield counts.samples.targets[:, 1]


def _pack(column: NDArray[np.integer]) -> tuple[int, int, NDArray[np.unsignedinteger]]:
    """Return the base of a column, the span of what is above it, and that."""
    if not len(column):
        return 0, 0, np.empty(0, np.uint8)
    values = column.astype(np.uint64)
    lowest, highest = int(values.min()), int(values.max())
    # Words of addresses fill 64 bits, which are no number of JSON that everybody reads right.
    base = lowest if lowest <= _LATEST else 0
    span = highest - base
    width = next(width for width in _WIDTHS[1:] if span < 1 << 8 * width)
    return base, span, (values - np.uint64(base)).astype(f"<u{width}")


class _Columns:
    """Takes the columns of a window's content one by one."""

    def __init__(self, head: _Head, content: bytes, at: int) -> None:
        self._forms = list(head.columns)
        self._content = content
        self._at = at
        self._number = 0

    def words(self, length: int) -> NDArray[np.uint64]:
        """Return the next column, of 64 bits."""
        if self._number == len(self._forms):
            raise InputError("columns", f"are only {self._number}")
        form = self._forms[self._number]
        self._number += 1
        end = self._at + form.width * length
        if form.width not in _WIDTHS or end > len(self._content):
            raise InputError(f"columns.{self._number - 1}", "is longer than the window, or of an unknown width")
        if form.width == 0:
            return np.full(length, form.base, np.uint64)
        values = np.frombuffer(self._content, f"<u{form.width}", length, self._at).astype(np.uint64)
        self._at = end
        if length and int(values.max()) + form.base >= 1 << 64:
            raise InputError(f"columns.{self._number - 1}", "holds a number above 64 bits")
        return values + np.uint64(form.base)

    def numbers(self, name: str, length: int, most: int, least: int = 0) -> Ints:
        """Return the next column, none of it less than `least` or more than `most`."""
        values = self.words(length)
        if length and not least <= int(values.min()) <= int(values.max()) <= most:
            raise InputError(name, f"holds a number that is not between {least} and {most}")
        return values.astype(np.int64)

    def close(self) -> None:
        """Raise InputError if there is more."""
        if self._number != len(self._forms) or self._at != len(self._content):
            raise InputError("columns", "hold more than the head says")


def _assemble(head: _Head, columns: _Columns) -> WindowCounts:
    sources = np.column_stack((columns.words(head.sources), columns.words(head.sources)))
    rows = _rows(head, columns)
    totals = SourceTotals(*(columns.numbers(f"totals.{name}", head.sources, MAX_COUNT) for name in _TOTAL_COLUMNS))
    tools = ToolCounts(*(columns.numbers(f"tools.{name}", head.sources, MAX_COUNT) for name in _TOOL_COLUMNS))
    halvings = columns.numbers("halvings", head.sources, _MOST_HALVINGS).astype(np.int8)
    sizes = columns.numbers("samples.start", len(Means) * head.sources, SAMPLE_SIZE)
    if sizes.sum() != head.targets:
        raise InputError("targets", f"are not {head.targets}, as the samples say {sizes.sum()}")
    targets = np.column_stack((columns.words(head.targets), columns.words(head.targets)))
    columns.close()
    if len(np.unique(sources, axis=0)) != len(sources):
        raise InputError("sources", "holds an address twice")
    return WindowCounts(
        sensor=head.sensor,
        start=head.start,
        end=head.end,
        sources=sources,
        rows=rows,
        totals=totals,
        samples=TargetSamples(np.concatenate(([0], np.cumsum(sizes))), targets),
        exact=head.exact,
        shed=Shed(**head.shed.model_dump()),
        halvings=halvings,
        tools=tools,
        seen_until=head.seen_until,
    )


def _rows(head: _Head, columns: _Columns) -> ServiceCounts:
    r = head.rows
    source = columns.numbers("rows.source", r, max(head.sources - 1, 0))
    service = columns.numbers("rows.service", r, LAST_SERVICE)
    counted = {name: columns.numbers(f"rows.{name}", r, MAX_COUNT, int(name == "attempts")) for name in _COUNTS}
    hours = columns.numbers("rows.hours", r, _MOST_HOURS)
    first = columns.numbers("rows.first", r, head.end)
    last = columns.numbers("rows.last", r, head.end)
    if r and not head.sources:
        raise InputError("rows.source", "points outside of the sources")
    if (np.diff(source << 32 | service) <= 0).any():
        raise InputError("rows", "are not in the order of source and service, or hold one twice")
    for name in ("answered", "probed", "dark"):
        if (counted[name] > counted["targets"]).any():
            raise InputError(f"rows.{name}", "holds more than there are targets")
    if (first > last).any():
        raise InputError("rows.last", "holds a time before the first one")
    return ServiceCounts(
        source=source.astype(np.int32),
        service=service.astype(np.int32),
        **counted,
        hours=hours,
        first=first,
        last=last,
    )
