from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from yocho import AsyncClient, Client, Event, Patience, RemoteError, SettingsError

Reply = Callable[[], httpx.Response] | Exception


@dataclass
class Service:
    """Answers what it is told to, in turn, and remembers what it was asked; the last answer goes on."""

    answers: list[Reply]
    asked: list[httpx.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.bodies.append(request.read())
        return self._next()

    async def answer_async(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.bodies.append(await request.aread())
        return self._next()

    def _next(self) -> httpx.Response:
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


PATIENCE = Patience(tries=3, first=1.0, longest=8.0, chance=random.Random(1))


class Both:
    """One of the two clients, asked in the same way."""

    def __init__(self, service: Service, *, blocking: bool, token: str | None = None) -> None:
        self._service, self._blocking, self._token = service, blocking, token

    def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        if self._blocking:
            with Client(
                "http://yocho", self._token, PATIENCE, httpx.MockTransport(self._service.answer),
                self._service.slept.append,
            ) as client:  # fmt: skip
                return getattr(client, name)(*arguments, **named)
        return asyncio.run(self._ask(name, *arguments, **named))

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        transport = httpx.MockTransport(self._service.answer_async)
        async with AsyncClient("http://yocho", self._token, PATIENCE, transport, self._service.sleep) as client:
            asked: Coroutine[Any, Any, Any] = getattr(client, name)(*arguments, **named)
            return await asked

    def followed(self, most: int, **named: Any) -> list[Event]:
        if not self._blocking:
            return asyncio.run(self._followed(most, **named))
        transport = httpx.MockTransport(self._service.answer)
        with Client("http://yocho", self._token, PATIENCE, transport, self._service.slept.append) as client:
            return list(islice(client.follow(**named), most))

    async def _followed(self, most: int, **named: Any) -> list[Event]:
        transport = httpx.MockTransport(self._service.answer_async)
        found: list[Event] = []
        async with AsyncClient("http://yocho", self._token, PATIENCE, transport, self._service.sleep) as client:
            async for event in client.follow(**named):
                found.append(event)
                if len(found) == most:
                    break
        return found


@pytest.fixture(params=["blocking", "awaited"])
def blocking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "blocking")


def reply(status: int, **parts: Any) -> Reply:
    return lambda: httpx.Response(status, **parts)


def accepted(status: int = 202) -> Reply:
    return reply(status, json={"id": "j1", "state": "waiting"})


def test_a_window_is_sent_as_it_is(*, blocking: bool) -> None:
    service = Service([accepted()])
    receipt = Both(service, blocking=blocking, token="yo_secret")("send_window", {"sensor": "edge"})
    assert (receipt.done, receipt.job) == (False, "j1")
    request = service.asked[0]
    assert (request.method, request.url.path) == ("POST", "/v1/windows")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer yo_secret"
    assert "prefer" not in request.headers
    assert json.loads(service.bodies[0]) == {"sensor": "edge"}


def test_a_window_of_bytes_is_sent_as_such_and_waited_for(*, blocking: bool) -> None:
    service = Service([accepted(201)])
    receipt = Both(service, blocking=blocking)("send_window", b"YOW", wait=10)
    assert (receipt.done, receipt.job) == (True, None)
    assert service.asked[0].headers["content-type"] == "application/vnd.yocho.window"
    assert service.asked[0].headers["prefer"] == "wait=10"
    assert service.bodies[0] == b"YOW"


def test_a_file_is_sent_again_from_its_beginning(tmp_path: Path, *, blocking: bool) -> None:
    path = tmp_path / "big.pcap"
    path.write_bytes(bytes(range(256)) * 10_000)
    service = Service([reply(503), accepted()])
    Both(service, blocking=blocking)("send_file", path, sensor="a b")
    assert service.bodies == [path.read_bytes()] * 2
    assert service.asked[1].url.query == b"sensor=a+b"


def test_who_is_busy_is_asked_again_when_it_says(*, blocking: bool) -> None:
    service = Service([
        httpx.ConnectError("refused"), reply(429, headers={"retry-after": "5"}), accepted(),
    ])  # fmt: skip
    Both(service, blocking=blocking)("send_window", b"YOW")
    assert len(service.asked) == 3
    assert 0.5 <= service.slept[0] <= 1.0
    assert service.slept[1] == 5.0


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), reply(503)])
def test_patience_ends(answer: Reply, *, blocking: bool) -> None:
    service = Service([answer])
    with pytest.raises(RemoteError, match=r"GET /v1/status: (refused; is the service|answered 503)"):
        Both(service, blocking=blocking)("status")
    assert len(service.asked) == 3


def test_what_the_service_says_no_to_is_not_asked_again(*, blocking: bool) -> None:
    problem = {"title": "Conflict", "detail": "other content", "status": 409}
    service = Service([reply(409, json=problem)])
    with pytest.raises(RemoteError, match="answered 409: other content") as caught:
        Both(service, blocking=blocking)("send_window", b"YOW")
    assert (caught.value.status, caught.value.problem) == (409, problem)
    assert len(service.asked) == 1


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("late"), reply(502)])
def test_a_comment_is_not_made_twice(failure: Reply, *, blocking: bool) -> None:
    service = Service([failure])
    with pytest.raises(RemoteError):
        Both(service, blocking=blocking)("comment", "a1", "seen")
    assert len(service.asked) == 1
    busy = Service([reply(429), reply(201, json={"text": "seen"})])
    assert Both(busy, blocking=blocking)("comment", "a1", "seen") == {"text": "seen"}


