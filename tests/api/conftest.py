from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.api.app import create_app
from service.api.spec import ApiSpec
from service.store.memory import MemoryStore
from tests.api.client import Client
from tests.api.fakes import FakeIngest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> ApiSpec:
    return ApiSpec(max_json_bytes=10_000, max_capture_bytes=5_000_000, max_rows=5, upload_folder=tmp_path)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def ingest(store: MemoryStore) -> FakeIngest:
    return FakeIngest(store)


@pytest.fixture
def client(spec: ApiSpec, ingest: FakeIngest, store: MemoryStore) -> Client:
    return Client(create_app(spec, ingest, store, "1.2.3"))
