"""One output's way through the events."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.client.patience import Patience
from service.errors import DeliveryError, StoreError
from service.observe import SILENT, Observer
from service.outputs.output import Notice
from service.outputs.wanted import Wanted
from service.store.deliveries import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.outputs.output import Output
    from service.store.deliveries import DeadLetter
    from service.store.events import Event
    from service.store.sql import SqlStore

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
_LONGEST_PAUSE = 3600.0
"""Seconds that an output may ask to be left alone for."""
_LONGEST_REASON = 500
"""Characters"""


@dataclass(frozen=True, slots=True)
class Outlet:
    """An output, by a name of its own, and what it is for."""

    name: str
    output: Output
    wanted: Wanted = field(default_factory=Wanted)
    patience: Patience = field(default_factory=lambda: Patience(tries=20, first=1.0, longest=300.0))
    """Its tries are how often an output may refuse an event; an output that is away is waited for."""


@dataclass(frozen=True, slots=True)
class CourierSpec:
    """How events are read; raises ValueError for what is not positive."""

    at_once: int = 100
    """Events that are read at a time."""
    pause: float = 0.5
    """Seconds between two looks where there was nothing."""
    lease: float = 60.0
    """Seconds for which no other process tries; longer than one delivery takes."""

    def __post_init__(self) -> None:
        if min(self.at_once, self.pause, self.lease) <= 0:
            raise ValueError(f"courier: {self} is not all positive")


@dataclass(frozen=True, slots=True)
class _Item:
    """An event that comes next, or one that was given up and comes again."""

    event: Event
    notice: Notice | None
    """None if its document can't be read."""
    wanted: bool
    letter: DeadLetter | None = None


