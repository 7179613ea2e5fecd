"""Runs the outputs: a thread each, so that one which is down holds up nobody else."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from service.errors import StoreError
from service.observe import SILENT, Observer
from service.outputs.courier import Courier, CourierSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.outputs.courier import Outlet
    from service.store.sql import SqlStore

_log = logging.getLogger(__name__)

_STORE_PAUSE = 1.0
"""Seconds before the store is asked again after it failed."""


class Dispatcher:
    """Hands events to outputs from `start` to `stop`, also beside other processes that do the same."""

    def __init__(
        self,
        outlets: Sequence[Outlet],
        store: SqlStore,
        spec: CourierSpec | None = None,
        observer: Observer = SILENT,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._stop = threading.Event()
        couriers = [(outlet.name, Courier(outlet, store, spec, observer, clock)) for outlet in outlets]
        self._couriers = [courier for _, courier in couriers]
        self._threads = [
            threading.Thread(target=self._run, args=each, name=f"output {each[0]}", daemon=True)
            for each in couriers
        ]

    def start(self) -> None:
        """Begin; what happens from now on reaches new outputs, too. Raises StoreError."""
        for courier in self._couriers:
            courier.enrol()
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the deliveries that go on, for at most so many seconds; what is not finished is done again."""
        self._stop.set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))

    def _run(self, name: str, courier: Courier) -> None:
        while not self._stop.is_set():
            try:
                pause = courier.step(self._stop.is_set)
            except StoreError as error:
                _log.warning("events can't be read", extra={"output": name, "reason": str(error)})
                pause = _STORE_PAUSE
            self._stop.wait(pause)
        courier.close()
