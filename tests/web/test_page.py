from __future__ import annotations

import json
import re

import httpx
import pytest
from fastapi import FastAPI

from service.pipeline import Pipeline, PipelineSpec
from service.store.memory import MemoryStore
from service.web.page import page_routes
from tests.api.client import Client
from tests.traffic import SECOND, START, Try, ports, sweep, window

MINUTE = 60 * SECOND


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def client(store: MemoryStore) -> Client:
    app = FastAPI()
    app.include_router(page_routes(store, "1.2.3"))
    return Client(app)


def pictures(page: httpx.Response) -> dict[str, dict[str, list[dict[str, object]]]]:
    found = re.findall(r'<script type="application/json" data-picture="(\w+)">(.*?)</script>', page.text, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def test_an_empty_store_says_what_to_do(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "None yet. Post a window" in page.text


def test_scans_and_patterns_are_shown_and_drawn(client: Client, store: MemoryStore) -> None:
    tries = ports("10.0.0.66", "10.0.0.1", 40) + sweep("10.0.0.67", "tcp/445", 40)
    Pipeline(PipelineSpec(), store).accept(window(tries))
    page = client.get("/")
    assert "10.0.0.66 tried tcp/1-40 on 10.0.0.1" in page.text
    drawn = pictures(page)
    assert {trace["name"] for trace in drawn["timeline"]["data"]} == {"vertical", "horizontal"}
    (heat,) = drawn["patterns"]["data"]
    assert "tcp/445" in str(heat["x"])


def test_what_was_usual_is_shown_beside_each_scan(client: Client, store: MemoryStore) -> None:
    pipeline = Pipeline(PipelineSpec(), store)
    pipeline.accept(window(ports("10.0.0.66", "10.0.0.1", 40)))
    assert "nothing known yet" in client.get("/").text
    for minute in range(1, 4):
        pipeline.accept(window([Try("10.0.0.7", "10.0.0.1", "tcp/80", 2, True)], start=START + minute * MINUTE))
    pipeline.accept(window(ports("10.0.0.7", "10.0.0.1", 40), start=START + 4 * MINUTE))
    page = client.get("/").text
    assert "it: 1 pair in 3 of 4 windows of 1 min; of all sources half try at most 1 pair" in page


def test_what_is_shown_cannot_break_out_of_the_page(client: Client, store: MemoryStore) -> None:
    evil = "</script><script>alert(1)</script>"
    Pipeline(PipelineSpec(), store).accept(window(ports("10.0.0.66", "10.0.0.1", 40), sensor=evil))
    page = client.get("/")
    assert "alert(1)" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "kind"), [("plotly.js", "text/javascript"), ("page.js", "text/javascript"), ("page.css", "text/css")]
)
def test_everything_the_page_loads_comes_from_here(client: Client, path: str, kind: str) -> None:
    asset = client.get(f"/assets/{path}")
    assert asset.status_code == 200
    assert asset.headers["content-type"].startswith(kind)
    assert f"/assets/{path}" in client.get("/").text


@pytest.mark.parametrize("path", ["secret.txt", "..%2Fpage.py", "page.py"])
def test_nothing_else_is_served(client: Client, path: str) -> None:
    assert client.get(f"/assets/{path}").status_code == 404


@pytest.mark.parametrize("name", ["page.html", "..%2fpage.py", "%00", "page.js%00.css"])
def test_nothing_else_is_an_asset(client: Client, name: str) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert answer.json()
