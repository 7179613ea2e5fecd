"""Runs revisions on the connection that was handed in, in its transaction; reads no file and no environment."""

from __future__ import annotations

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version_table"])
context.run_migrations()
