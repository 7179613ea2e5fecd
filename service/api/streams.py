"""Events of alerts as server-sent events (HTML Living Standard, 9.2): one reader of the store for all who listen.

What was read last is kept at hand, and every stream has its place in it. A stream that resumes from an older event
reads the store until it has caught up; one that has caught up and then falls behind what is at hand is ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from service.api.alert_page import event_alert
from service.errors import StoreError
from service.store.span import address_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Receive, Scope, Send

    from service.alerts.alert import Alert, Kind
    from service.store.desk import Filed
    from service.store.events import Event
    from service.store.span import Span
    from service.store.sql import SqlStore

_AT_ONCE = 200
"""Events that are read at once."""

_REVOKED = b": the token is no longer good for this; come back with another\n\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The bounds of streams; raises ValueError for one that is not positive."""

    most: int = 64
    """Open streams."""
    most_of_sender: int = 48
    """Of one token or, without one, of one address: nobody takes them all."""
    kept: int = 1000
    """Events at hand: what a stream may lag, ..."""
    kept_bytes: int = 16 << 20
    """... and their size."""
    pause: float = 0.5
    """Seconds between two reads of the store."""
    beat: float = 15.0
    """Seconds after which a silent stream shows that it lives."""
    patience: float = 30.0
    """Seconds that a client may take to accept what is sent."""
    recheck: float = 3.0
    """Seconds after which a stream asks whether its client may still listen."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name}: {getattr(self, field.name)} is not positive")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a stream carries."""

    sensor: str | None = None
    kind: Kind | None = None
    span: Span | None = None
    """Addresses, one of which is a source."""
    least: float | None = None
    """The least evidence, in thresholds."""
    with_allowed: bool = False

    def takes(self, told: Told) -> bool:
        """Tell whether an event is one of them."""
        alert = told.alert
        return (
            (self.sensor is None or alert.sensor == self.sensor)
            and (self.kind is None or alert.kind is self.kind)
            and (self.least is None or alert.excess >= self.least)
            and (self.with_allowed or alert.allowed_by is None)
            and (self.span is None or any(self.span.first <= key <= self.span.last for key in told.keys))
        )


@dataclass(frozen=True, slots=True)
class Told:
    """An event, ready to be sent."""

    sequence: int
    alert: Alert
    keys: tuple[bytes, ...]
    """Its sources."""
    frame: bytes


def told(event: Event, filed: Filed | None) -> Told:
    """Return an event ready to be sent; `filed` says what people have said of its alert by now."""
    alert = event.told()
    document = event_alert(event.kind, alert, filed).model_dump()
    frame = f"id: {event.sequence}\nevent: {event.kind.value}\ndata: {json.dumps(document)}\n\n".encode()
    return Told(event.sequence, alert, tuple(map(address_key, alert.sources)), frame)


