"""Takes what exporters of NetFlow and IPFIX send, each as a sensor of its own, and keeps what is found."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.capture.flow_direction import attempts_of
from service.capture.flow_pairs import FlowPairs, PairSpec
from service.capture.hosts import HostTable
from service.capture.netflow import Exports, ExportSpec
from service.errors import WindowConflictError
from service.windows.assign import Windows, WindowSpec

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from service.capture.batch import FlowBatch
    from service.capture.datagrams import DatagramReceiver
    from service.pipeline import Pipeline
    from service.windows.counts import WindowCounts

_log = logging.getLogger(__name__)

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CollectorSpec:
    """What is collected, and how long is waited for it.

    Raises ValueError if `exporters` is not positive.
    """

    windows: WindowSpec = field(default_factory=lambda: WindowSpec(lateness=120 * SECOND))
    """An exporter tells of a flow when it is over, or when its active timeout is: a window stays open so long after
    its end, and as long as a half may wait for the other one."""
    pairs: PairSpec = field(default_factory=PairSpec)
    exports: ExportSpec = field(default_factory=ExportSpec)
    names: Mapping[str, str] = field(default_factory=dict)
    """Sensors' names by the exporters' addresses; without one the address is the name."""
    named_only: bool = False
    """Whether only exporters with a name are heard."""
    exporters: int = 64
    """Most exporters at a time; one that was silent for an hour makes place."""
    interval: float = 0.2
    """Seconds between two looks at what has come."""
    look: int = 10 * SECOND
    """Windows that are still open are looked at so often, ns."""
    report: int = 60 * SECOND
    """Losses are logged so often if there are new ones, ns."""

    def __post_init__(self) -> None:
        if self.exporters < 1:
            raise ValueError(f"exporters: {self.exporters} is not positive")


_SILENT = 2 * SECOND
"""An exporter that said nothing for so long is idle: event time goes on without it."""
_GONE = 3600 * SECOND
_AT_A_TIME = 1024
"""Datagrams that are decoded together: it bounds the memory for their records."""


class ExporterSensor:
    """One exporter: its datagrams become windows. `clock` is a monotonic one, ns."""

    def __init__(self, name: str, spec: CollectorSpec, clock: Callable[[], int]) -> None:
        hosts = HostTable()
        self.name = name
        self._clock = clock
        self._exports = Exports(hosts, spec.exports)
        self._pairs = FlowPairs(spec.pairs)
        lateness = spec.windows.lateness + spec.pairs.wait
        self._windows = Windows(name, replace(spec.windows, lateness=lateness), hosts)
        self._heard = clock()
        self._latest = self._looked = 0  # event time then, and at the last look

    @property
    def silent(self) -> int:
        """For how long nothing was heard, ns."""
        return self._clock() - self._heard

    @property
    def flows(self) -> int:
        """Records of flows that were read."""
        return self._exports.flows

    def losses(self) -> dict[str, int]:
        """Return what was not followed, or not when it should have been, by reason."""
        told = {
            **self._exports.losses(),
            "late_attempts": self._windows.late,
            "late_answers": self._pairs.late,
            "decided_early": self._pairs.hurried,
        }
        return {reason: count for reason, count in told.items() if count}

    def take(self, datagrams: Sequence[bytes]) -> Iterator[WindowCounts]:
        """Read datagrams in the order in which they came; yield the windows that are over."""
        self._heard = self._clock()
        yield from self._follow(self._exports.read(datagrams))

    def idle(self) -> Iterator[WindowCounts]:
        """Let time go on where nothing was heard for a while; yield the windows that are over."""
        if self.silent < _SILENT:
            return
        yield from self._follow(self._exports.finish())
        if not self._latest:
            return
        now = self._latest + self.silent
        yield from self._windows.add(attempts_of(self._pairs.advance(now)))
        yield from self._windows.advance(now)

    def look(self) -> Iterator[WindowCounts]:
        """Yield what can be said already of windows that are still open."""
        yield from self._windows.look(self._looked)
        self._looked = self._windows.latest

    def finish(self) -> Iterator[WindowCounts]:
        """Yield what is still open, at the end."""
        yield from self._follow(self._exports.finish())
        yield from self._windows.add(attempts_of(self._pairs.finish()))
        yield from self._windows.finish()

    def _follow(self, flows: FlowBatch) -> Iterator[WindowCounts]:
        if len(flows):
            decided = self._pairs.join(flows, sampled=self._exports.sampling > 1)
            self._latest = self._pairs.clock
            yield from self._windows.add(attempts_of(decided))


class Collector:
    """Gives what a receiver gets to its exporters' sensors, and their windows to the pipeline."""

    def __init__(
        self, spec: CollectorSpec, pipeline: Pipeline, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._spec = spec
        self._pipeline = pipeline
        self._clock = clock
        self._sensors: dict[str, ExporterSensor] = {}
        self._refused = 0
        self._reported = self._looked = clock()
        self._told: dict[str, dict[str, int]] = {}

    def run(self, receiver: DatagramReceiver, stop: threading.Event) -> None:
        """Collect until `stop` is set; then what has come is read, and the windows are closed and kept."""
        with receiver:
            while not stop.is_set():
                self.take(receiver.take(self._spec.interval))
                self.tick()
                self.report(receiver)
                stop.wait(self._spec.interval / 4)  # many datagrams at a time are read faster
        self.take(receiver.take(0))
        self.close()
        self.report(receiver, last=True)

    def take(self, datagrams: Iterable[tuple[str, bytes]]) -> None:
        """Read (exporter's address, datagram) in the order in which they came."""
        by_exporter: dict[str, list[bytes]] = {}
        for address, data in datagrams:
            by_exporter.setdefault(address, []).append(data)
        for address, sent in by_exporter.items():
            sensor = self._sensor(address)
            if sensor is None:
                self._refused += len(sent)
                continue
            for at in range(0, len(sent), _AT_A_TIME):
                self._keep(sensor.take(sent[at : at + _AT_A_TIME]))

    def tick(self) -> None:
        """Close the windows of exporters that are silent, as time goes on, and now and then look at the others."""
        due = self._clock() - self._looked >= self._spec.look
        for sensor in self._sensors.values():
            self._keep(sensor.idle())
            if due:
                for counts in sensor.look():
                    self._pipeline.look(counts)
        if due:
            self._looked = self._clock()

    def close(self) -> None:
        """Close all windows."""
        for sensor in self._sensors.values():
            self._keep(sensor.finish())

    def report(self, receiver: DatagramReceiver, *, last: bool = False) -> None:
        """Log what was lost since the last report, if it is time to; at the end, all of it."""
        if not last and self._clock() - self._reported < self._spec.report:
            return
        self._reported = self._clock()
        for sensor in self._sensors.values():
            losses = sensor.losses()
            if last or losses != self._told.get(sensor.name, {}):
                self._told[sensor.name] = losses
                _log.info("exporter", extra={"sensor": sensor.name, "flows": sensor.flows, "losses": losses})
        lost = {
            "dropped_by_kernel": receiver.kernel_drops,
            "dropped_in_queue": receiver.queue_drops,
            "exporters_refused": self._refused,
        }
        if last or lost != self._told.get("", dict.fromkeys(lost, 0)):
            self._told[""] = lost
            log = _log.warning if any(lost.values()) else _log.info
            log("collector stopped" if last else "datagrams lost", extra={"received": receiver.received, **lost})

    def _sensor(self, address: str) -> ExporterSensor | None:
        """Return the sensor of an exporter; None if it is not to be heard, or there is no room."""
        sensor = self._sensors.get(address)
        if sensor is not None:
            return sensor
        if self._spec.named_only and address not in self._spec.names:
            return None
        if len(self._sensors) >= self._spec.exporters:
            longest = max(self._sensors, key=lambda held: self._sensors[held].silent)
            if self._sensors[longest].silent < _GONE:
                return None
            gone = self._sensors.pop(longest)
            self._keep(gone.finish())
            self._told.pop(gone.name, None)
            _log.info("exporter gone", extra={"sensor": gone.name, "flows": gone.flows, "losses": gone.losses()})
        sensor = ExporterSensor(self._spec.names.get(address, address), self._spec, self._clock)
        self._sensors[address] = sensor
        _log.info("new exporter", extra={"address": address, "sensor": sensor.name})
        return sensor

    def _keep(self, windows: Iterable[WindowCounts]) -> None:
        for counts in windows:
            try:
                receipt = self._pipeline.accept(counts)
            except WindowConflictError as error:  # such as after a restart in the middle of a window
                _log.warning("window not kept", extra={"sensor": counts.sensor, "reason": str(error)})
                continue
            _log.info(
                "window kept",
                extra={
                    "sensor": counts.sensor,
                    "window": receipt.window_id,
                    "attempts": counts.attempts,
                    "alerts": len(receipt.alerts),
                },
            )
