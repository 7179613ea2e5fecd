from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
import typer
from typer.testing import CliRunner

from service.client.client import Client
from service.commands import alerts
from service.commands.screen import Screen
from service.export.document import alert_document
from tests.builders import an_alert

if TYPE_CHECKING:
    from pathlib import Path

    from service.client.patience import Patience
    from service.commands.parts import Parts

ALERT = alert_document(an_alert(reason="It tried\x1b[2J all."))


class Service:
    """Answers as the API does; its stream says two events, breaks off, and says one more."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def client(self, url: str | None, token_file: Path | None, patience: Patience | None = None) -> Client:
        return Client(url or "http://yocho", None, patience, httpx.MockTransport(self._answer), lambda _: None)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/v1/status":
            return httpx.Response(200, json={})
        if request.url.path == "/v1/alerts":
            return httpx.Response(200, json={"items": [ALERT], "next": None})
        after = int(request.headers.get("last-event-id", "0"))
        if after >= 12:
            raise KeyboardInterrupt
        numbers = range(after + 1, 13 if after else 11)[-2:]
        text = "".join(f"id: {number}\nevent: opened\ndata: {json.dumps(ALERT)}\n\n" for number in numbers)
        return httpx.Response(200, text=text)


def run(*arguments: str) -> tuple[list[str], Service]:
    service, app = Service(), typer.Typer()
    app.callback()(lambda: None)
    alerts.add(app, cast("Parts", service), Screen())
    done = CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output.splitlines(), service


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def test_alerts_are_listed_a_line_each() -> None:
    (line,), service = run("--sensor", "edge", "--limit", "5")
    assert line == "2023-11-14T22:18:20.000000Z a1 edge horizontal 192.0.2.1: It tried?[2J all."
    assert dict(service.asked[0].url.params) == {"sensor": "edge", "limit": "5"}


def test_alerts_are_listed_as_documents() -> None:
    (line,), _ = run("--format", "jsonl")
    assert json.loads(line) == ALERT


def test_events_are_followed_and_taken_up_where_they_broke_off() -> None:
    lines, service = run("--follow", "--format", "jsonl", "--kind", "horizontal")
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [(each["id"], each["event"]) for each in found] == [
        (9, "opened"),
        (10, "opened"),
        (11, "opened"),
        (12, "opened"),
    ]
    assert found[0]["alert"] == ALERT
    resumed = [each.headers.get("last-event-id") for each in service.asked if each.url.path.endswith("stream")]
    assert resumed == [None, "10", "12"]


def test_who_says_after_goes_on_there() -> None:
    lines, service = run("--after", "11")
    assert [line.split()[:2] for line in lines] == [["12", "opened"]]
    assert service.asked[1].headers["last-event-id"] == "11"
