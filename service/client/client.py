"""The two clients: one waits, the other is awaited. All that they say is in `operations`."""

from __future__ import annotations

import asyncio
import time
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service.client import operations
from service.client.follow import follow
from service.client.patience import Patience, patiently
from service.client.steps import Answer, Call, Event, Failure, Line, NextLine, Open, Pause, Tell
from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
    from types import TracebackType

    from service.client.steps import Outcome, Plan, Step, Steps

P = ParamSpec("P")
R = TypeVar("R")

_TIMEOUT = httpx.Timeout(30.0, read=90.0)
_PIECE = 1 << 20
_STREAM_TIMEOUT = httpx.Timeout(30.0, read=60.0)
"""A stream without a line for so long, not even a heartbeat, is opened anew."""


def _blocking(operation: Callable[P, Plan[R]]) -> Callable[Concatenate[Client, P], R]:
    @wraps(operation)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.carry_out(operation(*args, **kwargs))

    return method


def _awaited(operation: Callable[P, Plan[R]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    @wraps(operation)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.carry_out(operation(*args, **kwargs))

    return method


class Client:
    """Talks to the service at a URL; use it in a ``with`` block, or close it.

    Methods raise RemoteError when the service can't be reached as long as `patience` lasts, or says no: its
    `status` and `problem` say what. SettingsError for a URL that is none.
    """

    send_window = _blocking(operations.send_window)
    send_windows = _blocking(operations.send_windows)
    send_file = _blocking(operations.send_file)
    job = _blocking(operations.job)
    alerts = _blocking(operations.alerts)
    alert = _blocking(operations.alert)
    change_alert = _blocking(operations.change_alert)
    comment = _blocking(operations.comment)
    patterns = _blocking(operations.patterns)
    pattern = _blocking(operations.pattern)
    judge_pattern = _blocking(operations.judge_pattern)
    source = _blocking(operations.source)
    sensors = _blocking(operations.sensors)
    days = _blocking(operations.days)
    status = _blocking(operations.status)
    outputs = _blocking(operations.outputs)
    dead_letters = _blocking(operations.dead_letters)
    retry_output = _blocking(operations.retry_output)
    audit = _blocking(operations.audit)

    def __init__(
        self,
        url: str,
        token: str | None = None,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience = patience or Patience()
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=_checked_url(url), headers=_headers(token), timeout=_TIMEOUT, transport=transport
        )
        self._stream: httpx.Response | None = None
        self._lines: Iterator[str] = iter(())

    def follow(self, after: int | None = None, **filters: str | float) -> Iterator[Event]:
        """Yield what happens to alerts, for ever: from now on, or after the event with the id `after`.

        A stream that breaks off is taken up where it was. One stream at a time.
        """
        steps = follow(after, filters, self._patience)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Tell):
                    yield step.event
                outcome = self._done(step)
        finally:
            self._close_stream()

    def carry_out(self, plan: Plan[R]) -> R:
        """Carry out an operation."""
        steps = patiently(plan, self._patience)
        outcome: Outcome = None
        try:
            while True:
                outcome = self._done(steps.send(outcome))
        except StopIteration as end:
            result: R = end.value
            return result

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _done(self, step: Step) -> Outcome:
        try:
            match step:
                case Call():
                    content = _read(step.body) if isinstance(step.body, Path) else step.body
                    return _answer(self._http.request(step.method, step.path, **_request(step), content=content))
                case Open(call):
                    return self._opened(call)
                case NextLine():
                    return Line(next(self._lines, None))
                case Pause(seconds):
                    self._sleep(seconds)
                case Tell():
                    pass
        except httpx.HTTPError as error:
            return Failure(str(error) or type(error).__name__)
        return None

    def _opened(self, call: Call) -> Outcome:
        self._close_stream()
        request = self._http.build_request(call.method, call.path, **_request(call), timeout=_STREAM_TIMEOUT)
        self._stream = self._http.send(request, stream=True)
        if self._stream.is_error:
            self._stream.read()
            return _answer(self._stream)
        self._lines = self._stream.iter_lines()
        return Answer(self._stream.status_code, self._stream.headers, b"")

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class AsyncClient:
    """`Client` for event loops: its methods are awaited, and `follow` is iterated over asynchronously."""

    send_window = _awaited(operations.send_window)
    send_windows = _awaited(operations.send_windows)
    send_file = _awaited(operations.send_file)
    job = _awaited(operations.job)
    alerts = _awaited(operations.alerts)
    alert = _awaited(operations.alert)
    change_alert = _awaited(operations.change_alert)
    comment = _awaited(operations.comment)
    patterns = _awaited(operations.patterns)
    pattern = _awaited(operations.pattern)
    judge_pattern = _awaited(operations.judge_pattern)
    source = _awaited(operations.source)
    sensors = _awaited(operations.sensors)
    days = _awaited(operations.days)
    status = _awaited(operations.status)
    outputs = _awaited(operations.outputs)
    dead_letters = _awaited(operations.dead_letters)
    retry_output = _awaited(operations.retry_output)
    audit = _awaited(operations.audit)

    def __init__(
        self,
        url: str,
        token: str | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._patience = patience or Patience()
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=_checked_url(url), headers=_headers(token), timeout=_TIMEOUT, transport=transport
        )
        self._stream: httpx.Response | None = None
        self._lines: AsyncIterator[str] | None = None

    async def follow(self, after: int | None = None, **filters: str | float) -> AsyncIterator[Event]:
        """Yield what happens to alerts; see `Client.follow`."""
        steps = follow(after, filters, self._patience)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Tell):
                    yield step.event
                outcome = await self._done(step)
        finally:
            await self._close_stream()

    async def carry_out(self, plan: Plan[R]) -> R:
        """Carry out an operation."""
        steps: Steps[R] = patiently(plan, self._patience)
        outcome: Outcome = None
        try:
            while True:
                outcome = await self._done(steps.send(outcome))
        except StopIteration as end:
            result: R = end.value
            return result

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _done(self, step: Step) -> Outcome:
        try:
            match step:
                case Call():
                    content = _read_async(step.body) if isinstance(step.body, Path) else step.body
                    return _answer(
                        await self._http.request(step.method, step.path, **_request(step), content=content)
                    )
                case Open(call):
                    return await self._opened(call)
                case NextLine():
                    return Line(await anext(self._lines, None) if self._lines else None)
                case Pause(seconds):
                    await self._sleep(seconds)
                case Tell():
                    pass
        except httpx.HTTPError as error:
            return Failure(str(error) or type(error).__name__)
        return None

    async def _opened(self, call: Call) -> Outcome:
        await self._close_stream()
        request = self._http.build_request(call.method, call.path, **_request(call), timeout=_STREAM_TIMEOUT)
        self._stream = await self._http.send(request, stream=True)
        if self._stream.is_error:
            await self._stream.aread()
            return _answer(self._stream)
        self._lines = self._stream.aiter_lines()
        return Answer(self._stream.status_code, self._stream.headers, b"")

    async def _close_stream(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
            self._stream = None


def _checked_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"{url}: {error}; write http://HOST:PORT") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"{url}: is no address of a service; write http://HOST:PORT")
    return parsed


def _headers(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _request(call: Call) -> dict[str, Any]:
    return {"params": dict(call.params), "headers": dict(call.headers)}


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


async def _read_async(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
