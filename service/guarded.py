"""HTTP connections that end when a client keeps the service waiting.

The server itself bounds the size of a request's head, holds back a body that nobody reads, and closes what is idle
after an answer. What it lacks is here: time limits for heads, bodies and answers, and a bound for their number.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.connections import Cut, Pace
from service.lingering import LingeringTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from fastapi import FastAPI
    from uvicorn.server import ServerState

    from service.connections import Connections

_UNREAD = 1 << 20
"""Bytes of a body that may still come after it was answered, and the connection be used again."""
_HEAD = 1 << 14
_DRAINED = 1 << 15
"""Bytes that have left at least when a transport asks for more: from its high-water mark to its low one."""
_ANSWERS = {
    Cut.SLOW_HEAD: (HTTPStatus.REQUEST_TIMEOUT, "the head of the request did not come in time; send it at once"),
    Cut.SLOW_BODY: (HTTPStatus.REQUEST_TIMEOUT, "the body came too slowly; send it faster, or in parts"),
    Cut.REFUSED: (HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections; try again later"),
    Cut.UNREADABLE: (HTTPStatus.BAD_REQUEST, "the request is no HTTP/1.1, or its head is too large; see RFC 9112"),
}
"""To others nothing is said: they wait for nothing, or don't listen."""


class GuardedProtocol(H11Protocol):
    """A connection of a client, which `config.connections` may end."""

    transport: LingeringTransport

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = config.connections
        spec = self._crowd.spec
        self._idle_seconds = spec.idle_seconds
        self._receiving = Pace(spec.stall_seconds, spec.least_rate)
        self._sending = Pace(spec.stall_seconds, spec.least_rate)
        self._begin: Callable[[], None] = lambda: None
        self._since = 0.0
        self._received = 0
        self._received_before = 0
        self._sent = 0
        self._unsent = 0
        self._expelled = False

    @property
    def address(self) -> str:
        """Where it comes from."""
        return self.client[0] if self.client else ""

    @property
    def waits(self) -> bool:
        """Whether nothing is being answered."""
        return self.conn.our_state not in (h11.SEND_RESPONSE, h11.SEND_BODY)

    def begins_after(self, begin: Callable[[], None]) -> None:
        """Have something done before this connection counts: what stood in its place has to go."""
        self._begin = begin

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        self.transport = LingeringTransport(transport, lambda: self._is_sending, self._linger)
        self._wait_anew()
        self._begin()
        self._crowd.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be no more."""
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._received += len(data)
        if self.transport.lingers:
            if not self.transport.pass_over(len(data)):
                self._give_up()
            return
        # The bound of a head is checked between pieces only.
        while len(data) > _HEAD and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            super().data_received(data[:_HEAD])
            data = data[_HEAD:]
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_unread and self._received - self._received_before > _UNREAD:
            self.transport.close()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._sent += _DRAINED
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._wait_anew()
        super().on_response_complete()

    def send_400_response(self, _msg: str) -> None:
        """Refuse what can't be read."""
        self._crowd.expel(self, Cut.UNREADABLE)

    def judge(self, now: float) -> Cut | None:
        """See `Connection`."""
        if self.transport.lingers:
            if now - self._since >= self._idle_seconds:
                self._give_up()
            return None
        if self._reads_slowly(now):
            return Cut.SLOW_READER
        if self.transport.is_closing():
            return None
        if self.waits:
            self._receiving.rest()
            return self._late(now)
        if not self._is_due:
            self._receiving.rest()
            return None
        return Cut.SLOW_BODY if self._receiving.is_slow(now, self._received) else None

    def end(self, why: Cut) -> bool:
        """See `Connection`."""
        self._expelled = True
        if why not in _ANSWERS or self.transport.is_closing():
            self.transport.abort()
            return False
        # Who is slow, or too many, is not waited for.
        self._refuse(*_ANSWERS[why], kindly=why is Cut.UNREADABLE)
        return self.transport.lingers

    @property
    def _is_sending(self) -> bool:
        """Whether more may come of what nobody reads."""
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    @property
    def _is_unread(self) -> bool:
        """Whether the body is still coming though it was answered."""
        return self.conn.their_state is h11.SEND_BODY and self.waits

    @property
    def _is_due(self) -> bool:
        """Whether the client should be sending: not while it is held back, or waits to be asked for the body."""
        held = self.flow.read_paused or self.conn.they_are_waiting_for_100_continue
        return self.conn.their_state is h11.SEND_BODY and not held

    def _linger(self) -> None:
        self._since = self.loop.time()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()

    def _give_up(self) -> None:
        """End a connection that goes on sending though it was answered."""
        if self._expelled:  # and counted
            self.transport.abort()
        else:
            self._crowd.expel(self, Cut.UNREAD)

    def _wait_anew(self) -> None:
        self._since = self.loop.time()
        self._received_before = self._received

    def _late(self, now: float) -> Cut | None:
        if now - self._since < self._idle_seconds:
            return None
        return Cut.SLOW_HEAD if self._received > self._received_before else Cut.IDLE

    def _reads_slowly(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        self._sent += max(0, self._unsent - unsent)
        self._unsent = unsent
        if not unsent:
            self._sending.rest()
            return False
        return self._sending.is_slow(now, self._sent)

    def _refuse(self, status: HTTPStatus, detail: str, *, kindly: bool) -> None:
        """Answer in the application's place, if nothing was answered yet, and close, now unless `kindly`."""
        if not self.waits:
            # For the application, which answers at the same time, the client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._can_be_told:
            for event in _problem(status, detail):
                self.transport.write(self.conn.send(event) or b"")
        if self.transport.get_write_buffer_size():
            # Closing would wait until it is read, for as long as that may take.
            self.transport.abort()
        elif kindly:
            self.transport.close()
        else:
            self.transport.close_now()

    @property
    def _can_be_told(self) -> bool:
        return self.conn.our_state is h11.IDLE or (
            self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] != "HEAD"
        )


class ServerConfig(uvicorn.Config):
    """How the server runs, with the connections that it has, each of them guarded."""

    def __init__(self, app: FastAPI, connections: Connections, certificate: str, key: str) -> None:
        spec = connections.spec
        super().__init__(
            app,
            # What is guarded is this protocol; another one might come with another package.
            http=GuardedProtocol,
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,
            ssl_certfile=certificate or None,
            ssl_keyfile=key or None,
            timeout_keep_alive=math.ceil(spec.idle_seconds),
            timeout_graceful_shutdown=math.ceil(spec.stall_seconds),
        )
        self.connections = connections


def _problem(status: HTTPStatus, detail: str) -> tuple[h11.Response, h11.Data, h11.EndOfMessage]:
    """Return an answer as RFC 9457 has it; the path is left out, as it may not have come."""
    problem = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    body = json.dumps(problem | {"instance": ""}).encode()
    headers = [
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    return (
        h11.Response(status_code=status.value, headers=headers, reason=status.phrase.encode()),
        h11.Data(data=body),
        h11.EndOfMessage(),
    )
