"""The documents that come in, and the words of which all documents are made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from service.alerts.alert import Kind
from service.api import examples
from service.api.times import parse_query_time, parse_time
from service.capture.address import format_address, parse_address
from service.windows.counts import SAMPLE_SIZE
from service.windows.posted import MAX_COUNT, MAX_SENSOR_LENGTH, PostedRow, PostedTotals

MAX_PAGE = 1000

_TIME_FORMS: dict[str, Any] = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}],
    "description": "RFC 3339 with a zone, or seconds since 1970; down to nanoseconds",
}
_QUERY_TIME_FORMS = {
    "type": "string",
    "description": "Only alerts seen at or after this time: RFC 3339 with a zone, or seconds since 1970",
    "examples": ["2026-03-01T12:00:00Z", "1772366400"],
}

Time = Annotated[int, BeforeValidator(parse_time), WithJsonSchema(_TIME_FORMS)]
Address = Annotated[str, Field(max_length=64, examples=["192.0.2.1", "2001:db8::1"])]
Service = Annotated[str, Field(max_length=32, examples=["tcp/23", "udp/53", "icmp/echo", "arp/request"])]
Positive = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def _canonical(text: str) -> str:
    return format_address(*parse_address(text))


def config(*shown: dict[str, Any]) -> ConfigDict:
    """Return what all documents have in common, with examples."""
    return ConfigDict(
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": list(shown)},
    )


class RowIn(BaseModel):
    """What one source tried of one service."""

    model_config = config(examples.ROW)

    source: Address
    """IPv4 or IPv6 address of the host that began the conversations."""
    service: Service
    attempts: Positive
    targets: Positive
    """Distinct targets."""
    answered: Count
    """Distinct targets that took part."""

    def posted(self) -> PostedRow:
        """Return the row for `posted_window`."""
        return PostedRow(self.source, self.service, self.attempts, self.targets, self.answered)


class TotalsIn(BaseModel):
    """What rows can't tell of a source."""

    model_config = config({**examples.TOTALS, "targets_sample": ["198.51.100.7"]})

    source: Address
    targets: Positive
    """Distinct targets over all services."""
    most_services_on_one_target: Positive
    most_unanswered_services_on_one_target: Count
    """Traceroute's ports, udp/33434 to udp/33534, count as one service."""
    most_targets_of_one_service: Positive
    targets_sample: Annotated[list[Address], Field(max_length=SAMPLE_SIZE)] = []

    def posted(self) -> PostedTotals:
        """Return the totals for `posted_window`."""
        return PostedTotals(
            source=self.source,
            targets=self.targets,
            most_services_on_one_target=self.most_services_on_one_target,
            most_unanswered_services_on_one_target=self.most_unanswered_services_on_one_target,
            most_targets_of_one_service=self.most_targets_of_one_service,
            targets_sample=tuple(self.targets_sample),
        )


class WindowIn(BaseModel):
    """The counts of one sensor in [start, end), at most 24 hours."""

    model_config = config(
        examples.WINDOW,
        {"sensor": "edge", "start": 1772366400, "end": 1772366460.5, "rows": [examples.ROW]},
    )

    sensor: Annotated[str, Field(min_length=1, max_length=MAX_SENSOR_LENGTH)]
    start: Time
    end: Time
    rows: list[RowIn]
    """One for each source and service, in any order."""
    sources: list[TotalsIn] = []
    """Totals, as far as they are known; where they are missing they are inferred from the rows."""


class Filter(BaseModel):
    """Which part of a listing is wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    sensor: str | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: str | None = None
    """`next` of the page before."""


class AlertFilter(Filter):
    """Which alerts are wanted."""

    kind: Kind | None = None
    source: Annotated[str, Field(max_length=64), AfterValidator(_canonical)] | None = None
    """An IPv4 or IPv6 address."""
    since: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_QUERY_TIME_FORMS)] | None = None
    allowed: bool = False
    """Those that the allow-list or a judged pattern covers, instead of all others."""


class Judgement(BaseModel):
    """What a person says of a pattern."""

    model_config = config({"status": "benign"})

    status: Literal["known", "benign", "muted"]
    """It stays until a person says otherwise."""
