"""Settings that people change while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from service.errors import StoreError
from service.store import tables
from service.store.statements import replace

if TYPE_CHECKING:
    from sqlalchemy import Connection

FALSE_ALARMS = "false_alarms"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that somebody has changed."""

    name: str
    value: Any
    """As JSON knows it."""
    changed: int
    """When, ns since the epoch."""
    changed_by: str


class SqlSettings:
    """The table of settings; of one that is not in it, what is configured holds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> dict[str, Setting]:
        """Return what was changed, by name."""
        rows = self._connection.execute(select(tables.settings))
        return {row.name: Setting(row.name, row.value, row.changed_ns, row.changed_by) for row in rows}

    def put(self, setting: Setting) -> None:
        """Keep a setting in place of what it was."""
        row = {
            "name": setting.name,
            "value": setting.value,
            "changed_ns": setting.changed,
            "changed_by": setting.changed_by,
        }
        self._connection.execute(replace(tables.settings, "name"), row)

    def reset(self, name: str) -> None:
        """Let what is configured hold again."""
        self._connection.execute(delete(tables.settings).where(tables.settings.c.name == name))

    def false_alarms(self) -> float | None:
        """Return the false alarms a day that were set, or None; raises StoreError if it is no number."""
        query = select(tables.settings.c.value).where(tables.settings.c.name == FALSE_ALARMS)
        value = self._connection.execute(query).scalar_one_or_none()
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StoreError(f"setting {FALSE_ALARMS}: {value!r} is no number; PATCH /v1/settings sets it anew")
        return float(value)