def test_listings_are_followed_from_page_to_page(*, blocking: bool) -> None:
    pages = [
        reply(200, json={"items": [{"id": "a1"}, {"id": "a2"}], "next": "c2"}),
        reply(200, json={"items": [{"id": "a3"}], "next": None}),
    ]
    service = Service(list(pages))
    found = Both(service, blocking=blocking)("alerts", limit=5, kind="block")
    assert [alert["id"] for alert in found] == ["a1", "a2", "a3"]
    assert dict(service.asked[0].url.params) == {"kind": "block", "limit": "5"}
    assert dict(service.asked[1].url.params) == {"kind": "block", "limit": "3", "cursor": "c2"}


def test_windows_are_sent_together(*, blocking: bool) -> None:
    service = Service([reply(202, json={"jobs": [{"id": "j1"}, {"id": "j2"}]})])
    jobs = Both(service, blocking=blocking)("send_windows", [{"sensor": "a"}, {"sensor": "b"}], wait=5)
    assert [job["id"] for job in jobs] == ["j1", "j2"]
    (asked,) = service.asked
    assert asked.headers["content-type"] == "application/x-ndjson"
    assert asked.headers["prefer"] == "wait=5"
    assert asked.content == b'{"sensor": "a"}\n{"sensor": "b"}\n'


@pytest.mark.parametrize(
    ("name", "arguments", "path"),
    [
        ("audit", {"actor": "anna"}, "/v1/audit?actor=anna&limit=100"),
        ("days", {"sensor": "edge", "limit": 7, "since": 5}, "/v1/days?sensor=edge&since=5&limit=7"),
        ("dead_letters", {"output": "a/b", "limit": 5}, "/v1/outputs/a%2Fb/dead-letters?limit=5"),
    ],
)
def test_listings_for_those_who_run_it_are_read(
    name: str, arguments: dict[str, Any], path: str, *, blocking: bool
) -> None:
    service = Service([reply(200, json={"items": [{"id": "1"}], "next": None})])
    assert Both(service, blocking=blocking)(name, **arguments) == [{"id": "1"}]
    assert service.asked[0].url.raw_path == path.encode()


def test_outputs_are_read_and_tried_again(*, blocking: bool) -> None:
    service = Service([reply(200, json={"items": []}), reply(200, json={"put_back": 3})])
    both = Both(service, blocking=blocking)
    assert both("outputs") == {"items": []}
    assert both("retry_output", "soc") == {"put_back": 3}
    assert [(asked.method, asked.url.path) for asked in service.asked] == [
        ("GET", "/v1/outputs"),
        ("POST", "/v1/outputs/soc/retry"),
    ]


def test_an_id_leads_nowhere_else(*, blocking: bool) -> None:
    service = Service([reply(200, json={})])
    Both(service, blocking=blocking)("alert", "../tokens?x=1")
    assert service.asked[0].url.raw_path == b"/v1/alerts/..%2Ftokens%3Fx%3D1"


@pytest.mark.parametrize("text", ["[]", "hello"])
def test_an_answer_that_is_none_of_ours_is_named(text: str, *, blocking: bool) -> None:
    with pytest.raises(RemoteError, match="is this URL that of Yocho"):
        Both(Service([reply(200, text=text)]), blocking=blocking)("status")


def stream(*lines: str, cut: bool = False) -> Reply:
    class Text(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield "".join(f"{line}\n" for line in lines).encode()
            if cut:
                raise httpx.ReadError("reset")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    return lambda: httpx.Response(200, stream=Text())


def test_a_stream_goes_on_where_it_broke_off(*, blocking: bool) -> None:
    service = Service([
        stream(": hello", "", "id: 7", "event: opened", 'data: {"id":', 'data: "a1"}', "", cut=True),
        httpx.ConnectError("refused"),
        reply(503),
        stream("id:8", "event:grew", 'data:{"id":"a1"}', ""),
        stream(":"),
    ])  # fmt: skip
    events = Both(service, blocking=blocking).followed(2, sensor="edge")
    assert events == [Event(7, "opened", {"id": "a1"}), Event(8, "grew", {"id": "a1"})]
    assert "last-event-id" not in service.asked[0].headers
    assert service.asked[3].headers["last-event-id"] == "7"
    assert dict(service.asked[3].url.params) == {"sensor": "edge"}
    assert len(service.slept) == 3


def test_a_stream_may_begin_in_the_past(*, blocking: bool) -> None:
    service = Service([stream("id: 4", "data: {}", "")])
    assert Both(service, blocking=blocking).followed(1, after=3) == [Event(4, "", {})]
    assert service.asked[0].headers["last-event-id"] == "3"


@pytest.mark.parametrize(("answer", "asked"), [(reply(401), 1), (reply(503), 3), (stream(), 3)])
def test_a_stream_that_is_refused_ends(answer: Reply, asked: int, *, blocking: bool) -> None:
    service = Service([answer])
    with pytest.raises(RemoteError):
        Both(service, blocking=blocking).followed(1)
    assert len(service.asked) == asked


@pytest.mark.parametrize("lines", [("data: [", ""), ("data: 7", ""), ("data: " + "x" * (1 << 22),)])
def test_a_stream_of_something_else_is_named(lines: tuple[str, ...], *, blocking: bool) -> None:
    with pytest.raises(RemoteError, match="the stream has an event"):
        Both(Service([stream(*lines)]), blocking=blocking).followed(1)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "http://[::1"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="write http://HOST:PORT"):
        Client(url)


def test_both_clients_offer_the_same() -> None:
    def names(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(Client) == names(AsyncClient)


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"first": -1.0}, {"longest": -1.0}])
def test_impatience_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="make no sense"):
        Patience(**wrong)
