"""Sends what a spool holds, in order, as long as it takes."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from service.errors import RemoteError

if TYPE_CHECKING:
    from service.client.client import Client
    from service.client.patience import Patience
    from service.sensor.spool import Spool

_log = logging.getLogger(__name__)

_REFUSED = frozenset({400, 409, 413, 415, 422})
"""Answers that will be the same tomorrow: this window can't be had."""
_IDLE = 1.0
"""Seconds after which an empty spool is looked at again, if nobody says that there is something."""


class Sender(threading.Thread):
    """Sends windows until it is stopped.

    A service that is away is asked again, with pauses; a window that it refuses for good is let go of. Looks at
    open windows are worth something only now: the latest one is sent if nothing else waits, once.
    """

    def __init__(self, client: Client, spool: Spool, patience: Patience) -> None:
        super().__init__(name="sender", daemon=True)
        self._client = client
        self._spool = spool
        self._patience = patience
        self._ended = threading.Event()
        self._news = threading.Event()
        self._look: bytes | None = None
        self.sent = 0
        self.refused = 0
        """Windows that the service will not have."""
        self.trouble: str | None = None
        """Why nothing can be sent now, or None."""

    def look(self, document: bytes) -> None:
        """Send this look, if nothing else waits."""
        self._look = document
        self._news.set()

    def wake(self) -> None:
        """Look at the spool at once."""
        self._news.set()

    def stop(self, seconds: float) -> None:
        """Send what waits for at most so many seconds more, then end; what is left stays in the spool."""
        self._ended.set()
        self._news.set()
        if self.is_alive():
            self.join(seconds)

    def run(self) -> None:
        """Send until it is stopped and nothing waits, or the service is away."""
        failures = 0
        while True:
            self._news.clear()
            if self._send_oldest():
                failures = 0
                continue
            if self._ended.is_set():
                return
            failures = failures + 1 if self.trouble else 0
            self._news.wait(self._patience.pause(failures) if failures else _IDLE)

    def _send_oldest(self) -> bool:
        """Send a window, or a look; return False if there is none, or it can't be sent now."""
        waiting = self._spool.oldest()
        if waiting is None:
            return self._send_look()
        window, document = waiting
        try:
            self._client.send_window(document)
            self.sent += 1
        except RemoteError as error:
            if error.status not in _REFUSED:
                self._note(str(error))
                return False
            self.refused += 1
            _log.warning("window refused", extra={"reason": str(error)})
        self._note(None)
        self._spool.done(window)
        return True

    def _send_look(self) -> bool:
        look, self._look = self._look, None
        if look is None:
            return False
        try:
            self._client.send_window(look)
        except RemoteError as error:
            self._note(None if error.status in _REFUSED else str(error))
            return False
        self._note(None)
        return True

    def _note(self, trouble: str | None) -> None:
        if trouble and not self.trouble:
            _log.warning("the service can't be reached; windows are kept", extra={"reason": trouble})
        if self.trouble and not trouble:
            _log.info("the service is back", extra={"waiting": len(self._spool)})
        self.trouble = trouble
