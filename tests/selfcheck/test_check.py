from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from service.analysis import Analyst
from service.api.app import create_app
from service.api.spec import ApiSpec
from service.errors import RemoteError
from service.pipeline import PipelineSpec
from service.selfcheck.check import Finding, check
from service.selfcheck.scans import EXAMPLES
from service.store.sql import SqlStore
from service.windows.assign import WindowSpec
from service.work.parser import Parser
from service.work.parsing import Limits
from service.work.worker import Worker, WorkSpec
from tests.work.traffic import Worked

NOW = 1_700_000_000_000_000_000


class Direct(httpx.BaseTransport):
    """Hands requests to an application without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            answer = await self._app.handle_async_request(request)
            return httpx.Response(answer.status_code, content=await answer.aread())

        return asyncio.run(send())


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('selfcheck')}/yocho.db")
    spec = PipelineSpec(windows=WindowSpec.usual())
    worker = Worker(WorkSpec(), store, Analyst(spec), Parser(spec, Limits()))
    app = create_app(ApiSpec(), Worked(store, worker), store, "0")
    done: list[int] = []
    with httpx.Client(base_url="http://yocho.test", transport=Direct(app)) as client:
        found = list(check(client, NOW, done.append))
    store.close()
    assert done == list(range(1, len(EXAMPLES) + 1))
    return found


def test_every_scan_is_found_and_nobody_else(findings: list[Finding]) -> None:
    assert [finding.example for finding in findings] == list(EXAMPLES)
    assert {finding.example.name: finding.named for finding in findings if not finding.right} == {}


def test_slow_scans_are_named_within_their_time_scale(findings: list[Finding]) -> None:
    slow = {finding.example.name: finding for finding in findings if "every" in finding.example.name}
    assert len(slow) == 4
    for finding in slow.values():
        assert finding.pairs is not None
        assert 10 <= finding.pairs <= 24


def test_a_service_that_is_not_there_is_an_error_that_says_so() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens")

    client = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(refuse))
    with client, pytest.raises(RemoteError, match="nobody listens; is the service running"):
        list(check(client, NOW))


def test_a_refusal_is_told_with_its_words() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(413, text="too long"))
    client = httpx.Client(base_url="http://127.0.0.1:1", transport=transport)
    with client, pytest.raises(RemoteError, match="413: too long"):
        list(check(client, NOW))
