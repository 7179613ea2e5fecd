"""Metrics of several processes on one page: each writes a file, and whoever is asked adds them up.

The client library has a mode for several processes, which keeps its values in files for all registries of a process
and is switched on by the environment before the first import. Here registries stay apart, and nothing is global.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from prometheus_client import generate_latest, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)

_SUFFIX = ".prom"
_MOST_BYTES = 1 << 20


class Families(Protocol):
    """What a registry collects, or something like one."""

    def collect(self) -> Iterable[Metric]:
        """Return metrics with their samples."""
        ...


class Exposition:
    """The page that Prometheus reads: a registry's metrics, and those that other processes wrote to a folder."""

    def __init__(self, own: Families, folder: Path | None = None) -> None:
        self._own = own
        self._folder = folder

    def page(self) -> bytes:
        """Return all metrics as text; what is counted in several processes is added up."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Return metrics with their samples, each name once."""
        met: dict[str, Metric] = {}
        for family in [*self._own.collect(), *self._written()]:
            # When each series began tells nobody anything.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            if family.name in met:
                _add(met[family.name], family)
            elif not family.name.endswith("_created"):
                met[family.name] = family
        yield from met.values()

    def _written(self) -> Iterator[Metric]:
        for file in sorted(self._folder.glob("*" + _SUFFIX)) if self._folder else ():
            try:
                with file.open("rb") as opened:
                    text = opened.read(_MOST_BYTES).decode()
            except OSError:  # its process ended just now
                continue
            yield from text_string_to_metric_families(text)


def _add(family: Metric, other: Metric) -> None:
    """Add the samples of another process: counters and buckets are summed, what is shown once is left as it is."""
    places = {(sample.name, tuple(sorted(sample.labels.items()))): i for i, sample in enumerate(family.samples)}
    for sample in other.samples:
        key = sample.name, tuple(sorted(sample.labels.items()))
        if key not in places:
            family.samples.append(sample)
        elif family.type != "gauge":
            mine = family.samples[places[key]]
            family.samples[places[key]] = mine._replace(value=mine.value + sample.value)


class Writer:
    """Writes a registry's metrics to a file from time to time until it is stopped; then the file is gone."""

    def __init__(self, registry: CollectorRegistry, file: Path, seconds: float = 2.0) -> None:
        self._registry, self._file, self._seconds = registry, file, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Write now and begin; raises OSError if the file can't be written."""
        self.write()
        self._thread.start()

    def stop(self) -> None:
        """End, and remove the file."""
        self._stop.set()
        self._thread.join()
        self._file.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the file, whole or not at all."""
        write_to_textfile(str(self._file), self._registry)

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(self._seconds):
            try:
                self.write()
                failing = False
            except OSError as error:  # a full disk, say: the next time may go better
                if not failing:
                    _log.warning("the metrics can't be written", extra={"reason": error.strerror})
                failing = True
