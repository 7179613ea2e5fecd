from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alerts.alert import Alert
from service.export.document import alert_document
from service.export.table import COLUMNS, csv_table, guard
from tests.builders import an_alert
from tests.export.strategies import alerts, nasty, some

SIGNS = "=+-@＝＋－＠"


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and guard(cell[1:]) == cell else cell


@some
@given(st.lists(alerts(), max_size=2))
def test_a_reader_gets_back_what_was_written(given: list[Alert]) -> None:
    rows = read(csv_table(given))
    assert len(rows) == len(given)
    for row, alert in zip(rows, given, strict=True):
        assert tuple(row) == COLUMNS
        document = alert_document(alert)
        for column in ("id", "sensor", "reason", "first_seen"):
            assert unguarded(row[column]) == document[column]
        for column in ("pattern", "allowed_by"):
            assert unguarded(row[column]) == (document[column] or "")
        for column in ("attempts", "pairs", "target_count", "updates"):
            assert int(row[column]) == document[column]
        for column in ("score", "threshold", "answered_share"):
            assert float(row[column]) == document[column]
        assert unguarded(row["sources"]).split(" ") == list(alert.sources)
        assert unguarded(row["services"]).split(" ") == list(alert.services)


@some
@given(alerts())
def test_no_cell_is_a_formula(alert: Alert) -> None:
    (row,) = read(csv_table([alert]))
    for cell in row.values():
        assert cell.lstrip().lstrip("\x00\x1b\x7f")[:1] not in [*SIGNS]
        assert cell[:1] not in ["\t", "\r", "\n"]


@given(st.one_of(st.text(), nasty))
def test_guarding_only_adds_an_apostrophe(text: str) -> None:
    assert guard(text) in (text, "'" + text)
    assert guard(guard(text)) == guard(text)


@pytest.mark.parametrize("text", [*SIGNS, "=1", " =1", "\x00=1", "\t1", "\r1", "\n1", "\u00a0-1"])
def test_what_may_be_a_formula_is_guarded(text: str) -> None:
    assert guard(text) == "'" + text


@pytest.mark.parametrize("text", ["", "edge", "192.0.2.1", "a=b", "1-2", "'quoted'", "::1"])
def test_what_is_none_stays(text: str) -> None:
    assert guard(text) == text


def test_lines_end_as_rfc_4180_says_and_the_header_is_fixed() -> None:
    text = csv_table([an_alert(sensor='a "b",\nc')])
    assert text.startswith(",".join(COLUMNS) + "\r\n")
    assert text.endswith("\r\n")
    assert '"a ""b"",\nc"' in text
    assert csv_table([]) == ",".join(COLUMNS) + "\r\n"


def test_missing_values_are_empty_and_truths_are_words() -> None:
    (row,) = read(csv_table([an_alert(pattern=None)]))
    assert (row["pattern"], row["tool"], row["allowed_by"], row["targets_exact"]) == ("", "", "", "true")
    assert row["severity"] == "medium"
