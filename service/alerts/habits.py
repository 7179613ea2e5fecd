"""What the sources of a sensor usually do in windows of one length: each by itself, and all of them.

A value of bounded size; `after` returns the next. Sources that recur have a place of their own, kept by the hash of
their address; where there are more than `PLACES`, those that are seen rarest give way. Of those that are seen alike
a sample stays that is the same for `_DRAW` windows, so that they can be seen to come back, and then another one, so
that everybody is in one some day. What all sources do is a histogram.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from service.alerts.alert import Typical, Usual
from service.alerts.incidents import DAY
from service.alerts.memory import read_arrays
from service.errors import InputError
from service.windows.close import hash_addresses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.counts import WindowCounts

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

PLACES = 4096
"""Sources that are remembered by themselves."""
_HALF_LIFE = 14 * DAY
"""After which a window counts half, ns."""
_DRAW = 32
"""Windows' lengths for which the same sources are preferred to their equals."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Of a multiplicative hash (Knuth, The Art of Computer Programming 3, § 6.4): 2⁶⁴ over the golden ratio."""
_EXACT, _STEPS, _OCTAVES = 16, 8, 36
"""Bins of the histogram: one a number below 16, then eight an octave."""
_BINS = _EXACT + _STEPS * _OCTAVES
_MEASURES = 3
"""Attempts, pairs, services."""
_VERSION = 1
_KINDS = {"clock": "i", "histogram": "f", "keys": "u", "weights": "f", "sums": "f", "seen": "i", "last": "i"}


