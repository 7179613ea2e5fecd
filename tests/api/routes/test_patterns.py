from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.export.document import pattern_document
from tests.api.client import the_fields, the_problem
from tests.builders import a_pattern

if TYPE_CHECKING:
    from service.store.memory import MemoryStore
    from tests.api.client import Client

PATTERNS = [a_pattern(id=f"p{number}", sensor="edge" if number else "core") for number in range(3)]


@pytest.fixture(autouse=True)
def _stored(store: MemoryStore) -> None:
    with store.begin() as unit:
        unit.save_patterns(PATTERNS)


def test_a_pattern_is_shown_whole(client: Client) -> None:
    answer = client.get("/v1/patterns/p1")
    assert answer.status_code == 200
    assert answer.json() == pattern_document(PATTERNS[1])


def test_patterns_are_listed_last_first(client: Client) -> None:
    answer = client.get("/v1/patterns")
    assert answer.json() == {"items": [pattern_document(pattern) for pattern in PATTERNS[::-1]], "next": None}


def test_patterns_of_one_sensor(client: Client) -> None:
    answer = client.get("/v1/patterns?sensor=core")
    assert [pattern["id"] for pattern in answer.json()["items"]] == ["p0"]


def test_the_link_keeps_the_filter(client: Client) -> None:
    first = client.get("/v1/patterns?sensor=edge&limit=1")
    second = client.get(first.links["next"]["url"])
    assert [pattern["id"] for pattern in first.json()["items"] + second.json()["items"]] == ["p2", "p1"]
    assert second.json()["next"] is None
    assert "next" not in second.links


def test_a_filter_of_alerts_is_none_of_patterns(client: Client) -> None:
    assert the_fields(client.get("/v1/patterns?kind=vertical")) == ["kind"]


def test_what_is_unknown_is_not_found(client: Client) -> None:
    assert "GET /v1/patterns" in the_problem(client.get("/v1/patterns/p9"), 404)["detail"]
    assert "cursor" in the_problem(client.get("/v1/patterns?cursor=x"), 404)["detail"]
