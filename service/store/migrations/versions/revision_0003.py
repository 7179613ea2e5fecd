"""What patterns are listed by, and which alerts have ended."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, String, Text

from service.store.migrations import carried_0003 as carried

revision = "0003"
down_revision = "0002"

_NUMBERED = {"sqlite_autoincrement": True}
_PATTERN_COLUMNS = {"status": String, "state": String, "services": Text}


def upgrade() -> None:
    """Add the columns, and fill them with what is known."""
    with op.batch_alter_table("patterns") as batch:
        for name, kind in _PATTERN_COLUMNS.items():
            batch.add_column(Column(name, kind))
    with op.batch_alter_table("alerts") as batch:
        batch.add_column(Column("ended", Boolean))
    carried.fill_patterns(op.get_bind())
    carried.fill_ended(op.get_bind())
    # SQLite makes the tables anew, and would forget that numbers are never given twice.
    with op.batch_alter_table("patterns", table_kwargs=_NUMBERED) as batch:
        for name in _PATTERN_COLUMNS:
            batch.alter_column(name, nullable=False)
    with op.batch_alter_table("alerts", table_kwargs=_NUMBERED) as batch:
        batch.alter_column("ended", nullable=False)
    op.create_index("alerts_going_on", "alerts", ["sensor", "ended", "open_until_ns"])


def downgrade() -> None:
    """Take them away; the documents hold the same."""
    op.drop_index("alerts_going_on", "alerts")
    with op.batch_alter_table("alerts", table_kwargs=_NUMBERED) as batch:
        batch.drop_column("ended")
    with op.batch_alter_table("patterns", table_kwargs=_NUMBERED) as batch:
        for name in _PATTERN_COLUMNS:
            batch.drop_column(name)
