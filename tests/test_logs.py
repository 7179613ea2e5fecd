from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.logs import JsonFormatter, Redaction
from service.observe import identified

TOKEN = "yo_" + "Ab3-_" * 8 + "xyz"


def written(message: str, redaction: Redaction | None = None, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("service.x", logging.INFO, __file__, 1, message, (), None)
    record.__dict__.update(extra)
    line: dict[str, Any] = json.loads(JsonFormatter(redaction).format(record))
    return line


def test_a_record_is_an_object_with_what_is_worked_on() -> None:
    with identified(request="r1", window="w1"):
        line = written("window stored", rows=3)
    assert {key: line[key] for key in ("level", "logger", "message", "request", "window", "rows")} == {
        "level": "info",
        "logger": "service.x",
        "message": "window stored",
        "request": "r1",
        "window": "w1",
        "rows": 3,
    }
    assert line["time"].endswith("+00:00")
    assert "request" not in written("nothing is worked on")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"refused {TOKEN}", TOKEN),
        (f"Authorization: Bearer {TOKEN}", TOKEN),
        ("authorization: bearer abcdefgh12345678", "abcdefgh12345678"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("can't open postgresql+psycopg://yocho:hunter2@db/yocho", "hunter2"),
        ("can't open postgresql://yocho:p@ss/w:rd@db/yocho", "p@ss/w:rd"),
        ('postgresql://yocho:a"b\\c@db/yocho', 'a\\"b'),
        ("https://:hunter2@example.org/hook", "hunter2"),
    ],
)
@pytest.mark.parametrize("place", ["message", "extra", "error"])
def test_secrets_never_show(text: str, secret: str, place: str) -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, text if place == "message" else "it", (), None)
    if place == "extra":
        record.__dict__["url"] = text
    if place == "error":
        record.exc_info = (LookupError, LookupError(text), None)
    line = JsonFormatter().format(record)
    assert secret not in line
    assert "***" in json.dumps(json.loads(line))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters='"'), min_size=1))
def test_no_password_in_a_url_survives(password: str) -> None:
    hidden = Redaction().hide(f"open postgresql://yocho:{password}@db.example/yocho now")
    assert hidden == "open postgresql://yocho:***@db.example/yocho now"


def test_secrets_that_are_named_are_hidden_as_they_stand_in_json() -> None:
    secret = 'say "friend"\nand enter'
    line = written(f"signed with {secret}", Redaction([secret]), key=secret)
    assert (line["message"], line["key"]) == ("signed with ***", "***")


def test_what_is_no_secret_is_left() -> None:
    text = "GET http://127.0.0.1:8000/v1/alerts at 12:00 by yo_short, mail a@b.example"
    assert Redaction([""]).hide(text) == text