def _none(*shape: int) -> Floats:
    return np.zeros(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """What past windows of one sensor and length tell, none of which overlap."""

    windows: int = 0
    until: int = 0
    """End of the latest, ns since the epoch."""
    crowded: bool = False
    """Whether sources had to give way: of one without a place nothing is known."""
    histogram: Floats = field(default_factory=lambda: _none(_MEASURES, _BINS))
    """Sources of past windows, by how much they did; windows count half after `_HALF_LIFE`."""
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """Hashes of the sources that have a place, ascending; shape (k,)."""
    weights: Floats = field(default_factory=lambda: _none(0))
    """Windows in which each was seen, as they counted when it was seen last; shape (k,)."""
    sums: Floats = field(default_factory=lambda: _none(0, _MEASURES))
    """What it did in them, weighted alike; shape (k, 3)."""
    seen: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """The windows, not weighted; shape (k,)."""
    last: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """End of the latest window in which it was seen, ns since the epoch; shape (k,)."""

    def usual(self, window: WindowCounts, source: int) -> Usual | None:
        """Return what a source (its index) and all did before a window; None if nothing is known of before."""
        if not self.windows or self.until > window.start:
            return None
        key = hash_addresses(window.sources[source : source + 1])
        at = int(np.searchsorted(self.keys, key[0]))
        known = at < len(self.keys) and self.keys[at] == key[0]
        means = (self.sums[at] / self.weights[at]).tolist() if known else [0.0] * _MEASURES
        middle, most = ([_quantile(each, share) for each in self.histogram] for share in (0.5, 0.99))
        return Usual(
            length=window.end - window.start,
            windows=self.windows,
            seen=int(self.seen[at]) if known else 0,
            complete=bool(known) or not self.crowded,
            source=Typical(*means),
            median=Typical(*middle),
            high=Typical(*most),
        )

    def after(self, window: WindowCounts) -> Habits:
        """Return what is known after a window; one that overlaps with what is known adds nothing."""
        if window.start < self.until:
            return self
        done = _done(window)
        found = np.stack([np.bincount(_bin(column), minlength=_BINS) for column in done.T])
        keys = hash_addresses(window.sources)
        order = np.argsort(keys, kind="stable")
        return replace(
            self._with(keys[order], done[order], window),
            windows=self.windows + 1,
            until=window.end,
            histogram=self.histogram * _fading(window.end - self.until) + found,
        )

    def _with(self, keys: NDArray[np.uint64], done: Floats, window: WindowCounts) -> Habits:
        """Return the places after sources (by ascending key) have done something in a window."""
        end = window.end
        at = np.minimum(np.searchsorted(keys, self.keys), max(len(keys) - 1, 0))
        here = keys[at] == self.keys if len(keys) else np.zeros(len(self.keys), np.bool_)
        fading = np.where(here, 0.5 ** ((end - self.last) / _HALF_LIFE), 1.0)
        weights, sums = self.weights * fading + here, self.sums * fading[:, np.newaxis]
        sums[here] += done[at[here]]
        new = np.ones(len(keys), np.bool_)
        new[at[here]] = False
        n = int(new.sum())
        joined = replace(
            self,
            keys=np.concatenate([self.keys, keys[new]]),
            weights=np.concatenate([weights, np.ones(n)]),
            sums=np.concatenate([sums, done[new]]),
            seen=np.concatenate([self.seen + here, np.ones(n, np.int64)]),
            last=np.concatenate([np.where(here, end, self.last), np.full(n, end)]),
        )
        return _cut(joined, end, window.start // (_DRAW * (end - window.start)))


def _cut(habits: Habits, end: int, draw: int) -> Habits:
    """Return the places in order, and no more than there are; `draw` numbers the sample of equals."""
    order = np.argsort(habits.keys, kind="stable")
    if len(order) > PLACES:
        often = habits.weights * 0.5 ** ((end - habits.last) / _HALF_LIFE)
        # Whole steps: whoever was seen once some days ago stays beside whoever was seen once just now.
        drawn = (habits.keys ^ np.uint64(draw)) * _MIX
        kept = np.lexsort((drawn, -np.round(2 * np.log2(often))))[:PLACES]
        order = kept[np.argsort(habits.keys[kept], kind="stable")]
    return replace(
        habits,
        crowded=habits.crowded or len(habits.keys) > PLACES,
        keys=habits.keys[order],
        weights=habits.weights[order],
        sums=habits.sums[order],
        seen=habits.seen[order],
        last=habits.last[order],
    )


def to_bytes(habits: Habits) -> bytes:
    """Return habits as an uncompressed archive of arrays, without pickles."""
    buffer = io.BytesIO()
    clock = np.array([_VERSION, habits.windows, habits.until, habits.crowded], np.int64)
    columns: dict[str, NDArray[Any]] = {
        part.name: getattr(habits, part.name) for part in fields(habits) if part.name in _KINDS
    }
    np.savez(buffer, allow_pickle=False, clock=clock, **columns)
    return buffer.getvalue()


def from_bytes(data: bytes) -> Habits:
    """Return the habits that `to_bytes` wrote; raises InputError if they are damaged or too large."""
    arrays = read_arrays(data)
    for name, kind in _KINDS.items():
        if name not in arrays or arrays[name].dtype.kind != kind:
            raise InputError(name, "is missing, or of another kind")
        if not (np.isfinite(arrays[name]).all() and (arrays[name] >= 0).all()):
            raise InputError(name, "holds a number that is negative or none")
    clock = arrays.pop("clock").tolist()
    if len(clock) != 4 or clock[0] != _VERSION:
        raise InputError("clock", f"is {clock[:4]}: this Yocho reads version {_VERSION}")
    k = len(arrays["keys"])
    shapes = {"histogram": (_MEASURES, _BINS), "sums": (k, _MEASURES)}
    for name in _KINDS.keys() - {"clock"}:
        if arrays[name].shape != shapes.get(name, (k,)):
            raise InputError(name, f"has shape {arrays[name].shape}: {shapes.get(name, (k,))} is needed")
    if k > PLACES or (np.diff(arrays["keys"].astype(object)) <= 0).any() or not (arrays["weights"] > 0).all():
        raise InputError("keys", f"are over {PLACES}, not in order, or of no weight")
    return Habits(clock[1], clock[2], bool(clock[3]), **{name: arrays[name] for name in _KINDS.keys() - {"clock"}})


def _done(window: WindowCounts) -> Floats:
    """Return attempts, pairs and services of each source, shape (n, 3)."""
    rows, n = window.rows, len(window.sources)
    return np.stack(
        [
            np.bincount(rows.source, rows.attempts, minlength=n),
            np.bincount(rows.source, rows.targets, minlength=n),
            np.bincount(rows.source, minlength=n).astype(np.float64),
        ],
        axis=1,
    )


def _fading(time: int) -> float:
    return float(0.5 ** (time / _HALF_LIFE))


def _bin(values: Floats) -> Ints:
    """Return the bin of each number: `_edge` is the least number of a bin."""
    octave = np.floor(np.log2(np.maximum(values, _EXACT)))
    step = np.floor((values / 2**octave - 1) * _STEPS)
    high = _EXACT + (octave - 4) * _STEPS + step
    return np.minimum(np.where(values < _EXACT, values, high), _BINS - 1).astype(np.int64)


def _edge(number: int) -> float:
    if number < _EXACT:
        return float(number)
    octave, step = divmod(number - _EXACT, _STEPS)
    return float(math.ceil(2 ** (octave + 4) * (1 + step / _STEPS)))


def _quantile(histogram: Floats, share: float) -> float:
    """Return the least number that this share of the sources does not exceed, within an eighth from below."""
    reached = np.cumsum(histogram)
    return _edge(int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))))
