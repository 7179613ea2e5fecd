"""The HTTP server around the application."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import uvicorn

from service.errors import SettingsError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fastapi import FastAPI


def server_config(app: FastAPI, certificate: str, key: str) -> uvicorn.Config:
    """Return how the server runs: with TLS if `certificate`, a PEM file, is not empty.

    Raises SettingsError for a certificate or key that can't be used.
    """
    if certificate:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key or None)
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise SettingsError(f"YOCHO_TLS_CERTIFICATE: {why}; name PEM files of a chain and its key") from None
    return uvicorn.Config(
        app, log_config=None, access_log=False, ssl_certfile=certificate or None, ssl_keyfile=key or None
    )


def run_server(
    config: uvicorn.Config, listener: socket.socket, ready: Callable[[str], None], ending: Callable[[], None]
) -> None:
    """Serve until interrupted; `ready` hears the URL, and `ending` is called before open answers are waited for."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(_url(listener, "https" if config.is_ssl else "http"))

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # The server waits for open answers, and streams never end by themselves.
            ending()
            await super().shutdown(sockets)

    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises it again after it has shut down cleanly
        return


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
