from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from service.errors import DeliveryError
from service.outputs.courier import CourierSpec, Outlet
from service.outputs.dispatcher import Dispatcher
from service.store.sql import SqlStore
from tests.builders import an_alert
from tests.outputs.receivers import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from service.outputs.output import Notice


class Well:
    def __init__(self) -> None:
        self.taken: list[str] = []
        self.closed = False

    def deliver(self, notice: Notice) -> None:
        self.taken.append(notice.alert.id)

    def close(self) -> None:
        self.closed = True


class Down(Well):
    def deliver(self, notice: Notice) -> None:
        raise DeliveryError("no connection", away=True)


class Hanging(Well):
    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def deliver(self, notice: Notice) -> None:
        self.free.wait(10)
        super().deliver(notice)


def test_an_output_that_is_down_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    well, down, hanging = Well(), Down(), Hanging()
    outlets = [Outlet("down", down), Outlet("hanging", hanging), Outlet("well", well)]
    dispatcher = Dispatcher(outlets, store, CourierSpec(pause=0.01))
    dispatcher.start()
    for number in range(3):
        with store.begin() as unit:
            unit.save_alerts([an_alert(id=f"a{number}")])
    eventually(lambda: len(well.taken) == 3)
    assert (well.taken, hanging.taken) == (["a0", "a1", "a2"], [])
    dispatcher.stop(0.1)
    assert [each.closed for each in (well, hanging)] == [True, False]
    hanging.free.set()
    dispatcher.stop()
    assert hanging.closed
    with store.read() as unit:
        behind = {each.delivery.output: each.behind for each in unit.deliveries.standings()}
    assert behind == {"down": 3, "hanging": 2, "well": 0}
    store.close()


def test_a_dispatcher_without_outputs_starts_and_stops(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    dispatcher = Dispatcher([], store)
    dispatcher.start()
    dispatcher.stop()
    store.close()
