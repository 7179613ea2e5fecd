"""Which patterns are judged benign or muted: each window asks for them."""

from __future__ import annotations

import json

from alembic import op
from sqlalchemy import Boolean, Column, String, Text, bindparam, column, select, table, update

revision = "0003"
down_revision = "0002"

_patterns = table("patterns", column("id", String), column("document", Text), column("hushed", Boolean))
_NUMBERED = {"sqlite_autoincrement": True}
_HUSHED = ("benign", "muted")


def upgrade() -> None:
    """Add the column, and fill it from the patterns."""
    with op.batch_alter_table("patterns") as batch:
        batch.add_column(Column("hushed", Boolean))
    bind = op.get_bind()
    bind.execute(update(_patterns).values(hushed=False))
    hushed = [
        {"judged": row.id}
        for row in bind.execute(select(_patterns.c.id, _patterns.c.document))
        if json.loads(row.document)["status"] in _HUSHED
    ]
    if hushed:
        bind.execute(update(_patterns).where(_patterns.c.id == bindparam("judged")).values(hushed=True), hushed)
    # SQLite makes the table anew, and would forget that numbers are never given twice.
    with op.batch_alter_table("patterns", table_kwargs=_NUMBERED) as batch:
        batch.alter_column("hushed", nullable=False)
    op.create_index("patterns_hushed", "patterns", ["sensor", "hushed", "last_seen_ns"])


def downgrade() -> None:
    """Take it away, and what is remembered of sources."""
    op.execute("DELETE FROM memories WHERE part = 'sources'")
    op.drop_index("patterns_hushed", "patterns")
    with op.batch_alter_table("patterns", table_kwargs=_NUMBERED) as batch:
        batch.drop_column("hushed")
