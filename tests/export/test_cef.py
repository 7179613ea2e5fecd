from __future__ import annotations

import re

import pycef  # type: ignore[import-untyped]
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.alerts.alert import Alert, Distinct, Evidence
from service.export.cef import cef_line, escape_header, escape_value
from service.export.traffic import traffic_of
from tests.builders import an_alert
from tests.export.strategies import alerts, nasty, some


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)


def one_space(text: str) -> str:
    """Return a text with one space for each run of what a line may not hold."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def parsed(alert: Alert) -> dict[str, str]:
    line = cef_line(alert, "1.2.3")
    assert len(line.splitlines()) == 1
    return {key: one_space(unescaped(value)) for key, value in pycef.parse(line).items()}


def without_empty(fields: dict[str, str]) -> dict[str, str]:
    return {key: text for key, value in fields.items() if (text := one_space(value))}


@some
@given(alerts())
def test_a_parser_reads_what_was_written(alert: Alert) -> None:
    fields = parsed(alert)
    assert (fields["DeviceVendor"], fields["DeviceProduct"], fields["DeviceVersion"]) == ("Yocho", "Yocho", "1.2.3")
    assert fields["DeviceEventClassID"] == f"{alert.kind.value}-{alert.ground.value}"
    assert 0 <= int(fields["Severity"]) <= 10
    expected = without_empty(
        {
            "externalId": alert.id,
            "deviceExternalId": alert.sensor,
            "msg": alert.reason,
            "cnt": str(alert.evidence.attempts),
            "start": str(alert.first_seen // 10**6),
            "end": str(alert.last_seen // 10**6),
            "targets": str(alert.evidence.targets.count),
            "technique": alert.technique,
            "pattern": alert.pattern or "",
            "tool": alert.tool.name.value if alert.tool else "",
            "allowedBy": alert.allowed_by or "",
        }
    )
    assert {key: fields.get(key) for key in expected} == expected
    assert float(fields["score"]) == alert.score


@some
@given(alerts())
def test_ends_are_where_their_version_belongs(alert: Alert) -> None:
    fields, traffic = parsed(alert), traffic_of(alert)
    assert fields.get("src", fields.get("Source IPv6 Address")) == traffic.source
    assert fields.get("dst", fields.get("Destination IPv6 Address")) == traffic.target
    assert ":" not in fields.get("src", "") + fields.get("dst", "")
    assert fields.get("dpt") == (None if traffic.port is None else str(traffic.port))
    if traffic.source is None:
        assert len(fields["sources"]) <= 4000
        listed = tuple(fields["sources"].split(","))
        assert listed == alert.sources[: len(listed)]


def test_an_alert_in_cef() -> None:
    one = Distinct(1, exact=True, sample=(1,))
    alert = an_alert(
        services=("tcp/23",),
        targets_sample=("198.51.100.1",),
        evidence=Evidence(50, 44, 0, targets=one, services=one, windows=5),
    )
    line = cef_line(alert, "1.2.3")
    assert line.startswith("CEF:0|Yocho|Yocho|1.2.3|horizontal-targets|Horizontal scan|3|externalId=a1 ")
    for pair in ("src=192.0.2.1", "dst=198.51.100.1", "dpt=23", "proto=TCP", "cnt=50", "cs1=tcp/23"):
        assert f" {pair} " in line


@given(st.one_of(st.text(), nasty))
@example("\\=\n|")
def test_escaping_loses_nothing_but_controls(text: str) -> None:
    value, header = escape_value(text), escape_header(text)
    assert one_space(unescaped(value)) == one_space(text)
    assert one_space(unescaped(header)) == one_space(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*=", value)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", header)
    assert len(f"|{value}|{header}|".splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=b", r"a\=b"), ("a\\b", r"a\\b"), ("a\r\nb\rc", r"a\nb\nc"), ("a|b", "a|b"), (" a\x00b ", "a b")],
)
def test_values_are_escaped_by_the_standard(text: str, value: str) -> None:
    assert escape_value(text) == value


def test_headers_are_escaped_by_the_standard() -> None:
    assert escape_header("a|b\\c=d\ne") == r"a\|b\\c=d e"
