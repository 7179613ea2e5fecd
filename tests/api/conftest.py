from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of an empty store: to copy it is quicker than to make it."""
    file = tmp_path_factory.mktemp("empty") / "store.db"
    SqlStore(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def store(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{shutil.copy(empty, tmp_path_factory.mktemp('database'))}")
    yield opened
    opened.close()


@pytest.fixture
def ingest(store: SqlStore) -> FakeIngest:
    return FakeIngest(store)


@pytest.fixture
def client(spec: ApiSpec, ingest: FakeIngest, store: SqlStore) -> Client:
    return Client(create_app(spec, ingest, store, "1.2.3"))
