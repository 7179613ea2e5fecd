"""Receivers of events on this machine: a web server, sockets, a file."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from service.alerts.alert import Alert
from service.outputs.file import File, FileSpec
from service.outputs.output import Notice, Output
from service.outputs.syslog import Carrier, Syslog, SyslogSpec
from service.outputs.webhook import Webhook, WebhookSpec
from service.store.documents import write_alert
from service.store.events import Event, EventKind
from tests.builders import START, an_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = b"sixteen bytes and more"
VERSION = "1.2.3"
_PATIENCE = 5.0


def a_notice(number: int = 1, what: EventKind = EventKind.OPENED, **details: Any) -> Notice:
    alert: Alert = an_alert(**details)
    return Notice(Event(number, START, what, alert.id, write_alert(alert)), alert)


def eventually(check: Callable[[], bool]) -> None:
    """Wait until something is so; other threads do it."""
    end = time.monotonic() + _PATIENCE
    while not check():
        assert time.monotonic() < end
        time.sleep(0.005)


class Receiver(Protocol):
    """One that takes events; what it is sent is known by the events' ids."""

    answers: bool
    """Whether it says that it took them."""

    def output(self) -> Output: ...

    def received(self) -> list[str]: ...

    def stop(self) -> None: ...

    def start(self) -> None: ...


@dataclass
class Hook:
    """A web server; `answer` says how it answers each request, given how many there were before."""

    answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (204, {})
    body: bytes = b""
    answers: bool = True
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _connections: list[socket.socket] = field(default_factory=list)
    outputs: list[Webhook] = field(default_factory=list)

    def output(self, **details: Any) -> Webhook:
        spec: dict[str, Any] = {"url": self.url, "secret": SECRET, "timeout": 5.0} | details
        self.outputs.append(Webhook(WebhookSpec(**spec), VERSION))
        return self.outputs[-1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def received(self) -> list[str]:
        return [headers["Yocho-Event-Id"] for _, headers, _ in self.requests]

    def start(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                hook._connections.append(self.request)
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = hook.answer(len(hook.requests))
                hook.requests.append((self.path, dict(self.headers.items()), body))
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                # One of 204 has no body, and says so by that.
                if status != 204:
                    self.send_header("Content-Length", str(len(hook.body)))
                self.end_headers()
                self.wfile.write(hook.body if status != 204 else b"")

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # Connections that the output keeps open must not keep the server.
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        _break_off(self._connections)


def _break_off(connections: list[socket.socket]) -> None:
    for connection in connections:
        with suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RDWR)
    connections.clear()


_ID = re.compile(rb'\[yocho@32473 id="([^"]+)"\]')


@dataclass
class Log:
    """A receiver of syslog over UDP."""

    answers: bool = False
    messages: list[bytes] = field(default_factory=list)
    port: int = 0
    _server: socketserver.BaseServer | None = None

    def output(self) -> Syslog:
        return Syslog(SyslogSpec(Carrier.UDP, "127.0.0.1", self.port, timeout=5.0), VERSION)

    def received(self) -> list[str]:
        return [found[1].decode() for message in self.messages if (found := _ID.search(message))]

    def start(self) -> None:
        log = self

        class Handler(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                log.messages.append(self.rfile.read())

        self._serve(socketserver.UDPServer(("127.0.0.1", self.port), Handler))

    def _serve(self, server: socketserver.UDPServer | socketserver.TCPServer) -> None:
        self._server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class CountedLog(Log):
    """A receiver of syslog over TCP, or TLS if it has a certificate; it checks the counts."""

    certificate: Path | None = None
    connections: list[socket.socket] = field(default_factory=list)

    def output(self) -> Syslog:
        carrier = Carrier.TLS if self.certificate else Carrier.TCP
        trust = ssl.create_default_context(cafile=self.certificate) if self.certificate else None
        return Syslog(SyslogSpec(carrier, "127.0.0.1", self.port, timeout=5.0, trust=trust), VERSION)

    def start(self) -> None:
        log = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self) -> None:
                if log.certificate is not None:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(log.certificate)
                    self.request = context.wrap_socket(self.request, server_side=True)
                log.connections.append(self.request)
                super().setup()

            def handle(self) -> None:
                while count := self._count():
                    log.messages.append(self.rfile.read(count))

            def finish(self) -> None:
                self.rfile.close()
                self.request.close()

            def _count(self) -> int:
                digits = b""
                while (digit := self.rfile.read(1)) not in (b" ", b""):
                    digits += digit
                return int(digits or b"0")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass

        self._serve(Server(("127.0.0.1", self.port), Handler))

    def stop(self) -> None:
        super().stop()
        _break_off(self.connections)


@dataclass
class Lines:
    """A file; while it is stopped its folder is away."""

    folder: Path
    answers: bool = True

    @property
    def path(self) -> Path:
        return self.folder / "eve.json"

    def output(self) -> File:
        return File(FileSpec(self.path), VERSION)

    def received(self) -> list[str]:
        if not self.path.exists():
            return []
        return [json.loads(line)["yocho"]["id"] for line in self.path.read_text().splitlines()]

    def start(self) -> None:
        away = self.folder.with_suffix(".away")
        if away.exists():
            away.rename(self.folder)
        self.folder.mkdir(exist_ok=True)

    def stop(self) -> None:
        self.folder.rename(self.folder.with_suffix(".away"))


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
