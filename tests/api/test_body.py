from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.client import Client, the_problem
from tests.api.posts import ROW, TOTALS, WINDOW, holds_nothing, in_pieces, post_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.store.sql import SqlStore


def test_too_many_rows_are_refused(client: Client, store: SqlStore) -> None:
    rows = [ROW | {"service": f"tcp/{port}"} for port in range(6)]
    assert (
        "rows: 6 are more than 5"
        in the_problem(client.post("/v1/windows", json=WINDOW | {"rows": rows}), 413)["detail"]
    )
    sources = [TOTALS] * 6
    assert (
        "sources: 6" in the_problem(client.post("/v1/windows", json=WINDOW | {"sources": sources}), 413)["detail"]
    )
    assert holds_nothing(store)
    assert client.post("/v1/windows", json=WINDOW | {"rows": rows[:5]}).status_code == 201


def padded(size: int) -> bytes:
    text = json.dumps(WINDOW).encode()
    return text + b" " * (size - len(text))


def test_a_body_of_exactly_the_bound_is_read(client: Client) -> None:
    assert post_json(client, padded(10_000)).status_code == 201


@pytest.mark.parametrize("length", [None, "10001", "100", "9" * 5000, "x"])
def test_a_body_over_the_bound_is_refused_whatever_its_length_header(
    client: Client, store: SqlStore, length: str | None
) -> None:
    headers = {"Content-Type": "application/json"} | ({"Content-Length": length} if length else {})
    answer = client.post("/v1/windows", content=in_pieces(padded(10_001)), headers=headers)
    assert "more than 10000 bytes" in the_problem(answer, 413)["detail"]
    assert answer.headers["connection"] == "close"
    assert holds_nothing(store)


def test_a_length_header_over_the_bound_is_enough(client: Client) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield pytest.fail("the body was read")

    headers = {"Content-Type": "application/json", "Content-Length": "10001"}
    the_problem(client.post("/v1/windows", content=never(), headers=headers), 413)


@pytest.mark.parametrize(
    "kind", ["text/html", "application/octet-stream", "multipart/form-data; boundary=x", "", None]
)
def test_other_types_are_refused_with_a_list(client: Client, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = client.post("/v1/windows", content=b"x", headers=headers)
    detail = the_problem(answer, 415)["detail"]
    for accepted in ("application/json", "application/vnd.tcpdump.pcap", "application/x-pcapng"):
        assert accepted in detail
        assert accepted in answer.headers["accept-post"]


def test_json_may_say_that_it_is_utf8(client: Client) -> None:
    for kind in ("application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"'):
        answer = client.post("/v1/windows", content=json.dumps(WINDOW), headers={"Content-Type": kind})
        assert answer.status_code in (200, 201)
    answer = client.post(
        "/v1/windows",
        content=json.dumps(WINDOW),
        headers={"Content-Type": "application/json; charset=latin-1"},
    )
    assert "UTF-8" in the_problem(answer, 415)["detail"]


@pytest.mark.parametrize("coding", ["", "br", "deflate", "gzip, gzip", "gzip, zstd", "gzip;q=1"])
@pytest.mark.parametrize("path", ["/v1/windows", "/v1/allow-rules"])
def test_other_packings_are_refused_with_a_list(client: Client, path: str, coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = client.post(path, content=b"x", headers=headers)
    assert repr(coding) in the_problem(answer, 415)["detail"]
    assert answer.headers["accept-encoding"] == "gzip, zstd"
