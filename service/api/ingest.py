"""What the API needs to hand traffic on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.jobs import Added, Job
    from service.windows.counts import WindowCounts


class Receiving(Protocol):
    """A capture on its way in; called from one thread at a time."""

    def write(self, data: bytes) -> None:
        """Take what follows."""
        ...

    def finish(self) -> Added:
        """Accept what was written: it is stored then."""
        ...

    def drop(self) -> None:
        """Forget what was written."""
        ...


class Ingest(Protocol):
    """Accepts traffic; called from several threads at once. `service.intake.Intake` is the one.

    What is accepted is stored, and will be done. All may raise StoreError.
    """

    def seems_full(self) -> bool:
        """Tell whether `check_room` might refuse; asks nobody, so that it may be called where nothing may wait."""
        ...

    def check_room(self) -> None:
        """Raise BusyError if nothing would be accepted now."""
        ...

    def add_window(self, counts: WindowCounts) -> Added:
        """Accept a window; one that came before gets the first answer.

        Raises WindowConflictError if other content came before for its sensor, start and length, and BusyError.
        """
        ...

    def add_windows(self, windows: Sequence[WindowCounts]) -> Sequence[Added]:
        """Accept windows that come together, all or none; raises as `add_window` does, and says which it was."""
        ...

    def upload(self, sensor: str) -> Receiving:
        """Begin to accept a capture; raises BusyError."""
        ...

    def job(self, job_id: str) -> Job | None:
        """Return work that was accepted, or None."""
        ...
