"""How the tables became what they are, one file a revision; Alembic runs them, `service.store.schema` calls it.

A revision imports no tables: they change after it. Documents it reads and writes in the version of its time.
"""
