"""The documents that come in, and the words of which all documents are made."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from service.alerts.alert import Kind
from service.api import examples
from service.api.times import LATEST_SECOND, parse_query_time, parse_time
from service.capture.address import format_address, parse_address
from service.capture.services import format_service, parse_service
from service.export.formats import Format
from service.patterns.pattern import State, Status
from service.store.desk import Progress
from service.store.span import canonical_source
from service.windows.counts import SAMPLE_SIZE
from service.windows.posted import MAX_SENSOR_LENGTH, PostedTotals
from service.windows.posted_rows import MAX_COUNT, PostedRow

MAX_PAGE = 1000
MAX_ADDRESS_LENGTH = 64
MAX_SERVICE_LENGTH = 32

_TIME_FORMS: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "number", "minimum": 0, "maximum": LATEST_SECOND},
    ],
    "description": "RFC 3339 with a zone, or seconds since 1970; down to nanoseconds",
}
_WHOLE_TIME_FORMS: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 0, "maximum": LATEST_SECOND},
    ],
    "description": "RFC 3339 with a zone, or whole seconds since 1970",
}
_QUERY_TIME_FORMS = {
    "type": "string",
    "format": "date-time-or-seconds",
    "description": "Only what was seen at or after this time: RFC 3339 with a zone, or seconds since 1970",
    "examples": ["2026-03-01T12:00:00Z", "1772366400"],
}
_QUERY_UNTIL_FORMS = _QUERY_TIME_FORMS | {"description": "Only what began before this time, in the same forms"}
_ASKED_SINCE_FORMS = _QUERY_TIME_FORMS | {
    "description": "Only what was asked for at or after this time: RFC 3339 with a zone, or seconds since 1970"
}
_ASKED_UNTIL_FORMS = _QUERY_TIME_FORMS | {
    "description": "Only what was asked for before this time, in the same forms"
}
_DAYS_SINCE_FORMS = _QUERY_TIME_FORMS | {
    "description": "Only days that begin at or after this time: RFC 3339 with a zone, or seconds since 1970"
}
_DAYS_UNTIL_FORMS = _QUERY_TIME_FORMS | {"description": "Only days that begin before this time, in the same forms"}

_NO_NUL: dict[str, Any] = {"pattern": "^[^\\u0000]*$"}
_SOME_WORDS: dict[str, Any] = {"pattern": "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"}
_ADDRESS_FORMS: dict[str, Any] = {
    "anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}],
    "examples": ["192.0.2.1", "2001:db8::1"],
}
_SOURCE_FORMS: dict[str, Any] = {
    "type": "string",
    "maxLength": 64,
    "format": "ip-or-network",
    "examples": ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"],
}
_SERVICE_FORMS: dict[str, Any] = {
    "type": "string",
    "pattern": "^((tcp|udp|sctp)/(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})"
    "|ip/(25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})|icmp6?/(echo|timestamp|information|address-mask)|arp/request)$",
    "examples": ["tcp/23"],
}

Time = Annotated[int, BeforeValidator(parse_time), WithJsonSchema(_TIME_FORMS)]
Address = Annotated[str, Field(max_length=MAX_ADDRESS_LENGTH), WithJsonSchema(_ADDRESS_FORMS)]
Service = Annotated[
    str, Field(max_length=MAX_SERVICE_LENGTH, examples=["tcp/23", "udp/53", "icmp/echo", "arp/request"])
]
Positive = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
TimeText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def _canonical(text: str) -> str:
    return format_address(*parse_address(text))


def _service_name(text: str) -> str:
    return format_service(parse_service(text))


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL, which not every database keeps; leave it out")
    return text


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("says nothing; write some words")
    return _storable(text)


def _number(value: object) -> object:
    # Fractions of a strict document are decimals.
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _whole(value: object) -> int:
    time = parse_time(value)
    # Looked at afterwards: the remainder of a number without bounds can't be taken.
    if isinstance(value, Decimal) and value % 1:
        raise ValueError("has decimals; write whole seconds since 1970, or RFC 3339")
    return time


WholeTime = Annotated[int, BeforeValidator(_whole), WithJsonSchema(_WHOLE_TIME_FORMS)]
Source = Annotated[str, Field(max_length=64), AfterValidator(canonical_source), WithJsonSchema(_SOURCE_FORMS)]
OneSource = Annotated[str, Field(max_length=64), AfterValidator(_canonical), WithJsonSchema(_ADDRESS_FORMS)]
ServiceName = Annotated[str, Field(max_length=32), AfterValidator(_service_name), WithJsonSchema(_SERVICE_FORMS)]
Excess = Annotated[float, Field(ge=0, allow_inf_nan=False, examples=[2.0])]


def config(*shown: dict[str, Any], **rules: int) -> ConfigDict:
    """Return what all documents have in common, with examples, and with further rules of the JSON schema."""
    return ConfigDict(
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": list(shown), **rules},
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
    """Name of the sensor."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    """Items of a page, at most."""
    cursor: str | None = None
    """`next` of the page before."""


class PatternFilter(Filter):
    """Which patterns are wanted."""

    status: Status | None = None
    """What is thought of it."""
    state: State | None = None
    """Whether it is looked for."""
    service: ServiceName | None = None
    """One of its services, such as tcp/23."""


class AlertFilter(Filter):
    """Which alerts are wanted."""

    kind: Kind | None = None
    """The shape of the scan."""
    source: Source | None = None
    """An IPv4 or IPv6 address, or a network such as 192.0.2.0/24; one of the alert's sources lies in it."""
    service: ServiceName | None = None
    """One of the services that the alert lists, such as tcp/23."""
    pattern: Annotated[str, Field(max_length=64)] | None = None
    """Id of the pattern that the source followed most."""
    since: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_QUERY_TIME_FORMS)] | None = None
    """Only what was seen at or after this time."""
    until: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_QUERY_UNTIL_FORMS)] | None = None
    """Only what began before this time."""
    min_score: Excess | None = None
    """The least evidence, in thresholds: `excess` of the alert."""
    state: Progress | None = None
    """open or ended; or acknowledged, or muted for now."""
    allowed: bool = False
    """Those that the allow-list or a judged pattern covers, instead of all others."""
    format: Format | None = None
    """What to write them as, instead of what Accept asks for."""


