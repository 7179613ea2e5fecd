"""How the tables became what they are, one file a revision; Alembic runs them, `service.store.schema` calls it.

A revision never imports what may change after it: neither tables nor documents.
"""
