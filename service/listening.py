"""Addresses that are listened on."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.capture.datagrams import open_datagrams
from service.errors import SettingsError

if TYPE_CHECKING:
    from service.capture.datagrams import ReceiveSpec


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections; raises SettingsError if the address can't be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # The system's own words: asyncio and socket add the address to theirs.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SettingsError(
            f"can't listen on {host} port {port}: {why}; choose another with --port (0: any free one)"
        ) from None
    return listener


def listen_datagrams(url: str, spec: ReceiveSpec) -> socket.socket:
    """Return the socket that a URL such as ``udp://0.0.0.0:2055`` asks for."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "udp" or parts.path not in ("", "/"):
        raise SettingsError(f"--listen {url}: not of the form udp://ADDRESS:PORT, such as udp://0.0.0.0:2055")
    try:
        return open_datagrams(host, port, spec)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SettingsError(f"can't listen on {url}: {why}; choose another with --listen") from None
