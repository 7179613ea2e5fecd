from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path}/facets.db")
    yield opened
    opened.close()
