from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from service.commands.database import database_commands
from service.errors import StoreError
from service.store.repository import AlertQuery
from service.store.schema import HEAD, open_schema
from service.store.sql import SqlStore
from tests.builders import an_alert

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.store.schema import Schema


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/yocho.db"


@pytest.fixture
def opened(url: str) -> Callable[[str | None], AbstractContextManager[Schema]]:
    return lambda name: open_schema(name or url)


def said(opened: Callable[[str | None], AbstractContextManager[Schema]], *arguments: str) -> str:
    result = CliRunner().invoke(database_commands(opened), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.strip()


def test_a_database_goes_up_and_back(
    opened: Callable[[str | None], AbstractContextManager[Schema]], url: str
) -> None:
    assert said(opened, "current") == "no tables yet"
    assert said(opened, "upgrade") == HEAD
    store = SqlStore(url)
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    store.close()
    assert said(opened, "downgrade", "0001") == "0001"
    assert said(opened, "current") == "0001"
    assert said(opened, "upgrade", "--database", url) == HEAD
    store = SqlStore(url)
    with store.read() as reader:
        assert reader.alerts(AlertQuery()).items == (an_alert(),)
    store.close()


def test_what_can_not_be_done_is_said_in_one_line(
    opened: Callable[[str | None], AbstractContextManager[Schema]], tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="the revisions are"):
        said(opened, "downgrade", "0099")
    with pytest.raises(StoreError, match="check that its folder exists"):
        said(opened, "current", "--database", f"sqlite:///{tmp_path}/missing/yocho.db")