class ActivityFilter(Filter):
    """Which windows of a source are wanted."""

    since: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_QUERY_TIME_FORMS)] | None = None
    """Only what was seen at or after this time."""
    until: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_QUERY_UNTIL_FORMS)] | None = None
    """Only what began before this time."""


class AuditFilter(BaseModel):
    """Which changes are wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    actor: Annotated[str, Field(max_length=64)] | None = None
    """Name of the token that was used, or anonymous."""
    method: Literal["DELETE", "PATCH", "POST", "PUT"] | None = None
    """Of the request."""
    since: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_ASKED_SINCE_FORMS)] | None = None
    """Only what was asked for at or after this time."""
    until: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_ASKED_UNTIL_FORMS)] | None = None
    """Only what was asked for before this time."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    """Items of a page, at most."""
    cursor: str | None = None
    """`next` of the page before."""


class DayFilter(BaseModel):
    """Which days are wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    sensor: str
    """Name of the sensor."""
    since: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_DAYS_SINCE_FORMS)] | None = None
    """Only days that begin at or after this time."""
    until: Annotated[int, BeforeValidator(parse_query_time), WithJsonSchema(_DAYS_UNTIL_FORMS)] | None = None
    """Only days that begin before this time."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    """Items of a page, at most."""
    cursor: str | None = None
    """`next` of the page before."""


class StreamFilter(BaseModel):
    """Which events are wanted."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    sensor: str | None = None
    """Name of the sensor."""
    kind: Kind | None = None
    """The shape of the scan."""
    source: Source | None = None
    """An IPv4 or IPv6 address, or a network such as 192.0.2.0/24; one of the alert's sources lies in it."""
    min_score: Excess | None = None
    """The least evidence, in thresholds: `excess` of the alert."""
    with_allowed: bool = False
    """Also those that the allow-list or a judged pattern covers."""
    after: Annotated[int, Field(ge=0, le=(1 << 63) - 1)] | None = None
    """Id of the event to go on after; 0: all that are kept. The header Last-Event-ID comes first."""


class Judgement(BaseModel):
    """What a person says of a pattern."""

    model_config = config({"status": "benign"})

    status: Literal["known", "benign", "muted"]
    """It stays until a person says otherwise."""


class AlertChange(BaseModel):
    """What a person says of an alert: what is left out stays as it is."""

    model_config = config(
        {"acknowledged": True}, {"muted_until": "2026-03-02T08:00:00Z"}, {"muted_until": None}, minProperties=1
    )

    acknowledged: bool = False
    """True: somebody has taken care of it; who says so first is kept. False: nobody has."""
    muted_until: WholeTime | None = None
    """Up to then nobody wants to hear of it; null: again at once."""

    @model_validator(mode="after")
    def _says_something(self) -> AlertChange:
        if not self.model_fields_set:
            raise ValueError("says nothing; give acknowledged, muted_until or both")
        return self


class CommentIn(BaseModel):
    """What a person writes about an alert."""

    model_config = config({"text": "A camera that was taken over; cut off."})

    text: Annotated[
        str,
        Field(min_length=1, max_length=4000, json_schema_extra=_SOME_WORDS),
        AfterValidator(_says_something),
    ]
    """Plain text."""


class SettingsChange(BaseModel):
    """Settings that change while the service runs: what is left out stays as it is, null is as configured."""

    model_config = config({"false_alarms": 2.5}, {"false_alarms": None}, minProperties=1)

    false_alarms: Annotated[float, Field(ge=0, le=100), BeforeValidator(_number)] | None = None
    """False alarms a day that groups of sources may raise; 0: none are looked for."""

    @model_validator(mode="after")
    def _says_something(self) -> SettingsChange:
        if not self.model_fields_set:
            raise ValueError("says nothing; give false_alarms")
        return self


class AllowRuleIn(BaseModel):
    """A source, a service, or both, that may scan."""

    model_config = config({"rule": "192.0.2.0/28 tcp/443", "note": "our own scanner"}, {"rule": "udp/161"})

    rule: Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "allow-rule"})]
    """A network or address, a service or range of ports, or both."""
    note: Annotated[str, Field(max_length=500, json_schema_extra=_NO_NUL), AfterValidator(_storable)] = ""
    """Why."""
