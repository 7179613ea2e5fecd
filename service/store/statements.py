"""Statements that SQLite and PostgreSQL write alike but SQLAlchemy has no common words for."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

# SQLite took this clause over from PostgreSQL; the construct of the one compiles for both.
from sqlalchemy.dialects.postgresql import insert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Table
    from sqlalchemy.dialects.postgresql import Insert


@cache
def replace(table: Table, *key: str) -> Insert:
    """Return a statement that adds rows, or replaces the columns of those with the same key."""
    statement = insert(table)
    # An explicit list: the number of a replaced row is its place in listings and must not change.
    columns = [column.name for column in table.c if column.name not in key and not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
    )


@cache
def add_new(table: Table, *key: str) -> Insert:
    """Return a statement that adds a row unless one of the same key is there: then its rowcount is 0.

    A failed insert would end the whole transaction on PostgreSQL.
    """
    return insert(table).on_conflict_do_nothing(index_elements=list(key)).execution_options(preserve_rowcount=True)


def add_up(table: Table, key: Sequence[str], sums: Sequence[str], mosts: Sequence[str]) -> Insert:
    """Return a statement that adds rows, or adds to the sums of those with the same key and keeps the most."""
    statement = insert(table)
    added: dict[str, ColumnElement[Any]] = {name: table.c[name] + statement.excluded[name] for name in sums}
    for name in mosts:
        before, now = table.c[name], statement.excluded[name]
        added[name] = case((before > now, before), else_=now)
    return statement.on_conflict_do_update(index_elements=list(key), set_=added)


def in_order(connection: Connection, table: Table) -> None:
    """Let rows that this transaction adds to a table become visible in the order of their numbers.

    Ask for it right before the first of them: up to the end of the transaction no other one adds any. On SQLite
    this is so without asking.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(lock_key(f"rows of {table.name}"))))


def lock_key(name: str) -> int:
    """Return the number, a signed one of 64 bits, of an advisory lock of PostgreSQL."""
    return int.from_bytes(hashlib.blake2b(f"yocho {name}".encode(), digest_size=8).digest(), signed=True)
