"""The only reader of the environment: settings from flags, environment, a file, and defaults, in this order."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREFIX = "YOCHO_"

CONFIG = "YOCHO_CONFIG"
"""Names the file of settings."""

SECRET: dict[str, Any] = {"secret": True}
"""`json_schema_extra` of a setting that is never shown, and may be read from the file that NAME_FILE names."""

_FILE = "_file"

_ALSO = {"OTEL_EXPORTER_OTLP_ENDPOINT": "otlp_endpoint"}
"""Variables that others have named; ours are asked first."""

_MOST_BYTES = 1 << 20
"""Of a file of settings, or of one that holds a secret."""


def sudo_caller(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the user and group that called sudo, or None if nobody did."""
    uid, gid = environment.get("SUDO_UID", ""), environment.get("SUDO_GID", "")
    return (int(uid), int(gid)) if uid.isascii() and uid.isdigit() and gid.isascii() and gid.isdigit() else None


class Settings(BaseModel):
    """What can be set from outside; each field is the environment variable ``YOCHO_`` + its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database: str = Field(
        "yocho.db", description="SQLite file, or an SQLAlchemy URL", json_schema_extra=SECRET, repr=False
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0: any free one")
    admin_token: str = Field(
        "",
        description="a token that may do everything; `yocho token new` makes one",
        json_schema_extra=SECRET,
        repr=False,
    )
    tls_certificate: str = Field("", description="PEM file of a certificate chain: the API speaks TLS")
    tls_key: str = Field("", description="PEM file of its key, if that is not in the same file")
    rate: int = Field(
        200, ge=1, le=1_000_000, description="requests a second that a token may make; four times as many at once"
    )
    max_connections: int = Field(
        2048, ge=1, le=1_000_000, description="most connections; beyond, those that have waited longest go"
    )
    max_address_connections: int = Field(
        256, ge=1, le=1_000_000, description="the same of one address, or of a /64 of IPv6; a proxy is one address"
    )
    idle_seconds: float = Field(
        10.0, gt=0, le=3600, description="seconds within which the head of a request has to come"
    )
    stall_seconds: float = Field(
        20.0, gt=0, le=3600, description="seconds over which a body, and the reading of an answer, has to go on"
    )
    least_rate: int = Field(
        500, ge=1, le=1_000_000, description="bytes a second by which it has to go on, over those seconds"
    )
    window: int = Field(60, ge=1, le=86400, description="length of a window in seconds")
    log_window: int = Field(3600, ge=1, le=86400, description="the same in recorded logs of flows")
    max_pairs: int = Field(
        1 << 17, ge=1024, le=1 << 24, description="most (source, target, service) triples counted in one window"
    )
    false_alarms: float = Field(
        1.0, ge=0, le=100, description="false alarms a day that groups of sources may raise; 0: none are looked for"
    )
    allow_list: str = Field("", description="file of sources that may scan")
    max_json_bytes: int = Field(16 << 20, ge=1, description="largest JSON body accepted")
    max_capture_bytes: int = Field(256 << 20, ge=1, description="largest capture file accepted over HTTP")
    max_body_bytes: int = Field(
        128 << 20, ge=1, description="most bytes of bodies in memory at once, half of them of one sender"
    )
    max_rows: int = Field(200_000, ge=1, description="most rows in a posted window")
    outputs: str = Field(
        "", description="TOML file of outputs of alerts; without it, alerts go nowhere by themselves"
    )
    queue_jobs: int = Field(20_000, ge=1, description="most jobs that wait; more are refused")
    queue_bytes: int = Field(1 << 30, ge=1, description="most bytes of payload that wait")
    metrics: str = Field(
        "", description="where a worker shows its metrics: HOST:PORT, or file:PATH; without it, nowhere"
    )
    min_free_bytes: int = Field(256 << 20, ge=0, description="free disk below which the service is not ready")
    stuck_seconds: int = Field(
        300, ge=1, description="age of the oldest waiting work, while none gets done, at which it is not ready"
    )
    keep_counts_days: int = Field(30, ge=0, description="days for which counts of windows are kept; 0: for ever")
    keep_windows_days: int = Field(
        365, ge=0, description="days for which windows are kept; then sums of days are left; 0: for ever"
    )
    keep_alerts_days: int = Field(
        365, ge=0, description="days for which alerts that are over are kept; 0: for ever"
    )
    keep_events_days: int = Field(
        30, ge=0, description="days for which it is kept what happened to alerts; 0: for ever"
    )
    keep_jobs_days: int = Field(1, ge=0, description="days for which receipts of work are kept; 0: for ever")
    keep_audit_days: int = Field(365, ge=0, description="days for which the audit log is kept; 0: for ever")
    keep_patterns_days: int = Field(
        365, ge=0, description="days for which patterns are kept that are seen no more; 0: for ever"
    )
    keep_bytes: int = Field(
        0, ge=0, description="size of the database above which the oldest goes earlier, 1 MiB or more; 0: any size"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level of what is logged: debug, info, warning or error"
    )
    otlp_endpoint: str = Field(
        "",
        description="collector of OpenTelemetry traces, such as http://127.0.0.1:4318; without it, no traces. "
        "Also OTEL_EXPORTER_OTLP_ENDPOINT",
        json_schema_extra=SECRET,
        repr=False,
    )

    @field_validator("keep_bytes")
    @classmethod
    def _has_room(cls, value: int) -> int:
        if 0 < value < 1 << 20:
            raise ValueError("an empty database takes more; 0 means any size")
        return value

    @field_validator("metrics")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        if value and not re.fullmatch(r"file:.+|.+:[0-9]{1,5}", value):
            raise ValueError("neither HOST:PORT nor file:PATH, such as 127.0.0.1:9100")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/\s]\S*", value):
            raise ValueError("no URL of http:// or https://")
        return value

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that begin with ``YOCHO_``; raises SettingsError as `load_settings` does."""
        return load_settings(environment).settings

    def as_environment(self) -> dict[str, str]:
        """Return the variables by which another process of ours gets these settings."""
        return {
            PREFIX + name.upper(): _text(value) for name, value in self.model_dump(exclude_defaults=True).items()
        }

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be shown, as far as a pattern does not tell it: URLs show their passwords."""
        values = (getattr(self, name) for name in secret_names() if name != "database")
        return tuple(value for value in values if value and "://" not in value)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each that is no default was set."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was written, and where."""

    value: str
    where: str


