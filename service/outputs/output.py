"""What an output is, and what it is handed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.alerts.alert import Alert
    from service.store.events import Event


@dataclass(frozen=True, slots=True)
class Notice:
    """An event and its alert as it was then."""

    event: Event
    alert: Alert

    @property
    def id(self) -> str:
        """What receivers know a repetition by: the event's number, and a digest of what it is.

        The number alone would be given again after a backup was restored, and by other installations.
        """
        event = self.event
        what = f"{event.sequence} {event.at} {event.kind.value} {event.alert}".encode()
        return f"{event.sequence}-{blake2b(what, digest_size=6).hexdigest()}"


class Output(Protocol):
    """A receiver of events; used by one thread."""

    def deliver(self, notice: Notice) -> None:
        """Hand over an event, and return when it was taken; raises DeliveryError if it was not."""
        ...

    def close(self) -> None:
        """Let go of connections and files; `deliver` opens them again."""
        ...
