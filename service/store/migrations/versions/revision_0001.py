"""Windows, patterns and alerts: layout 3 of databases that knew no revisions."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)

revision = "0001"
down_revision = None

_Sequence = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    layout = op.create_table("yocho", Column("version", Integer, primary_key=True, autoincrement=False))
    op.bulk_insert(layout, [{"version": 3}])
    op.create_table(
        "windows",
        Column("id", String, primary_key=True),
        Column("sensor", String, nullable=False),
        Column("start_ns", BigInteger, nullable=False),
        Column("end_ns", BigInteger, nullable=False),
        Column("digest", String, nullable=False),
        Column("patterns", JSON, nullable=False),
        Column("alerts", JSON, nullable=False),
        Column("counts", LargeBinary, nullable=False),
    )
    _make_patterns()
    _make_alerts()
    op.create_table(
        "memories",
        Column("sensor", String, primary_key=True),
        Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
        Column("window", String, nullable=False),
        Column("document", LargeBinary, nullable=False),
    )


def _make_patterns() -> None:
    op.create_table(
        "patterns",
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
    op.create_table(
        "catalogues",
        Column("sensor", String, primary_key=True),
        Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
        Column("windows", BigInteger, nullable=False),
    )
    op.create_table(
        "pattern_versions",
        Column("pattern", String, ForeignKey("patterns.id"), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("document", Text, nullable=False),
    )


def _make_alerts() -> None:
    op.create_table(
        "alerts",
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
    op.create_table(
        "alert_sources",
        Column("source", String, primary_key=True),
        Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
        Index("sources_of_alert", "alert"),
    )


def downgrade() -> None:
    """Nothing was before."""
    for name in (
        "alert_sources", "memories", "alerts", "pattern_versions", "catalogues", "patterns", "windows", "yocho",
    ):  # fmt: skip
        op.drop_table(name)
