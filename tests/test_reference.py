from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.errors import InputError
from service.metrics import Metrics
from service.reference import metrics_table, settings_table, with_tables
from service.settings import CONFIG, PREFIX, Settings, secret_names
from tests.conftest import REPOSITORY

OPERATIONS = REPOSITORY / "docs" / "operations.md"

COMPOSE_ONLY = {"YOCHO_CAPTURES"}
"""Variables of the compose file itself, which no process of ours gets."""


def rows(text: str) -> dict[str, str]:
    """Return the lines of a table of settings by the variable in their first column."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `(YOCHO_\w+)` \|.*$", text, re.MULTILINE)}


def test_the_tables_are_as_the_code_is() -> None:
    page = OPERATIONS.read_text()
    assert with_tables(page) == page, "run: make reference"


def test_every_setting_has_a_row_with_its_default_and_help() -> None:
    found = rows(settings_table())
    assert set(found) == {CONFIG} | {PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        row = found[PREFIX + name.upper()]
        assert field.description
        assert field.description in row
        assert (f"{field.default:g}" if isinstance(field.default, float) else str(field.default)) in row
        assert (f"{PREFIX}{name.upper()}_FILE" in row) == (name in secret_names())


def test_every_metric_has_a_row() -> None:
    registry = CollectorRegistry()
    Metrics(registry, "1")
    table = metrics_table()
    for family in registry.collect():
        assert f"| `{family.name}" in table
    assert "yocho_queue_jobs" in table
    assert "_created" not in table


def test_what_the_readme_says_of_settings_is_what_the_table_says() -> None:
    table = rows(settings_table())
    shown = rows((REPOSITORY / "README.md").read_text())
    assert shown
    assert {name: table.get(name) for name in shown} == shown


@pytest.mark.parametrize(
    "file",
    [
        path
        for pattern in ("*.md", "Dockerfile", "Makefile", "docs/*.md", "deploy/**/*", "examples/*.md")
        for path in sorted(REPOSITORY.glob(pattern))
        if path.is_file()
    ],
    ids=lambda path: str(path.relative_to(REPOSITORY)),
)
def test_every_variable_that_is_named_anywhere_is_a_setting(file: Path) -> None:
    known = {CONFIG} | {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in secret_names()}
    named = set(re.findall(r"\bYOCHO_[A-Z0-9_]*[A-Z0-9]", file.read_text()))
    assert named - known - COMPOSE_ONLY == set()


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(InputError, match="settings: the page has no lines"):
        with_tables("# Operations\n")
