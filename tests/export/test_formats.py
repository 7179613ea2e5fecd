from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alerts.alert import Alert
from service.export.accept import negotiate
from service.export.document import alert_document
from service.export.formats import Format, write
from tests.builders import START, an_alert
from tests.conftest import REPOSITORY
from tests.export.strategies import alerts, some

LINES = {Format.JSONL, Format.ECS, Format.OCSF, Format.CEF}


@some
@given(st.lists(alerts(), max_size=2), st.sampled_from([form for form in Format if form is not Format.STIX]))
def test_any_alert_can_be_written(given: list[Alert], form: Format) -> None:
    text = write(form, given, START, "1.2.3").decode()
    if form in LINES:
        assert len(text.splitlines()) == len(given)
        assert text == "" or text.endswith("\n")
    if form is Format.JSON:
        assert json.loads(text) == [alert_document(alert) for alert in given]


@pytest.mark.parametrize("form", Format)
def test_no_alerts_and_many_are_documents_too(form: Format) -> None:
    written = [write(form, iter([an_alert()] * count), START, "1.2.3") for count in range(3)]
    assert all(isinstance(document, bytes) for document in written)
    assert all(b"192.0.2.1" in document for document in written[1:])


def test_names_and_types_are_one_to_one() -> None:
    assert len({form.media_type for form in Format}) == len(Format)
    assert [negotiate(form.media_type) for form in Format] == list(Format)


def test_nothing_waits_for_the_library_of_stix_but_stix() -> None:
    code = (
        "import sys; from service.export.formats import Format, write\n"
        "for form in Format:\n"
        "    if form is not Format.STIX: write(form, [], 0, '1')\n"
        "assert 'stix2' not in sys.modules\n"
        "write(Format.STIX, [], 0, '1')\n"
        "assert 'stix2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
