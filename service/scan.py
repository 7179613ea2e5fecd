"""Captures and logs in, a report out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.folder import files_below
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.tunnels import Tunnels
from service.errors import CaptureError
from service.pipeline import Pipeline
from service.reading import Reading, read_windows
from service.windows.cardinality import Cardinality
from service.windows.close import hash_addresses
from service.windows.counts import Shed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from service.alerts.alert import Alert
    from service.capture.inputs import Input
    from service.capture.source import BadLines, Damage, TrafficFile
    from service.patterns.pattern import Pattern
    from service.pipeline import PipelineSpec
    from service.receipts import Receipt
    from service.store.repository import Store
    from service.windows.counts import WindowCounts


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a scan."""

    packets: int
    """Of captures."""
    flows: int
    """Of logs."""
    attempts: int
    windows: int
    span: int
    """From the beginning of the first window to the end of the last, ns."""
    sources: int
    services: int
    alerts: int
    allowed: int
    """Scans that the allow-list or a judged pattern covers, not among the alerts."""
    unparsed: dict[str, int]
    """Packets and flows that were read but not followed, by reason."""
    tunnelled: dict[str, int]
    """Packets that were read through a tunnel, by the kind of the outermost one."""
    shed: Shed
    """What windows had no room for."""
    late: int
    """Attempts that came after their window was closed and count in a later one."""
    forgotten: int
    """Conversations that were forgotten early, because there were too many at a time."""
    mended_times: int
    """Packets or flows whose time was absurd and was replaced by that of the one before."""
    dropped: int | None
    """Packets that the system dropped before they could be read; None if it does not say."""
    live: bool
    """Whether the traffic came from an interface."""
    damage: tuple[Damage, ...]
    """Where files could not be read on."""
    bad_lines: tuple[BadLines, ...]
    """Lines of logs that make no sense."""
    skipped: tuple[str, ...]
    """Files in folders that are neither captures nor logs."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in captures and logs."""

    alerts: tuple[Alert, ...]
    """In the order in which the scans began."""
    patterns: tuple[Pattern, ...]
    """Those with most followers first."""
    summary: Summary


class Figures:
    """Adds up windows of one length, ns, as they go by; longer ones tell of the same attempts again."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._attempts = self._windows = 0
        self._first, self._last = 0, 0
        self._shed = Shed()
        self._sources = Cardinality()
        self._services: set[int] = set()

    def add(self, counts: WindowCounts) -> None:
        """Count a window, unless it is longer."""
        if counts.end - counts.start > self._length:
            return
        self._attempts += counts.attempts
        self._windows += 1
        self._first = min(self._first or counts.start, counts.start)
        self._last = max(self._last, counts.end)
        self._shed += counts.shed
        self._sources.add(hash_addresses(counts.sources))
        self._services.update(np.unique(counts.rows.service).tolist())

    def summary(
        self, reading: Reading, alerts: int, allowed: int, skipped: Sequence[Path] = (), *, live: bool = False
    ) -> Summary:
        """Return the figures of all windows, and of the traffic that they came from."""
        return Summary(
            packets=reading.packets,
            flows=reading.flows,
            attempts=self._attempts,
            windows=self._windows,
            span=self._last - self._first,
            sources=self._sources.count,
            services=len(self._services),
            alerts=alerts,
            allowed=allowed,
            unparsed=reading.unparsed,
            tunnelled=reading.tunnelled,
            shed=self._shed,
            late=reading.late,
            forgotten=reading.forgotten,
            mended_times=reading.mended,
            dropped=reading.dropped,
            live=live,
            damage=tuple(reading.damage),
            bad_lines=tuple(reading.bad_lines),
            skipped=tuple(map(str, skipped)),
        )


def scan_captures(
    paths: Sequence[Path],
    sensor: str,
    spec: PipelineSpec,
    store: Store,
    progress: Callable[[int], None] = lambda _: None,
    tunnels: Tunnels = Tunnels.INNER,
    kind: Input | None = None,
) -> Report:
    """Read captures and logs as one stream, in the order of their beginnings, and keep what is found.

    A path is a file, a pipe, ``-`` for standard input, or a folder, of which all files below it are read that
    can be. All are of one kind, or each of the kind that its content shows. `progress` hears how many bytes of the
    files are consumed. Raises CaptureError before anything is kept if a path is neither capture nor log or a
    folder holds none, and WindowConflictError if the store holds other windows of the same sensor and times.
    """
    sources, skipped = _open_all(paths, tunnels, kind)
    spec = spec.for_files(sources)
    pipeline, reading, figures = Pipeline(spec, store), Reading(), Figures(spec.windows.length)
    alerts: dict[str, None] = {}
    patterns: dict[str, None] = {}

    def take(counts: WindowCounts) -> Receipt:
        figures.add(counts)
        return pipeline.accept(counts)

    # Mapped: a window, megabytes, is let go of before the next one is made.
    for receipt in map(take, read_windows(sources, sensor, spec, reading, progress)):
        alerts.update(dict.fromkeys(receipt.alerts))
        patterns.update(dict.fromkeys(receipt.patterns))
    with store.read() as unit:
        found = [alert for alert in map(unit.alert, alerts) if alert]
        followed = [
            pattern
            for pattern in map(unit.pattern, patterns)
            if pattern and pattern.length == spec.windows.length  # longer windows show the same again
        ]
    told = [alert for alert in found if alert.allowed_by is None]
    return Report(
        alerts=tuple(sorted(told, key=lambda alert: (alert.first_seen, alert.id))),
        patterns=tuple(sorted(followed, key=lambda p: (-p.windows, -p.member_count, p.id))),
        summary=figures.summary(reading, len(told), len(found) - len(told), skipped),
    )


def _open_all(paths: Sequence[Path], tunnels: Tunnels, kind: Input | None) -> tuple[list[TrafficFile], list[Path]]:
    """Return what was opened, in the order of its beginning, and the files in folders that can't be read."""
    hosts = HostTable()
    opened: list[tuple[int, TrafficFile]] = []
    skipped: list[Path] = []
    for path in paths:
        before = len(opened)
        for file in files_below(path) if path.is_dir() else [path]:
            try:
                source = open_traffic(file, hosts, kind, tunnels)
                opened.append((source.first_time(), source))
            except CaptureError:
                if file == path:
                    raise
                skipped.append(file)
        if len(opened) == before:
            raise CaptureError(f"{path}: no file in this folder is a capture or a log that is known")
    return [source for _, source in sorted(opened, key=lambda pair: pair[0])], skipped
