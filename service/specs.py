"""What the parts are told, by the settings."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.alerts.allow import AllowList
    from service.capture.inflation import InflationSpec
    from service.connections import ConnectionSpec
    from service.pipeline import PipelineSpec
    from service.settings import Settings
    from service.store.retention import RetentionSpec

_SECOND = 1_000_000_000


def pipeline_spec(settings: Settings, window: int | None = None) -> PipelineSpec:
    """Return how traffic becomes alerts; `window` is the length of the shortest windows, s, if not the set one."""
    from service.alerts.budget import GroupBudget
    from service.alerts.groups import CoordinationSpec
    from service.pipeline import PipelineSpec
    from service.windows.assign import WindowSpec
    from service.windows.budget import Budget

    budget = Budget(settings.max_pairs)

    return PipelineSpec(
        windows=WindowSpec.usual((window or settings.window) * _SECOND, budget),
        log_windows=WindowSpec.usual((window or settings.log_window) * _SECOND, budget),
        coordination=CoordinationSpec(budget=GroupBudget(per_day=settings.false_alarms)),
        allowed=read_allow_list_file(settings.allow_list),
    )


def retention_spec(settings: Settings) -> RetentionSpec:
    """Return for how long what is kept."""
    from service.store.retention import RetentionSpec

    return RetentionSpec(
        counts=settings.keep_counts_days,
        windows=settings.keep_windows_days,
        alerts=settings.keep_alerts_days,
        events=settings.keep_events_days,
        jobs=settings.keep_jobs_days,
        audit=settings.keep_audit_days,
        patterns=settings.keep_patterns_days,
        most_bytes=settings.keep_bytes,
    )


def inflation_spec(settings: Settings) -> InflationSpec:
    """Return how much may come out of an upload that is packed."""
    from service.capture.inflation import InflationSpec

    return InflationSpec(bytes=16 * settings.max_capture_bytes)


def connection_spec(settings: Settings) -> ConnectionSpec:
    """Return how many connections there may be, and how slow they may be."""
    from service.connections import ConnectionSpec

    return ConnectionSpec(
        settings.max_connections,
        settings.max_address_connections,
        settings.idle_seconds,
        settings.stall_seconds,
        settings.least_rate,
    )


def read_allow_list_file(name: str) -> AllowList:
    """Return the list in a file, or an empty one if no file is named."""
    from service.alerts.allow import AllowList, read_allow_list

    if not name:
        return AllowList()
    try:
        return read_allow_list(Path(name).read_text().splitlines(), name)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise SettingsError(f"{name}: {why}; YOCHO_ALLOW_LIST names a file of sources that may scan") from None


def sensor_names(sensors: Sequence[str]) -> dict[str, str]:
    """Return the names of sensors, written ADDRESS=NAME, by the address as it is received."""
    names = {}
    for text in sensors:
        address, _, name = text.partition("=")
        try:
            names[str(ip_address(address))] = name
        except ValueError:
            name = ""
        if not name:
            raise SettingsError(f"--sensor {text}: not of the form ADDRESS=NAME, such as 192.0.2.1=office")
    return names


def database_url(name: str) -> str:
    """Return the URL of a database that is given as one, or as a file."""
    return name if "://" in name else f"sqlite:///{name}"
