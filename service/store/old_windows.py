"""Windows as databases up to layout 3 hold them, for migrations: JSON in zlib, one list of numbers a column."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from service.errors import StoreError
from service.windows.counts import (
    ServiceCounts,
    Shed,
    SourceTotals,
    TargetSamples,
    ToolCounts,
    WindowCounts,
)

if TYPE_CHECKING:
    from service.capture.address import Addresses

MAX_DOCUMENT_BYTES = 1 << 29
"""The longest document of a window before compression; about 5 million rows."""

# Numbers compress well at any level; the higher ones take most of the time of a write.
_LEVEL = 1

_NARROW = {"source", "service"}
_ADDED = {"dark", "hours"}
"""Columns that documents of earlier versions lack: nothing is known, 0."""

Part = TypeVar("Part", ServiceCounts, SourceTotals, ToolCounts)


def write_counts(counts: WindowCounts) -> bytes:
    """Return the compressed document of all arrays of a window; raises StoreError if it would be too long."""
    document = {
        "exact": counts.exact,
        "shed": asdict(counts.shed),
        "halvings": counts.halvings.tolist(),
        "sources": _write_addresses(counts.sources),
        "rows": _write_part(counts.rows),
        "totals": _write_part(counts.totals),
        "tools": _write_part(counts.tools),
        "samples": {
            "start": counts.samples.start.tolist(),
            "targets": _write_addresses(counts.samples.targets),
        },
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) > MAX_DOCUMENT_BYTES:
        raise StoreError(
            f"window {counts.id}: its document has {len(text)} bytes, more than {MAX_DOCUMENT_BYTES}; "
            "use shorter windows"
        )
    return zlib.compress(text, _LEVEL)


def read_counts(sensor: str, start: int, end: int, compressed: bytes) -> WindowCounts:
    """Return the window of a compressed document; raises StoreError if it holds none."""
    try:
        document = json.loads(_decompress(compressed))
        return WindowCounts(
            sensor=sensor,
            start=start,
            end=end,
            sources=_read_addresses(document["sources"]),
            rows=_read_part(ServiceCounts, document["rows"]),
            totals=_read_part(SourceTotals, document["totals"]),
            samples=TargetSamples(
                start=np.array(document["samples"]["start"], dtype=np.int64),
                targets=_read_addresses(document["samples"]["targets"]),
            ),
            exact=document["exact"],
            shed=Shed(**document["shed"]),
            halvings=np.array(document["halvings"], dtype=np.int8),
            # Documents that older versions wrote know of no tools.
            tools=_read_part(ToolCounts, document["tools"]) if "tools" in document else ToolCounts.none(0),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, zlib.error) as error:
        raise StoreError(
            f"window of sensor {sensor!r} at {start}: its document is damaged ({error}); restore a backup"
        ) from error


def _decompress(compressed: bytes) -> bytes:
    stream = zlib.decompressobj()
    text = stream.decompress(compressed, MAX_DOCUMENT_BYTES)
    if not stream.eof:
        raise ValueError(f"cut off, or longer than {MAX_DOCUMENT_BYTES} bytes")
    return text


def _write_addresses(addresses: Addresses) -> list[int]:
    words: list[int] = addresses.ravel().tolist()
    return words


def _read_addresses(words: list[int]) -> Addresses:
    return np.array(words, dtype=np.uint64).reshape(-1, 2)


def _write_part(part: ServiceCounts | SourceTotals | ToolCounts) -> dict[str, list[int]]:
    return {field.name: getattr(part, field.name).tolist() for field in fields(part)}


def _read_part(kind: type[Part], document: dict[str, Any]) -> Part:
    added = {name: [0] * len(next(iter(dict(document).values()), [])) for name in _ADDED}
    columns: dict[str, Any] = {
        field.name: np.array((added | document)[field.name], dtype=np.int32 if field.name in _NARROW else np.int64)
        for field in fields(kind)
    }
    return kind(**columns)
