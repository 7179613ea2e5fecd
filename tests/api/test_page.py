"""The page about the API says what the API does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from service.analysis import Analyst
from service.api.app import create_app
from service.api.spec import ApiSpec
from service.pipeline import PipelineSpec
from service.store.audit import Change
from service.windows.assign import WindowSpec
from service.work.parser import Parser
from service.work.parsing import Limits
from service.work.worker import Worker, WorkSpec
from tests.api.client import Client
from tests.builders import START, a_pattern, a_record, an_alert
from tests.conftest import REPOSITORY
from tests.work.traffic import Worked

if TYPE_CHECKING:
    import httpx

    from service.store.sql import SqlStore

PAGE = (REPOSITORY / "docs" / "api.md").read_text()
SECTIONS = {
    title: re.findall(r"```http\n(.*?)\n```", text, re.DOTALL)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
"""Requests and answers by section; each begins with a store of its own."""


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
    return fits(part, whole) if isinstance(part, str) and isinstance(whole, str) else bool(part in ("...", whole))


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


def stored(store: SqlStore) -> None:
    """Store what the examples speak of."""
    with store.begin() as unit:
        unit.save_patterns([a_pattern()])
        unit.save_alerts([an_alert()])
        unit.add_window(a_record())
        unit.deliveries.enrol("soc", 1)
        unit.deliveries.bury("soc", unit.events.after(0, 1)[0], START, "answered 422")
        unit.audit.add(Change(START, "anna", "5f0c2a9be4314a6f", "PATCH", "/v1/alerts/a1", 200))


def a_house(store: SqlStore) -> Client:
    """Return a client of an API whose work is done by a real worker when someone asks for it."""
    spec = PipelineSpec(windows=WindowSpec.usual())
    worker = Worker(WorkSpec(), store, Analyst(spec), Parser(spec, Limits()))
    return Client(create_app(ApiSpec(), Worked(store, worker), store, "1"))


@pytest.mark.parametrize("title", [title for title, blocks in SECTIONS.items() if blocks])
def test_every_example_is_answered_as_the_page_says(client: Client, store: SqlStore, title: str) -> None:
    if title == "Windows and their jobs":
        client = a_house(store)
    else:
        stored(store)
    requests, answers = SECTIONS[title][::2], SECTIONS[title][1::2]
    assert len(requests) == len(answers)
    place = ""
    for asked, told in zip(requests, answers, strict=True):
        request = Message.of(asked)
        method, url = request.first.split(" ")
        if url.endswith("..."):  # where the answer before led to
            assert place.startswith(url.removesuffix("..."))
            url = place
        answer = client.request(method, url, headers=request.headers, content=request.body.encode())
        check(Message.of(told), answer)
        place = answer.headers.get("location", place)


def test_the_page_has_every_path(client: Client) -> None:
    said = PAGE.replace("/a1", "/{alert_id}").replace("/p1", "/{pattern_id}").replace("192.0.2.1", "{source}")
    for place in ("/v1/sensors/edge", "/v1/outputs/soc"):
        said = said.replace(place, f"{place.rpartition('/')[0]}/{{name}}")
    said = said.replace("/v1/jobs/...", "/v1/jobs/{job_id}")
    said = re.sub(r"/v1/windows/w[0-9a-f]+", "/v1/windows/{window_id}", said)
    paths = client.get("/openapi.json").json()["paths"]
    about = (
        "/v1/alerts",
        "/v1/patterns",
        "/v1/sources",
        "/v1/sensors",
        "/v1/allow-rules",
        "/v1/settings",
        "/v1/status",
        "/v1/windows",
        "/v1/jobs",
        "/v1/outputs",
        "/v1/audit",
    )
    ours = [path.removesuffix("/{identifier}") for path in paths if path.startswith(about)]
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
