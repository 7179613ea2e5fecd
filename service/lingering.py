"""Connections whose clients are told why, though they are still sending.

A connection that is closed while something of its client is unread is broken off (RST), and the client may lose the
answer that it has not read yet. So it is half closed, and what comes is passed over, for a while (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PASSED_OVER = 32 << 20
"""Bytes that may still come: twice the largest JSON body, by default."""


class LingeringTransport(asyncio.Transport):
    """A transport that is closed only once its client has read what it was told, if `hurts` says that it must be.

    `begin` is called when it begins to wait for that. It is in use as long as its protocol; whoever waits looks at
    `lingers`, and counts what comes with `pass_over`.
    """

    def __init__(self, transport: asyncio.Transport, hurts: Callable[[], bool], begin: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._hurts = hurts
        self._begin = begin
        self._left = PASSED_OVER
        self.lingers = False

    def close(self) -> None:
        """Close it, now or a little later."""
        if self.lingers or self._transport.is_closing() or not self._hurts():
            self._transport.close()
            return
        self.lingers = True
        self._begin()
        # Over TLS there is no half a connection.
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def close_now(self) -> None:
        """Close it, whatever the client misses."""
        self._transport.close()

    def pass_over(self, size: int) -> bool:
        """Count bytes that nobody reads; return False if they are too many."""
        self._left -= size
        return self._left >= 0

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`; for its protocol it is."""
        return self.lingers or self._transport.is_closing()

    def abort(self) -> None:
        """See `asyncio.WriteTransport`."""
        self._transport.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return self._transport.get_write_buffer_size()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._transport.resume_reading()
