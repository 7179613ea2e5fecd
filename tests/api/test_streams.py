from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.exceptions import HTTPException

from service.access.token import Scope, Token, hash_of, new_secret
from service.alerts.alert import Kind
from service.api import streams
from service.api.access import AccessSpec, Gate
from service.api.app import create_app
from service.api.streams import AlertStreams, StreamSpec, Wanted
from service.errors import StoreError
from tests.api.client import Client, the_fields, the_problem
from tests.api.fakes import BrokenStore, FakeIngest
from tests.builders import MINUTE, START, a_record, an_alert

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI
    from starlette.types import Message

    from service.alerts.alert import Alert
    from service.api.spec import ApiSpec
    from service.store.sql import SqlStore

QUICK = StreamSpec(pause=0.005, beat=0.05, patience=5.0)


@dataclass
class Listener:
    """Reads a stream as a server does, until it has heard enough."""

    app: FastAPI
    query: str = ""
    last_event_id: int | None = None
    secret: str | None = None
    status: int = 0
    heard: str = ""
    over: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    takes: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        headers = [] if self.last_event_id is None else [(b"last-event-id", str(self.last_event_id).encode())]
        if self.secret is not None:
            headers.append((b"authorization", f"Bearer {self.secret}".encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/alerts/stream",
            "query_string": self.query.encode(),
            "headers": headers,
        }
        self.takes.set()
        await self.app(scope, self._receive, self._send)

    async def until(self, *words: str, count: int = 1) -> None:
        """Wait until all words were heard, or the stream is over."""
        while not self.over and any(self.heard.count(word) < count for word in words):
            self._news.clear()
            await self._news.wait()

    def hang_up(self) -> None:
        self._gone.set()

    @property
    def events(self) -> list[tuple[str, str]]:
        """Return kind and alert of what was heard."""
        lines = [frame.splitlines() for frame in self.heard.split("\n\n") if "\ndata: " in frame]
        return [(kind.removeprefix("event: "), json.loads(data[6:])["id"]) for _, kind, data in lines]

    @property
    def last_id(self) -> int:
        return int(self.heard.rpartition("id: ")[2].split("\n")[0])

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.heard += message["body"].decode()
            self.over = not message.get("more_body", False)
        self._news.set()


@pytest.fixture
def app(spec: ApiSpec, store: SqlStore) -> FastAPI:
    return create_app(replace(spec, streams=QUICK), FakeIngest(store), store, "1")


def with_streams(store: SqlStore, spec: ApiSpec, **bounds: Any) -> FastAPI:
    return create_app(replace(spec, streams=replace(QUICK, **bounds)), FakeIngest(store), store, "1")


def save(store: SqlStore, *alerts: Alert) -> None:
    with store.begin() as unit:
        unit.save_alerts(alerts)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario, which must not take for ever."""

    async def bounded() -> None:
        with anyio.fail_after(60):
            await scenario()

    anyio.run(bounded)


def hear(listener: Callable[[], Listener], *words: str, act: Callable[[], None] = lambda: None) -> Listener:
    """Return a listener that has begun, seen `act` happen, and heard all words."""
    heard: list[Listener] = []

    async def scenario() -> None:
        one = listener()
        heard.append(one)
        async with anyio.create_task_group() as group:
            group.start_soon(one.listen)
            await one.until("retry: ")
            await anyio.to_thread.run_sync(act)
            await one.until(*words)
            one.hang_up()

    run(scenario)
    return heard[0]


def test_what_happens_from_now_on_is_told(app: FastAPI, store: SqlStore) -> None:
    save(store, an_alert(id="old"))

    def act() -> None:
        save(store, an_alert(updates=0))
        save(store, an_alert(updates=1))
        with store.begin() as unit:
            unit.desk.acknowledge("a1", "ann", 1)
            unit.add_window(a_record(start=START + 60 * MINUTE))

    one = hear(lambda: Listener(app), "event: ended\n", act=act)
    assert one.status == 200
    assert one.heard.startswith("retry: 3000\n\n")
    assert one.events[:3] == [("opened", "a1"), ("grew", "a1"), ("acknowledged", "a1")]
    assert set(one.events[3:]) <= {("ended", "a1"), ("ended", "old")}
    assert app.state.streams.open == 0


def test_the_data_is_the_alert_as_the_api_shows_it(app: FastAPI, store: SqlStore) -> None:
    save(store, an_alert())
    with store.begin() as unit:
        unit.desk.comment("a1", "ann", "Seen.", 1)
    one = hear(lambda: Listener(app, "after=0"), "commented")
    data = one.heard.partition("data: ")[2].split("\n")[0]
    assert json.loads(data) == Client(app).get("/v1/alerts/a1").json()


@pytest.mark.parametrize("kept", [1, 3, 1000])
def test_who_comes_back_misses_nothing_and_hears_nothing_twice(store: SqlStore, spec: ApiSpec, kept: int) -> None:
    app = with_streams(store, spec, kept=kept)
    for number in range(5):
        save(store, an_alert(id=f"a{number}"))
    first = hear(lambda: Listener(app, "after=0"), '"a1"')
    for number in range(5, 8):
        save(store, an_alert(id=f"a{number}"))
    rest = hear(lambda: Listener(app, "after=0", first.last_id), '"a7"')
    assert [name for _, name in first.events + rest.events] == [f"a{number}" for number in range(8)]


def test_a_number_that_was_never_given_is_now(app: FastAPI, store: SqlStore) -> None:
    save(store, an_alert(id="old"))
    one = hear(lambda: Listener(app, "after=1000000"), '"new"', act=lambda: save(store, an_alert(id="new")))
    assert one.events == [("opened", "new")]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ["a0", "a1", "a2", "last"]),
        ("sensor=core", ["a1", "last"]),
        ("kind=block", ["a2", "last"]),
        ("source=192.0.2.0/24", ["a0", "a1", "last"]),
        ("source=2001:db8::1", ["a2"]),
        ("min_score=1.7", ["a0", "last"]),
        ("with_allowed=true", ["a0", "a1", "a2", "allowed", "last"]),
    ],
)
def test_filters(app: FastAPI, store: SqlStore, query: str, wanted: list[str]) -> None:
    save(
        store,
        an_alert(id="a0", score=50.0),
        an_alert(id="a1", sensor="core"),
        an_alert(id="a2", kind=Kind.BLOCK, sources=("2001:db8::1",)),
        an_alert(id="allowed", allowed_by="192.0.2.1"),
        an_alert(id="last", sensor="core", kind=Kind.BLOCK, score=50.0),
    )
    with store.read() as unit:
        latest = unit.events.latest()
    one = hear(lambda: Listener(app, f"after=0&{query}"), f"id: {latest}\n")
    assert [name for _, name in one.events] == wanted


def test_a_silent_stream_shows_that_it_lives_and_where_it_is(app: FastAPI, store: SqlStore) -> None:
    save(store, an_alert(allowed_by="192.0.2.1"))
    one = hear(lambda: Listener(app), ": beat\n")
    with store.read() as unit:
        assert one.last_id == unit.events.latest()
    assert one.events == []


def test_all_streams_have_one_reader(app: FastAPI, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    usual = streams.told

    def counted(event: Any, filed: Any) -> Any:
        read.append(event.alert)
        return usual(event, filed)

    monkeypatch.setattr(streams, "told", counted)

    async def scenario() -> None:
        listeners = [Listener(app) for _ in range(4)]
        async with anyio.create_task_group() as group:
            for each in listeners:
                group.start_soon(each.listen)
                await each.until("retry: ")
            assert app.state.streams.open == 4
            await anyio.to_thread.run_sync(save, store, an_alert())
            for each in listeners:
                await each.until('"a1"')
                each.hang_up()
        assert all(each.events == [("opened", "a1")] for each in listeners)

    run(scenario)
    assert read == ["a1"]
    assert app.state.streams.open == 0


def test_one_sender_takes_not_all_of_them(store: SqlStore) -> None:
    opened = AlertStreams(store, StreamSpec(most=3, most_of_sender=2))

    async def scenario() -> None:
        first, _ = [await opened.stream(Wanted(), None, sender="a") for _ in range(2)]
        with pytest.raises(HTTPException, match="2 streams are open"):
            await opened.stream(Wanted(), None, sender="a")
        await opened.stream(Wanted(), None, sender="b")
        with pytest.raises(HTTPException, match="3 streams are open"):
            await opened.stream(Wanted(), None, sender="c")
        first._release()  # type: ignore[attr-defined]
        await opened.stream(Wanted(), None, sender="a")
        opened.close()

    run(scenario)


def test_streams_are_bounded_and_give_their_place_free(store: SqlStore, spec: ApiSpec) -> None:
    app = with_streams(store, spec, most=1)

    async def scenario() -> None:
        first, second, third = Listener(app), Listener(app), Listener(app)
        async with anyio.create_task_group() as group:
            group.start_soon(first.listen)
            await first.until("retry: ")
            await second.listen()
            first.hang_up()
        assert second.status == 503
        assert "1 streams are open" in second.heard
        async with anyio.create_task_group() as group:
            group.start_soon(third.listen)
            await third.until("retry: ")
            third.hang_up()
        assert third.status == 200

    run(scenario)


@pytest.mark.parametrize("bound", [{"kept": 3}, {"kept_bytes": 5000}])
def test_who_falls_behind_is_told_so(store: SqlStore, spec: ApiSpec, bound: dict[str, int]) -> None:
    app = with_streams(store, spec, **bound)

    async def scenario() -> None:
        slow, quick = Listener(app), Listener(app)
        async with anyio.create_task_group() as group:
            group.start_soon(slow.listen)
            group.start_soon(quick.listen)
            await slow.until("retry: ")
            await quick.until("retry: ")
            slow.takes.clear()
            for number in range(8):
                await anyio.to_thread.run_sync(save, store, an_alert(id=f"a{number}"))
                await quick.until(f'"a{number}"')
            slow.takes.set()
            await slow.until("too slow")
            assert not quick.over
            quick.hang_up()
        assert slow.over
        assert slow.heard.rstrip().endswith(f"resume from {slow.last_id}") or slow.events == []
        assert len(slow.events) < 8 == len(quick.events)

    run(scenario)


def test_who_takes_nothing_is_given_up(store: SqlStore, spec: ApiSpec) -> None:
    app = with_streams(store, spec, patience=0.02)

    async def scenario() -> None:
        stuck = Listener(app)
        async with anyio.create_task_group() as group:
            group.start_soon(stuck.listen)
            await stuck.until("retry: ")
            stuck.takes.clear()
        assert not stuck.over

    run(scenario)
    assert app.state.streams.open == 0


def test_streams_end_with_the_service(app: FastAPI) -> None:
    async def scenario() -> None:
        one, late = Listener(app), Listener(app)
        async with anyio.create_task_group() as group:
            group.start_soon(one.listen)
            await one.until("retry: ")
            app.state.streams.close()
        assert one.over
        assert ": the service is stopping\n\n" in one.heard
        await late.listen()
        assert late.status == 503

    run(scenario)


def test_a_store_that_fails_is_temporary(spec: ApiSpec) -> None:
    store = BrokenStore()
    app = create_app(spec, FakeIngest(store), store, "1")
    the_problem(Client(app).get("/v1/alerts/stream"), 503)
    assert app.state.streams.open == 0


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("source=x", "source"),
        ("kind=x", "kind"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("state=open", "state"),
    ],
)
def test_a_query_that_makes_no_sense_is_named(client: Client, query: str, name: str) -> None:
    assert the_fields(client.get(f"/v1/alerts/stream?{query}")) == [name]
    assert the_fields(client.get("/v1/alerts/stream", headers={"Last-Event-ID": "x"})) == ["last-event-id"]


@pytest.mark.parametrize("bound", ["most", "kept", "kept_bytes", "pause", "beat", "patience"])
def test_a_bound_leaves_room_for_something(bound: str) -> None:
    with pytest.raises(ValueError, match=f"{bound}: 0 is not positive"):
        StreamSpec(**{bound: 0})


@dataclass
class House:
    """An application that asks for tokens, and its clock, in seconds since the epoch."""

    store: SqlStore
    spec: ApiSpec
    open: bool = False
    now: float = 1000.0
    fails: bool = False

    def app(self) -> FastAPI:
        spec = replace(self.spec, streams=replace(QUICK, recheck=0.01, beat=60.0))
        access = AccessSpec(open_without_tokens=self.open)
        gate = Gate(self, access, lambda: int(self.now * 10**9), lambda: self.now)
        return create_app(spec, FakeIngest(self.store), self.store, "1", gate=gate)

    def begin(self) -> Any:
        return self.store.begin()

    def read(self) -> Any:
        if self.fails:
            raise StoreError("gone")
        return self.store.read()

    def admit(self, expires: float | None = None) -> str:
        secret = new_secret()
        hashed = hash_of(secret)
        assert hashed is not None
        until = None if expires is None else int(expires * 10**9)
        with self.store.begin() as unit:
            unit.tokens.add(Token("t1", "page", frozenset({Scope.READ}), 1, expires=until), hashed)
        return secret

    def revoke(self) -> None:
        with self.store.begin() as unit:
            unit.tokens.revoke("page", 2)
        self.now += 6


def test_a_stream_ends_soon_after_its_token_is_revoked(store: SqlStore, spec: ApiSpec) -> None:
    house = House(store, spec)
    app, secret = house.app(), house.admit()

    def act() -> None:
        save(store, an_alert(id="before"))
        house.revoke()

    listener = hear(lambda: Listener(app, secret=secret), "the token is no longer good", act=act)
    assert listener.over
    assert "the token is no longer good" in listener.heard
    answer = Client(app).get("/v1/alerts/stream", headers={"Authorization": f"Bearer {secret}"})
    the_problem(answer, 401)


def test_a_stream_ends_soon_after_its_token_has_expired(store: SqlStore, spec: ApiSpec) -> None:
    house = House(store, spec)
    app, secret = house.app(), house.admit(expires=1100.0)

    def act() -> None:
        house.now = 1101.0

    listener = hear(lambda: Listener(app, secret=secret), "the token is no longer good", act=act)
    assert listener.over


def test_an_open_stream_ends_soon_after_there_is_a_token(store: SqlStore, spec: ApiSpec) -> None:
    house = House(store, spec, open=True)
    app = house.app()

    def act() -> None:
        house.admit()
        house.now += 6

    assert hear(lambda: Listener(app), "the token is no longer good", act=act).over


def test_who_resumes_from_long_ago_hears_no_more_than_their_token_allows(
    store: SqlStore, spec: ApiSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_AT_ONCE", 2)
    for number in range(20):
        save(store, an_alert(id=f"a{number}"))
    house = House(store, spec)
    app, secret = house.app(), house.admit()

    async def scenario() -> None:
        listener = Listener(app, "after=0", secret=secret)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.listen)
            await listener.until("event: ", count=1)
            listener.takes.clear()
            await anyio.to_thread.run_sync(house.revoke)
            await anyio.sleep(0.02)
            listener.takes.set()
            await listener.until("the token is no longer good")
        assert listener.over
        assert len(listener.events) < 20

    run(scenario)


def test_a_stream_ends_if_nobody_can_say_whether_it_may_go_on(store: SqlStore, spec: ApiSpec) -> None:
    house = House(store, spec)
    app, secret = house.app(), house.admit()

    def act() -> None:
        house.fails = True
        house.now += 6

    assert hear(lambda: Listener(app, secret=secret), "the store can't be read now", act=act).over


def test_a_stream_goes_on_while_its_token_is_good(store: SqlStore, spec: ApiSpec) -> None:
    house = House(store, spec)
    app, secret = house.app(), house.admit()

    async def scenario() -> None:
        listener = Listener(app, secret=secret)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.listen)
            await listener.until("retry: ")
            for number in range(5):
                house.now += 6
                await anyio.sleep(0.02)
                await anyio.to_thread.run_sync(save, store, an_alert(id=f"a{number}"))
            await listener.until("event: ", count=5)
            listener.hang_up()
        assert len(listener.events) == 5

    run(scenario)
