"""A history as plain arrays and as bytes, and back: exact, and checked, for a file may be damaged."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from service.alerts.history import History, HistorySpec, Past
from service.alerts.incidents import Channel, Incident, Incidents
from service.alerts.surge import Counted
from service.errors import InputError
from service.patterns.groups import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

VERSION = 1
LARGEST = 1 << 28
"""Bytes of a history, at most."""

_KEY = "S21"
_WHOLE = ("version", "windows", "counters", "ids", "counts", "rows", "lengths", "services", "attempts")
_WHOLE_INCIDENTS = ("incidents", "incident_services", "observed")


def packed(history: History) -> dict[str, NDArray[Any]]:
    """Return all that a history holds, by name."""
    kept = history.windows()
    nothing = np.empty(0, np.int64)
    incidents = history.incidents.every()
    return {
        "version": np.array([VERSION]),
        "windows": np.array([(past.start, past.end, past.sources) for past in kept], np.int64).reshape(-1, 3),
        "counters": np.array([len(past.counted.ids) for past in kept], np.int64),
        "ids": np.concatenate([nothing, *(past.counted.ids for past in kept)]),
        "counts": np.concatenate([nothing, *(past.counted.counts for past in kept)]),
        "rows": np.array([len(past.rows) for past in kept], np.int64),
        "lengths": np.concatenate([nothing, *(np.diff(past.rows.start) for past in kept)]),
        "services": np.concatenate([nothing, *(past.rows.services for past in kept)]),
        "attempts": np.concatenate([nothing, *(past.rows.attempts for past in kept)]),
        "keys": np.array([known.key for known in incidents], _KEY),
        "events": np.array([known.of for known in incidents], _KEY),
        "incidents": np.array(
            [(known.channel, known.first, known.until, len(known.services)) for known in incidents], np.int64
        ).reshape(-1, 4),
        "best": np.array([known.best for known in incidents], np.float64),
        "named": np.array([known.named for known in incidents], np.float64),
        "incident_services": np.array(
            [service for known in incidents for service in sorted(known.services)], np.int64
        ),
        "observed": np.array(history.incidents.observed, np.int64),
    }


def unpacked(arrays: Arrays, spec: HistorySpec) -> History:
    """Return the history that was packed; raises InputError, with the array's name, if it makes no sense."""
    for name in (*_WHOLE, *_WHOLE_INCIDENTS):
        _check(arrays, name, "i")
    _check(arrays, "best", "f")
    _check(arrays, "named", "f")
    _check(arrays, "keys", "S")
    if arrays["version"].tolist() != [VERSION]:
        raise InputError("version", f"is {arrays['version'].tolist()}: this Yocho reads version {VERSION}")
    history = History(spec)
    history.incidents = _incidents(arrays)
    for past in _windows(arrays):
        history.put(past)
    return history


def to_bytes(history: History) -> bytes:
    """Return a history as an uncompressed archive of arrays, without pickles."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **packed(history))
    return buffer.getvalue()


def from_bytes(data: bytes, spec: HistorySpec) -> History:
    """Return the history that `to_bytes` wrote; raises InputError if it is damaged or too large."""
    return unpacked(read_arrays(data), spec)


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by their names; raises InputError if it is damaged or too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > LARGEST:
                raise InputError("history", f"holds more than {LARGEST} bytes: it was not written by Yocho")
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise InputError("history", "is compressed: it was not written by Yocho")
            return {part.filename.removesuffix(".npy"): _array(archive.read(part)) for part in parts}
    except (zipfile.BadZipFile, ValueError, EOFError, RuntimeError) as error:  # the latter: encrypted, or too new
        raise InputError("history", f"is damaged ({error}): delete it, and it is learned anew") from error


def _array(part: bytes) -> NDArray[Any]:
    """Return the array of a file in numpy's format; raises ValueError if it holds none.

    `numpy.load` would make room for whatever size the file claims.
    """
    stream = io.BytesIO(part)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of another version")
    shape, in_columns, kind = np.lib.format.read_array_header_1_0(stream)
    return np.frombuffer(stream.read(), kind).reshape(shape, order="F" if in_columns else "C")


def _check(arrays: Arrays, name: str, kinds: str) -> None:
    if name not in arrays:
        raise InputError(name, "is missing")
    if arrays[name].dtype.kind not in kinds or not arrays[name].ndim:
        raise InputError(name, f"is of {arrays[name].dtype} and has {arrays[name].ndim} dimensions")
    if kinds in "if" and len(arrays[name]) and not (np.asarray(arrays[name]) >= 0).all():
        raise InputError(name, "holds a number that is negative or none")


def _windows(arrays: Arrays) -> list[Past]:
    windows, counters, rows = arrays["windows"], arrays["counters"], arrays["rows"]
    n = len(windows)
    if windows.ndim != 2 or windows.shape[1] != 3 or len(counters) != n or len(rows) != n:
        raise InputError("windows", "counters and rows are not of one length")
    if (windows[:, 1] <= windows[:, 0]).any() or (windows[1:, 0] < windows[:-1, 1]).any():
        raise InputError("windows", "do not follow one another")
    ids = _parts(arrays, "ids", counters)
    counts = _parts(arrays, "counts", counters)
    lengths = _parts(arrays, "lengths", rows)
    sums = np.array([int(part.sum()) for part in lengths], np.int64)
    services, attempts = _parts(arrays, "services", sums), _parts(arrays, "attempts", sums)
    return [
        Past(
            start=int(windows[at, 0]),
            end=int(windows[at, 1]),
            sources=int(windows[at, 2]),
            counted=Counted(ids[at], counts[at]),
            rows=Rows(services[at], attempts[at], np.concatenate(([0], np.cumsum(lengths[at])))),
        )
        for at in range(n)
    ]


def _incidents(arrays: Arrays) -> Incidents:
    table, best, named, keys, observed = (
        arrays[name] for name in ("incidents", "best", "named", "keys", "observed")
    )
    if table.ndim != 2 or table.shape[1] != 4 or not len(table) == len(best) == len(named) == len(keys):
        raise InputError("incidents", "keys and best are not of one length")
    if observed.shape != (2,) or (table[:, 0] >= len(Channel)).any() or not np.isfinite(best).all():
        raise InputError("incidents", "hold a channel that is none, or a score that is not finite")
    services = _parts(arrays, "incident_services", table[:, 3])
    # Histories written before there were events: every incident is one.
    events = arrays.get("events", keys)
    if events.dtype.kind != "S" or events.shape != keys.shape:
        raise InputError("events", "and keys are not of one length")
    return Incidents.of(
        [
            Incident(key.decode(), Channel(kind), frozenset(mine.tolist()), first, until, score, bar, one.decode())
            for key, (kind, first, until, _), score, bar, mine, one in zip(
                keys.tolist(), table.tolist(), best.tolist(), named.tolist(), services, events.tolist(), strict=True
            )
        ],
        (int(observed[0]), int(observed[1])),
    )


def _parts(arrays: Arrays, name: str, lengths: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Return an array cut into parts of these lengths."""
    values = np.asarray(arrays[name], np.int64)
    if values.ndim != 1 or len(values) != lengths.sum():
        raise InputError(name, f"has shape {values.shape}: {int(lengths.sum())} numbers are needed")
    return np.split(values, np.cumsum(lengths)[:-1].astype(np.int64)) if len(lengths) else []