class AlertStreams:
    """All open streams of one application; its methods are called in its event loop."""

    def __init__(self, store: SqlStore, spec: StreamSpec) -> None:
        self._store = store
        self._spec = spec
        self._open = 0
        self._of: Counter[str] = Counter()
        self._closed = False
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._kept: deque[Told] = deque()
        self._bytes = 0
        # Of all events after the one number, up to the other, nothing is missing at hand.
        self._floor = self._position = 0

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open

    async def stream(
        self, wanted: Wanted, after: int | None, admitted: Callable[[], bool] = lambda: True, sender: str = ""
    ) -> StreamingResponse:
        """Return a stream of what comes after an event, or from now on; it ends soon after `admitted` says no.

        `admitted` may raise StoreError. Raises HTTPException 503 if there are too many already, in all or of
        this sender.
        """
        if self._open >= self._spec.most or self._of[sender] >= self._spec.most_of_sender or self._closed:
            detail = f"{self._open} streams are open, which is the bound; close one, or try again later"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "30"})
        self._open += 1
        self._of[sender] += 1
        release = partial(self._release, sender)
        try:
            await self._start()
            place = self._position if after is None else await self._place(after)
        except BaseException:
            release()
            raise
        admission = _Admission(admitted, self._spec.recheck)
        return _EventResponse(self._frames(wanted, place, admission), release, self._spec.patience)

    def close(self) -> None:
        """End all streams, and open none any more."""
        self._closed = True
        self._wake()

    def _release(self, sender: str) -> None:
        self._open -= 1
        self._of[sender] -= 1
        self._of += Counter()  # forgets who has none

    def _running(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def _start(self) -> None:
        if self._running():
            return
        latest = await run_in_threadpool(self._latest)
        if not self._running():  # somebody else may have been quicker
            self._kept.clear()
            self._bytes, self._news = 0, asyncio.Event()
            self._floor = self._position = latest
            self._reader = asyncio.get_running_loop().create_task(self._read_on())

    async def _place(self, after: int) -> int:
        # A number that was never given, as after a backup was restored, would wait for ever.
        return after if after <= self._position else min(after, await run_in_threadpool(self._latest))

    async def _read_on(self) -> None:
        while self._open and not self._closed:
            try:
                found = await run_in_threadpool(self._read_after, self._position)
            except StoreError as error:
                _log.warning("events can't be read", extra={"reason": str(error)})
                found = []
            self._keep(found)
            if len(found) < _AT_ONCE:
                await asyncio.sleep(self._spec.pause)

    def _keep(self, found: list[Told]) -> None:
        for each in found:
            self._kept.append(each)
            self._bytes += len(each.frame)
            self._position = each.sequence
        while len(self._kept) > self._spec.kept or self._bytes > self._spec.kept_bytes:
            oldest = self._kept.popleft()
            self._bytes -= len(oldest.frame)
            self._floor = oldest.sequence
        if found:
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _latest(self) -> int:
        with self._store.read() as unit:
            return unit.events.latest()

    def _read_after(self, place: int) -> list[Told]:
        with self._store.read() as unit:
            events = unit.events.after(place, _AT_ONCE)
            filed = unit.desk.filed({event.alert for event in events}) if events else {}
        return [told(event, filed.get(event.alert)) for event in events]

    async def _frames(self, wanted: Wanted, place: int, admission: _Admission) -> AsyncIterator[bytes]:
        yield b"retry: 3000\n\n"
        try:
            async for number, frame in self._caught_up(wanted, place):
                place = number
                if await admission.over():
                    yield _REVOKED
                    return
                yield frame
            async for frame in self._live(wanted, place, admission):
                yield frame
        except StoreError as error:
            _log.warning("events can't be read", extra={"reason": str(error)})
            yield b": the store can't be read now\n\n"

    async def _caught_up(self, wanted: Wanted, place: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what is not at hand any more, each with its number."""
        while place < self._floor and not self._closed:
            found = await run_in_threadpool(self._read_after, place)
            if not found:
                yield self._floor, _beat(self._floor)
                return
            for each in found:
                if wanted.takes(each):
                    yield each.sequence, each.frame
            place = found[-1].sequence
            yield place, _beat(place)

    async def _live(self, wanted: Wanted, place: int, admission: _Admission) -> AsyncIterator[bytes]:
        silent_since = time.monotonic()
        while True:
            if await admission.over():
                yield _REVOKED
                return
            if self._closed or not self._running():
                yield b": the service is stopping\n\n"
                return
            if place < self._floor:
                yield f": too slow by more than {self._spec.kept} events; resume from {place}\n\n".encode()
                return
            news = self._news
            new = [each for each in self._kept if each.sequence > place]
            for each in new:
                place = each.sequence
                if wanted.takes(each):
                    yield each.frame
                    silent_since = time.monotonic()
            left = silent_since + self._spec.beat - time.monotonic()
            if left <= 0:
                yield _beat(place)
                silent_since = time.monotonic()
            elif not new:
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), min(left, self._spec.recheck))


def _beat(place: int) -> bytes:
    # An id without data moves the place from which a client resumes, and is no event.
    return f": beat\nid: {place}\n\n".encode()


class _Admission:
    """Asks now and then whether who listens still may."""

    def __init__(self, admitted: Callable[[], bool], every: float) -> None:
        self._admitted = admitted
        self._every = every
        self._asked = time.monotonic()

    async def over(self) -> bool:
        """Tell whether the stream has to end; raises StoreError if that can't be known."""
        if time.monotonic() - self._asked < self._every:
            return False
        self._asked = time.monotonic()
        return not await run_in_threadpool(self._admitted)


class _EventResponse(StreamingResponse):
    """Gives its place free at the end, and gives up clients that take nothing."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes], release: Callable[[], None], patience: float) -> None:
        super().__init__(frames, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._release = release
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(self._patience):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            _log.info("a stream was given up: its client takes nothing")
        finally:
            self._release()
