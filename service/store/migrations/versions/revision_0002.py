"""What alerts and windows are listed by; work, events, access, words, outputs and days; memories by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)

from service.store.migrations import carried_0002 as carried

if TYPE_CHECKING:
    from sqlalchemy import Table

revision = "0002"
down_revision = "0001"

_Sequence = BigInteger().with_variant(Integer, "sqlite")

_NUMBERED = {"sqlite_autoincrement": True}
_MEMORY = 'sensor, length_ns, "window", document'
_WINDOW_SUMS = {"sources": Integer, "services": Integer, "attempts": BigInteger, "shed": BigInteger}
_ALERT_COLUMNS = {"first_seen_ns": BigInteger, "score": Float, "updates": Integer}
_NEW_TABLES = (
    "days", "dead_letters", "deliveries", "allow_rules", "settings", "audit", "tokens", "payloads", "jobs",
    "sensors", "events", "comments", "alert_states", "alert_services",
)  # fmt: skip


def upgrade() -> None:
    """Add tables and columns, and fill them with what is known."""
    sensors = _make_work()
    _make_words()
    _make_access()
    _make_outputs()
    _widen_windows()
    _widen_alerts()
    carried.fill_sensors(op.get_bind(), sensors)
    _remake_memories(Column("part", String, primary_key=True))
    op.drop_table("yocho")


def downgrade() -> None:
    """Take them away; what was said, waits or was delivered is lost."""
    op.execute("DELETE FROM memories WHERE part <> 'groups'")
    _remake_memories()
    for name in _NEW_TABLES:
        op.drop_table(name)
    carried.unfill_windows(op.get_bind())
    for index in ("windows_of_sensor", "windows_by_time"):
        op.drop_index(index, "windows")
    with op.batch_alter_table("windows") as batch:
        for name in _WINDOW_SUMS:
            batch.drop_column(name)
    op.drop_index("alerts_of_pattern", "alerts")
    with op.batch_alter_table("alerts", table_kwargs=_NUMBERED) as batch:
        for name in (*_ALERT_COLUMNS, "pattern"):
            batch.drop_column(name)
    op.drop_index("sources_by_address", "alert_sources")
    with op.batch_alter_table("alert_sources") as batch:
        batch.drop_column("address")
    layout = op.create_table("yocho", Column("version", Integer, primary_key=True, autoincrement=False))
    op.bulk_insert(layout, [{"version": 3}])


def _widen_windows() -> None:
    with op.batch_alter_table("windows") as batch:
        for name, kind in _WINDOW_SUMS.items():
            batch.add_column(Column(name, kind))
    carried.fill_windows(op.get_bind())
    with op.batch_alter_table("windows") as batch:
        for name in _WINDOW_SUMS:
            batch.alter_column(name, nullable=False)
    op.create_index("windows_of_sensor", "windows", ["sensor", "start_ns"])
    op.create_index("windows_by_time", "windows", ["end_ns"])


def _widen_alerts() -> None:
    with op.batch_alter_table("alerts") as batch:
        for name, kind in _ALERT_COLUMNS.items():
            batch.add_column(Column(name, kind))
        batch.add_column(Column("pattern", String))
    with op.batch_alter_table("alert_sources") as batch:
        batch.add_column(Column("address", LargeBinary(16)))
    carried.fill_alerts(op.get_bind())
    carried.fill_addresses(op.get_bind())
    # SQLite makes the table anew, and would forget that numbers are never given twice.
    with op.batch_alter_table("alerts", table_kwargs=_NUMBERED) as batch:
        for name in _ALERT_COLUMNS:
            batch.alter_column(name, nullable=False)
    with op.batch_alter_table("alert_sources") as batch:
        batch.alter_column("address", nullable=False)
    op.create_index("alerts_of_pattern", "alerts", ["pattern"])
    op.create_index("sources_by_address", "alert_sources", ["address"])


def _remake_memories(*part: Column[str]) -> None:
    """Make the table with another key; by way of a copy, since names of keys are given once in a database."""
    op.create_table("memories_before", *_memory_columns())
    op.execute(f"INSERT INTO memories_before ({_MEMORY}) SELECT {_MEMORY} FROM memories")  # noqa: S608  (constants)
    op.drop_table("memories")
    op.create_table("memories", *_memory_columns(*part))
    names, values = (f"part, {_MEMORY}", f"'groups', {_MEMORY}") if part else (_MEMORY, _MEMORY)
    op.execute(f"INSERT INTO memories ({names}) SELECT {values} FROM memories_before")  # noqa: S608
    op.drop_table("memories_before")


def _memory_columns(*part: Column[str]) -> list[Column[Any]]:
    return [
        Column("sensor", String, primary_key=True),
        Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
        *part,
        Column("window", String, nullable=False),
        Column("document", LargeBinary, nullable=False),
    ]


def _make_words() -> None:
    op.create_table(
        "alert_services",
        Column("service", String, primary_key=True),
        Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
        Index("services_of_alert", "alert"),
    )
    op.create_table(
        "alert_states",
        Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
        Column("acknowledged_ns", BigInteger),
        Column("acknowledged_by", String),
        Column("muted_until_ns", BigInteger),
        Column("muted_by", String),
    )
    op.create_table(
        "comments",
        Column("sequence", _Sequence, primary_key=True),
        Column("alert", String, ForeignKey("alerts.id"), nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("author", String, nullable=False),
        Column("text", Text, nullable=False),
        Index("comments_of_alert", "alert", "sequence"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "events",
        Column("sequence", _Sequence, primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
        Column("kind", String, nullable=False),
        Column("alert", String, nullable=False),
        Column("document", Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _make_work() -> Table:
    sensors = op.create_table(
        "sensors",
        Column("name", String, primary_key=True),
        Column("revision", BigInteger, nullable=False),
        Column("first_ns", BigInteger, nullable=False),
        Column("last_ns", BigInteger, nullable=False),
        Column("latest_end_ns", BigInteger),
        Column("windows", BigInteger, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("shed", BigInteger, nullable=False),
        Column("dropped", BigInteger),
        Column("leased_by", String),
        Column("leased_until_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        Column("sequence", _Sequence, primary_key=True),
        Column("id", String, nullable=False, unique=True),
        Column("sensor", String, nullable=False),
        Column("kind", String, nullable=False),
        Column("window", String),
        Column("digest", String, nullable=False),
        Column("state", String, nullable=False),
        Column("received_ns", BigInteger, nullable=False),
        Column("done_ns", BigInteger),
        Column("size", BigInteger, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("outcome", Text),
        Index("jobs_of_sensor", "state", "sensor", "sequence"),
        Index("jobs_of_window", "window"),
        Index("jobs_done", "state", "done_ns"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "payloads",
        Column("job", String, primary_key=True),
        Column("part", Integer, primary_key=True, autoincrement=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("bytes", LargeBinary, nullable=False),
    )
    return sensors


def _make_access() -> None:
    op.create_table(
        "tokens",
        Column("id", String, primary_key=True),
        Column("name", String, nullable=False, unique=True),
        Column("hash", LargeBinary(32), nullable=False, unique=True),
        Column("scopes", JSON, nullable=False),
        Column("sensors", JSON),
        Column("created_ns", BigInteger, nullable=False),
        Column("expires_ns", BigInteger),
        Column("revoked_ns", BigInteger),
        Column("used_ns", BigInteger),
    )
    op.create_table(
        "audit",
        Column("sequence", _Sequence, primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
        Column("actor", String, nullable=False),
        Column("request", String, nullable=False),
        Column("action", String, nullable=False),
        Column("target", String, nullable=False),
        Column("status", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "settings",
        Column("name", String, primary_key=True),
        Column("value", JSON, nullable=False),
        Column("changed_ns", BigInteger, nullable=False),
        Column("changed_by", String, nullable=False),
    )
    op.create_table(
        "allow_rules",
        Column("id", String, primary_key=True),
        Column("rule", String, nullable=False, unique=True),
        Column("note", String, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("created_by", String, nullable=False),
    )


def _make_outputs() -> None:
    op.create_table(
        "deliveries",
        Column("output", String, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("next_ns", BigInteger, nullable=False),
        Column("failure", Text),
    )
    op.create_table(
        "dead_letters",
        Column("sequence", _Sequence, primary_key=True),
        Column("output", String, nullable=False),
        Column("event", BigInteger, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("document", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "days",
        Column("sensor", String, primary_key=True),
        Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
        Column("day_ns", BigInteger, primary_key=True, autoincrement=False),
        Column("windows", BigInteger, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("answered", BigInteger, nullable=False),
        Column("most_sources", BigInteger, nullable=False),
        Column("most_services", BigInteger, nullable=False),
        Column("shed", BigInteger, nullable=False),
    )
