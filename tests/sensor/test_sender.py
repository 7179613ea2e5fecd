from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from service.client.client import Client
from service.client.patience import Patience
from service.sensor.sender import Sender
from service.sensor.spool import Spool, SpoolSpec

NOW = Patience(tries=1, first=0.001, longest=0.01)


class Service:
    """Keeps what it accepts; says `status` to everything, 0 for being away."""

    def __init__(self) -> None:
        self.status = 202
        self.refuse: set[bytes] = set()
        self.kept: list[bytes] = []
        self.asked = threading.Event()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        if self.status == 0:
            raise httpx.ConnectError("refused")
        body = request.read()
        if body in self.refuse:
            return httpx.Response(409, json={"detail": "other content"})
        if self.status < 300:
            self.kept.append(body)
        return httpx.Response(self.status, json={})


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(SpoolSpec(tmp_path))) as spool:
        yield spool


@pytest.fixture
def sender(service: Service, spool: Spool) -> Iterator[Sender]:
    client = Client("http://yocho", patience=NOW, transport=httpx.MockTransport(service.answer))
    sender = Sender(client, spool, NOW)
    yield sender
    sender.stop(5)
    client.close()


def wait_for(what: Callable[[], bool], *, until: float = 5.0) -> None:
    deadline = time.monotonic() + until
    while not what():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.002)


def test_windows_are_sent_in_order(service: Service, spool: Spool, sender: Sender) -> None:
    for number in range(5):
        spool.put(b"%d" % number, 0)
    sender.start()
    wait_for(lambda: sender.sent == 5)
    assert service.kept == [b"0", b"1", b"2", b"3", b"4"]
    spool.put(b"5", 0)
    sender.wake()
    wait_for(lambda: len(spool) == 0)
    assert service.kept[-1] == b"5"


@pytest.mark.parametrize("status", [0, 429, 500, 503, 401, 403])
def test_nothing_is_lost_while_the_service_is_away(
    service: Service, spool: Spool, sender: Sender, status: int
) -> None:
    service.status = status
    spool.put(b"one", 0)
    sender.start()
    service.asked.wait(5)
    spool.put(b"two", 0)
    wait_for(lambda: sender.trouble is not None)
    assert len(spool) == 2
    service.status = 202
    wait_for(lambda: len(spool) == 0)
    assert service.kept == [b"one", b"two"]
    assert sender.trouble is None


def test_a_window_that_is_refused_does_not_hold_up_the_others(
    service: Service, spool: Spool, sender: Sender
) -> None:
    service.refuse = {b"bad"}
    for text in (b"one", b"bad", b"two"):
        spool.put(text, 0)
    sender.start()
    wait_for(lambda: len(spool) == 0)
    assert service.kept == [b"one", b"two"]
    assert (sender.sent, sender.refused) == (2, 1)


def test_a_look_waits_for_windows_and_only_the_latest_counts(
    service: Service, spool: Spool, sender: Sender
) -> None:
    spool.put(b"window", 0)
    sender.look(b"old look")
    sender.look(b"look")
    sender.start()
    wait_for(lambda: len(service.kept) == 2)
    assert service.kept == [b"window", b"look"]


def test_a_look_that_fails_is_forgotten(service: Service, sender: Sender) -> None:
    service.status = 0
    sender.look(b"look")
    sender.start()
    wait_for(lambda: sender.trouble is not None)
    service.status = 202
    sender.look(b"later look")
    wait_for(lambda: service.kept == [b"later look"])


def test_what_waits_is_sent_at_the_end(service: Service, spool: Spool, sender: Sender) -> None:
    sender.start()
    for number in range(3):
        spool.put(b"%d" % number, 0)
    sender.stop(5)
    assert service.kept == [b"0", b"1", b"2"]
    assert not sender.is_alive()


def test_a_service_that_is_away_does_not_hold_up_the_end(service: Service, spool: Spool, sender: Sender) -> None:
    service.status = 0
    spool.put(b"one", 0)
    sender.start()
    sender.stop(5)
    assert not sender.is_alive()
    assert len(spool) == 1
