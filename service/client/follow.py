"""The stream of alerts, without end: after a break it goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.client.patience import LATER, asked_pause, refusal
from service.client.steps import Answer, Call, Event, Failure, Line, NextLine, Open, Pause, Tell
from service.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.client.patience import Patience
    from service.client.steps import Steps

_LONGEST_EVENT = 1 << 22
"""Characters of one event: an alert has a thousand sources at most."""


class EventParser:
    """Puts events together from lines (WHATWG HTML, 9.2.6, server-sent events)."""

    def __init__(self) -> None:
        self._id = 0
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, line: str) -> Event | None:
        """Take a line without its end; return the event that it ends, if it does.

        Raises RemoteError for an event that is none of ours.
        """
        if not line:
            return self._finished()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        self._size += len(line)
        if self._size > _LONGEST_EVENT:
            raise RemoteError(f"the stream has an event of more than {_LONGEST_EVENT} characters")
        if name == "id" and value.isascii() and value.isdigit() and len(value) < 20:
            self._id = int(value)
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        return None

    def _finished(self) -> Event | None:
        data, kind = "\n".join(self._data), self._kind
        self._data, self._kind, self._size = [], "", 0
        if not data:
            return None
        try:
            alert = json.loads(data)
        except ValueError:
            alert = None
        if not isinstance(alert, dict):
            raise RemoteError(f"the stream has an event that is no JSON object, after {self._id}")
        return Event(self._id, kind, alert)


def follow(after: int | None, filters: Mapping[str, str | float], patience: Patience) -> Steps[None]:
    """Tell what happens to alerts after the event `after`, or from now on.

    Raises RemoteError when patience ends.
    """
    failures, last = 0, after
    while True:
        call = _call(last, filters)
        outcome = yield Open(call)
        failures += 1
        if isinstance(outcome, Answer) and outcome.status < 400:
            heard = yield from _heard(last)
            failures = failures if heard is None else 0
            last = last if heard is None else heard.last
            outcome = Failure("the stream broke off")
        assert isinstance(outcome, Answer | Failure)  # noqa: S101  (what opening a stream leads to)
        lost = isinstance(outcome, Answer) and outcome.status not in LATER
        if lost or failures >= patience.tries:
            raise refusal(call, outcome)
        yield Pause(patience.pause(max(failures, 1), asked_pause(outcome)))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A stream that said something."""

    last: int | None
    """Id of its last event, or of the last one of those before."""


def _heard(last: int | None) -> Steps[_Heard | None]:
    """Tell the events of the stream that was opened until it ends; None if it said nothing at all."""
    parser, heard = EventParser(), False
    while isinstance(outcome := (yield NextLine()), Line) and outcome.text is not None:
        heard = True
        event = parser.feed(outcome.text)
        if event is not None:
            last = event.id
            yield Tell(event)
    return _Heard(last) if heard else None


def _call(last: int | None, filters: Mapping[str, str | float]) -> Call:
    resume = {} if last is None else {"last-event-id": str(last)}
    params = {name: str(value) for name, value in filters.items()}
    return Call("GET", "/v1/alerts/stream", params, {"accept": "text/event-stream"} | resume)
