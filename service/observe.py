"""What the parts tell of their work, to whoever is handed in: metrics, traces, or nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ids: ContextVar[Mapping[str, str] | None] = ContextVar("yocho_ids", default=None)


@contextmanager
def identified(**ids: str) -> Iterator[None]:
    """Let logs and traces of the block name what it works on: ``identified(window="w0…")``."""
    token = _ids.set(current_ids() | ids)
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> dict[str, str]:
    """Return what is worked on: ``request``, ``job`` and ``window``, as far as there is one."""
    return dict(_ids.get() or {})


@dataclass(slots=True)
class Exchange:
    """A request, and what became of it, which is known at its end."""

    method: str
    trace: Mapping[str, str] = field(default_factory=dict)
    """Headers by which the caller's trace goes on."""
    route: str = ""
    """The pattern of its path, such as ``/v1/alerts/{alert_id}``; empty if none fits."""
    status: int = 0


@dataclass(slots=True)
class Work:
    """A job of the queue, and what became of it, which is known at its end."""

    kind: str
    outcome: str = "failed"


@dataclass(frozen=True, slots=True)
class Processed:
    """A window that was analysed; times in ns."""

    start: int
    end: int
    attempts: int
    shed_attempts: int
    shed_sources: int


class Observer(Protocol):
    """Hears what is done; called from several threads at once, and must neither raise nor wait.

    What encloses a block hears of its end also if it raises, and lets the exception go on.
    """

    def request(self, exchange: Exchange, /) -> AbstractContextManager[None]:
        """Enclose the answering of a request."""
        ...

    def work(self, work: Work, /) -> AbstractContextManager[None]:
        """Enclose a job of the queue."""
        ...

    def stage(self, name: str, /) -> AbstractContextManager[None]:
        """Enclose a stage of the analysis of a window, or ``look`` at one that is open."""
        ...

    def transaction(self, kind: str, /) -> AbstractContextManager[None]:
        """Enclose a transaction of the database, ``read`` or ``write``."""
        ...

    def taken(self, kind: str, /) -> None:
        """Hear of work that was accepted: ``window``, ``look`` or ``upload``."""
        ...

    def processed(self, window: Processed, /) -> None:
        """Hear of a window that was analysed."""
        ...

    def factorized(self, seconds: float, error: float, /) -> None:
        """Hear of a factorisation and its relative error ‖X − DC‖ / ‖X‖."""
        ...

    def opened(self, kind: str, /) -> None:
        """Hear of a new alert."""
        ...

    def dropped(self, packets: int, /) -> None:
        """Hear of packets that the system dropped before they could be read."""
        ...

    def delivered(self, output: str, /, *, success: bool) -> None:
        """Hear of an event that an output took, or would not."""
        ...

    def connected(self, number: int, /) -> None:
        """Hear how many connections of clients are open."""
        ...

    def cut(self, why: str, /) -> None:
        """Hear of a client's connection that we ended, for one of the reasons in `service.connections.Cut`."""
        ...

    def holding(self, size: int, /) -> None:
        """Hear how many bytes of bodies are in memory."""
        ...


class Silent:
    """Tells nobody."""

    def request(self, _exchange: Exchange, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return nullcontext()

    def work(self, _work: Work, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return nullcontext()

    def stage(self, _name: str, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return nullcontext()

    def transaction(self, _kind: str, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return nullcontext()

    def taken(self, _kind: str, /) -> None:
        """See `Observer`."""

    def processed(self, _window: Processed, /) -> None:
        """See `Observer`."""

    def factorized(self, _seconds: float, _error: float, /) -> None:
        """See `Observer`."""

    def opened(self, _kind: str, /) -> None:
        """See `Observer`."""

    def dropped(self, _packets: int, /) -> None:
        """See `Observer`."""

    def delivered(self, _output: str, /, *, success: bool) -> None:
        """See `Observer`."""

    def connected(self, _number: int, /) -> None:
        """See `Observer`."""

    def cut(self, _why: str, /) -> None:
        """See `Observer`."""

    def holding(self, _size: int, /) -> None:
        """See `Observer`."""


SILENT = Silent()


class Observers:
    """Tells several."""

    def __init__(self, observers: Sequence[Observer], /) -> None:
        self._observers = tuple(observers)

    def request(self, exchange: Exchange, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return _all([each.request(exchange) for each in self._observers])

    def work(self, work: Work, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return _all([each.work(work) for each in self._observers])

    def stage(self, name: str, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return _all([each.stage(name) for each in self._observers])

    def transaction(self, kind: str, /) -> AbstractContextManager[None]:
        """See `Observer`."""
        return _all([each.transaction(kind) for each in self._observers])

    def taken(self, kind: str, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.taken(kind)

    def processed(self, window: Processed, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.processed(window)

    def factorized(self, seconds: float, error: float, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.factorized(seconds, error)

    def opened(self, kind: str, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.opened(kind)

    def dropped(self, packets: int, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.dropped(packets)

    def delivered(self, output: str, /, *, success: bool) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.delivered(output, success=success)

    def connected(self, number: int, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.connected(number)

    def cut(self, why: str, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.cut(why)

    def holding(self, size: int, /) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.holding(size)


@contextmanager
def _all(blocks: Sequence[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield
