from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.api.app import create_app
from service.api.spec import ApiSpec
from service.store.sql import SqlStore
from tests.api.client import Client
from tests.api.fakes import FakeIngest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spec() -> ApiSpec:
    return ApiSpec(max_json_bytes=10_000, max_capture_bytes=5_000_000, max_rows=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    yield opened
    opened.close()


@pytest.fixture
def ingest(store: SqlStore) -> FakeIngest:
    return FakeIngest(store)


@pytest.fixture
def client(spec: ApiSpec, ingest: FakeIngest, store: SqlStore) -> Client:
    return Client(create_app(spec, ingest, store, "1.2.3"))
