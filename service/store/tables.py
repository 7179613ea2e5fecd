"""The tables. A value has its own column only where rows are looked up or listed by it."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 3
"""Of this layout; raise it with every change."""

metadata = MetaData()

# SQLite numbers rows by itself only if the column's type is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

layout = Table("yocho", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

windows = Table(
    "windows",
    metadata,
    Column("id", String, primary_key=True),
    Column("sensor", String, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
    Column("patterns", JSON, nullable=False),
    Column("alerts", JSON, nullable=False),
    Column("counts", LargeBinary, nullable=False),
)

patterns = Table(
    "patterns",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("sensor", String, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("length_ns", BigInteger, nullable=False),
    Column("recurring", Boolean, nullable=False),
    Index("patterns_of_sensor", "sensor", "sequence"),
    Index("patterns_of_catalogue", "sensor", "length_ns", "recurring", "last_seen_ns"),
    sqlite_autoincrement=True,
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("sensor", String, primary_key=True),
    Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("windows", BigInteger, nullable=False),
)

pattern_versions = Table(
    "pattern_versions",
    metadata,
    Column("pattern", String, ForeignKey("patterns.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("sensor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    Column("open_until_ns", BigInteger, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("alerts_of_sensor", "sensor", "open_until_ns"),
    Index("alerts_of_kind", "kind", "sequence"),
    Index("alerts_by_time", "last_seen_ns"),
    sqlite_autoincrement=True,
)

alert_sources = Table(
    "alert_sources",
    metadata,
    Column("source", String, primary_key=True),
    Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
    Index("sources_of_alert", "alert"),
)