def secret_names() -> tuple[str, ...]:
    """Return the names of the settings that are secret."""
    return tuple(
        name
        for name, field in Settings.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret")
    )


def load_settings(
    environment: Mapping[str, str], config: Path | None = None, assignments: Sequence[str] = ()
) -> Loaded:
    """Return the settings: `assignments`, written name=value, before variables, before the file, before defaults.

    The file is `config`, or the one that YOCHO_CONFIG names. Raises SettingsError, which says where it was set,
    for a setting that is unknown, wrong, or given both as a value and as a file.
    """
    named = environment.get(CONFIG)
    file = config or (Path(named) if named else None)
    layers = [
        _from_file(file) if file else {},
        {
            name: _Given(environment[variable], variable)
            for variable, name in _ALSO.items()
            if variable in environment
        },
        _from_variables(environment),
        _from_assignments(assignments),
    ]
    given: dict[str, _Given] = {}
    for layer in layers:
        given |= _with_secrets(layer)
    return Loaded(_checked(given), {name: value.where for name, value in given.items()})


def _from_variables(environment: Mapping[str, str]) -> dict[str, _Given]:
    return {
        variable.removeprefix(PREFIX).lower(): _Given(value, variable)
        for variable, value in environment.items()
        if variable.startswith(PREFIX) and variable != CONFIG
    }


def _from_assignments(assignments: Iterable[str]) -> dict[str, _Given]:
    given = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text}: not of the form NAME=VALUE, such as port=9000")
        given[name.strip().lower().replace("-", "_")] = _Given(value, f"--set {name}")
    return given


def _from_file(file: Path) -> dict[str, _Given]:
    try:
        values = tomllib.loads(_read(file, "settings"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: is no TOML: {error}; write a line for each setting: port = 9000") from None
    given = {}
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise SettingsError(f"{file}: {name}: is no text, number, true or false")
        given[name] = _Given(_text(value), f"{file}: {name}")
    return given


def _with_secrets(layer: Mapping[str, _Given]) -> dict[str, _Given]:
    """Return one layer of settings, with the content of files that hold secrets in place of their names."""
    given = dict(layer)
    for name in secret_names():
        if (file := given.pop(name + _FILE, None)) is None:
            continue
        if name in given:
            raise SettingsError(f"{given[name].where} and {file.where} are both given; keep one")
        given[name] = _Given(_read(Path(file.value), file.where).rstrip("\r\n"), file.where)
    return given


def _checked(given: Mapping[str, _Given]) -> Settings:
    for name, value in given.items():
        if name not in Settings.model_fields:
            near = get_close_matches(name, Settings.model_fields, 1)
            meant = f"is {near[0]} meant? " if near else ""
            raise SettingsError(f"{value.where}: no such setting; {meant}`yocho settings` lists all")
    try:
        return Settings.model_validate({name: value.value for name, value in given.items()})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = given[name].where if name in given else "settings"
        what = Settings.model_fields[name].description if name in Settings.model_fields else "they contradict"
        why = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"].lower()
        raise SettingsError(f"{where}: {why} ({what})") from None


def _read(file: Path, where: str) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise SettingsError(f"{where}: {file}: {error.strerror}") from None
    except UnicodeError:
        raise SettingsError(f"{where}: {file}: is no text in UTF-8") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{where}: {file}: has more than {_MOST_BYTES} bytes")
    return text


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting as it is now, or as it is by default."""

    name: str
    value: str
    """Of a secret that was given only ``***``."""
    origin: str
    """Where it was set; empty for a default."""
    help: str


def effective_settings(loaded: Loaded) -> list[Effective]:
    """Return all settings, in the order of their declaration."""
    hidden = [name for name in secret_names() if name in loaded.origins]
    return [
        Effective(
            name,
            "***" if name in hidden else _text(getattr(loaded.settings, name)),
            loaded.origins.get(name, ""),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
