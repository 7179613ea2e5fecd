"""TLS connections that count before their handshake is done.

The event loop shows a connection to its protocol only after the handshake, for which it gives each client a minute.
So connections are accepted here.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import sslproto
from typing import TYPE_CHECKING

from service.connections import Connections, Cut

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from service.guarded import GuardedProtocol

_log = logging.getLogger(__name__)

_BUFFER = 1 << 15
"""Bytes that are read at once, held by each connection: the 256 KiB of the loop would make 0.5 GB of 2048."""
_PAUSE = 0.5
"""Seconds until the next try when the system has no descriptor left."""


class Handshake:
    """A connection whose handshake is not done; its task ends with it."""

    def __init__(self, address: str, began: float, patience: float) -> None:
        self.address = address
        self.waits = True
        self._until = began + patience
        self._task = asyncio.current_task()

    def judge(self, now: float) -> Cut | None:
        """See `Connection`."""
        return Cut.IDLE if now >= self._until else None

    def end(self, _why: Cut) -> bool:
        """See `Connection`."""
        if self._task is not None:
            self._task.cancel()
        return False


class Handshakes:
    """Accepts connections from a socket, and hands those whose handshake is done to protocols."""

    def __init__(
        self, connections: Connections, context: ssl.SSLContext, protocol: Callable[[], GuardedProtocol]
    ) -> None:
        self._crowd = connections
        self._context = context
        self._protocol = protocol
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        sslproto.SSLProtocol.max_size = _BUFFER  # there is no other way to say it
        listener.settimeout(0)  # the loop demands it
        try:
            while True:
                try:
                    accepted, address = await loop.sock_accept(listener)
                except OSError as error:
                    _log.error("can't accept", extra={"reason": error.strerror})
                    await asyncio.sleep(_PAUSE)
                    continue
                task = loop.create_task(self._shake_hands(accepted, address[0]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        loop, patience = asyncio.get_running_loop(), self._crowd.spec.idle_seconds
        handshake = Handshake(address, loop.time(), patience)
        protocol = self._protocol()
        protocol.begins_after(lambda: self._crowd.leave(handshake))
        try:
            if self._crowd.admit(handshake):
                await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._context)
            else:
                accepted.close()
        except OSError:  # of the connection, or of TLS: the other side's affair
            self._crowd.count(Cut.UNREADABLE)
        finally:
            self._crowd.leave(handshake)
