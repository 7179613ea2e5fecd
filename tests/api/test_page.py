"""The page about the API says what the API does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import a_pattern, a_record, an_alert
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    import httpx

    from service.store.sql import SqlStore
    from tests.api.client import Client

PAGE = (REPOSITORY / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```http\n(.*?)\n```", PAGE, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer as the page writes it."""

    first: str
    headers: dict[str, str]
    body: str

    @classmethod
    def of(cls, block: str) -> Message:
        head, _, body = block.partition("\n\n")
        first, *lines = head.split("\n")
        return cls(first, dict(line.split(": ", 1) for line in lines), body)


def is_part(part: Any, whole: Any) -> bool:
    """Tell whether a document shows parts of another, with "..." for anything."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        shown = len(part) == len(whole)
        return shown and all(map(is_part, part, whole))
    return bool(part in ("...", whole))


def fits(part: str, whole: str) -> bool:
    """Tell whether a text is another with "..." for anything."""
    return re.fullmatch(".*?".join(map(re.escape, part.split("..."))), whole.rstrip("\n")) is not None


def check(wanted: Message, answer: httpx.Response) -> None:
    assert answer.status_code == int(wanted.first.split(" ")[1]), answer.text
    assert answer.reason_phrase == wanted.first.split(" ", 2)[2]
    for name, value in wanted.headers.items():
        assert fits(value, answer.headers[name])
    if wanted.body.startswith("{"):
        document = answer.json()
        # Of the members of a pattern the page shows the first.
        if "members" in document:
            document["members"] = document["members"][:1]
        assert is_part(json.loads(wanted.body), document), answer.text
    else:
        assert fits(wanted.body, answer.text)


@pytest.fixture
def _stored(store: SqlStore) -> None:
    with store.begin() as unit:
        unit.save_patterns([a_pattern()])
        unit.save_alerts([an_alert()])
        unit.add_window(a_record())


@pytest.mark.usefixtures("_stored")
def test_every_example_is_answered_as_the_page_says(client: Client) -> None:
    requests, answers = BLOCKS[::2], BLOCKS[1::2]
    assert len(requests) == len(answers) >= 10
    for asked, told in zip(requests, answers, strict=True):
        request = Message.of(asked)
        method, url = request.first.split(" ")
        answer = client.request(method, url, headers=request.headers, content=request.body.encode())
        check(Message.of(told), answer)


def test_the_page_has_every_path(client: Client) -> None:
    said = PAGE.replace("/a1", "/{alert_id}").replace("/p1", "/{pattern_id}").replace("192.0.2.1", "{source}")
    paths = client.get("/openapi.json").json()["paths"]
    about = (
        "/v1/alerts",
        "/v1/patterns",
        "/v1/sources",
        "/v1/sensors",
        "/v1/allow-rules",
        "/v1/settings",
        "/v1/status",
    )
    ours = [
        path.removesuffix("/{identifier}").replace("{name}", "edge") for path in paths if path.startswith(about)
    ]
    assert [path for path in ours if path not in said] == []


@pytest.mark.parametrize(
    ("part", "whole", "wanted"),
    [
        ({"a": "..."}, {"a": 1, "b": 2}, True),
        ({"a": [1, "..."]}, {"a": [1, 2]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"c": 1}, {"a": 1}, False),
        ({"a": None}, {"a": 1}, False),
    ],
)
def test_parts_are_told_from_others(part: Any, whole: Any, *, wanted: bool) -> None:
    assert is_part(part, whole) is wanted
