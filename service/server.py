"""The HTTP server around the application."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import uvicorn

from service.errors import SettingsError
from service.guarded import GuardedProtocol, ServerConfig
from service.handshakes import Handshakes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fastapi import FastAPI

    from service.connections import Connections

_SWEEP = 5
"""Ticks of the server, which are a tenth of a second, between two looks at all connections."""


def server_config(app: FastAPI, connections: Connections, certificate: str, key: str) -> ServerConfig:
    """Return how the server runs: with TLS if `certificate`, a PEM file, is not empty.

    Raises SettingsError for a certificate or key that can't be used.
    """
    if key and not certificate:
        raise SettingsError("YOCHO_TLS_KEY: is a key without a certificate; set YOCHO_TLS_CERTIFICATE, too")
    if certificate:
        try:
            # A password, so that nobody is asked for one: a key that needs it is refused.
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, key or None, password="")
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise SettingsError(f"YOCHO_TLS_CERTIFICATE: {why}; name PEM files of a chain and its key") from None
    return ServerConfig(app, connections, certificate, key)


def run_server(
    config: ServerConfig, listener: socket.socket, ready: Callable[[str], None], ending: Callable[[], None]
) -> None:
    """Serve until interrupted; `ready` hears the URL, and `ending` is called before open answers are waited for."""

    class Server(uvicorn.Server):
        accepting: asyncio.Task[None] | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup([] if config.is_ssl else sockets)
            if config.ssl is not None:
                handshakes = Handshakes(config.connections, config.ssl, self._protocol)
                self.accepting = asyncio.create_task(handshakes.accept(listener))
            ready(_url(listener, "https" if config.is_ssl else "http"))

        async def on_tick(self, counter: int) -> bool:
            if counter % _SWEEP == 0:
                config.connections.sweep(asyncio.get_running_loop().time())
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # The server waits for open answers, and streams never end by themselves.
            ending()
            if self.accepting is not None:
                self.accepting.cancel()
            await super().shutdown(sockets)

        def _protocol(self) -> GuardedProtocol:
            return GuardedProtocol(config, self.server_state, self.lifespan.state)

    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises it again after it has shut down cleanly
        return


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