class Courier:
    """Hands events to one output, in order, each at least once; `clock` gives ns since the epoch.

    The position moves with each event that was taken, so that a crash repeats at most one. Events that were put
    back come first.
    """

    def __init__(
        self,
        outlet: Outlet,
        store: SqlStore,
        spec: CourierSpec | None = None,
        observer: Observer = SILENT,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._outlet = outlet
        self._store = store
        self._spec = spec or CourierSpec()
        self._observer = observer
        self._clock = clock
        self._failures = 0
        self._leased = 0

    def step(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """Hand over what waits; return after how many seconds to look again. Raises StoreError."""
        with self._store.read() as unit:
            state = unit.deliveries.of(self._outlet.name)
        if state is None:
            self.enrol()
            return 0.0
        waits = 0 if state.until == self._leased else state.waits(self._clock())
        if waits:
            return min(waits / _SECOND, 10 * self._spec.pause)
        items = self._items(state)
        held = self._moved(state, replace(state, until=self._lease_end())) if items else None
        if held is None:
            return self._spec.pause
        return self._hand_over(held, items, stopped)

    def close(self) -> None:
        """Let go of what the output holds."""
        self._outlet.output.close()

    def enrol(self) -> None:
        """Let the output begin with what happens from now on, unless it has begun; raises StoreError."""
        with self._store.begin() as unit:
            unit.deliveries.enrol(self._outlet.name, unit.events.latest())

    def _items(self, state: Delivery) -> list[_Item]:
        name, most = self._outlet.name, self._spec.at_once
        with self._store.read() as unit:
            letters = unit.deliveries.returned(name, most)
            events = unit.events.after(state.position, most)
            filed = unit.desk.filed({event.alert for event in events}) if events else {}
        muted = {alert: each.said.muted_until for alert, each in filed.items()}
        again = [_Item(letter.event, _notice(letter.event), wanted=True, letter=letter) for letter in letters]
        return again + [self._item(event, muted.get(event.alert)) for event in events]

    def _item(self, event: Event, muted_until: int | None) -> _Item:
        notice = _notice(event)
        return _Item(event, notice, wanted=notice is None or self._outlet.wanted.takes(notice, muted_until))

    def _hand_over(self, held: Delivery, items: list[_Item], stopped: Callable[[], bool]) -> float:
        """Hand over what waits, under a lease; give it back at the end."""
        latest = held
        for item in items:
            if stopped():
                break
            if not item.wanted:
                latest = _past(latest, item)
                continue
            try:
                self._deliver(item)
            except DeliveryError as error:
                return self._failed(held, latest, item, error)
            moved = self._delivered(held, latest, item)
            if moved is None:
                return self._spec.pause
            held = latest = moved
        self._moved(held, replace(latest, until=0))
        # After a full batch there may be more.
        return 0.0 if len(items) >= self._spec.at_once and not stopped() else self._spec.pause

    def _deliver(self, item: _Item) -> None:
        if item.notice is None:
            raise DeliveryError("its stored document is damaged", permanent=True)
        try:
            self._outlet.output.deliver(item.notice)
        except ValueError as error:
            raise DeliveryError(f"it can't be written in this form: {error}", permanent=True) from error

    def _delivered(self, held: Delivery, latest: Delivery, item: _Item) -> Delivery | None:
        """Move on; return None if another process has taken over meanwhile."""
        if self._failures:
            _log.info("output takes events again", extra={"output": self._outlet.name})
        self._failures = 0
        self._observer.delivered(self._outlet.name, success=True)
        after = replace(_past(latest, item), tries=0, failure=None, until=self._lease_end())
        return self._moved(held, after, forget=item.letter)

    def _failed(self, held: Delivery, latest: Delivery, item: _Item, error: DeliveryError) -> float:
        """Wait before the next try, or give the event up; return after how many seconds to look again."""
        name, patience = self._outlet.name, self._outlet.patience
        self._failures += 1
        self._observer.delivered(name, success=False)
        reason = str(error)[:_LONGEST_REASON]
        tries = latest.tries + (0 if error.away else 1)
        if error.permanent or tries >= patience.tries:
            self._give_up(held, replace(latest, tries=0, failure=reason, until=0), item)
            return 0.0
        pause = max(patience.pause(self._failures), min(error.pause, _LONGEST_PAUSE))
        until = self._clock() + int(pause * _SECOND)
        # Only the first of a row: an output that is away for days is no news every minute.
        if self._failures == 1:
            _log.warning("output does not take events", extra={"output": name, "reason": reason})
        self._moved(held, replace(latest, tries=tries, failure=reason, until=until))
        # That was no lease: this courier waits, too.
        self._leased = 0
        return min(pause, 10 * self._spec.pause)

    def _give_up(self, held: Delivery, latest: Delivery, item: _Item) -> None:
        name, reason = self._outlet.name, latest.failure or ""
        with self._store.begin() as unit:
            if not unit.deliveries.change(held, _past(latest, item)):
                return
            if item.letter is not None:
                unit.deliveries.forget(item.letter)
            gone = unit.deliveries.bury(name, item.event, self._clock(), reason)
        self._failures = 0
        _log.warning(
            "output will not have an event", extra={"output": name, "event": item.event.sequence, "reason": reason}
        )
        if gone:
            _log.warning(
                "too many events were given up; the oldest are gone", extra={"output": name, "events": gone}
            )

    def _moved(self, before: Delivery, after: Delivery, forget: DeadLetter | None = None) -> Delivery | None:
        """Write where the output stands; return None if it is another process's now."""
        with self._store.begin() as unit:
            if not unit.deliveries.change(before, after):
                return None
            if forget is not None:
                unit.deliveries.forget(forget)
        self._leased = after.until
        return after

    def _lease_end(self) -> int:
        return self._clock() + int(self._spec.lease * _SECOND)


def _past(state: Delivery, item: _Item) -> Delivery:
    """Return where an output stands after an event; one that comes again was passed long ago."""
    return state if item.letter is not None else replace(state, position=item.event.sequence)


def _notice(event: Event) -> Notice | None:
    try:
        return Notice(event, event.told())
    except StoreError:
        return None
