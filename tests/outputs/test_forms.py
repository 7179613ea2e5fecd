from __future__ import annotations

import json
import re

from hypothesis import given

from service.alerts.alert import Alert, Kind
from service.export.severity import Severity
from service.outputs.forms import Form, eve_document, written
from service.outputs.output import Notice
from service.outputs.syslog import message
from service.store.events import Event, EventKind
from tests.builders import START
from tests.export.strategies import alerts, some
from tests.outputs.receivers import VERSION, a_notice

RFC5424 = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} yocho - (\w+) "
    rb'\[yocho@32473 id="([^"]+)"\] (CEF:0\|[^\n]*)'
)


def test_ids_tell_events_apart_and_are_the_same_again() -> None:
    first, same, other = a_notice(1), a_notice(1), a_notice(1, EventKind.GREW)
    assert first.id == same.id
    assert first.id.startswith("1-")
    assert len({first.id, other.id, a_notice(2).id, a_notice(1, id="a2").id}) == 4


def test_an_alert_reads_like_one_of_suricata() -> None:
    document = eve_document(a_notice(7))
    assert document["timestamp"] == "2023-11-14T22:18:20.000000+0000"
    assert (document["event_type"], document["src_ip"], document["proto"]) == ("alert", "192.0.2.1", "TCP")
    assert "dest_ip" not in document
    assert document["alert"]["signature"] == "Horizontal scan"
    assert document["alert"]["severity"] == 2
    assert (document["yocho"]["sequence"], document["yocho"]["event"]) == (7, "opened")


def test_every_kind_has_a_signature_of_its_own() -> None:
    found = {eve_document(a_notice(kind=kind))["alert"]["signature_id"] for kind in Kind}
    assert len(found) == len(Kind)


def test_a_message_of_syslog_says_how_bad_it_is() -> None:
    match = RFC5424.fullmatch(message(a_notice(3, EventKind.ENDED), "local3", VERSION))
    assert match
    assert (int(match[1]), match[2], match[3].decode()) == (19 * 8 + 4, b"ended", a_notice(3, EventKind.ENDED).id)
    allowed = RFC5424.fullmatch(message(a_notice(allowed_by="192.0.2.1"), "kern", VERSION))
    assert allowed
    assert int(allowed[1]) == 5
    assert set(Severity) == {Severity.LOW, Severity.MEDIUM, Severity.HIGH}


@given(alert=alerts())
@some
def test_whatever_an_alert_says_it_is_one_line_in_every_form(alert: Alert) -> None:
    notice = Notice(Event(1, START, EventKind.OPENED, alert.id, ""), alert)
    for form in (Form.JSON, Form.EVE, Form.ECS, Form.OCSF, Form.CEF):
        line = written(form, notice, VERSION)
        assert len(line.splitlines()) == 1
        if form is not Form.CEF:
            assert isinstance(json.loads(line), dict)
    assert RFC5424.fullmatch(message(notice, "local0", VERSION))
