from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.client import the_fields

if TYPE_CHECKING:
    import httpx

    from service.store.sql import SqlStore
    from tests.api.client import Client

CONFIGURED = {"value": 1.0, "configured": 1.0, "changed_at": None, "changed_by": None}


def patch(client: Client, document: Any) -> httpx.Response:
    return client.request("PATCH", "/v1/settings", json=document)


def test_what_is_configured_holds_at_first(client: Client) -> None:
    assert client.get("/v1/settings").json() == {"false_alarms": CONFIGURED}


@pytest.mark.parametrize("value", [2.5, 3, 0, 100])
def test_a_setting_is_changed_and_reset(client: Client, store: SqlStore, value: float) -> None:
    answer = patch(client, {"false_alarms": value})
    assert answer.status_code == 200
    setting = answer.json()["false_alarms"]
    assert (setting["value"], setting["configured"], setting["changed_by"]) == (value, 1.0, "anonymous")
    assert client.get("/v1/settings").json() == answer.json()
    with store.read() as unit:
        assert unit.tuning().false_alarms == value
    assert patch(client, {"false_alarms": None}).json() == {"false_alarms": CONFIGURED}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "body"),
        ({"false_alarms": -1}, "false_alarms"),
        ({"false_alarms": 100.5}, "false_alarms"),
        ({"false_alarms": True}, "false_alarms"),
        ({"false_alarms": "1"}, "false_alarms"),
        ({"window": 60}, "window"),
    ],
)
def test_what_makes_no_sense_is_named(client: Client, document: Any, field: str) -> None:
    assert the_fields(patch(client, document)) == [field]
    assert client.get("/v1/settings").json() == {"false_alarms": CONFIGURED}
