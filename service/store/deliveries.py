"""How far each output has told the events, and what it gave up.

One process at a time works on an output: it sets the time before which no other one touches it, and writes only
while that time is still the one that it set. Nothing is lost if it dies: after that time another goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, func, insert, select, update

from service.errors import NotFoundError, StoreError
from service.store import tables
from service.store.events import Event
from service.store.paging import page_of
from service.store.statements import add_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

MOST_LETTERS = 10_000
"""Events that an output gave up and that are kept; beyond, the oldest go."""

_LONGEST = 2 * 3600 * 1_000_000_000
"""ns; nobody waits longer on purpose: a time beyond was set by a clock that was wrong."""

_TABLE = tables.deliveries
_LETTERS = tables.dead_letters
_EVENT = TypeAdapter(Event)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where an output stands."""

    output: str
    position: int
    """Number of the last event that it told, left out or gave up."""
    tries: int = 0
    """How often it would not take the next one."""
    until: int = 0
    """Before this time, ns since the epoch, nobody tries but who set it."""
    failure: str | None = None
    """Why the last try failed; None if it did not."""

    def waits(self, now: int) -> int:
        """Return for how many ns from now nobody may try, or 0."""
        left = self.until - now
        return left if 0 < left <= _LONGEST else 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that an output gave up."""

    number: int
    output: str
    at: int
    """When it was given up, ns since the epoch."""
    reason: str
    """Why; empty once it is to be tried again."""
    event: Event


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an output stands, and what is before it."""

    delivery: Delivery
    behind: int
    """Events after its position."""
    since: int | None
    """When the first of these was written, ns since the epoch."""
    dead: int
    """Events that it gave up ..."""
    returned: int
    """... and others that are to be tried again."""

    def waited(self, now: int) -> float:
        """Return for how many seconds the first of the events before it has waited, to the ms; 0 without one."""
        return 0.0 if self.since is None else max(0.0, round((now - self.since) / 1e9, 3))


class SqlDeliveries:
    """The tables of deliveries and dead letters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, output: str) -> Delivery | None:
        """Return where an output stands, or None if it never began."""
        row = self._connection.execute(select(_TABLE).where(_TABLE.c.output == output)).one_or_none()
        return None if row is None else _delivery(row)

    def enrol(self, output: str, position: int) -> None:
        """Let an output begin after an event, unless it has begun."""
        self._connection.execute(add_new(_TABLE, "output"), _row(Delivery(output, position)))

    def change(self, before: Delivery, after: Delivery) -> bool:
        """Write where an output stands now; return False if it is no longer as it was, which changes nothing."""
        unchanged = (
            _TABLE.c.output == before.output,
            _TABLE.c.position == before.position,
            _TABLE.c.next_ns == before.until,
        )
        return bool(self._connection.execute(update(_TABLE).where(*unchanged).values(_row(after))).rowcount)

    def bury(self, output: str, event: Event, at: int, reason: str) -> int:
        """Keep an event that an output gave up; return how many older ones had to go for it."""
        row = {
            "output": output,
            "event": event.sequence,
            "at_ns": at,
            "reason": reason,
            "document": _EVENT.dump_json(event).decode(),
        }
        self._connection.execute(insert(_LETTERS), row)
        most = select(_LETTERS.c.sequence).where(_LETTERS.c.output == output)
        oldest_kept = self._connection.execute(
            most.order_by(_LETTERS.c.sequence.desc()).limit(1).offset(MOST_LETTERS - 1)
        ).scalar_one_or_none()
        if oldest_kept is None:
            return 0
        gone = delete(_LETTERS).where(_LETTERS.c.output == output, _LETTERS.c.sequence < oldest_kept)
        return self._connection.execute(gone).rowcount

    def letters(
        self, output: str, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[DeadLetter], str | None]:
        """Return events that an output gave up, latest first, and the cursor of the page after.

        Raises NotFoundError for a cursor that is none of this listing's.
        """
        rows = select(_LETTERS).where(_LETTERS.c.output == output, _LETTERS.c.reason != "")
        found, following = page_of(self._connection, rows, _LETTERS.c.sequence, limit, cursor)
        return list(map(_letter, found)), following

    def returned(self, output: str, limit: int) -> Sequence[DeadLetter]:
        """Return up to `limit` events that are to be tried again, in their order."""
        rows = select(_LETTERS).where(_LETTERS.c.output == output, _LETTERS.c.reason == "")
        ordered = rows.order_by(_LETTERS.c.event, _LETTERS.c.sequence).limit(limit)
        return list(map(_letter, self._connection.execute(ordered)))

    def put_back(self, output: str) -> int:
        """Let an output try again what it gave up, and at once; return how many events these are.

        Raises NotFoundError if there is no such output.
        """
        state = self.begun(output)
        if state.failure is not None:
            self.change(state, replace(state, tries=0, until=0))
        dead = update(_LETTERS).where(_LETTERS.c.output == output, _LETTERS.c.reason != "")
        return self._connection.execute(dead.values(reason="")).rowcount

    def dismiss(self, output: str) -> None:
        """Forget an output and what it gave up; raises NotFoundError if there is no such output."""
        if not self._connection.execute(delete(_TABLE).where(_TABLE.c.output == output)).rowcount:
            raise NotFoundError(f"output {output}: none of this name has begun; `yocho outputs` lists them")
        self._connection.execute(delete(_LETTERS).where(_LETTERS.c.output == output))

    def forget(self, letter: DeadLetter) -> None:
        """Let go of an event that was told after all."""
        self._connection.execute(delete(_LETTERS).where(_LETTERS.c.sequence == letter.number))

    def standings(self) -> Sequence[Standing]:
        """Return all outputs that ever began, by name."""
        rows = self._connection.execute(select(_TABLE).order_by(_TABLE.c.output)).all()
        return [self._standing(_delivery(row)) for row in rows]

    def standing(self, output: str) -> Standing:
        """Return where an output stands; raises NotFoundError if there is no such output."""
        return self._standing(self.begun(output))

    def begun(self, output: str) -> Delivery:
        """Return where an output stands; raises NotFoundError if it never began."""
        state = self.of(output)
        if state is None:
            raise NotFoundError(f"output {output}: none of this name has begun; `yocho outputs` lists them")
        return state

    def _standing(self, delivery: Delivery) -> Standing:
        events = tables.events
        ahead = select(func.count(), func.min(events.c.at_ns)).where(events.c.sequence > delivery.position)
        behind, since = self._connection.execute(ahead).one()
        letters = select(func.count()).where(_LETTERS.c.output == delivery.output)
        dead = self._connection.execute(letters.where(_LETTERS.c.reason != "")).scalar_one()
        returned = self._connection.execute(letters.where(_LETTERS.c.reason == "")).scalar_one()
        return Standing(delivery, behind, since, dead, returned)


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "output": delivery.output,
        "position": delivery.position,
        "tries": delivery.tries,
        "next_ns": delivery.until,
        "failure": delivery.failure,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(row.output, row.position, row.tries, row.next_ns, row.failure)


def _letter(row: Row[Any]) -> DeadLetter:
    try:
        event = _EVENT.validate_json(row.document)
    except ValidationError as error:
        raise StoreError(
            f"dead letter {row.sequence}: its document is damaged ({error}); restore a backup"
        ) from error
    return DeadLetter(row.sequence, row.output, row.at_ns, row.reason, event)
