"""The documents about sources, sensors, settings, rules and the service itself that go out."""

from __future__ import annotations

from pydantic import BaseModel

from service.api import examples
from service.api.answers import Reference
from service.api.schemas import Address, Service, TimeText, config


class CommentOut(BaseModel):
    """What a person wrote about an alert."""

    model_config = config(examples.COMMENT)

    id: str
    time: TimeText
    author: str
    """Name of a token, or anonymous."""
    text: str


class CommentPage(BaseModel):
    """Part of the comments of an alert, oldest first."""

    model_config = config({"items": [examples.COMMENT], "next": None})

    items: list[CommentOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class Tried(BaseModel):
    """What a source tried of one service."""

    model_config = config(examples.ACTIVITY["services"][0])

    service: Service
    attempts: int
    targets: int
    answered: int


class ActivityOut(BaseModel):
    """A window in which a source was active."""

    model_config = config(examples.ACTIVITY)

    id: str
    url: str
    sensor: str
    start: TimeText
    end: TimeText
    attempts: int
    targets: int
    """Distinct targets over all services."""
    service_count: int
    services: list[Tried]
    """Those with most attempts, at most 20."""
    first_seen: TimeText
    last_seen: TimeText


class ActivityPage(BaseModel):
    """Part of the windows in which a source was active, the latest end first.

    Windows are not listed by source: a page that looked through many of them may hold few or none, and still have
    a next one.
    """

    model_config = config(examples.ACTIVITIES)

    items: list[ActivityOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class Incident(BaseModel):
    """A scan in short."""

    model_config = config(examples.INCIDENT)

    id: str
    url: str
    kind: str
    sensor: str
    first_seen: TimeText
    last_seen: TimeText
    excess: float
    state: str
    reason: str
    allowed_by: str | None


class Membership(BaseModel):
    """A pattern that a source followed in the pattern's latest window."""

    model_config = config(examples.MEMBERSHIP)

    id: str
    url: str
    name: str
    sensor: str
    share: float
    """The part of the source's attempts that the pattern explains."""
    last_seen: TimeText


class SourceOut(BaseModel):
    """What is known of one address."""

    model_config = config(
        {
            "source": "192.0.2.1",
            **examples.SEEN,
            "incident_count": 1,
            "incidents": [examples.INCIDENT],
            "patterns": [examples.MEMBERSHIP],
            "windows": examples.ACTIVITIES,
            "windows_url": "/v1/sources/192.0.2.1/windows",
        }
    )

    source: Address
    first_seen: TimeText | None
    """As the alerts and the windows below tell; null if neither name it."""
    last_seen: TimeText | None
    incident_count: int
    """All alerts, those too that the allow-list covers."""
    incidents: list[Incident]
    """The latest begun, at most 100; /v1/alerts?source= lists all."""
    patterns: list[Membership]
    """At most 100, those seen last first."""
    windows: ActivityPage
    """Some of the latest."""
    windows_url: str


class SensorOut(BaseModel):
    """What has come from a sensor."""

    model_config = config(examples.SENSOR)

    name: str
    url: str
    windows: int
    """All that were taken in, of every length."""
    attempts: int
    shed: int
    """Attempts that windows had no room for."""
    dropped: int | None
    """Packets that the system dropped before they could be read, if the sensor says so."""
    first_window: TimeText | None
    """Start of its first window that is stored."""
    latest_window: TimeText | None
    """End of its latest window."""
    lag_seconds: float | None
    """How long ago that was, by the service's clock."""
    heard_at: TimeText | None
    """When something of it was last taken in, if that is known."""
    open_alerts: int
    """Without those that the allow-list covers."""
    history_days: float
    """From its first window to its latest, at most 60: what the thresholds of groups rest on."""


class DayOut(BaseModel):
    """What is left of a sensor's windows of one length that began on one day and are no longer kept."""

    model_config = config(examples.DAY)

    sensor: str
    day: TimeText
    """Its midnight, UTC."""
    window_seconds: float
    """Length of the windows."""
    windows: int
    attempts: int
    answered: int
    """Sum over sources and services of the targets that answered, of windows whose counts are gone too."""
    most_sources: int
    """The most sources of one window."""
    most_services: int
    shed: int
    """Attempts that windows had no room for."""


class DayPage(BaseModel):
    """Part of a sensor's days, latest first."""

    model_config = config({"items": [examples.DAY], "next": None})

    items: list[DayOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class SensorPage(BaseModel):
    """Part of the sensors, in the order of their names."""

    model_config = config({"items": [examples.SENSOR], "next": None})

    items: list[SensorOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class SettingOut(BaseModel):
    """A setting that changes while the service runs."""

    model_config = config(examples.SETTING)

    value: float
    """What holds from the next window on."""
    configured: float
    """What holds if nobody changes it."""
    changed_at: TimeText | None
    changed_by: str | None


class SettingsOut(BaseModel):
    """All settings that change while the service runs."""

    model_config = config({"false_alarms": examples.SETTING})

    false_alarms: SettingOut
    """False alarms a day that groups of sources may raise; 0: none are looked for."""


class AllowRuleOut(BaseModel):
    """A source, a service, or both, that may scan."""

    model_config = config(examples.RULE)

    id: str
    rule: str
    note: str
    origin: str
    """api; or file: it stands in the file that YOCHO_ALLOW_LIST names, and changes only there."""
    created_at: TimeText | None
    created_by: str | None


class AllowRuleList(BaseModel):
    """All rules, those of the file first."""

    model_config = config({"items": [examples.RULE]})

    items: list[AllowRuleOut]


class OutputOut(BaseModel):
    """Where an output of alerts stands that has begun."""

    model_config = config(examples.OUTPUT)

    name: str
    url: str
    position: int
    """Number of the last event that it told, left out or gave up."""
    behind: int
    """Events after that."""
    behind_seconds: float
    """How long the first of these has waited; 0 if there is none."""
    tries: int
    """How often it would not take the next one."""
    failure: str | None
    """Why the last try failed; null if it did not."""
    next_try_seconds: float
    """In how many seconds it is tried again, after a failure."""
    dead_letters: int
    """Events that it gave up, ..."""
    put_back: int
    """... and others that are to be tried again."""


class OutputList(BaseModel):
    """All outputs that ever began, by name."""

    model_config = config({"items": [examples.OUTPUT]})

    items: list[OutputOut]


class DeadLetterOut(BaseModel):
    """An event that an output gave up."""

    model_config = config(examples.DEAD_LETTER)

    id: str
    time: TimeText
    """When it was given up."""
    reason: str
    sequence: int
    """Number of the event."""
    event: str
    """What happened: opened, grew, ended, acknowledged, muted, commented."""
    at: TimeText
    """When it happened."""
    alert: Reference


class DeadLetterPage(BaseModel):
    """Part of what an output gave up, latest first."""

    model_config = config({"items": [examples.DEAD_LETTER], "next": None})

    items: list[DeadLetterOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class ChangeOut(BaseModel):
    """A request that changed something, or was to."""

    model_config = config(examples.CHANGE)

    id: str
    time: TimeText
    actor: str
    """Name of the token, or anonymous."""
    method: str
    path: str
    status: int
    """What was answered: from 400 on, nothing was changed."""
    request: str
    """Id of the request, as in the log; empty if it had none."""


class ChangePage(BaseModel):
    """Part of the audit log, latest first."""

    model_config = config({"items": [examples.CHANGE], "next": None})

    items: list[ChangeOut]
    next: str | None
    """Cursor of the next page, or null at the end."""


class StoreOut(BaseModel):
    """Where everything is kept."""

    model_config = config({"kind": "sqlite", "revision": "0003"})

    kind: str
    """sqlite or postgresql"""
    revision: str
    """Of its tables."""


class WorkOut(BaseModel):
    """What was accepted and waits to be analysed."""

    model_config = config(examples.WORK)

    jobs: int
    bytes: int
    oldest_seconds: float | None
    """How long the oldest has waited; null if none does."""


class StatusOut(BaseModel):
    """How the service is doing."""

    model_config = config(
        {
            "version": "0.1.0",
            "time": "2026-03-01T12:01:04.200000Z",
            "store": {"kind": "sqlite", "revision": "0003"},
            "work": examples.WORK,
            "open_streams": 2,
            "sensor_count": 1,
            "sensors": [examples.SENSOR],
        }
    )

    version: str
    time: TimeText
    """By the service's clock."""
    store: StoreOut
    work: WorkOut
    open_streams: int
    """Of this process."""
    sensor_count: int
    sensors: list[SensorOut]
    """The first 100 by name; /v1/sensors lists all."""
