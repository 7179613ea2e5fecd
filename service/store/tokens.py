"""Tokens in a database: their hashes, and what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.access.token import Scope, Token
from service.errors import InputError, NotFoundError
from service.store import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

_TABLE = tables.tokens
MINUTE = 60 * 10**9


@dataclass(frozen=True, slots=True)
class SqlTokens:
    """Tokens of one connection's transaction."""

    connection: Connection

    def add(self, token: Token, hashed: bytes) -> None:
        """Keep a token by its hash; raises InputError if there is one of its name, revoked or not."""
        row = {
            "id": token.id,
            "name": token.name,
            "hash": hashed,
            "scopes": sorted(token.scopes),
            "sensors": None if token.sensors is None else sorted(token.sensors),
            "created_ns": token.created,
            "expires_ns": token.expires,
        }
        if self.named(token.name) is not None:
            raise InputError("name", f"there is a token {token.name!r}; choose another, or revoke that one first")
        try:
            self.connection.execute(insert(_TABLE), row)
        except IntegrityError:
            raise InputError("token", "is known already; make another") from None

    def found(self, hashed: bytes) -> Token | None:
        """Return the token of a hash, or None."""
        row = self.connection.execute(select(_TABLE).where(_TABLE.c.hash == hashed)).one_or_none()
        return None if row is None else _token(row)

    def named(self, name: str) -> Token | None:
        """Return the token of a name that is not revoked, or None."""
        query = select(_TABLE).where(_TABLE.c.name == name, _TABLE.c.revoked_ns.is_(None))
        row = self.connection.execute(query).one_or_none()
        return None if row is None else _token(row)

    def all(self) -> Sequence[Token]:
        """Return all tokens, oldest first, revoked ones too."""
        query = select(_TABLE).order_by(_TABLE.c.created_ns, _TABLE.c.id)
        return [_token(row) for row in self.connection.execute(query)]

    def any_valid(self, now: int) -> bool:
        """Whether there is a token that is good for something, at a time in ns since the epoch."""
        lasts = or_(_TABLE.c.expires_ns.is_(None), _TABLE.c.expires_ns > now)
        query = select(_TABLE.c.id).where(_TABLE.c.revoked_ns.is_(None), lasts).limit(1)
        return self.connection.execute(query).first() is not None

    def revoke(self, name: str, now: int) -> Token:
        """Let a token be good for nothing from now on; raises NotFoundError if there is none of that name."""
        token = self.named(name)
        if token is None:
            raise NotFoundError(f"token {name!r}: there is none; `yocho token list` shows them")
        # The name is free again; the row stays, for the audit log speaks of it.
        self.connection.execute(
            update(_TABLE).where(_TABLE.c.id == token.id).values(revoked_ns=now, name=f"{name}~{token.id}")
        )
        return token

    def touch(self, token: Token, now: int) -> None:
        """Note that a token was used, at most once a minute."""
        if token.used is None or now - token.used >= MINUTE:
            self.connection.execute(update(_TABLE).where(_TABLE.c.id == token.id).values(used_ns=now))


def _token(row: Row[*tuple[object, ...]]) -> Token:
    fields = row._mapping  # noqa: SLF001  (SQLAlchemy's public name for a row as a mapping)
    sensors = fields["sensors"]
    return Token(
        id=fields["id"],
        name=fields["name"].partition("~")[0],
        scopes=frozenset(map(Scope, fields["scopes"])),
        created=fields["created_ns"],
        sensors=None if sensors is None else frozenset(sensors),
        expires=fields["expires_ns"],
        revoked=fields["revoked_ns"],
        used=fields["used_ns"],
    )
