"""One page of a listing: a cursor is the number of a row, so rows that are added move nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.store.cursor import read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, Connection, Row, Select


def page_of(
    connection: Connection,
    rows: Select[*tuple[Any, ...]],
    sequence: Column[int],
    limit: int,
    cursor: str | None,
    *,
    oldest_first: bool = False,
) -> tuple[Sequence[Row[Any]], str | None]:
    """Return up to `limit` rows in the order of a column, newest first, and the cursor of the page after.

    The rows have that column, under the name ``sequence``. Raises NotFoundError for a cursor that is none of
    this listing's.
    """
    listing = sequence.table.name
    if cursor is not None:
        at = read_cursor(listing, cursor)
        rows = rows.where(sequence > at if oldest_first else sequence < at)
    order = sequence.asc() if oldest_first else sequence.desc()
    # One more than asked for: it tells whether there is a next page.
    found = connection.execute(rows.order_by(order).limit(limit + 1)).all()
    following = write_cursor(listing, found[limit - 1].sequence) if len(found) > limit else None
    return found[:limit], following
