"""Generated requests, good and bad: nothing fails, and every answer is as described."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from service.api.app import create_app
from service.api.spec import ApiSpec
from service.store.sql import SqlStore
from tests.api.fakes import FakeIngest
from tests.api.test_openapi import OPERATIONS
from tests.builders import a_pattern, a_record, an_alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ELSEWHERE = ("/v1/windows", "/v1/alerts/stream")
"""Uploads, which have tests of their own, and what never ends."""

schemathesis.openapi.format("allow-rule", st.sampled_from(["192.0.2.7", "10.0.0.0/8 tcp/443", "udp/161"]))
schemathesis.openapi.format("ip-or-network", st.sampled_from(["192.0.2.7", "192.0.2.0/24", "2001:db8::/32"]))
schemathesis.openapi.format("date-time", st.sampled_from(["2026-03-01T12:00:00Z", "1999-12-31T23:59:59.9+01:00"]))
schemathesis.openapi.format("date-time-or-seconds", st.sampled_from(["2026-03-01T12:00:00Z", "1772366400.5"]))


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
    app = create_app(ApiSpec(), FakeIngest(store), store, "1")
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    store.close()


def ask(operation: Any, mode: GenerationMode) -> None:
    """Send requests, and check the answers; raises Unsatisfiable if there are no requests of this mode."""

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        # A tag that was made up is of nothing that is there.
        case.headers.pop("If-Match", None)
        case.call_and_validate()

    check()


@pytest.mark.parametrize("name", sorted(name for name in OPERATIONS if name.split(" ")[1] not in ELSEWHERE))
def test_every_answer_is_as_described(described: Any, name: str) -> None:
    method, path = name.split(" ")
    ask(described[path][method], GenerationMode.POSITIVE)
    with suppress(Unsatisfiable):  # what takes nothing can't be asked wrongly
        ask(described[path][method], GenerationMode.NEGATIVE)
