from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from tests.api.client import Client, the_fields, the_problem
from tests.api.posts import PCAP, holds_nothing, in_pieces
from tests.builders import a_window

if TYPE_CHECKING:
    from service.store.sql import SqlStore
    from tests.api.fakes import FakeIngest


@pytest.mark.parametrize(
    "kind", ["application/vnd.tcpdump.pcap", "application/x-pcapng", "application/vnd.tcpdump.pcapng"]
)
def test_a_capture_is_taken_in(client: Client, kind: str) -> None:
    answer = client.post("/v1/windows?sensor=roof", content=b"capture:ww", headers={"Content-Type": kind})
    assert answer.status_code == 201
    body = answer.json()
    first = a_window("roof").id
    assert answer.headers["location"] == f"/v1/windows/{first}"
    assert body["windows"][0]["id"] == first
    assert [len(window["alerts"]) for window in body["windows"]] == [1, 0]
    assert (body["packets"], body["attempts"], body["unparsed"], body["damage"]) == (
        10,
        2,
        {"ether type 0x88cc": 1},
        None,
    )
    assert client.get(body["windows"][1]["url"]).json()["sensor"] == "roof"


def test_a_capture_of_no_named_sensor_is_of_the_default_one(client: Client, ingest: FakeIngest) -> None:
    client.post("/v1/windows", content=b"capture:w", headers=PCAP)
    assert ingest.captures[0][0] == "default"


def test_the_same_capture_twice_gets_the_same_answer(client: Client) -> None:
    first = client.post("/v1/windows", content=b"capture:ww", headers=PCAP)
    packed = gzip.compress(b"capture:ww")
    again = client.post("/v1/windows", content=packed, headers=PCAP | {"Content-Encoding": "gzip"})
    longer = client.post("/v1/windows", content=b"capture:www", headers=PCAP)
    assert (first.status_code, again.status_code, longer.status_code) == (201, 200, 201)
    assert again.content == first.content


def test_a_capture_without_windows_has_no_location(client: Client) -> None:
    answer = client.post("/v1/windows", content=b"capture:", headers=PCAP)
    assert answer.status_code == 201
    assert answer.json()["windows"] == []
    assert "location" not in answer.headers


def test_a_long_capture_is_kept_in_parts_until_it_is_done(client: Client, ingest: FakeIngest) -> None:
    content = b"capture:w" + b"." * 3_000_000
    ingest.idle = True
    answer = client.post("/v1/windows", content=in_pieces(content, 70_000), headers=PCAP | {"Prefer": "wait=0"})
    assert answer.status_code == 202
    with ingest.store.read() as reader:
        parts = list(reader.jobs.parts(answer.json()["id"]))
    assert [len(part) for part in parts] == [1 << 20, 1 << 20, len(content) - (2 << 20)]
    assert b"".join(parts) == content
    ingest.idle = False
    assert client.get(answer.json()["url"]).json()["state"] == "done"
    assert ingest.captures == [("default", len(content))]
    with ingest.store.read() as reader:
        assert list(reader.jobs.parts(answer.json()["id"])) == []


def test_what_is_no_capture_is_refused_without_naming_files_of_ours(client: Client, store: SqlStore) -> None:
    answer = client.post("/v1/windows", content=b"GIF89a", headers=PCAP)
    detail = the_problem(answer, 400)["detail"]
    assert detail == "body: is no pcap, pcapng or gzip file; send a capture"
    assert holds_nothing(store)


@pytest.mark.parametrize("length", [None, "5000001", "10"])
def test_a_capture_over_the_bound_is_refused(
    client: Client, ingest: FakeIngest, store: SqlStore, length: str | None
) -> None:
    headers = PCAP | ({"Content-Length": length} if length else {})
    answer = client.post("/v1/windows", content=in_pieces(b"." * 5_000_001, 500_000), headers=headers)
    assert "more than 5000000 bytes" in the_problem(answer, 413)["detail"]
    assert ingest.captures == []
    assert holds_nothing(store)


@pytest.mark.parametrize("sensor", ["", "%00", "x" * 101])
def test_a_capture_of_a_nameless_sensor_is_refused(client: Client, ingest: FakeIngest, sensor: str) -> None:
    answer = client.post(f"/v1/windows?sensor={sensor}", content=b"capture:w", headers=PCAP)
    assert the_fields(answer) == ["sensor"]
    assert ingest.captures == []
