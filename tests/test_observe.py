from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from service.observe import SILENT, Exchange, Observer, Observers, Processed, Silent, Work, current_ids, identified

HEARD: list[tuple[str, Callable[[Observer], None]]] = [
    ("taken", lambda observer: observer.taken("window")),
    ("processed", lambda observer: observer.processed(Processed(0, 1, 2, 0, 0))),
    ("factorized", lambda observer: observer.factorized(0.1, 0.2)),
    ("opened", lambda observer: observer.opened("block")),
    ("dropped", lambda observer: observer.dropped(3)),
    ("delivered", lambda observer: observer.delivered("syslog", success=True)),
    ("connected", lambda observer: observer.connected(3)),
    ("cut", lambda observer: observer.cut("idle")),
]
ENCLOSED: list[tuple[str, Callable[[Observer], AbstractContextManager[None]]]] = [
    ("request", lambda observer: observer.request(Exchange("GET"))),
    ("work", lambda observer: observer.work(Work("window"))),
    ("stage", lambda observer: observer.stage("save")),
    ("transaction", lambda observer: observer.transaction("read")),
]


class Recorder(Silent):
    def __init__(self, name: str, heard: list[str]) -> None:
        self._name, self._heard = name, heard

    def __getattribute__(self, name: str) -> object:
        if name.startswith("_"):
            return object.__getattribute__(self, name)

        @contextmanager
        def block() -> Iterator[None]:
            self._heard.append(f"{self._name} {name}")
            yield
            self._heard.append(f"{self._name} end")

        def hear(*_: object, **__: object) -> AbstractContextManager[None] | None:
            if name in dict(ENCLOSED):
                return block()
            self._heard.append(f"{self._name} {name}")
            return None

        return hear


@pytest.mark.parametrize(("name", "tell"), HEARD, ids=[name for name, _ in HEARD])
def test_all_observers_hear_it(name: str, tell: Callable[[Observer], None]) -> None:
    heard: list[str] = []
    tell(Observers([Recorder("a", heard), Recorder("b", heard)]))
    tell(SILENT)
    assert heard == [f"a {name}", f"b {name}"]


@pytest.mark.parametrize(("name", "enclose"), ENCLOSED, ids=[name for name, _ in ENCLOSED])
def test_all_observers_enclose_it(name: str, enclose: Callable[[Observer], AbstractContextManager[None]]) -> None:
    heard: list[str] = []
    with enclose(Observers([Recorder("a", heard), Recorder("b", heard)])), enclose(SILENT):
        heard.append("done")
    assert heard == [f"a {name}", f"b {name}", "done", "b end", "a end"]


def test_ids_add_up_and_end_with_their_block() -> None:
    with identified(request="r1"):
        with identified(window="w1"):
            assert current_ids() == {"request": "r1", "window": "w1"}
        assert current_ids() == {"request": "r1"}
    assert current_ids() == {}


def test_ids_of_other_threads_are_others() -> None:
    found: list[dict[str, str]] = []
    with identified(request="r1"):
        thread = threading.Thread(target=lambda: found.append(current_ids()))
        thread.start()
        thread.join()
    assert found == [{}]
