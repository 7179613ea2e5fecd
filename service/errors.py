"""Every error that Yocho raises on purpose.

YochoError
├── CaptureError        a file that is no capture, or one that can't be opened
├── InputError          values from outside that make no sense; names the field
├── WindowConflictError a window of the same sensor, start and length, with other content
├── BusyError           so much waits already that no more is taken; says when to come again
├── NotFoundError       an id or cursor that the store doesn't hold
├── StoreError          a database that can't be opened or is not ours
│   └── FullError       a disk without room: nothing is lost, and all goes on when there is some
├── RemoteError         an installation that can't be reached, or refuses
├── DeliveryError       an output that did not take an event
└── SettingsError       a setting that is unknown or wrong
"""


class YochoError(Exception):
    """The root: the message says what was wrong, where, and what to do."""


class CaptureError(YochoError):
    """The input is no capture that can be read."""


class InputError(YochoError):
    """A value from outside makes no sense.

    `field` is the path of the value inside the document, such as ``rows[3].service``.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class WindowConflictError(YochoError):
    """The window was accepted before with other content.

    `place` is which of several that came together it was, from 0.
    """

    def __init__(self, message: str, place: int | None = None) -> None:
        super().__init__(message)
        self.place = place


class BusyError(YochoError):
    """More waits to be done than there is room for.

    `retry_after` is in how many seconds there should be room.
    """

    def __init__(self, retry_after: int, message: str) -> None:
        super().__init__(f"{message}; try again in {retry_after} s")
        self.retry_after = retry_after


class NotFoundError(YochoError):
    """The store holds nothing under that id."""


class StoreError(YochoError):
    """The database can't be opened, or is not a Yocho database."""


class FullError(StoreError):
    """There is no room on the disk for what was to be written; nothing of it was."""


class RemoteError(YochoError):
    """Another installation can't be reached, or refuses what it is asked.

    `status` is that of its answer, None if there was none; `problem` is the problem document (RFC 9457), if any.
    """

    def __init__(self, message: str, status: int | None = None, problem: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {}


class DeliveryError(YochoError):
    """An output did not take an event.

    `permanent`: it never will. `away`: it could not be asked at all, so that says nothing about the event. `pause`:
    so many seconds it wants to be left alone.
    """

    def __init__(self, message: str, *, permanent: bool = False, away: bool = False, pause: float = 0.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.away = away
        self.pause = pause


class SettingsError(YochoError):
    """A setting is unknown or has an impossible value."""
