"""Generated requests, good and bad: nothing fails, and every answer is as described."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from service.api.app import create_app
from service.api.routes import windows
from service.api.spec import ApiSpec
from service.api.streams import StreamSpec
from service.store.sql import SqlStore
from service.windows.wire import MEDIA_TYPE as DOCUMENT
from tests.api import bodies
from tests.api.fakes import FakeIngest
from tests.api.test_openapi import OPERATIONS
from tests.builders import a_pattern, a_record, an_alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAM = "/v1/alerts/stream"
WINDOWS = "/v1/windows"
BODIES = {
    windows.LINES: bodies.LINES,
    DOCUMENT: bodies.DOCUMENTS,
    **dict.fromkeys(windows.CAPTURES, bodies.CAPTURES),
    **dict.fromkeys(windows.LOGS, bodies.LOGS),
    **dict.fromkeys(windows.PACKED, bodies.PACKED),
}

schemathesis.openapi.format("allow-rule", st.sampled_from(["192.0.2.7", "10.0.0.0/8 tcp/443", "udp/161"]))
schemathesis.openapi.format("ip-or-network", st.sampled_from(["192.0.2.7", "192.0.2.0/24", "2001:db8::/32"]))
schemathesis.openapi.format("date-time", st.sampled_from(["2026-03-01T12:00:00Z", "1999-12-31T23:59:59.9+01:00"]))
schemathesis.openapi.format("date-time-or-seconds", st.sampled_from(["2026-03-01T12:00:00Z", "1772366400.5"]))
for kind, strategy in BODIES.items():
    schemathesis.openapi.media_type(kind, strategy)


@schemathesis.serializer(*BODIES)
def as_it_is(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.deserializer("text/event-stream")
def as_text(_context: schemathesis.DeserializationContext, response: schemathesis.Response) -> str:
    return response.content.decode()


class Impatient:
    """An application whose client hangs up on a stream after a moment."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != STREAM:
            await self._app(scope, receive, send)
            return

        async def hang_up() -> Message:
            await anyio.sleep(self._seconds)
            return {"type": "http.disconnect"}

        await self._app(scope, hang_up, send)


@pytest.fixture(scope="module")
def described(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the description of an application that holds what its examples name."""
    file = tmp_path_factory.mktemp("contract") / "store.db"
    file.write_bytes(empty.read_bytes())
    store = SqlStore(f"sqlite:///{file}")
    with store.begin() as unit:
        unit.save_patterns([a_pattern(id="p1c0ffee")])
        unit.save_alerts([an_alert(id="a1c0ffee")])
        unit.add_window(a_record())
        unit.deliveries.enrol("soc", 0)
        unit.deliveries.bury("soc", unit.events.after(0, 1)[0], 70, "answered 422")
    spec = ApiSpec(streams=StreamSpec(pause=0.005, beat=0.01))
    app = create_app(spec, FakeIngest(store), store, "1")
    app.add_middleware(Impatient, seconds=0.03)
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    store.close()


def ask(operation: Any, mode: GenerationMode, examples: int = 8) -> set[tuple[str | None, int]]:
    """Send requests, check the answers, and return their types and statuses.

    Raises Unsatisfiable if there are no requests of this mode.
    """
    seen = set()
    # Rules such as that the end comes after the start are more than a schema can say.
    beyond: list[Any] = [positive_data_acceptance] if operation.path == WINDOWS else []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        # A tag that was made up is of nothing that is there.
        case.headers.pop("If-Match", None)
        if mode is GenerationMode.POSITIVE:
            # Bodies that are packed are generated elsewhere: these are not.
            case.headers.pop("Content-Encoding", None)
        answer = case.call()
        # What is too long is refused as such, which is not among the statuses that are foreseen for it.
        too_long = [negative_data_rejection] if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else []
        case.validate_response(answer, excluded_checks=beyond + too_long)
        seen.add((case.media_type, answer.status_code))

    check()
    return seen


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_as_described(described: Any, name: str) -> None:
    method, path = name.split(" ")
    ask(described[path][method], GenerationMode.POSITIVE)
    with suppress(Unsatisfiable):  # what takes nothing can't be asked wrongly
        ask(described[path][method], GenerationMode.NEGATIVE)


def test_windows_of_every_kind_are_answered_as_described(described: Any) -> None:
    seen = ask(described[WINDOWS]["post"], GenerationMode.POSITIVE, examples=250)
    assert {kind for kind, _ in seen} == {windows.JSON, *BODIES}
    assert {200, 202, 400, 422} <= {status for _, status in seen}
