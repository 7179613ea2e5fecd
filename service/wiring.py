"""The parts of each command, put together here alone."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from service.capture.tunnels import Tunnels
from service.cli import build_cli
from service.errors import SettingsError, YochoError
from service.observe import SILENT
from service.settings import effective_settings, load_settings, sudo_caller
from service.specs import (
    connection_spec,
    database_url,
    inflation_spec,
    pipeline_spec,
    retention_spec,
    sensor_names,
)
from service.stopping import stop_signals, stop_with_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from fastapi import FastAPI

    from service.access.token import Scope, Token
    from service.alerts.alert import Alert
    from service.calibrate import Calibration
    from service.capture.inputs import Input
    from service.capture.live import LiveCapture
    from service.client.client import Client
    from service.client.patience import Patience
    from service.doctor import Check
    from service.instruments import Instruments
    from service.observe import Observer
    from service.outputs.courier import Outlet
    from service.outputs.shown import Shown
    from service.scan import Report, Summary
    from service.selfcheck.check import Finding
    from service.sensor.run import SensorSpec, Sent
    from service.settings import Effective, Settings
    from service.store.repository import Store
    from service.store.retention import Retained
    from service.store.schema import Schema
    from service.store.sql import SqlStore

_SECOND = 1_000_000_000
_log = logging.getLogger(__name__)


class Yocho:
    """The commands' parts, made when a command needs them: `yocho --help` loads no compiled code."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._loaded = load_settings(environment)
        self._caller = sudo_caller(self._environment)
        self.example = Path(__file__).resolve().parent.parent / "examples" / "lab.pcap"

    @property
    def _settings(self) -> Settings:
        return self._loaded.settings

    def configure(self, config: Path | None, assignments: Sequence[str]) -> None:
        """See `service.commands.parts.Parts`."""
        self._loaded = load_settings(self._environment, config, assignments)

    def settings(self) -> Sequence[Effective]:
        """See `service.commands.parts.Parts`."""
        return effective_settings(self._loaded)

    def doctor(self, interface: str | None) -> Iterator[Check]:
        """See `service.commands.parts.Parts`."""
        from service.doctor import DoctorSpec, diagnose

        settings = self._settings
        spec = DoctorSpec(
            database=database_url(settings.database),
            host=settings.host,
            port=settings.port,
            allow_list=settings.allow_list,
            min_free_bytes=settings.min_free_bytes,
            traces=bool(settings.otlp_endpoint),
            interface=interface,
        )
        return diagnose(spec)

    def scan(
        self,
        paths: Sequence[Path],
        kind: Input | None,
        window: int | None,
        database: str | None,
        progress: Callable[[int], None],
        tunnels: Tunnels = Tunnels.INNER,
    ) -> Report:
        """See `service.commands.parts.Parts`."""
        from service.scan import scan_captures

        store = self._kept_in(database)
        try:
            return scan_captures(
                paths, "local", pipeline_spec(self._settings, window), store, progress, tunnels, kind
            )
        finally:
            store.close()

    def watch(
        self,
        interface: str,
        bpf: str,
        user: str | None,
        window: int | None,
        database: str | None,
        ready: Callable[[], None],
        tell: Callable[[Alert], None],
        tell_drops: Callable[[int], None],
    ) -> Summary:
        """See `service.commands.parts.Parts`."""
        from service.watch import watch_interface

        capture = self._capture(interface, bpf, user)
        ready()
        store = self._kept_in(database)
        try:
            return watch_interface(
                capture, interface, pipeline_spec(self._settings, window), store, tell, tell_drops
            )
        finally:
            store.close()

    def _kept_in(self, database: str | None) -> Store:
        """Return a store in a file, or one that lasts as long as the process: without SQL, which takes 18 MB."""
        if database:
            return self._store(database)

        from service.store.memory import MemoryStore

        return MemoryStore(most_windows=0)

    def forward(
        self,
        interface: str,
        bpf: str,
        user: str | None,
        window: int | None,
        sensor: SensorSpec,
        ready: Callable[[], None],
        tell_drops: Callable[[int], None],
    ) -> Sent:
        """See `service.commands.parts.Parts`."""
        from service.sensor.run import run_sensor

        self._log_to_stderr()
        capture = self._capture(interface, bpf, user)
        ready()
        return run_sensor(capture, sensor, pipeline_spec(self._settings, window), tell_drops)

    def _capture(self, interface: str, bpf: str, user: str | None) -> LiveCapture:
        """Listen on an interface, give up all rights, and stop at a signal."""
        from service.capture.hosts import HostTable
        from service.capture.live import LiveCapture, listen
        from service.privileges import User, drop_privileges, user_named

        whom = user_named(user) if user else User(*self._caller) if self._caller else None
        listen(interface, bpf).close()  # what is wrong with the name or the filter is said at once
        if self.example.exists():  # compile before the ring fills; an image has done so already
            self.scan([self.example], None, None, None, lambda _: None)
        capture = LiveCapture(listen(interface, bpf), HostTable())
        drop_privileges(whom)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: capture.stop())
        return capture

    def serve(
        self,
        database: str | None,
        host: str | None,
        port: int | None,
        ready: Callable[[str], None],
        *,
        worker: bool = True,
    ) -> None:
        """See `service.commands.parts.Parts`."""
        import gc

        from service.connections import Connections
        from service.heap import share_heap
        from service.listening import listen
        from service.server import run_server, server_config
        from service.serving import worker_beside

        share_heap()
        self._log_to_stderr()
        self._outlets()  # what is wrong with them is said at once, not by the worker
        instruments = self._instruments()
        host = host or self._settings.host
        with TemporaryDirectory(prefix="yocho-metrics-") as figures, ExitStack() as stack:
            beside = worker_beside(self._settings, database, Path(figures)) if worker else None
            works = beside.ready.is_set if beside else lambda: True
            app = self.app(database, instruments, host, Path(figures), works)
            connections = Connections(connection_spec(self._settings).that_fit(), instruments.observer)
            config = server_config(app, connections, self._settings.tls_certificate, self._settings.tls_key)
            # What is loaded now stays: looking at it again and again would take most of the time of a request.
            gc.freeze()
            listener = stack.enter_context(listen(host, self._settings.port if port is None else port))
            if beside:
                beside.start()
                stack.callback(beside.stop)
            try:
                run_server(config, listener, ready, app.state.streams.close)
            finally:
                instruments.close()

    def work(self, database: str | None, *, once: bool, with_parent: bool) -> None:
        """See `service.commands.parts.Parts`."""
        import gc

        from service.analysis import Analyst
        from service.heap import share_heap
        from service.keeper import KeeperSpec
        from service.work.parser import Parser
        from service.work.parsing import Limits
        from service.work.supervisor import READY
        from service.work.warm import warm_up_apart
        from service.work.worker import Worker, WorkSpec

        share_heap()
        self._log_to_stderr()
        spec = pipeline_spec(self._settings)
        # Before there are threads, and signals that would have to wait for it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warm_up_apart(spec)
        stop = stop_signals()
        if with_parent:
            sys.stdout.buffer.write(READY + b"\n")
            sys.stdout.flush()
            threading.Thread(target=stop_with_input, args=(stop,), daemon=True).start()
        instruments = self._instruments()
        observer = instruments.observer
        store = self._store(database, observer)
        work = WorkSpec(keeping=KeeperSpec(retention_spec(self._settings)))
        parser = Parser(spec, Limits(inflation=inflation_spec(self._settings)))
        worker = Worker(work, store, Analyst(spec, observer), parser, observer)
        # Whoever posts on the same machine waits for an answer: the API goes first.
        os.nice(5)
        # Windows make many small objects and no cycles: looking for those took a fifteenth of the work.
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        try:
            with instruments.shown(self._settings.metrics), self._dispatching(store, observer):
                worker.run_once() if once else worker.run(stop)
        finally:
            store.close()
            instruments.close()

    def replay(self, folder: Path, database: str | None, *, once: bool) -> None:
        """See `service.commands.parts.Parts`."""
        from service.pipeline import Pipeline
        from service.replay import Replay, ReplaySpec

        if not folder.is_dir():
            raise SettingsError(f"{folder}: no such folder; make it, or give another one")
        self._log_to_stderr()
        instruments = self._instruments()
        store = self._store(database, instruments.observer)
        replay = Replay(ReplaySpec(folder), Pipeline(pipeline_spec(self._settings), store, instruments.observer))
        stop = stop_signals()
        try:
            with instruments.shown(self._settings.metrics):
                replay.replay_all() if once else replay.run(stop)
        finally:
            store.close()
            instruments.close()

    def collect(
        self, listen: str, sensors: Sequence[str], database: str | None, lateness: int, *, named_only: bool
    ) -> None:
        """See `service.commands.parts.Parts`."""
        from service.capture.datagrams import DatagramReceiver, ReceiveSpec, granted_bytes
        from service.listening import listen_datagrams

        names, receive = sensor_names(sensors), ReceiveSpec()
        stop = stop_signals()
        with listen_datagrams(listen, receive) as listener:
            from service.collector import Collector, CollectorSpec
            from service.pipeline import Pipeline

            self._log_to_stderr()
            instruments = self._instruments()
            spec = pipeline_spec(self._settings)
            windows = replace(spec.windows, lateness=lateness * _SECOND)
            store = self._store(database, instruments.observer)
            collector = Collector(
                CollectorSpec(windows=windows, names=names, named_only=named_only),
                Pipeline(spec, store, instruments.observer),
            )
            host, port = listener.getsockname()[:2]
            granted = granted_bytes(listener)
            _log.info("collector listening", extra={"host": host, "port": port, "receive_buffer": granted})
            if granted < receive.kernel_bytes:
                _log.warning("bursts may be lost: raise net.core.rmem_max", extra={"wanted": receive.kernel_bytes})
            try:
                with instruments.shown(self._settings.metrics):
                    collector.run(DatagramReceiver(listener, receive), stop)
            finally:
                store.close()
                instruments.close()

    def calibrate(self, paths: Sequence[Path], progress: Callable[[int], None]) -> Calibration:
        """See `service.commands.parts.Parts`."""
        from service.calibrate import calibrate

        return calibrate(paths, pipeline_spec(self._settings), progress)

    def selfcheck(
        self, url: str | None, token_file: Path | None, progress: Callable[[int], None]
    ) -> Iterator[Finding]:
        """See `service.commands.parts.Parts`."""
        import httpx

        from service.client.token import read_token
        from service.selfcheck.check import check

        headers = {} if token_file is None else {"authorization": f"Bearer {read_token(token_file)}"}
        here = f"http://{self._settings.host}:{self._settings.port}"
        try:
            client = httpx.Client(base_url=url or here, headers=headers)
        except httpx.InvalidURL as error:
            raise SettingsError(f"--url {url}: {error}; write http://HOST:PORT") from None
        with client:
            yield from check(client, time.time_ns(), progress)

    def client(self, url: str | None, token_file: Path | None, patience: Patience | None = None) -> Client:
        """See `service.commands.parts.Parts`."""
        from service.client.client import Client
        from service.client.token import read_token

        here = f"http://{self._settings.host}:{self._settings.port}"
        return Client(url or here, None if token_file is None else read_token(token_file), patience)

    def outputs(self, database: str | None) -> Sequence[Shown]:
        """See `service.commands.parts.Parts`."""
        from service.outputs.shown import shown_outputs

        names = [outlet.name for outlet in self._outlets()]
        with closing(self._store(database)) as store:
            return shown_outputs(store, names)

    def retry_output(self, name: str, database: str | None) -> int:
        """See `service.commands.parts.Parts`."""
        with closing(self._store(database)) as store, store.begin() as unit:
            return unit.deliveries.put_back(name)

    def forget_output(self, name: str, database: str | None) -> None:
        """See `service.commands.parts.Parts`."""
        if any(outlet.name == name for outlet in self._outlets()):
            raise SettingsError(f"output {name}: is configured in {self._settings.outputs}; remove it there first")
        with closing(self._store(database)) as store, store.begin() as unit:
            unit.deliveries.dismiss(name)

    def schema(self, database: str | None) -> AbstractContextManager[Schema]:
        """See `service.cli.Parts`."""
        from service.store.schema import open_schema

        return open_schema(database_url(database or self._settings.database))

    def back_up(self, file: Path, database: str | None) -> None:
        """See `service.commands.parts.Parts`."""
        from service.store.backup import back_up

        back_up(database_url(database or self._settings.database), file, self._environment)

    def restore(self, file: Path, database: str | None) -> None:
        """See `service.commands.parts.Parts`."""
        from service.store.backup import restore

        restore(database_url(database or self._settings.database), file, self._environment)

    def retain(self, database: str | None) -> Retained:
        """See `service.commands.parts.Parts`."""
        from service.keeper import Keeper, KeeperSpec

        with closing(self._store(database)) as store:
            return Keeper(KeeperSpec(retention_spec(self._settings)), store, time.time_ns).run()

    def create_token(
        self,
        name: str,
        scopes: Sequence[Scope],
        sensors: Sequence[str] | None,
        days: int | None,
        database: str | None,
    ) -> str:
        """See `service.commands.parts.Parts`."""
        from service.store.issue import issue

        with closing(self._store(database)) as store:
            return issue(store, name, scopes, sensors, days, time.time_ns())

    def revoke_token(self, name: str, database: str | None) -> None:
        """See `service.commands.parts.Parts`."""
        with closing(self._store(database)) as store, store.begin() as unit:
            unit.tokens.revoke(name, time.time_ns())

    def tokens(self, database: str | None) -> Sequence[Token]:
        """See `service.commands.parts.Parts`."""
        with closing(self._store(database)) as store, store.read() as reader:
            return reader.tokens.all()

    def _store(self, database: str | None, observer: Observer = SILENT) -> SqlStore:
        """Open the store that is named, or the one that is set."""
        from service.store.sql import SqlStore

        return SqlStore(database_url(database or self._settings.database), observer=observer)

    def app(
        self,
        database: str | None = None,
        instruments: Instruments | None = None,
        host: str = "127.0.0.1",
        figures: Path | None = None,
        works: Callable[[], bool] = lambda: True,
    ) -> FastAPI:
        """Return the web application, see `service.serving.web_application`."""
        from service.serving import web_application

        url = database_url(database or self._settings.database)
        return web_application(self._settings, url, instruments or self._instruments(), host, figures, works)

    def _outlets(self) -> Sequence[Outlet]:
        from service.outputs.configuration import read_outlets

        return read_outlets(Path(self._settings.outputs), version("yocho")) if self._settings.outputs else ()

    @contextmanager
    def _dispatching(self, store: SqlStore, observer: Observer) -> Iterator[None]:
        """Hand events to the outputs during the block."""
        from service.outputs.dispatcher import Dispatcher

        dispatcher = Dispatcher(self._outlets(), store, observer=observer)
        dispatcher.start()
        try:
            yield
        finally:
            dispatcher.stop()

    def _instruments(self) -> Instruments:
        from service.instruments import Instruments

        return Instruments(version("yocho"), self._settings.otlp_endpoint)

    def _log_to_stderr(self) -> None:
        from service.logs import log_to_stderr

        log_to_stderr(self._settings.log_level, self._settings.secrets())


def main() -> None:
    """Run the command line; an error that has a name is one line on stderr and exit code 2."""
    from service.logs import Redaction

    try:
        build_cli(Yocho(os.environ))()
    except YochoError as error:
        sys.stderr.write(Redaction().hide(f"yocho: {error}\n"))
        sys.exit(2)
