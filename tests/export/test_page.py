"""The page about formats says what the code does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from service.export.formats import Format, write
from service.export.severity import SCORES
from tests.builders import START, an_alert
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "formats.md").read_text()


def block(form: Format) -> str:
    (found,) = re.findall(rf"```{form.value}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


def test_the_table_has_each_format_in_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert rows == [(form.value, form.media_type) for form in Format]


@pytest.mark.parametrize("form", [Format.CEF, Format.CSV, Format.BLOCKLIST])
def test_lines_are_what_is_written(form: Format) -> None:
    written = write(form, [an_alert()], START, "1.2.3").decode()
    assert block(form) == written.replace("\r\n", "\n")


@pytest.mark.parametrize("form", [Format.ECS, Format.OCSF])
def test_documents_are_part_of_what_is_written(form: Format) -> None:
    assert is_part(json.loads(block(form)), json.loads(write(form, [an_alert()], START, "1.2.3")))


def test_severities_are_told() -> None:
    assert ", ".join(map(str, SCORES.values())) + " in CEF" in PAGE
