"""Judged patterns are found at once: each window asks for them; and what is remembered of sources."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the index."""
    op.create_index("patterns_by_status", "patterns", ["sensor", "status", "last_seen_ns"])


def downgrade() -> None:
    """Take it away, and forget what sources usually do: older versions know no such memory."""
    op.execute("DELETE FROM memories WHERE part = 'sources'")
    op.drop_index("patterns_by_status", "patterns")
