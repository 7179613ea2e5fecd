"""What a process tells of itself to the outside: made once for each process, and handed to its parts."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

from service.errors import SettingsError
from service.metrics import Metrics
from service.observe import Observer, Observers
from service.relay import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import TracerProvider

_FILE = "file:"


class Instruments:
    """A registry of metrics, an observer that fills it, and traces to `otlp_endpoint`, if that is not empty.

    Raises SettingsError if traces are wanted and OpenTelemetry is not installed.
    """

    def __init__(self, version: str, otlp_endpoint: str = "") -> None:
        self.registry = CollectorRegistry()
        self._provider = _provider(otlp_endpoint, version) if otlp_endpoint else None
        metrics = Metrics(self.registry, version)
        self.observer: Observer = metrics
        if self._provider is not None:
            from service.tracing import Traces  # noqa: PLC0415  (an extra)

            self.observer = Observers([metrics, Traces(self._provider.get_tracer("yocho", version))])

    @contextmanager
    def shown(self, where: str) -> Iterator[None]:
        """Show the metrics during the block: on HOST:PORT, in ``file:PATH``, or nowhere if `where` is empty.

        Raises SettingsError if that can't be done.
        """
        if not where:
            yield
        elif where.startswith(_FILE):
            with self._written(where):
                yield
        else:
            with self._served(where):
                yield

    def close(self) -> None:
        """Send the traces that are at hand."""
        if self._provider is not None:
            self._provider.shutdown()

    @contextmanager
    def _written(self, where: str) -> Iterator[None]:
        writer = Writer(self.registry, Path(where.removeprefix(_FILE)))
        try:
            writer.start()
        except OSError as error:
            raise SettingsError(f"metrics: {where} can't be written: {error.strerror}") from None
        try:
            yield
        finally:
            writer.stop()

    @contextmanager
    def _served(self, where: str) -> Iterator[None]:
        host, _, port = where.rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise SettingsError(f"metrics: {where} is neither HOST:PORT nor file:PATH; write 127.0.0.1:9100")
        try:
            server, thread = start_http_server(int(port), host.strip("[]"), self.registry)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "ports end at 65535"
            raise SettingsError(f"metrics: can't listen on {where}: {why}; choose another") from None
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _provider(endpoint: str, version: str) -> TracerProvider:
    try:
        from service.tracing import provider_to  # noqa: PLC0415  (an extra)
    except ImportError:
        raise SettingsError("otlp_endpoint: traces need OpenTelemetry; pip install 'yocho[tracing]'") from None
    return provider_to(endpoint, version)
