from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from service.api.app import create_app
from service.api.body_room import BodyRoom
from service.api.seen import Outside
from service.api.spec import ApiSpec
from service.errors import BusyError
from service.observe import Silent
from tests.api.client import Client, the_problem
from tests.api.posts import PCAP, WINDOW, holds_nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from service.store.sql import SqlStore
    from tests.api.fakes import FakeIngest


class Heard(Silent):
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def holding(self, size: int, /) -> None:
        self.sizes.append(size)


def test_all_bodies_have_one_bound() -> None:
    heard = Heard()
    room = BodyRoom(100, heard)
    with room.portion("a") as first, room.portion("b") as second, room.portion("c") as third:
        first.more(50)
        second.more(40)
        with pytest.raises(BusyError, match="90 bytes of other bodies") as refusal:
            third.check(11)
        assert refusal.value.retry_after == 2
        third.more(10)
        with pytest.raises(BusyError):
            second.more(1)
    assert heard.sizes[-1] == 0
    assert max(heard.sizes) == 100


def test_one_sender_gets_half_of_it() -> None:
    room = BodyRoom(100)
    with room.portion("a") as first, room.portion("a") as second, room.portion("b") as other:
        first.more(30)
        second.more(20)
        with pytest.raises(BusyError):
            second.more(1)
        other.more(50)


def test_a_body_larger_than_the_room_is_taken_alone() -> None:
    room = BodyRoom(100)
    with room.portion("a") as large:
        large.more(150)
        with room.portion("b") as small, pytest.raises(BusyError):
            small.more(1)
    with room.portion("b") as small:
        small.more(1)


def test_large_bodies_are_read_two_at_a_time() -> None:
    most, now, guard = 0, 0, threading.Lock()

    def read() -> None:
        nonlocal most, now
        with guard:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.01)
        with guard:
            now -= 1

    async def all_of_them(size: int) -> None:
        room = BodyRoom(1 << 30)
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(room.read, size, read)

    anyio.run(all_of_them, 1 << 20)
    assert most == 2
    most = 0
    anyio.run(all_of_them, (1 << 20) - 1)
    assert most > 2


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def app(ingest: FakeIngest, store: SqlStore, heard: Heard) -> FastAPI:
    spec = ApiSpec(max_json_bytes=60, max_capture_bytes=5_000_000, max_body_bytes=100)
    return create_app(spec, ingest, store, "1.2.3", Outside(heard))


async def held_open(app: FastAPI, headers: dict[str, str]) -> httpx.Response:
    """Return the answer to a request that comes while the body of another one is on its way."""
    arrived, over = anyio.Event(), anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 60
        arrived.set()
        await over.wait()

    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://yocho.test") as client,
        anyio.create_task_group() as group,
    ):
        json = {"Content-Type": "application/json"}
        group.start_soon(lambda: client.post("/v1/windows", content=slow(), headers=json))
        await arrived.wait()
        answer = await client.post("/v1/windows", content=b"y" * 60, headers=headers)
        over.set()
    return answer


@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"}, PCAP])
def test_who_comes_when_there_is_no_room_for_bodies_comes_later(
    app: FastAPI, headers: dict[str, str], store: SqlStore, heard: Heard
) -> None:
    answer = anyio.run(held_open, app, headers)
    problem = the_problem(answer, 429)
    assert "no room for more" in problem["detail"]
    assert answer.headers["Retry-After"] == "2"
    assert heard.sizes[-1] == 0
    assert holds_nothing(store)


def test_a_capture_takes_no_more_room_than_a_part_of_it(store: SqlStore, ingest: FakeIngest, heard: Heard) -> None:
    client = Client(create_app(ApiSpec(), ingest, store, "1.2.3", Outside(heard)))
    client.post("/v1/windows", content=bytes(3 << 20), headers=PCAP)
    assert max(heard.sizes) == 1 << 20
    assert client.post("/v1/windows", json=WINDOW).status_code == 201
    assert heard.sizes[-1] == 0
