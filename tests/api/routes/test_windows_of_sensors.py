"""Windows as sensors send them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.windows.wire import MEDIA_TYPE, write_window
from tests.api.client import Client, the_problem
from tests.builders import START, a_window

if TYPE_CHECKING:
    from tests.api.fakes import FakeIngest

SENT = {"content-type": MEDIA_TYPE}


def test_a_window_is_taken_in_like_one_of_json(client: Client) -> None:
    counts = a_window()
    answer = client.post("/v1/windows", content=write_window(counts), headers=SENT)
    assert answer.status_code in {201, 202}
    again = client.post("/v1/windows", content=write_window(counts), headers=SENT)
    assert again.status_code == 200
    shown = client.get(f"/v1/windows/{counts.id}")
    assert shown.status_code == 200
    other = client.post("/v1/windows", content=write_window(a_window(attempts=9)), headers=SENT)
    the_problem(other, 409)


def test_a_look_is_taken_in(client: Client, ingest: FakeIngest) -> None:
    ingest.idle = True
    look = replace(a_window(), seen_until=START + 5)
    answer = client.post("/v1/windows", content=write_window(look), headers=SENT | {"Prefer": "wait=0"})
    assert answer.status_code == 202


def test_what_is_no_window_is_refused(client: Client) -> None:
    problem = the_problem(client.post("/v1/windows", content=b"YOW\x02", headers=SENT), 422)
    assert "version" in problem["detail"]
    crowded = write_window(a_window()) + b"more"
    the_problem(client.post("/v1/windows", content=crowded, headers=SENT), 422)


@pytest.mark.parametrize("kind", ["text/csv", "text/plain; charset=utf-8", "application/gzip"])
def test_logs_go_the_way_of_captures(client: Client, ingest: FakeIngest, kind: str) -> None:
    answer = client.post("/v1/windows?sensor=logs", content=b"capture:w", headers={"content-type": kind})
    assert answer.status_code == 201
    assert ingest.captures == [("logs", 9)]
