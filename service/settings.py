"""The only reader of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "YOCHO_"


def sudo_caller(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the user and group that called sudo, or None if nobody did."""
    uid, gid = environment.get("SUDO_UID", ""), environment.get("SUDO_GID", "")
    return (int(uid), int(gid)) if uid.isascii() and uid.isdigit() and gid.isascii() and gid.isdigit() else None


class Settings(BaseModel):
    """What can be set from outside; each field is the environment variable ``YOCHO_`` + its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field("yocho.db", description="SQLite file, or an SQLAlchemy URL")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0: any free one")
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
    max_rows: int = Field(200_000, ge=1, description="most rows in a posted window")
    queue_jobs: int = Field(20_000, ge=1, description="most jobs that wait; more are refused")
    queue_bytes: int = Field(1 << 30, ge=1, description="most bytes of payload that wait")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables that begin with ``YOCHO_``; raises SettingsError for an unknown or wrong one."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = PREFIX + str(first["loc"][0]).upper()
            known = ", ".join(PREFIX + field.upper() for field in cls.model_fields)
            raise SettingsError(f"{name}: {first['msg'].lower()}; known settings: {known}") from None
