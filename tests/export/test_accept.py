from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.export.accept import negotiate
from service.export.formats import Format

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Format.JSON),
        ("", Format.JSON),
        ("*/*", Format.JSON),
        (BROWSER, Format.JSON),
        ("application/*", Format.JSON),
        ("application/json; charset=utf-8", Format.JSON),
        ("TEXT/CSV", Format.CSV),
        ("text/*", Format.CSV),
        ("text/csv;header=present", Format.CSV),
        ("text/csv;header=absent", None),
        ("text/plain", Format.BLOCKLIST),
        ("application/stix+json", Format.STIX),
        ("application/stix+json;version=2.1", Format.STIX),
        ('application/stix+json; version="2.1"', Format.STIX),
        ("application/stix+json;version=2.0", None),
        ("application/x-ndjson, application/json;q=0.5", Format.JSONL),
        ("application/json;q=0.2, text/csv;q=0.9", Format.CSV),
        ("text/csv;q=0.5, text/plain;q=0.5", Format.CSV),
        ("*/*;q=0.1, text/plain", Format.BLOCKLIST),
        ("*/*, application/json;q=0", Format.JSONL),
        ("application/json;q=0", None),
        ("text/html", None),
        ("nonsense", None),
        ("nonsense, text/csv", Format.CSV),
        ("*/json", None),
        ("text/csv;q=2", None),
        ("text/csv;q=0.1234", None),
        (",,text/csv,,", Format.CSV),
        ("text/html," * 40 + "text/csv", None),
    ],
)
def test_the_best_format_wins(accept: str | None, form: Format | None) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize("form", Format)
def test_each_format_is_had_by_its_own_type(form: Format) -> None:
    assert negotiate(form.media_type) is form
    assert negotiate(f"*/*;q=0.5, {form.media_type}") is form


@given(st.text())
def test_no_header_breaks_it(accept: str) -> None:
    assert negotiate(accept) in (None, *Format)


@given(st.lists(st.sampled_from([form.media_type for form in Format] + ["*/*", "text/*"]), min_size=1), st.data())
def test_what_is_refused_is_never_given(ranges: list[str], data: st.DataObject) -> None:
    refused = data.draw(st.sampled_from(Format))
    assert (
        negotiate(
            ", ".join([*(each for each in ranges if each != refused.media_type), f"{refused.media_type};q=0"])
        )
        is not refused
    )
